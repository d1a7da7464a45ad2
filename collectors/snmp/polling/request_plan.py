"""What one device is asked every minute: GETs of learnt instances, packed.

The tables are walked once; then the changing columns of the ports that exist are asked
for by name, all columns of a port in one request together with sysUpTime, as many
ports a request as the agent stands and the path carries without fragments. Names,
aliases and speeds come round slowly, a request or two a poll.
"""

from __future__ import annotations

from sys import intern

import msgspec

from collectors.snmp.polling.counter_rates import HIGH_SPEED, NAME
from collectors.snmp.session import oids
from collectors.snmp.session.session import Value
from collectors.snmp.tables.interfaces import Columns, Port

# Octets of an answer's variable bindings: an Ethernet frame less IP, UDP, the SNMP
# header, and for v3 its security parameters.
MAX_OCTETS = 1_380
MAX_OCTETS_V3 = 1_280
# 64-bit before 32-bit, by position in `rates.Seen.values`.
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
    (oids.IF_HIGH_SPEED, oids.IF_SPEED),  # which of them: see _speed_column
    (oids.IF_DISCONTINUITY,),
)
FAST_COLUMNS = tuple(column for choice in FAST for column in choice)
NAMES = (oids.IF_NAME, oids.IF_DESCR, oids.IF_ALIAS)
# A slow round takes at most this many polls.
_SLOW_POLLS = 10
_SCALARS = (oids.SYS_UP_TIME, oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE)


class PortPlan(msgspec.Struct, frozen=True, gc=False):
    """One port as it is asked for: OIDs by position in `Seen.values`, "" for none."""

    port: Port
    oids: tuple[str, ...]
    octets64: bool
    packets64: bool
    # What the value asked for is multiplied by: ifHighSpeed is in Mbit/s.
    speed_unit: int
    # The name as it must come back, where it is asked for.
    name: Value | None
    octets: int


class PlannedGet(msgspec.Struct, frozen=True, gc=False):
    """One GET: its OIDs, and the ports whose values it brings."""

    oids: tuple[str, ...]
    watches: tuple[PortPlan, ...]


class Plan(msgspec.Struct, frozen=True):
    """All that is asked. `slow` comes round `slow_per_poll` requests a poll."""

    asks: tuple[PlannedGet, ...]
    slow: tuple[tuple[str, ...], ...]
    slow_per_poll: int
    varbinds: int


def watch(
    ports: list[Port], columns: Columns, scalars: dict[str, Value]
) -> list[PortPlan]:
    """How each of `ports` is asked for; `columns` holds what exists. Pure.

    Where an agent does not tell by ifTableLastChange that ports were renumbered, the
    name is asked for with the counters.
    """
    telling = bool(scalars.get(oids.IF_TABLE_LAST_CHANGE))
    return [_watch(port, columns, not telling) for port in ports]


def pack(
    watches: list[PortPlan],
    names: Columns,
    scalars: dict[str, Value],
    version: str,
    varbinds: int,
) -> Plan:
    """The plan for `watches`: at most `varbinds` to a request. Pure.

    `names` holds the columns of `NAMES` as last read.
    """
    known = [oid for oid in _SCALARS if oid in scalars]
    most = MAX_OCTETS_V3 if version == "3" else MAX_OCTETS
    asks: list[PlannedGet] = []
    oids_now, octets = list(known), 32 * len(known)
    ports_now: list[PortPlan] = []
    for each in watches:
        wanted = [oid for oid in each.oids if oid]
        full = len(oids_now) + len(wanted) > varbinds
        if ports_now and (full or octets + each.octets > most):
            asks.append(PlannedGet(tuple(oids_now), tuple(ports_now)))
            oids_now, ports_now, octets = known[:1], [], 32
        oids_now += wanted
        ports_now.append(each)
        octets += each.octets
    asks.append(PlannedGet(tuple(oids_now), tuple(ports_now)))
    ports = [each.port for each in watches]
    slow = _slow(ports, names, known[:1], most, varbinds)
    per_poll = -(-len(slow) // _SLOW_POLLS)
    return Plan(tuple(asks), tuple(map(tuple, slow)), per_poll, varbinds)


def _watch(port: Port, columns: Columns, with_name: bool) -> PortPlan:
    index = port.if_index
    chosen: list[str] = []
    octets = 0
    speed_column, speed_unit = _speed_column(port, columns)
    for at, choice in enumerate(FAST):
        if at == HIGH_SPEED:
            choice = (speed_column,) if speed_column else ()
        column = next((c for c in choice if index in columns.get(c, ())), None)
        chosen.append("" if column is None else _instance(column, index))
        if column is not None:
            octets += _octets(chosen[-1], columns[column][index])
    naming = oids.IF_NAME if port.key == port.name else oids.IF_DESCR
    name = None
    if with_name and port.stable and index in columns.get(naming, ()):
        name = columns[naming][index]
        chosen.append(_instance(naming, index))
        octets += _octets(chosen[-1], name)
    else:
        chosen.append("")
    assert len(chosen) == NAME + 1
    return PortPlan(
        port=port,
        oids=tuple(chosen),
        octets64=chosen[0].startswith(oids.IF_HC_IN_OCTETS + "."),
        packets64=chosen[2].startswith(oids.IF_HC_IN_UCAST + "."),
        speed_unit=speed_unit,
        name=name,
        octets=octets,
    )


def _speed_column(port: Port, columns: Columns) -> tuple[str, int]:
    """The column that by itself says what `speed_bps` made of both, or none."""
    for column, unit in ((oids.IF_HIGH_SPEED, 1_000_000), (oids.IF_SPEED, 1)):
        value = columns.get(column, {}).get(port.if_index)
        if isinstance(value, int) and value and value * unit == port.speed_bps:
            return column, unit
    return "", 1


def _slow(
    ports: list[Port],
    columns: Columns,
    first: list[str],
    most: int,
    varbinds: int,
) -> list[list[str]]:
    requests: list[list[str]] = []
    now, octets = list(first), 32
    for port in ports:
        for column in NAMES:
            value = columns.get(column, {}).get(port.if_index)
            if value is None:
                continue
            oid = _instance(column, port.if_index)
            more = _octets(oid, value) + 16
            if len(now) >= varbinds or octets + more > most:
                requests.append(now)
                now, octets = list(first), 32
            now.append(oid)
            octets += more
    if len(now) > len(first):
        requests.append(now)
    return requests


def _instance(column: str, index: int) -> str:
    """Devices of one make number their ports alike: they share these texts."""
    return intern(f"{column}.{index}")


def _octets(oid: str, value: Value) -> int:
    """What one variable binding takes in an answer, with an octet to grow."""
    if isinstance(value, int):
        size = value.bit_length() // 8 + 2
    else:
        size = len(value) if isinstance(value, bytes | str) else 8
    # Sequence, OID and value headers; arcs over 127 take a second octet.
    arcs = oid.split(".")
    return (
        6 + len(arcs) - 1 + sum(len(arc) > 2 and int(arc) > 127 for arc in arcs) + size
    )
