"""Makes rows of the answers of a poll: batches of `device` and `interface`, and with
`line_rows` and `room_rows` of what ends on the ports.

Pure. Batches are columnar: no object is made for a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from collectors.batch import Batch, Column, Schema
from collectors.estate.estate_model import Line
from collectors.ping import EchoResult
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
    rates_between,
)
from collectors.snmp.polling.expected_ports import ExpectedPorts
from collectors.snmp.polling.line_rows import line_rows
from collectors.snmp.polling.request_plan import PlannedGet, PortPlan
from collectors.snmp.polling.room_rows import RoomPortState, room_port_rows
from collectors.snmp.session import oids
from collectors.snmp.session.session import Value
from collectors.snmp.tables.device_tags import DeviceTags
from probes.wire.failure import Outcome

INTERFACE = Schema(
    "interface",
    ("device", "site", "role", "port", "description"),
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
        "state",
        "if_index",
    ),
)
DEVICE = Schema(
    "device",
    ("device", "site", "role"),
    (
        "name",
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
# Values of ifOperStatus that are neither up nor down: unknown, notPresent.
_NO_STATE = (4, oids.NOT_PRESENT)
# `state` of a port. The lowest is the worst, so that the minimum of some time is it.
_DOWN_UNEXPECTED, _DOWN, _DISABLED, _UP = range(4)
_NOT_POLLED = (Outcome.NOT_CONFIGURED, Outcome.NOT_PERMITTED, Outcome.NO_RESOURCES)
# Outcomes that only a device that is there can cause, although nothing could be read.
_ANSWERED = (Outcome.AUTH_FAILED, Outcome.BAD_ANSWER, Outcome.REFUSED)


class PollAnswer(msgspec.Struct, frozen=True):
    """The answer to one request, or to all of a poll; `plans[n]` has `samples[n]`."""

    time_ms: int
    moment: Moment
    plans: Sequence[PortPlan]
    samples: Sequence[CounterSample]


class PortRows(msgspec.Struct, frozen=True):
    """The rows of ports, lines and ports of rooms of one poll."""

    batches: list[Batch]
    ports_up: int
    ports_down: int


class Renumbered(Exception):
    """A port has another port's name now: the tables must be read again."""


def read_answer(
    request: PlannedGet, answer: Mapping[str, Value], moment: Moment
) -> tuple[list[PortPlan], list[CounterSample]]:
    """The ports' values in one answer; ports without any value are left out.

    Raises `Renumbered` if a port comes back with another name.
    """
    get = answer.get
    plans, samples = [], []
    for plan in request.plans:
        values = tuple(map(get, plan.oids))
        if plan.name is not None and values[NAME] != plan.name:
            raise Renumbered(plan.port.key)
        if values[:NAME].count(None) == NAME:
            continue
        speed = values[HIGH_SPEED]
        if isinstance(speed, int) and speed > 0:
            speed *= plan.speed_unit
        else:
            speed = plan.port.speed_bps
        plans.append(plan)
        samples.append(
            CounterSample(moment, values, plan.octets64, plan.packets64, speed)  # type: ignore[arg-type]
        )
    return plans, samples


def join_answers(answers: list[PollAnswer]) -> PollAnswer:
    """All answers of a poll as one, with the time of the first."""
    first = answers[0]
    return PollAnswer(
        first.time_ms,
        first.moment,
        [plan for answer in answers for plan in answer.plans],
        [sample for answer in answers for sample in answer.samples],
    )


def port_rows(
    tags: DeviceTags,
    answer: PollAnswer,
    before: Mapping[str, CounterSample],
    expected: ExpectedPorts,
    received_ms: int,
    descriptions: Mapping[str, str] = MappingProxyType({}),
) -> PortRows:
    """The rows of one poll. `before` has the last good sample of each port, and
    `descriptions` the description of each that has one; both by port key."""
    plans, n = answer.plans, len(answer.plans)
    source = f"poll/{tags.device}"
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
        expected_whys,
        states,
        if_indexes,
    ) = columns
    lines: list[tuple[Line, str, PortRates, int | None]] = []
    rooms: list[RoomPortState] = []
    now_moment = last_moment = None
    seconds: float | None = None
    ports_up = ports_down = 0
    for plan, sample in zip(plans, answer.samples, strict=True):
        key = plan.port.key
        last = before.get(key)
        rates = UNKNOWN
        if last is not None:
            # Ports of one answer share their moments, and so their interval.
            if sample.moment is not now_moment or last.moment is not last_moment:
                now_moment, last_moment = sample.moment, last.moment
                seconds = elapsed(last_moment, now_moment).seconds
            rates = _rates(last, sample, seconds)
        speed = sample.speed_bps
        admin, oper = sample.values[ADMIN], sample.values[OPER]
        up = _up(admin, oper)
        if up == 1:
            ports_up += 1
        elif up == 0:
            ports_down += 1
        in_bps.append(rates.in_bps)
        out_bps.append(rates.out_bps)
        in_use.append(
            rates.in_bps / speed if speed and rates.in_bps is not None else None
        )
        out_use.append(
            rates.out_bps / speed if speed and rates.out_bps is not None else None
        )
        in_errors.append(rates.in_errors)
        out_errors.append(rates.out_errors)
        in_discards.append(rates.in_discards)
        out_discards.append(rates.out_discards)
        in_error_ratio.append(rates.in_error_ratio)
        speeds.append(float(speed) if speed else None)
        admins.append(admin if type(admin) is int else None)
        opers.append(oper if type(oper) is int else None)
        ups.append(up)
        reason = expected.reasons.get(key)
        expected_ups.append(int(reason is not None))
        expected_whys.append(reason)
        states.append(_state(oper, up, reason))
        if_indexes.append(plan.port.if_index)
        for line in expected.lines.get(key, ()):
            lines.append((line, key, rates, up))
        for room in expected.rooms.get(key, ()):
            rooms.append(RoomPortState(room, key, rates, up, admin == oids.DOWN))
    batches = []
    if n:
        tag_columns = (
            [answer.time_ms] * n,
            [tags.device] * n,
            [tags.site] * n,
            [tags.role] * n,
            [plan.port.key for plan in plans],
            [descriptions.get(plan.port.key, "") for plan in plans],
        )
        batches.append(Batch(source, received_ms, INTERFACE, (*tag_columns, *columns)))
    if lines:
        batches.append(line_rows(source, answer.time_ms, received_ms, lines))
    rooms += [RoomPortState(room, name) for room, name in expected.not_there]
    if rooms:
        batches.append(
            room_port_rows(source, tags.device, answer.time_ms, received_ms, rooms)
        )
    return PortRows(batches, ports_up, ports_down)


def device_row(
    tags: DeviceTags,
    time_ms: int,
    received_ms: int,
    outcome: Outcome,
    answered: bool,
    echoes: EchoResult | None = None,
    **fields: float | int | None,
) -> Batch:
    """The `device` row of one poll; fields that are not given are not known.

    A device that refuses our credential, returns nonsense, or only answers a ping is up
    all the same. A device that was sent nothing is neither up nor down. `readable` is
    left out if the device is down, for then there is nothing to read. `answered` equals
    `up`, until the poller finds that it is cut off itself (`without_answered`).
    """
    up = None
    if answered or outcome in _ANSWERED or (echoes is not None and echoes.answered):
        up = 1
    elif outcome not in _NOT_POLLED:
        up = 0
    readable = None if up == 0 else int(outcome is Outcome.OK)
    if echoes is not None:
        fields["icmp_up"] = int(echoes.answered > 0)
        fields["icmp_rtt_ms"] = echoes.rtt_ms
        fields["icmp_loss_ratio"] = echoes.loss_ratio
    values = {
        **fields,
        "name": tags.name or None,
        "up": up,
        "answered": up,
        "readable": readable,
        "outcome": outcome.value,
    }
    return Batch(
        f"poll/{tags.device}",
        received_ms,
        DEVICE,
        (
            [time_ms],
            [tags.device],
            [tags.site],
            [tags.role],
            *([values.get(name)] for name in DEVICE.fields),
        ),
    )


def _rates(
    before: CounterSample, now: CounterSample, seconds: float | None
) -> PortRates:
    try:
        return rates_between(before, now, seconds)
    except TypeError:
        # The agent returned text for a counter.
        return UNKNOWN


def _up(admin: object, oper: object) -> int | None:
    """1 up, 0 down; None if it is switched off, not present, or not reported."""
    if type(oper) is not int or oper in _NO_STATE or admin == oids.DOWN:
        return None
    return int(oper == oids.UP)


def _state(oper: object, up: int | None, reason: str | None) -> int | None:
    """The port's `state`; `reason` is why it should be up. None if not reported."""
    if type(oper) is not int:
        return None
    if up is None:
        return _DISABLED
    if up:
        return _UP
    return _DOWN if reason is None else _DOWN_UNEXPECTED
