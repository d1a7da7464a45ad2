"""Works out the figures of a call path run. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from probes.measure import packet_stream
from probes.measure.call_targets import target_values
from probes.measure.jitter import jitter
from probes.wire import bursts, mos, stamp
from probes.wire.percentiles import median, percentile
from probes.wire.policy import CLIENT_TO_EDGE, CallTargets
from probes.wire.sample import Value

Run = packet_stream.StreamResult[stamp.ReflectorReply]
Arrival = packet_stream.Arrival[stamp.ReflectorReply]


class _Direction(NamedTuple):
    """How delay varies in one direction; the delay itself is not known. `late_ratio` is
    the share of arrived packets that would be too late to be played."""

    jitter_ms: float
    variation_ms: float
    late_ratio: float


def summarise(
    run: Run,
    interval_ms: float,
    targets: CallTargets = CLIENT_TO_EDGE,
    *,
    marked: bool = True,
) -> dict[str, Value]:
    """The catalogue's `call_path` fields for a run with at least one reply. Jitter and
    loss are per direction if known; MOS is that of the worse direction. `marked`: the
    packets left with a DSCP; if not, that none arrived says nothing of the network."""
    sent = len(run.sent_ns)
    first: dict[int, Arrival] = {}
    repeats, reordered, highest = 0, 0, -1
    copied_out: set[int] = set()
    for arrival in run.arrivals:
        if arrival.number in first:
            repeats += 1
            # The reflector counted it twice, so it was duplicated on the way there.
            if arrival.reply.sequence != first[arrival.number].reply.sequence:
                copied_out.add(arrival.reply.sequence)
            continue
        first[arrival.number] = arrival
        reordered += arrival.number < highest
        highest = max(highest, arrival.number)
    received = len(first)
    lost = [number not in first for number in range(sent)]
    loss_ratio = (sent - received) / sent

    rtts = [_rtt_ms(arrival, run.sent_ns) for arrival in first.values()]
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

    directions = _directions(run)
    jitter_ms = None
    if directions is not None:
        jitter_ms = max(direction.jitter_ms for direction in directions)
        values |= {
            "jitter_ms": jitter_ms,
            "jitter_out_ms": directions[0].jitter_ms,
            "jitter_in_ms": directions[1].jitter_ms,
            "pdv_ms": max(direction.variation_ms for direction in directions),
            "late_ratio": max(direction.late_ratio for direction in directions),
        }

    clusters = bursts.bursts(lost, interval_ms)
    values["burst_density_ratio"] = clusters.burst_density_ratio
    values["gap_density_ratio"] = clusters.gap_density_ratio
    values["burst_ms"] = max(0.0, clusters.burst_ms)

    losses = [loss_ratio, loss_ratio]
    lost_out = _lost_out(run, sent - received, len(copied_out))
    if lost_out is not None:
        # A packet that never reached the reflector cannot be lost on the way back.
        reflected = sent - lost_out
        losses = [
            lost_out / sent,
            (reflected - received) / reflected if reflected else 0.0,
        ]
        values |= {"loss_out_ratio": losses[0], "loss_in_ratio": losses[1]}
    ratio = bursts.burst_ratio(lost)
    values["mos_estimated"] = min(
        mos.estimate(
            rtt_ms,
            direction.jitter_ms if direction else 0.0,
            loss + (1 - loss) * (direction.late_ratio if direction else 0.0),
            ratio,
        )
        for loss, direction in zip(losses, directions or (None, None), strict=True)
    )
    values |= target_values(
        targets, lost, interval_ms, rtt_ms, jitter_ms, reordered / received
    )
    dscps = {arrival.reply.dscp_arrived for arrival in run.arrivals} - {-1}
    if len(dscps) == 1 and (marked or dscps != {0}):
        values["dscp_arrived"] = dscps.pop()
    return rounded(values)


def rounded(values: dict[str, Value]) -> dict[str, Value]:
    """Rounds floats to six places: a millionth is below the precision of any figure."""
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in values.items()
    }


def _rtt_ms(arrival: Arrival, sent_ns: list[int]) -> float:
    """(T4 - T1) - (T3 - T2), in ms."""
    reply = arrival.reply
    whole = arrival.t4_ns - sent_ns[arrival.number]
    inside = stamp.elapsed_ns(reply.t3_ntp, reply.t2_ntp)
    # If the reflector's clock was stepped in between, its times are not used.
    if 0 <= inside <= whole:
        whole -= inside
    return max(whole, 0) / 1e6


def _directions(run: Run) -> tuple[_Direction, _Direction] | None:
    """Outbound (our clock to the reflector's) and inbound (the reflector's to ours),
    each in order of arrival; None below two packets. The clocks need not agree."""
    zero = run.arrivals[0].reply.t2_ntp
    by_reflection = sorted(
        run.arrivals, key=lambda arrival: stamp.elapsed_ns(arrival.reply.t2_ntp, zero)
    )
    outbound = _direction(
        [
            (
                run.sent_ns[arrival.number] / 1e6,
                stamp.elapsed_ns(arrival.reply.t2_ntp, zero) / 1e6,
            )
            for arrival in by_reflection
        ]
    )
    inbound = _direction(
        [
            (stamp.elapsed_ns(arrival.reply.t3_ntp, zero) / 1e6, arrival.t4_ns / 1e6)
            for arrival in run.arrivals
        ]
    )
    return None if outbound is None or inbound is None else (outbound, inbound)


def _direction(times: Sequence[tuple[float, float]]) -> _Direction | None:
    jitter_ms = jitter(times)
    if jitter_ms is None:
        return None
    transits = [received - sent for sent, received in times]
    # A packet is late if it misses the jitter buffer that the MOS assumes.
    deadline = median(transits) + mos.buffer_ms(jitter_ms) + mos.FRAME_MS
    return _Direction(
        jitter_ms,
        percentile(transits, 95) - min(transits),
        sum(transit > deadline for transit in transits) / len(transits),
    )


def _lost_out(run: Run, lost: int, copied: int) -> int | None:
    """How many of `lost` were lost outbound, by the reflector's own count; None if it
    does not count or did not answer. `copied` packets were duplicated outbound."""
    if lost == 0:
        return 0
    reflected = _reflector_count(run)
    if reflected is None:
        return None
    missing = len(run.sent_ns) - (reflected - copied)
    # Off by one: a packet was duplicated, or the count starts at 1. Off by more: the
    # count is not about this run.
    if not -1 <= missing <= lost + 1:
        return None
    return min(max(missing, 0), lost)


def _reflector_count(run: Run) -> int | None:
    """How many packets of the stream the reflector received, by its own count."""
    if not run.closing:
        return None
    number, reply = min(run.closing.items())
    # A stateless reflector copies the number; one that lost its state starts again.
    return (
        reply.sequence
        if reply.sequence < number - packet_stream.CLOSING_GAP // 2
        else None
    )
