"""Makes rates of counters, and never a wrong one (RFC 2863 section 3.1.5). Pure.

A rate is given only if it is certain what was counted, and over which time. The
interval is measured by the agent's own sysUpTime from the same answer as the counters,
so a late poll or a delayed answer changes nothing. If an agent has none, our own clock
is used and the row is marked.

No rate is given, rather than a spike, after a restart, a discontinuity or a
renumbering, if a 64-bit counter goes back, or if a 32-bit counter may have wrapped
twice.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from collectors.snmp.session.oids import TICKS_PER_S, TICKS_WRAP

COUNTER32 = 2**32
# An agent that updates its counters in bursts or answers from a cache may seem a little
# faster than its port for one interval.
OVER_LINE_RATE = 1.1
# Twice the line rate over a whole interval cannot be traffic.
_GARBAGE = 2.0
# The shortest Ethernet frame with preamble and gap.
_FRAME_BITS = 672
# Speeds of Ethernet modules. A port that changes from one of them to another may have a
# new module, with counters of its own. Other speeds (radios, bundles, DSL) vary while
# the counters go on.
_MODULES = frozenset(
    gbps * 1_000_000_000 for gbps in (1, 5, 10, 25, 40, 50, 100, 200, 400, 800)
) | {10_000_000, 100_000_000, 2_500_000_000}
# How far the agent's clock and ours may differ over one interval.
_SLACK_TICKS, _SLACK_RATIO = 10 * TICKS_PER_S, 0.2
# And if the agent is so young that it may have restarted in that interval.
_YOUNG_TICKS, _YOUNG_RATIO = 2 * TICKS_PER_S, 0.02

# The order of the values of one port in `CounterSample.values`.
(
    IN_OCTETS,
    OUT_OCTETS,
    IN_UCAST,
    IN_MCAST,
    IN_BCAST,
    IN_ERRORS,
    OUT_ERRORS,
    IN_DISCARDS,
    OUT_DISCARDS,
    ADMIN,
    OPER,
    HIGH_SPEED,
    DISCONTINUITY,
    NAME,
) = range(14)

Values = tuple[int | None, ...]


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When an answer was given: the agent's sysUpTime (ticks) and our monotonic ms."""

    ticks: int | None
    own_ms: float


class Elapsed(NamedTuple):
    """Seconds between two moments; None if that is not certain.

    `restarted`: the agent restarted in between. `own_clock`: measured by our clock.
    """

    seconds: float | None
    restarted: bool = False
    own_clock: bool = False


class CounterSample(msgspec.Struct, frozen=True, gc=False):
    """The values of one port at one moment. `octets64`: its octet counters have 64
    bits; `packets64`: its packet counters have."""

    moment: Moment
    values: Values
    octets64: bool
    packets64: bool
    speed_bps: int | None


class PortRates(NamedTuple):
    """Per second over one interval; None means "not known", never 0."""

    in_bps: float | None = None
    out_bps: float | None = None
    in_errors: float | None = None
    out_errors: float | None = None
    in_discards: float | None = None
    out_discards: float | None = None
    in_error_ratio: float | None = None


UNKNOWN = PortRates()


def elapsed(before: Moment, now: Moment) -> Elapsed:
    """The time between two answers of one agent."""
    own_ms = now.own_ms - before.own_ms
    if now.ticks is None or before.ticks is None:
        return Elapsed(own_ms / 1000 if own_ms > 0 else None, own_clock=True)
    ticks = now.ticks - before.ticks
    expected = own_ms * TICKS_PER_S / 1000
    slack = max(_SLACK_TICKS, expected * _SLACK_RATIO)
    if ticks < 0:
        ticks += TICKS_WRAP
        if abs(ticks - expected) > slack:
            return Elapsed(None, restarted=True)
    if ticks == 0:
        # The same answer again, or one from the agent's cache.
        return Elapsed(None)
    if ticks < expected - slack:
        # It has run for less time than has passed since the last poll: it restarted.
        # Otherwise its clock stood still, and nothing is certain about its counters.
        return Elapsed(None, restarted=now.ticks < expected)
    young = max(_YOUNG_TICKS, expected * _YOUNG_RATIO)
    if now.ticks < expected + slack and ticks < expected - young:
        # It had just started at the last poll, and may have restarted again.
        return Elapsed(None)
    # More than we measured: this machine slept. The counters go by the agent's clock.
    return Elapsed(ticks / TICKS_PER_S)


def growth(
    before: int | None, now: int | None, is_64_bit: bool, max_growth: float | None
) -> int | None:
    """By how much a counter grew; None if that is not certain.

    `max_growth` is how much it can grow in that time, None if that is not known.
    """
    if before is None or now is None or now < 0:
        return None
    delta = now - before
    if is_64_bit:
        # 46 years at 100 Gbit/s: a 64-bit counter that goes back was reset.
        return delta if delta >= 0 else None
    if max_growth is not None and max_growth >= COUNTER32:
        # It may have wrapped once or more: any number would be a guess.
        return None
    if delta >= 0:
        return delta
    delta += COUNTER32
    return delta if max_growth is not None and 0 <= delta <= max_growth else None


def rates_between(
    before: CounterSample | None, now: CounterSample, seconds: float | None
) -> PortRates:
    """The rates of one port between two polls, `seconds` apart by `elapsed`."""
    if before is None or seconds is None or seconds <= 0:
        return UNKNOWN
    old, new = before.values, now.values
    if (
        before.octets64 != now.octets64
        or before.packets64 != now.packets64
        or old[DISCONTINUITY] != new[DISCONTINUITY]
        or _other_module(before.speed_bps, now.speed_bps)
    ):
        return UNKNOWN
    # The faster of both: traffic before a change of speed had the old speed.
    speed = max(before.speed_bps or 0, now.speed_bps or 0)
    bits = speed * seconds * OVER_LINE_RATE if speed else None
    max_octets = bits / 8 if bits else None
    max_frames = bits / _FRAME_BITS if bits else None
    is_64_bit, packets_64_bit = now.octets64, now.packets64

    in_octets = growth(old[IN_OCTETS], new[IN_OCTETS], is_64_bit, max_octets)
    out_octets = growth(old[OUT_OCTETS], new[OUT_OCTETS], is_64_bit, max_octets)
    if in_octets is None or out_octets is None or not is_64_bit:
        timed = before.moment.ticks is not None and now.moment.ticks is not None
        for at in (IN_OCTETS, OUT_OCTETS):
            if _was_reset(old[at], new[at], is_64_bit, timed, max_octets):
                # Then the others were reset too, even if they have grown since.
                return UNKNOWN
    faults = [
        growth(old[at], new[at], False, max_frames)
        for at in (IN_ERRORS, OUT_ERRORS, IN_DISCARDS, OUT_DISCARDS)
    ]
    in_bps = _bps(in_octets, seconds, speed)
    out_bps = _bps(out_octets, seconds, speed)
    if (in_octets is not None and in_bps is None) or (
        out_octets is not None and out_bps is None
    ):
        # If one counter is absurd, the others are not trusted either.
        return UNKNOWN
    errors, packets = faults[0], None
    if errors is not None:
        packets = _packets(old, new, packets_64_bit, max_frames)
    ratio = None
    if errors is not None and packets is not None and errors + packets > 0:
        ratio = errors / (errors + packets)
    return PortRates(
        in_bps,
        out_bps,
        _per_s(faults[0], seconds),
        _per_s(faults[1], seconds),
        _per_s(faults[2], seconds),
        _per_s(faults[3], seconds),
        ratio,
    )


def _other_module(before: int | None, now: int | None) -> bool:
    return before != now and before in _MODULES and now in _MODULES


def _was_reset(
    before: int | None,
    now: int | None,
    is_64_bit: bool,
    timed: bool,
    max_growth: float | None,
) -> bool:
    """True if a counter went back, and that was no wrap. `max_growth` as in `growth`.

    Without sysUpTime (not `timed`) a wrap cannot be told from a restart, so a counter
    that went back was reset.
    """
    if before is None or now is None or now >= before:
        return False
    if is_64_bit:
        return True
    if max_growth is None or max_growth >= COUNTER32:
        return False
    return not timed or now - before + COUNTER32 > max_growth


def _per_s(count: int | None, seconds: float) -> float | None:
    return None if count is None else count / seconds


def _bps(octets: int | None, seconds: float, speed: int) -> float | None:
    if octets is None:
        return None
    bps = octets * 8 / seconds
    return bps if not speed or bps <= speed * _GARBAGE else None


def _packets(
    old: Values, new: Values, is_64_bit: bool, max_growth: float | None
) -> int | None:
    """Packets received. Some agents have no multicast and broadcast counters: then
    unicast is all there is."""
    unicast = growth(old[IN_UCAST], new[IN_UCAST], is_64_bit, max_growth)
    if unicast is None:
        return None
    multicast = growth(old[IN_MCAST], new[IN_MCAST], is_64_bit, max_growth) or 0
    broadcast = growth(old[IN_BCAST], new[IN_BCAST], is_64_bit, max_growth) or 0
    return unicast + multicast + broadcast
