"""How much of a memory or a disk is used, by the sizes that a device gives. Pure."""

from __future__ import annotations

from collectors.snmp.profiles.items import MemoryRule
from collectors.snmp.profiles.row import ProfileRow
from collectors.snmp.tables.quantities import SIZE, USAGE, Encoding, Implausible

FULL_PCT = 100.0


def read_pool(
    rule: MemoryRule, row: ProfileRow
) -> tuple[float, int | None, int | None] | None:
    """Return (use in per cent, bytes used, total bytes)."""
    row = row.with_encoding(Encoding(SIZE.codes))
    unit = (
        row.number(rule.unit_bytes)
        if isinstance(rule.unit_bytes, str)
        else rule.unit_bytes
    ) or 1
    used, free, total = (
        _read_size(row, name) for name in (rule.used, rule.free, rule.total)
    )
    if total is None and used is not None and free is not None:
        total = used + free
    if used is None and total is not None and free is not None:
        used = total - free
    if used is not None:
        spare = sum(_read_size(row, name) or 0 for name in rule.reclaimable)
        used = used - spare if spare <= used else used
    share = None
    if rule.used_pct is not None:
        share = row.number(rule.used_pct)
    elif rule.free_pct is not None:
        left = row.number(rule.free_pct)
        share = None if left is None else FULL_PCT - left
    if share is None:
        if used is None or not total:
            return None
        share = FULL_PCT * used / total
    if not USAGE.contains(share):
        raise Implausible(share)
    if used is None and total is not None:
        used = total * share / FULL_PCT
    return min(share, FULL_PCT), _to_bytes(used, unit), _to_bytes(total, unit)


def _to_bytes(size: float | None, unit: float) -> int | None:
    return int(size * unit) if size is not None and SIZE.contains(size * unit) else None


def _read_size(row: ProfileRow, name: str | None) -> float | None:
    """Return a size, which is never negative: some agents give large ones as signed
    32-bit numbers."""
    raw = None if name is None else row.number(name)
    if raw is None or raw >= 0:
        return raw
    return Encoding(SIZE.codes).decode(raw + 2**32)
