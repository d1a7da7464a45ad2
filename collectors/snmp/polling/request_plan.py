"""What is requested from one device every minute: GETs of known instances, packed.

The tables are walked once. After that, the changing columns of the existing ports are
requested by instance: all columns of a port in one request together with sysUpTime, and
as many ports in a request as the agent can answer and the path carries without
fragments. Names and aliases are requested slowly: a few with the last ports, or, if
these leave no room, in a request or two of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import NamedTuple

import msgspec

from collectors.snmp.polling.counter_rates import HIGH_SPEED, NAME
from collectors.snmp.session import oids
from collectors.snmp.session.ber import oid_name
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import Value
from collectors.snmp.session.usm_keys import DIGESTS
from collectors.snmp.tables.interfaces import Columns, Port

# An Ethernet frame without the headers of IPv6 and UDP.
_MAX_MESSAGE = 1_452
# Octets around the variable bindings of an answer, besides texts: the message, the PDU
# and its numbers; with a user also the security parameters and the scoped PDU.
_AROUND, _AROUND_V3 = 29, 84
# Of an encrypted message: the salt, and DES fills its last block.
_SALT, _DES_FILL = 8, 7
# By position in `CounterSample.values`; the 64-bit column is preferred.
FAST: tuple[tuple[str, ...], ...] = (
    (oids.IF_HC_IN_OCTETS, oids.IF_IN_OCTETS),
    (oids.IF_HC_OUT_OCTETS, oids.IF_OUT_OCTETS),
    (oids.IF_HC_IN_UCAST, oids.IF_IN_UCAST),
    (oids.IF_HC_IN_MCAST, oids.IF_IN_MCAST),
    (oids.IF_HC_IN_BCAST, oids.IF_IN_BCAST),
    (oids.IF_IN_ERRORS,),
    (oids.IF_OUT_ERRORS,),
    (oids.IF_IN_DISCARDS,),
    (oids.IF_OUT_DISCARDS,),
    (oids.IF_ADMIN_STATUS,),
    (oids.IF_OPER_STATUS,),
    (oids.IF_HIGH_SPEED, oids.IF_SPEED),  # see _speed_column
    (oids.IF_DISCONTINUITY,),
)
# So many of them count up.
_COUNTERS = 9
FAST_COLUMNS = tuple(column for choice in FAST for column in choice)
NAMES = (oids.IF_NAME, oids.IF_DESCR, oids.IF_ALIAS)
# All slow requests are sent within this many polls.
_SLOW_POLLS = 10
# Part of a request that the ports must leave for names to ride along.
_ROOM_SHARE = 0.25
# A name may be longer when it is read again.
_NAME_GROWS = 16
_SCALARS = (oids.SYS_UP_TIME, oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE)
# Longer values have longer headers.
_SHORT_TEXT = 100
# The size of each of them in an answer, at most.
_SCALAR_OCTETS = 21


class PortPlan(msgspec.Struct, frozen=True, gc=False):
    """How one port is requested: OIDs by position in `CounterSample.values`, "" for
    none."""

    port: Port
    oids: tuple[str, ...]
    octets64: bool
    packets64: bool
    # The factor of the speed: ifHighSpeed is in Mbit/s.
    speed_unit: int
    # The name that must come back, if it is requested.
    name: Value | None
    octets: int


class Reserve(NamedTuple):
    """Room that the last request of each poll leaves for other values."""

    octets: int
    varbinds: int


NO_RESERVE = Reserve(0, 0)


class PlannedGet(msgspec.Struct, frozen=True, gc=False):
    """One GET: its OIDs, and the ports whose values it returns."""

    oids: tuple[str, ...]
    plans: tuple[PortPlan, ...]


class Plan(msgspec.Struct, frozen=True):
    """All requests of a device. `fast` is sent in every poll; of `slow` each poll sends
    the next `slow_per_poll`, or if that is 0 the next one with the last of `fast`. The
    last request of a poll has room for `reserve`."""

    fast: tuple[PlannedGet, ...]
    slow: tuple[tuple[str, ...], ...]
    slow_per_poll: int
    varbinds: int
    reserve: Reserve = NO_RESERVE


def port_plans(
    ports: list[Port], columns: Columns, scalars: dict[str, Value]
) -> list[PortPlan]:
    """How each of `ports` is requested; `columns` holds what exists. Pure.

    Some agents have no ifTableLastChange, so that a renumbering goes unnoticed. There
    the name is requested together with the counters.
    """
    with_name = not scalars.get(oids.IF_TABLE_LAST_CHANGE)
    return [_port_plan(port, columns, with_name) for port in ports]


def pack(
    plans: list[PortPlan],
    names: Columns,
    scalars: dict[str, Value],
    max_octets: int,
    varbinds: int,
    may_ride: bool = True,
    reserve: Reserve = NO_RESERVE,
) -> Plan:
    """The requests for `plans`, with at most `varbinds` each, whose answers have at
    most `max_octets` of bindings. Pure.

    `names` holds the columns of `NAMES` as last read. `may_ride`: names and what
    `reserve` is for may be in one request with counters; for an agent that refuses a
    whole GET they may not.
    """
    if not may_ride:
        reserve = NO_RESERVE
    known = [oid for oid in _SCALARS if oid in scalars]
    fast: list[PlannedGet] = []
    oids_now, octets = list(known), _SCALAR_OCTETS * len(known)
    plans_now: list[PortPlan] = []
    for plan in plans:
        wanted = [oid for oid in plan.oids if oid]
        full = len(oids_now) + len(wanted) > varbinds
        if plans_now and (full or octets + plan.octets > max_octets):
            fast.append(PlannedGet(tuple(oids_now), tuple(plans_now)))
            oids_now, plans_now, octets = known[:1], [], _SCALAR_OCTETS
        oids_now += wanted
        plans_now.append(plan)
        octets += plan.octets
    fast.append(PlannedGet(tuple(oids_now), tuple(plans_now)))
    # Some names are requested together with the counters.
    requested = {plan.oids[NAME] for plan in plans}
    wanted_names = [
        (oid, binding_octets(oid, value) + _NAME_GROWS)
        for plan in plans
        for column in NAMES
        for oid in [_instance(column, plan.port.if_index)]
        for value in [names.get(column, {}).get(plan.port.if_index)]
        if value is not None and oid not in requested
    ]
    room = Reserve(max_octets - octets, varbinds - len(oids_now))
    left = Reserve(room.octets - reserve.octets, room.varbinds - reserve.varbinds)
    if may_ride and left.octets >= max_octets * _ROOM_SHARE and left.varbinds > 0:
        slow = _slow(wanted_names, [], *left)
        if len(slow) <= _SLOW_POLLS:
            return Plan(tuple(fast), tuple(map(tuple, slow)), 0, varbinds, reserve)
    slow = _slow(
        wanted_names,
        known[:1],
        max_octets - reserve.octets,
        max(2, varbinds - reserve.varbinds),
    )
    per_poll = -(-len(slow) // _SLOW_POLLS)
    if not per_poll and (left.octets < 0 or left.varbinds < 0):
        reserve = NO_RESERVE
    return Plan(tuple(fast), tuple(map(tuple, slow)), per_poll, varbinds, reserve)


def answer_octets(credential: Credential, engine_id: bytes) -> int:
    """How many octets of bindings an answer may have, so that it is one frame. Pure."""
    if credential.version != "3":
        return _MAX_MESSAGE - _AROUND - len(credential.community)
    # The engine id is in the security parameters and in the scoped PDU.
    around = _AROUND_V3 + 2 * len(engine_id or bytes(32)) + len(credential.user)
    around += len(credential.context)
    if credential.auth != "none":
        around += DIGESTS[credential.auth][1]
    if credential.priv != "none":
        around += _SALT + (_DES_FILL if credential.priv == "des" else 0)
    return _MAX_MESSAGE - around


def _port_plan(port: Port, columns: Columns, with_name: bool) -> PortPlan:
    index = port.if_index
    instances: list[str] = []
    octets = 0
    speed_column, speed_unit = _speed_column(port, columns)
    for at, choice in enumerate(FAST):
        if at == HIGH_SPEED:
            choice = (speed_column,) if speed_column else ()
        column = next((c for c in choice if index in columns.get(c, ())), None)
        instances.append("" if column is None else _instance(column, index))
        if column is not None:
            value = columns[column][index]
            # A counter that is not 0 may need another octet soon.
            octets += binding_octets(instances[-1], value) + (
                at < _COUNTERS and bool(value)
            )
    name_column = oids.IF_NAME if port.key == port.name else oids.IF_DESCR
    name = None
    if with_name and port.stable and index in columns.get(name_column, ()):
        name = columns[name_column][index]
        instances.append(_instance(name_column, index))
        octets += binding_octets(instances[-1], name)
    else:
        instances.append("")
    assert len(instances) == NAME + 1
    return PortPlan(
        port=port,
        oids=tuple(instances),
        octets64=instances[0].startswith(oids.IF_HC_IN_OCTETS + "."),
        packets64=instances[2].startswith(oids.IF_HC_IN_UCAST + "."),
        speed_unit=speed_unit,
        name=name,
        octets=octets,
    )


def _speed_column(port: Port, columns: Columns) -> tuple[str, int]:
    """The column whose value alone gives the port's speed, and its unit; or none."""
    for column, unit in ((oids.IF_HIGH_SPEED, 1_000_000), (oids.IF_SPEED, 1)):
        value = columns.get(column, {}).get(port.if_index)
        if isinstance(value, int) and value and value * unit == port.speed_bps:
            return column, unit
    return "", 1


def _slow(
    names: Sequence[tuple[str, int]],
    first: Sequence[str],
    max_octets: int,
    varbinds: int,
) -> list[list[str]]:
    """Requests for `names` with the sizes of their answers; `first` is in each."""
    requests: list[list[str]] = []
    now, octets = list(first), _SCALAR_OCTETS * len(first)
    for oid, more in names:
        if len(now) >= varbinds or octets + more > max_octets:
            requests.append(now)
            now, octets = list(first), _SCALAR_OCTETS * len(first)
        now.append(oid)
        octets += more
    if len(now) > len(first):
        requests.append(now)
    return requests


def _instance(column: str, index: int) -> str:
    """Interned, for devices of one model have the same instances."""
    return intern(f"{column}.{index}")


def binding_octets(oid: str, value: Value | None) -> int:
    """The size of one variable binding in an answer."""
    if isinstance(value, int):
        size = value.bit_length() // 8 + 1
    else:
        size = len(value) if isinstance(value, bytes | str) else 8
    # Sequence, OID and value headers; an octet has seven bits of an arc.
    return 6 + len(oid_name(oid)) + size + 2 * (size > _SHORT_TEXT)
