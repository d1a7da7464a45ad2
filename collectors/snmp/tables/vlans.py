"""VLANs, from Q-BRIDGE-MIB (RFC 4363) or its successor IEEE8021-Q-BRIDGE-MIB."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import AnswerTooBig, Value

# For each MIB: its OID; the name column of its static table, then columns with the same
# rows in case an agent omits the names; then columns of its current table.
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
# The possible numbers of arcs in the index of each table. The last arc is the VLAN; the
# component (IEEE) and the time mark (current) before it are omitted by some agents.
_ARCS = {_STATIC: (1,), _CURRENT: (1, 2), _IEEE_STATIC: (1, 2), _IEEE_CURRENT: (2, 3)}
_Answer = TypeVar("_Answer")
_IDS = range(1, 4095)


class Vlan(msgspec.Struct, frozen=True):
    id: int
    name: str | None = None


async def read_vlans(snmp: DeviceSession) -> dict[str, Value]:
    """Read the static and current VLANs of the first MIB that the agent has. Raises
    `Failed`."""
    rows: dict[str, Value] = {}
    for base, tables in _MIBS:
        if not await _await_or(snmp.has_rows(base), True):
            continue
        for columns in tables:
            for column in columns:
                cells = await _await_or(snmp.walk(column), {})
                # A VLAN whose name cannot be read still exists.
                cells |= {
                    oid: b""
                    for oid in snmp.session.unreadable.by_oid
                    if oids.under(oid, column)
                }
                rows |= cells
                if cells:
                    break
        if rows:
            break
    return rows


async def _await_or(request: Awaitable[_Answer], otherwise: _Answer) -> _Answer:
    """Return the answer, or `otherwise` if a port list is too large for an answer."""
    try:
        return await request
    except AnswerTooBig:
        return otherwise


def parse_vlans(rows: Mapping[str, Value]) -> list[Vlan]:
    """Return static and learnt VLANs, sorted by id. Pure."""
    names: dict[int, str | None] = {}
    for oid, value in rows.items():
        id = _vlan_id(oid)
        if id is None:
            continue
        if any(oids.under(oid, column) for column in _NAMES):
            names[id] = text(value) or None
        else:
            names.setdefault(id, None)
    return [Vlan(id, name) for id, name in sorted(names.items())]


def _vlan_id(oid: str) -> int | None:
    """Return the VLAN of the row of `oid`; None if the index has another shape."""
    for table, lengths in _ARCS.items():
        if oids.under(oid, table):
            _, *index = oids.parts(oids.tail(oid, table))
            if len(index) in lengths and index[-1] in _IDS:
                return index[-1]
    return None


def merge_vlans(first: list[Vlan], more: list[Vlan]) -> list[Vlan]:
    """Return the VLANs of both, sorted by id, with the name from either."""
    names = {vlan.id: vlan.name for vlan in more}
    names |= {vlan.id: vlan.name or names.get(vlan.id) for vlan in first}
    return [Vlan(id, name) for id, name in sorted(names.items())]
