"""What is requested from one device every minute: GETs of known instances, packed.

The tables are walked once. After that, the changing columns of the existing ports are
requested by instance: all columns of a port in one request together with sysUpTime, and
as many ports in a request as the agent can answer and the path carries without
fragments. Names, aliases and speeds are requested slowly, a request or two per poll.
"""

from __future__ import annotations

from sys import intern

import msgspec

from collectors.snmp.polling.counter_rates import HIGH_SPEED, NAME
from collectors.snmp.session import oids
from collectors.snmp.session.session import Value
from collectors.snmp.tables.interfaces import Columns, Port

# Octets of an answer's variable bindings: an Ethernet frame without IP, UDP, the SNMP
# header, and for version 3 the security parameters.
MAX_OCTETS = 1_380
MAX_OCTETS_V3 = 1_280
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
FAST_COLUMNS = tuple(column for choice in FAST for column in choice)
NAMES = (oids.IF_NAME, oids.IF_DESCR, oids.IF_ALIAS)
# All slow requests are sent within this many polls.
_SLOW_POLLS = 10
_SCALARS = (oids.SYS_UP_TIME, oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE)


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


class PlannedGet(msgspec.Struct, frozen=True, gc=False):
    """One GET: its OIDs, and the ports whose values it returns."""

    oids: tuple[str, ...]
    plans: tuple[PortPlan, ...]


class Plan(msgspec.Struct, frozen=True):
    """All requests of a device. `fast` is sent in every poll; of `slow` each poll sends
    the next `slow_per_poll`."""

    fast: tuple[PlannedGet, ...]
    slow: tuple[tuple[str, ...], ...]
    slow_per_poll: int
    varbinds: int


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
    version: str,
    varbinds: int,
) -> Plan:
    """The requests for `plans`, with at most `varbinds` each. Pure.

    `names` holds the columns of `NAMES` as last read.
    """
    known = [oid for oid in _SCALARS if oid in scalars]
    max_octets = MAX_OCTETS_V3 if version == "3" else MAX_OCTETS
    fast: list[PlannedGet] = []
    oids_now, octets = list(known), 32 * len(known)
    plans_now: list[PortPlan] = []
    for plan in plans:
        wanted = [oid for oid in plan.oids if oid]
        full = len(oids_now) + len(wanted) > varbinds
        if plans_now and (full or octets + plan.octets > max_octets):
            fast.append(PlannedGet(tuple(oids_now), tuple(plans_now)))
            oids_now, plans_now, octets = known[:1], [], 32
        oids_now += wanted
        plans_now.append(plan)
        octets += plan.octets
    fast.append(PlannedGet(tuple(oids_now), tuple(plans_now)))
    ports = [plan.port for plan in plans]
    slow = _slow(ports, names, known[:1], max_octets, varbinds)
    per_poll = -(-len(slow) // _SLOW_POLLS)
    return Plan(tuple(fast), tuple(map(tuple, slow)), per_poll, varbinds)


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
            octets += _octets(instances[-1], columns[column][index])
    name_column = oids.IF_NAME if port.key == port.name else oids.IF_DESCR
    name = None
    if with_name and port.stable and index in columns.get(name_column, ()):
        name = columns[name_column][index]
        instances.append(_instance(name_column, index))
        octets += _octets(instances[-1], name)
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
    ports: list[Port],
    columns: Columns,
    first: list[str],
    max_octets: int,
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
            if len(now) >= varbinds or octets + more > max_octets:
                requests.append(now)
                now, octets = list(first), 32
            now.append(oid)
            octets += more
    if len(now) > len(first):
        requests.append(now)
    return requests


def _instance(column: str, index: int) -> str:
    """Interned, for devices of one model have the same instances."""
    return intern(f"{column}.{index}")


def _octets(oid: str, value: Value) -> int:
    """The size of one variable binding in an answer, with an octet to grow."""
    if isinstance(value, int):
        size = value.bit_length() // 8 + 2
    else:
        size = len(value) if isinstance(value, bytes | str) else 8
    # Sequence, OID and value headers; arcs over 127 take a second octet.
    arcs = oid.split(".")
    return (
        6 + len(arcs) - 1 + sum(len(arc) > 2 and int(arc) > 127 for arc in arcs) + size
    )
