"""Compares a run with Microsoft's media-quality targets. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from probes.wire.bursts import worst_window
from probes.wire.policy import CallTargets
from probes.wire.sample import Value


def target_values(
    targets: CallTargets,
    lost: Sequence[bool],
    interval_ms: float,
    rtt_ms: float,
    jitter_ms: float | None,
    reorder_ratio: float,
) -> dict[str, Value]:
    """For each target 1 if it was met, 0 if not, absent if it cannot be judged. `poor`
    is 1 if any was missed. Also the worst loss in any 200 ms. `lost` has one entry per
    packet sent."""
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
