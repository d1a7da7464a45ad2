"""Processors, memory and disks: HOST-RESOURCES-MIB (RFC 2790)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from collectors.snmp import oids
from collectors.snmp.session import Session, Value
from collectors.snmp.text import text, whole
from collectors.snmp.walk import Budget, Stamina, walk

_STORAGE = "1.3.6.1.2.1.25.2.3.1"
_LOAD = "1.3.6.1.2.1.25.3.3.1.2"
_DEVICE_DESCR = "1.3.6.1.2.1.25.3.2.1.3"
_RAM, _VIRTUAL, _FIXED_DISK = (f"1.3.6.1.2.1.25.2.1.{n}" for n in (2, 3, 4))


class Processor(msgspec.Struct, frozen=True):
    descr: str
    usage_pct: float


class Mempool(msgspec.Struct, frozen=True):
    descr: str
    used_pct: float
    used_bytes: int
    total_bytes: int


class Storage(msgspec.Struct, frozen=True):
    descr: str
    used_pct: float


class Host(msgspec.Struct, frozen=True):
    processors: list[Processor]
    mempools: list[Mempool]
    storage: list[Storage]


async def read_host(
    session: Session, stamina: Stamina, budget: Budget
) -> dict[str, Value]:
    """The tables' rows by whole OID. Raises `Failed`."""
    rows: dict[str, Value] = {}
    for column in (2, 3, 4, 5, 6):
        found = await walk(session, f"{_STORAGE}.{column}", stamina, budget)
        if not found:
            break
        rows |= found
    load = await walk(session, _LOAD, stamina, budget)
    if load:
        rows |= load | await walk(session, _DEVICE_DESCR, stamina, budget)
    return rows


def host(rows: Mapping[str, Value]) -> Host:
    """What the rows say. Pure."""
    found = Host([], [], [])
    for oid, value in rows.items():
        usage = whole(value)
        if oids.under(oid, _LOAD) and usage is not None:
            index = oids.tail(oid, _LOAD)
            descr = text(rows.get(f"{_DEVICE_DESCR}.{index}")) or f"processor {index}"
            found.processors.append(Processor(descr, float(usage)))
        if not oids.under(oid, f"{_STORAGE}.5"):
            continue
        index = oids.tail(oid, f"{_STORAGE}.5")
        # The unsigned sizes of large disks come as negative numbers from some agents.
        size, used = (
            (whole(rows.get(f"{_STORAGE}.{c}.{index}")) or 0) % 2**32 for c in (5, 6)
        )
        units = whole(rows.get(f"{_STORAGE}.4.{index}")) or 1
        if not size:
            continue
        descr = text(rows.get(f"{_STORAGE}.3.{index}")) or f"storage {index}"
        kind, share = rows.get(f"{_STORAGE}.2.{index}"), 100 * used / size
        if kind in (_RAM, _VIRTUAL):
            found.mempools.append(Mempool(descr, share, used * units, size * units))
        elif kind == _FIXED_DISK:
            found.storage.append(Storage(descr, share))
    return found
