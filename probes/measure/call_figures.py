"""What a run of the call path means, in figures. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from probes.measure import bursts, emodel, packet_stream
from probes.measure.call_targets import target_values
from probes.measure.jitter import jitter
from probes.wire import stamp
from probes.wire.percentiles import percentile
from probes.wire.policy import CLIENT_TO_EDGE, CallTargets
from probes.wire.sample import Value

Run = packet_stream.StreamResult[stamp.Reflected]
Arrival = packet_stream.Arrival[stamp.Reflected]


class _Way(NamedTuple):
    """One direction. Delays vary by these; what they are is not known. `late_ratio`: of
    what arrived, what would have come too late to be played."""

    jitter_ms: float
    variation_ms: float
    late_ratio: float


def summarise(
    run: Run, interval_ms: float, targets: CallTargets = CLIENT_TO_EDGE
) -> dict[str, Value]:
    """The fields of the catalogue's `call_path` for a run in which something came
    back. Both directions' jitter and loss are kept apart where that is known; MOS is
    that of the worse direction."""
    sent = len(run.sent_ns)
    first: dict[int, Arrival] = {}
    repeats, reordered, highest = 0, 0, -1
    copied_out: set[int] = set()
    for each in run.arrivals:
        if each.number in first:
            repeats += 1
            # Another count of the reflector: it was doubled on the way there.
            if each.reply.sequence != first[each.number].reply.sequence:
                copied_out.add(each.reply.sequence)
            continue
        first[each.number] = each
        reordered += each.number < highest
        highest = max(highest, each.number)
    received = len(first)
    lost = [number not in first for number in range(sent)]
    loss_ratio = (sent - received) / sent

    rtts = [_rtt_ms(each, run.sent_ns) for each in first.values()]
    rtt_ms = math.fsum(rtts) / received
    values: dict[str, Value] = {
        "sent": sent,
        "received": received,
        "loss_ratio": loss_ratio,
        "rtt_ms": rtt_ms,
        "rtt_min_ms": min(rtts),
        "rtt_p95_ms": percentile(rtts, 95),
        "reorder_ratio": reordered / received,
        "duplicate_ratio": repeats / sent,
    }

    ways = _ways(run)
    jitter_ms = None
    if ways is not None:
        jitter_ms = max(way.jitter_ms for way in ways)
        values |= {
            "jitter_ms": jitter_ms,
            "jitter_out_ms": ways[0].jitter_ms,
            "jitter_in_ms": ways[1].jitter_ms,
            "pdv_ms": max(way.variation_ms for way in ways),
            "late_ratio": max(way.late_ratio for way in ways),
        }

    gathered = bursts.bursts(lost, interval_ms)
    values["burst_density_ratio"] = gathered.burst_density_ratio
    values["gap_density_ratio"] = gathered.gap_density_ratio
    values["burst_ms"] = max(0.0, gathered.burst_ms)

    losses = [loss_ratio, loss_ratio]
    lost_out = _lost_out(run, sent - received, len(copied_out))
    if lost_out is not None:
        # What never arrived there cannot be lost on the way back.
        came = sent - lost_out
        losses = [lost_out / sent, (came - received) / came if came else 0.0]
        values |= {"loss_out_ratio": losses[0], "loss_in_ratio": losses[1]}
    ratio = bursts.burst_ratio(lost)
    values["mos_estimated"] = min(
        emodel.estimate(
            rtt_ms,
            way.jitter_ms if way else 0.0,
            loss + (1 - loss) * (way.late_ratio if way else 0.0),
            ratio,
        )
        for loss, way in zip(losses, ways or (None, None), strict=True)
    )
    values |= target_values(
        targets, lost, interval_ms, rtt_ms, jitter_ms, reordered / received
    )
    dscps = {each.reply.dscp_arrived for each in run.arrivals} - {-1}
    if len(dscps) == 1:
        values["dscp_arrived"] = dscps.pop()
    return rounded(values)


def rounded(values: dict[str, Value]) -> dict[str, Value]:
    """Floats to six places: a millionth is below what any of this can tell."""
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in values.items()
    }


def _rtt_ms(arrival: Arrival, sent_ns: list[int]) -> float:
    """(T4 - T1) - (T3 - T2), in ms."""
    reply = arrival.reply
    whole = arrival.t4_ns - sent_ns[arrival.number]
    inside = stamp.elapsed_ns(reply.t3_ntp, reply.t2_ntp)
    # A reflector whose clock was stepped in between is not believed.
    if 0 <= inside <= whole:
        whole -= inside
    return max(whole, 0) / 1e6


def _ways(run: Run) -> tuple[_Way, _Way] | None:
    """The way out (our clock to the reflector's) and back (its to ours), each in its
    own order of arrival; None below two packets. The clocks need not agree."""
    zero = run.arrivals[0].reply.t2_ntp
    there = sorted(
        run.arrivals, key=lambda each: stamp.elapsed_ns(each.reply.t2_ntp, zero)
    )
    out = _way(
        [
            (
                run.sent_ns[each.number] / 1e6,
                stamp.elapsed_ns(each.reply.t2_ntp, zero) / 1e6,
            )
            for each in there
        ]
    )
    back = _way(
        [
            (stamp.elapsed_ns(each.reply.t3_ntp, zero) / 1e6, each.t4_ns / 1e6)
            for each in run.arrivals
        ]
    )
    return None if out is None or back is None else (out, back)


def _way(times: Sequence[tuple[float, float]]) -> _Way | None:
    shake = jitter(times)
    if shake is None:
        return None
    transits = [received - sent for sent, received in times]
    # The jitter buffer that the MOS assumes, behind the usual packet.
    deadline = statistics.median(transits) + emodel.buffer_ms(shake) + emodel.FRAME_MS
    return _Way(
        shake,
        percentile(transits, 95) - min(transits),
        sum(transit > deadline for transit in transits) / len(transits),
    )


def _lost_out(run: Run, lost: int, copied: int) -> int | None:
    """How many of `lost` were lost on the way out, by the reflector's own count; None
    where it does not count or did not say. `copied` were doubled on the way out."""
    if lost == 0:
        return 0
    reflected = _reflected(run)
    if reflected is None:
        return None
    missing = len(run.sent_ns) - (reflected - copied)
    # One too few or many: a packet doubled or counted from 1. More: another count.
    if not -1 <= missing <= lost + 1:
        return None
    return min(max(missing, 0), lost)


def _reflected(run: Run) -> int | None:
    """How many of the stream's packets the reflector received, by its own count."""
    if not run.closing:
        return None
    asked, reply = min(run.closing.items())
    # A stateless reflector copies the number; one that lost its state began anew.
    return (
        reply.sequence
        if reply.sequence < asked - packet_stream.CLOSING_GAP // 2
        else None
    )
