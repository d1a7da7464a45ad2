"""Writes the items of a drafted table that read processors, memory and the clients of
wireless networks. Pure.

A MIB has several objects for one thing: means of several times, amounts with 32 and
with 64 bits, and a share beside the amounts. One of them is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from collectors.snmp.drafting.usage_meaning import (
    AmountObject,
    UsageObject,
    WirelessObject,
)

# How a poll sees a processor: what there is now, or the mean of about a minute.
_BEST_PERIODS_S = (None, 60, 300, 30, 120, 10, 5, 20, 180, 600)
# Words of a name that add nothing to "Clients" and "Access points".
_PLAIN = {"num", "number", "count", "total", "clients", "client", "station", "sta"}
_PLAIN |= {"stations", "current", "curr", "ap", "aps", "active", "connected", "online"}
_PLAIN |= {"wlan", "wireless", "wifi", "of", "all", "associated", "info", "system"}
# Objects by the name of their column.
Found = Sequence[tuple[str, UsageObject | AmountObject]]


def processor_items(found: Found, descr: str) -> Iterator[str]:
    """Yield the items that read the processors, the best first: each of them is
    enough."""
    usages = [
        (_rank(usage), key, usage)
        for key, usage in found
        if isinstance(usage, UsageObject) and usage.section == "processors"
    ]
    for _, key, usage in sorted(usages, key=lambda each: each[0]):
        divisor = f", divisor: {usage.divisor:g}" if usage.divisor != 1 else ""
        idle = ", idle: true" if usage.is_idle else ""
        yield f"{{of: {key}{divisor}{idle}, descr: {descr}}}"


def _rank(usage: UsageObject) -> tuple[bool, int, bool]:
    known = usage.period_s in _BEST_PERIODS_S
    place = _BEST_PERIODS_S.index(usage.period_s) if known else len(_BEST_PERIODS_S)
    return usage.is_idle, place, not usage.is_stated


def memory_items(found: Found, descr: str) -> Iterator[str]:
    """Yield the items that read the memory, the best first: each of them is enough."""
    amounts = {key: amount for key, amount in found if isinstance(amount, AmountObject)}
    shares = [
        (key, "free_pct" if usage.is_idle else "used_pct", usage.is_stated)
        for key, usage in found
        if isinstance(usage, UsageObject) and usage.section == "memory"
    ]
    shares += [
        (key, "free_pct" if amount.part == "free" else "used_pct", False)
        for key, amount in amounts.items()
        if amount.may_be_share and len(amounts) == 1
    ]
    yield from (
        f"{{{part}: {key}, descr: {descr}}}" for key, part, stated in shares if stated
    )
    groups = sorted(
        {(amount.is_wide, amount.unit_bytes) for amount in amounts.values()},
        reverse=True,
    )
    for is_wide, unit_bytes in groups:
        parts = _two_parts(amounts, is_wide, unit_bytes)
        if parts:
            unit = f", unit_bytes: {unit_bytes}" if unit_bytes > 1 else ""
            pairs = ", ".join(f"{part}: {key}" for part, key in parts.items())
            yield f"{{{pairs}{unit}, descr: {descr}}}"
    yield from (
        f"{{{part}: {key}, descr: {descr}}}"
        for key, part, stated in shares
        if not stated
    )


def _two_parts(
    amounts: Mapping[str, AmountObject], is_wide: bool, unit_bytes: int
) -> dict[str, str]:
    """Return the columns of two parts in this unit, if there are two."""
    members = [
        (key, amount)
        for key, amount in amounts.items()
        if (amount.is_wide, amount.unit_bytes) == (is_wide, unit_bytes)
    ]
    parts: dict[str, str] = {}
    for key, amount in members:
        parts.setdefault(amount.part, key)
    available = [k for k, a in members if a.part == "free" and "avail" in k]
    if "free" in parts and "total" not in parts and "used" not in parts:
        # Beside what is free, all that the processor has is called available.
        free = next((k for k, a in members if a.part == "free" and "free" in k), None)
        if available and free is not None:
            return {"free": free, "total": available[0]}
    if len(parts) < 2:
        return {}
    return {name: parts[name] for name in ("used", "free", "total") if name in parts}


def wireless_item(
    found: WirelessObject, key: str, naming: Sequence[str], own: str, is_scalar: bool
) -> str:
    """Return the item that reads a number of clients or access points.

    Whole devices have "Clients" and "Access points"; networks begin with WLAN, so that
    what radios and networks count is not added up.
    """
    whole = "Access points" if found.class_ == "ap-count" else "Clients"
    if is_scalar:
        descr = whole if {*own.split()} <= _PLAIN else f"{whole} {own}"
        return f"{{class: {found.class_}, of: {key}, descr: {descr}}}"
    kind = "WLAN " if found.of_network else ""
    texts = [f"{kind}{name} {own}" for name in naming]
    texts.append(f"{kind or 'Radio '}{{index}} {own}")
    quoted = ", ".join(f'"{text.strip()}"' for text in texts)
    descr = f"[{quoted}]" if len(texts) > 1 else quoted
    return f"{{class: {found.class_}, of: {key}, descr: {descr}}}"
