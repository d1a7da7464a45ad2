"""Microsoft's media-quality targets and whether a run meets them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from probes.measure.bursts import worst_window
from probes.wire.sample import Value

Amount = Annotated[float, msgspec.Meta(gt=0)]


class Targets(msgspec.Struct, frozen=True):
    """The 2018 table, client to Microsoft's edge; a council may have stricter ones. A
    target is met where the value is *below* it.

    Bursts are judged in any 200 ms and loss in any 15 s, or over the run where that is
    shorter. At 50 packets/s a window of 200 ms holds ten packets: one lost packet is
    10 % of it, but no burst. So a burst needs `burst_packets` as well. Reordering is
    judged over at least `reorder_least` packets only: 0.05 % of fewer is less than one.
    """

    rtt_ms: Amount = 100.0
    burst_loss_ratio: Amount = 0.10
    burst_packets: Annotated[int, msgspec.Meta(ge=1)] = 2
    burst_ms: Amount = 200.0
    loss_ratio: Amount = 0.01
    loss_ms: Amount = 15_000.0
    jitter_ms: Amount = 30.0
    reorder_ratio: Amount = 0.0005
    reorder_least: Annotated[int, msgspec.Meta(ge=1)] = 2000


CLIENT_TO_EDGE = Targets()


def judge(
    targets: Targets,
    lost: Sequence[bool],
    interval_ms: float,
    rtt_ms: float,
    jitter_ms: float | None,
    reorder_ratio: float,
) -> dict[str, Value]:
    """Per target whether it was met (1 or 0; absent where it cannot be judged), `poor`
    where any was not, and the worst loss in any 200 ms. `lost` has an entry a packet
    sent."""
    sent = len(lost)
    short = min(sent, max(1, round(targets.burst_ms / interval_ms)))
    long = min(sent, max(1, round(targets.loss_ms / interval_ms)))
    burst = worst_window(lost, short)
    met: dict[str, Value] = {
        "rtt_met": int(rtt_ms < targets.rtt_ms),
        "loss_met": int(worst_window(lost, long) / long < targets.loss_ratio),
        "burst_met": int(
            burst / short < targets.burst_loss_ratio or burst < targets.burst_packets
        ),
    }
    if jitter_ms is not None:
        met["jitter_met"] = int(jitter_ms < targets.jitter_ms)
    if sent - sum(lost) >= targets.reorder_least:
        met["reorder_met"] = int(reorder_ratio < targets.reorder_ratio)
    return met | {"poor": int(0 in met.values()), "burst_loss_ratio": burst / short}
