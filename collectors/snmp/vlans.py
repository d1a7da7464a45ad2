"""VLANs: Q-BRIDGE-MIB (RFC 4363)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from collectors.snmp import oids
from collectors.snmp.session import Session, Value
from collectors.snmp.text import text
from collectors.snmp.walk import Budget, Stamina, walk

_STATIC_NAME = "1.3.6.1.2.1.17.7.1.4.3.1.1"
_CURRENT_FDB = "1.3.6.1.2.1.17.7.1.4.2.1.3"
_IDS = range(1, 4095)


class Vlan(msgspec.Struct, frozen=True):
    id: int
    name: str | None = None


async def read_vlans(
    session: Session, stamina: Stamina, budget: Budget
) -> dict[str, Value]:
    rows = await walk(session, _STATIC_NAME, stamina, budget)
    return rows | await walk(session, _CURRENT_FDB, stamina, budget)


def vlans(rows: Mapping[str, Value]) -> list[Vlan]:
    """Static and learnt VLANs, by id. Pure."""
    found: dict[int, str | None] = {}
    for oid, value in rows.items():
        index = oid.rpartition(".")[2]
        if not index.isdigit() or int(index) not in _IDS:
            continue
        if oids.under(oid, _STATIC_NAME):
            found[int(index)] = text(value) or None
        else:
            found.setdefault(int(index), None)
    return [Vlan(id, name) for id, name in sorted(found.items())]


def merged(first: list[Vlan], more: list[Vlan]) -> list[Vlan]:
    """Both, by id, with the name that either has."""
    found = {each.id: each.name for each in more}
    found |= {each.id: each.name or found.get(each.id) for each in first}
    return [Vlan(id, name) for id, name in sorted(found.items())]
