"""From answers to rows: pure. The values of this poll and the last become columnar
batches of `device`, `interface` and `line`, without an object a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from collectors.batch import Batch, Column, Schema
from collectors.estate.estate_model import Line
from collectors.ping import Echoes
from collectors.snmp.polling.counter_rates import (
    ADMIN,
    HIGH_SPEED,
    NAME,
    OPER,
    UNKNOWN,
    CounterSample,
    Moment,
    PortRates,
    elapsed,
    rates,
)
from collectors.snmp.polling.request_plan import PlannedGet, PortPlan
from collectors.snmp.session import oids
from collectors.snmp.session.session import Value
from collectors.snmp.tables.device_tags import DeviceTags
from probes.wire.failure import Outcome

INTERFACE = Schema(
    "interface",
    ("device", "site", "role", "port"),
    (
        "in_bps",
        "out_bps",
        "in_use_ratio",
        "out_use_ratio",
        "in_errors_per_s",
        "out_errors_per_s",
        "in_discards_per_s",
        "out_discards_per_s",
        "in_error_ratio",
        "speed_bps",
        "admin",
        "oper",
        "up",
        "expected_up",
        "expected_why",
    ),
)
DEVICE = Schema(
    "device",
    ("device", "site", "role"),
    (
        "up",
        "answered",
        "readable",
        "outcome",
        "icmp_up",
        "icmp_rtt_ms",
        "icmp_loss_ratio",
        "duration_ms",
        "packets",
        "retries",
        "late_ms",
        "uptime_s",
        "restarted",
        "own_clock",
        "ports_up",
        "ports_down",
    ),
)
LINE = Schema(
    "line",
    ("line", "site", "role", "supplier"),
    ("down_bps", "up_bps", "down_use_ratio", "up_use_ratio", "up", "carrying"),
)
# A line that carries more than this of its contract is in use: keep-alives are less.
_KEEP_ALIVE_RATIO = 0.01
# ifOperStatus values that say nothing about up or down: unknown, notPresent.
_NO_STATE = (4, oids.NOT_PRESENT)
_NOT_ASKED = (Outcome.NOT_CONFIGURED, Outcome.NOT_PERMITTED)
# Whoever says this is there, although nothing of theirs could be read.
_ANSWERED = (Outcome.AUTH_FAILED, Outcome.BAD_ANSWER, Outcome.REFUSED)


class PortSample(msgspec.Struct, frozen=True):
    """What one poll brought. `watches[n]` had `seen[n]`."""

    time_ms: int
    moment: Moment
    watches: Sequence[PortPlan]
    seen: Sequence[CounterSample]


class ExpectedPorts(msgspec.Struct, frozen=True):
    """What the estate and the neighbours say of the device's ports: by port key, why
    it should be up, and the lines that end there."""

    expected: Mapping[str, str] = {}
    lines: Mapping[str, tuple[Line, ...]] = {}


class Assessment(msgspec.Struct, frozen=True):
    batches: list[Batch]
    ports_up: int
    ports_down: int


class Renumbered(Exception):
    """A port's name is another's now: what was learnt is no longer true."""


def read_answer(
    ask: PlannedGet, answer: Mapping[str, Value], moment: Moment
) -> tuple[list[PortPlan], list[CounterSample]]:
    """The ports' values in one answer; ports it says nothing of are left out.

    `Renumbered` where a port's name came back as another.
    """
    get = answer.get
    watches, found = [], []
    for watch in ask.watches:
        values = tuple(map(get, watch.oids))
        if watch.name is not None and values[NAME] != watch.name:
            raise Renumbered(watch.port.key)
        if values[:NAME].count(None) == NAME:
            continue
        speed = values[HIGH_SPEED]
        if isinstance(speed, int) and speed > 0:
            speed *= watch.speed_unit
        else:
            speed = watch.port.speed_bps
        watches.append(watch)
        found.append(
            CounterSample(moment, values, watch.octets64, watch.packets64, speed)  # type: ignore[arg-type]
        )
    return watches, found


def assess(
    place: DeviceTags,
    reading: PortSample,
    before: Mapping[str, CounterSample],
    outlook: ExpectedPorts,
    received_ms: int,
) -> Assessment:
    """The rows of one poll. `before` is the last good `CounterSample` of each port."""
    watches, n = reading.watches, len(reading.watches)
    source = f"poll/{place.device}"
    columns: tuple[Column, ...] = tuple([] for _ in INTERFACE.fields)
    (
        in_bps,
        out_bps,
        in_use,
        out_use,
        in_errors,
        out_errors,
        in_discards,
        out_discards,
        in_error_ratio,
        speeds,
        admins,
        opers,
        ups,
        expected_ups,
        whys,
    ) = columns
    lines: list[tuple[Line, PortRates, int | None]] = []
    now_moment = last_moment = None
    seconds: float | None = None
    ports_up = ports_down = 0
    for watch, seen in zip(watches, reading.seen, strict=True):
        key = watch.port.key
        last = before.get(key)
        found = UNKNOWN
        if last is not None:
            # Ports of one answer share their moments, and so their interval.
            if seen.moment is not now_moment or last.moment is not last_moment:
                now_moment, last_moment = seen.moment, last.moment
                seconds = elapsed(last_moment, now_moment).seconds
            found = _rates(last, seen, seconds)
        speed = seen.speed_bps
        admin, oper = seen.values[ADMIN], seen.values[OPER]
        up = _up(admin, oper)
        if up == 1:
            ports_up += 1
        elif up == 0:
            ports_down += 1
        in_bps.append(found.in_bps)
        out_bps.append(found.out_bps)
        in_use.append(
            found.in_bps / speed if speed and found.in_bps is not None else None
        )
        out_use.append(
            found.out_bps / speed if speed and found.out_bps is not None else None
        )
        in_errors.append(found.in_errors)
        out_errors.append(found.out_errors)
        in_discards.append(found.in_discards)
        out_discards.append(found.out_discards)
        in_error_ratio.append(found.in_error_ratio)
        speeds.append(float(speed) if speed else None)
        admins.append(admin if type(admin) is int else None)
        opers.append(oper if type(oper) is int else None)
        ups.append(up)
        why = outlook.expected.get(key)
        expected_ups.append(int(why is not None))
        whys.append(why)
        for line in outlook.lines.get(key, ()):
            lines.append((line, found, up))
    batches = []
    if n:
        tags = (
            [reading.time_ms] * n,
            [place.device] * n,
            [place.site] * n,
            [place.role] * n,
            [watch.port.key for watch in watches],
        )
        batches.append(Batch(source, received_ms, INTERFACE, (*tags, *columns)))
    if lines:
        batches.append(_lines(source, reading.time_ms, received_ms, lines))
    return Assessment(batches, ports_up, ports_down)


def device_row(
    place: DeviceTags,
    time_ms: int,
    received_ms: int,
    outcome: Outcome,
    answered: bool,
    echoes: Echoes | None = None,
    **fields: float | int | None,
) -> Batch:
    """The `device` row of one poll; fields not given are "not known".

    A device that refuses our credential, answers nonsense, or answers a ping only is
    up all the same; one that was not asked is neither up nor down. `readable` is left
    out where it is down: what is not there has no figures to read. `answered` is `up`,
    until the poller finds that it is cut off itself (`own_stats.without_answered`).
    """
    up = None
    if answered or outcome in _ANSWERED or (echoes is not None and echoes.answered):
        up = 1
    elif outcome not in _NOT_ASKED:
        up = 0
    readable = None if up == 0 else int(outcome is Outcome.OK)
    if echoes is not None:
        fields["icmp_up"] = int(echoes.answered > 0)
        fields["icmp_rtt_ms"] = echoes.rtt_ms
        fields["icmp_loss_ratio"] = echoes.loss_ratio
    values = {
        **fields,
        "up": up,
        "answered": up,
        "readable": readable,
        "outcome": outcome.value,
    }
    return Batch(
        f"poll/{place.device}",
        received_ms,
        DEVICE,
        (
            [time_ms],
            [place.device],
            [place.site],
            [place.role],
            *([values.get(name)] for name in DEVICE.fields),
        ),
    )


def _rates(
    before: CounterSample, now: CounterSample, seconds: float | None
) -> PortRates:
    try:
        return rates(before, now, seconds)
    except TypeError:
        # An agent that answers a counter with a text.
        return UNKNOWN


def _up(admin: object, oper: object) -> int | None:
    """1 up, 0 down; None where it is switched off, not there, or not said."""
    if type(oper) is not int or oper in _NO_STATE or admin == oids.DOWN:
        return None
    return int(oper == oids.UP)


def _lines(
    source: str,
    time_ms: int,
    received_ms: int,
    found: Sequence[tuple[Line, PortRates, int | None]],
) -> Batch:
    columns: tuple[Column, ...] = tuple(
        [] for _ in range(1 + len(LINE.tags) + len(LINE.fields))
    )
    for line, rate, up in found:
        # What the port receives comes down the line, unless it is the far end's.
        down_bps, up_bps = rate.in_bps, rate.out_bps
        if line.far_end:
            down_bps, up_bps = up_bps, down_bps
        state = 0 if up is None else up
        if not state:
            # What its counters still say is not the line's: a line that is down has no
            # rate, neither the last one nor 0.
            down_bps = up_bps = None
        down_use = None if down_bps is None else down_bps / (line.down_mbps * 1e6)
        up_use = None if up_bps is None else up_bps / (line.up_mbps * 1e6)
        uses = [use for use in (down_use, up_use) if use is not None]
        carrying = None
        if not state:
            carrying = 0
        elif uses:
            carrying = int(max(uses) > _KEEP_ALIVE_RATIO)
        row = (
            time_ms,
            line.id,
            line.site,
            line.role,
            line.supplier,
            down_bps,
            up_bps,
            down_use,
            up_use,
            state,
            carrying,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return Batch(source, received_ms, LINE, columns)
