"""IPv4 addresses of a device: ipAddrTable (RFC 4293, deprecated and everywhere)."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

import msgspec

from collectors.snmp import oids
from collectors.snmp.session import Session, Value
from collectors.snmp.text import whole
from collectors.snmp.walk import Budget, Stamina, walk

_IF_INDEX = "1.3.6.1.2.1.4.20.1.2"
_MASK = "1.3.6.1.2.1.4.20.1.3"


class Address(msgspec.Struct, frozen=True):
    address: str
    prefixlen: int | None
    if_index: int | None


async def read_addresses(
    session: Session, stamina: Stamina, budget: Budget
) -> dict[str, Value]:
    rows = await walk(session, _IF_INDEX, stamina, budget)
    if rows:
        rows |= await walk(session, _MASK, stamina, budget)
    return rows


def addresses(rows: Mapping[str, Value]) -> list[Address]:
    """The addresses; the index of the table is the address itself. Pure."""
    found = []
    for oid, value in rows.items():
        if oids.under(oid, _IF_INDEX):
            address = oids.tail(oid, _IF_INDEX)
            mask = rows.get(f"{_MASK}.{address}")
            found.append(Address(address, _prefixlen(mask), whole(value)))
    return found


def _prefixlen(mask: Value | None) -> int | None:
    if not isinstance(mask, str):
        return None
    try:
        bits = int(IPv4Address(mask))
    except ValueError:
        return None
    ones = bits.bit_count()
    # A mask with holes is none.
    return ones if bits == (2**32 - 1) ^ (2 ** (32 - ones) - 1) else None
