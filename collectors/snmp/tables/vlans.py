"""VLANs: Q-BRIDGE-MIB (RFC 4363), and its successor IEEE8021-Q-BRIDGE-MIB."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import AnswerTooBig, Value

# Of each MIB: where it lies; of its static table the names, then columns that have the
# same rows where an agent leaves the names out; likewise of its current table.
_STATIC = "1.3.6.1.2.1.17.7.1.4.3.1"
_CURRENT = "1.3.6.1.2.1.17.7.1.4.2.1"
_IEEE_STATIC = "1.3.111.2.802.1.1.4.1.4.3.1"
_IEEE_CURRENT = "1.3.111.2.802.1.1.4.1.4.2.1"
_NAMES = (f"{_STATIC}.1", f"{_IEEE_STATIC}.3")
_MIBS = (
    (
        "1.3.6.1.2.1.17.7.1.4",
        (
            (_NAMES[0], f"{_STATIC}.5", f"{_STATIC}.4", f"{_STATIC}.2"),
            (f"{_CURRENT}.3", f"{_CURRENT}.6", f"{_CURRENT}.5"),
        ),
    ),
    (
        "1.3.111.2.802.1.1.4.1.4",
        (
            (_NAMES[1], f"{_IEEE_STATIC}.7"),
            (f"{_IEEE_CURRENT}.6", f"{_IEEE_CURRENT}.5"),
        ),
    ),
)
# How many arcs the index of each table has, the last of which is the VLAN: before it
# come the component (IEEE) and the time mark (current), which some agents leave out.
_ARCS = {_STATIC: (1,), _CURRENT: (1, 2), _IEEE_STATIC: (1, 2), _IEEE_CURRENT: (2, 3)}
_Answer = TypeVar("_Answer")
_IDS = range(1, 4095)


class Vlan(msgspec.Struct, frozen=True):
    id: int
    name: str | None = None


async def read_vlans(snmp: DeviceSession) -> dict[str, Value]:
    """Static and current VLANs of the first MIB that the agent knows. Raises
    `Failed`."""
    rows: dict[str, Value] = {}
    for base, tables in _MIBS:
        if not await _await_or(snmp.has_rows(base), True):
            continue
        for columns in tables:
            for column in columns:
                found = await _await_or(snmp.walk(column), {})
                # A VLAN whose name cannot be read is still one.
                found |= {
                    oid: b""
                    for oid in snmp.session.unreadable.by_oid
                    if oids.under(oid, column)
                }
                rows |= found
                if found:
                    break
        if rows:
            break
    return rows


async def _await_or(asked: Awaitable[_Answer], otherwise: _Answer) -> _Answer:
    """What is answered, or `otherwise` where a set of ports stands in the way."""
    try:
        return await asked
    except AnswerTooBig:
        return otherwise


def parse_vlans(rows: Mapping[str, Value]) -> list[Vlan]:
    """Static and learnt VLANs, by id. Pure."""
    found: dict[int, str | None] = {}
    for oid, value in rows.items():
        id = _vlan_id(oid)
        if id is None:
            continue
        if any(oids.under(oid, names) for names in _NAMES):
            found[id] = text(value) or None
        else:
            found.setdefault(id, None)
    return [Vlan(id, name) for id, name in sorted(found.items())]


def _vlan_id(oid: str) -> int | None:
    """The VLAN whose row `oid` is of; None if its index is not that of such a table."""
    for table, lengths in _ARCS.items():
        if oids.under(oid, table):
            _, *index = oids.parts(oids.tail(oid, table))
            if len(index) in lengths and index[-1] in _IDS:
                return index[-1]
    return None


def merge_vlans(first: list[Vlan], more: list[Vlan]) -> list[Vlan]:
    """Both, by id, with the name that either has."""
    found = {each.id: each.name for each in more}
    found |= {each.id: each.name or found.get(each.id) for each in first}
    return [Vlan(id, name) for id, name in sorted(found.items())]
