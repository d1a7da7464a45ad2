"""From a row to a reading: units, limits, states, sizes. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from collectors.snmp.profiles.found import Found, holds, key_column
from collectors.snmp.profiles.functions import FUNCTIONS, LIMITS
from collectors.snmp.profiles.items import (
    MemoryRule,
    ProcessorRule,
    SensorRule,
    States,
    TransceiverRule,
    VlanRule,
    WirelessRule,
)
from collectors.snmp.profiles.readings import (
    Mempool,
    Processor,
    Sensor,
    Storage,
    Transceiver,
    Wireless,
)
from collectors.snmp.profiles.row import Row, number, part, says
from collectors.snmp.profiles.words import UNITS
from collectors.snmp.session import Value
from collectors.snmp.vlans import Vlan

Reading = Sensor | Processor | Mempool | Storage | Wireless | Transceiver | Vlan
# A sum of percentages, or a rounding, may pass 100 by a little.
_FULL_PCT = 100.0


def measure(found: Found, fresh: Mapping[str, Value] | None = None) -> Reading | None:
    """What `found` says with the values `fresh` by instance, or as it was walked."""
    row = found.row
    if fresh is not None:
        row = row.fresh(
            {n: fresh[oid] for n, oid in found.live.items() if oid in fresh}
        )
        if any(oid not in fresh for oid in found.live.values()):
            return None
        if not holds(found.rule, row, key_column(found.rule)):
            return None
    return _MEASURES[found.section](found, row)


def _sensor(found: Found, row: Row) -> Sensor | None:
    rule: SensorRule = found.rule
    unit = rule.unit if rule.unit is not None else UNITS[rule.class_]
    if_index = row.port(rule.port)
    value = _said(rule, row)
    if rule.class_ == "state":
        state, severity, plain = _state(value, found.states)
        if state is None:
            return None
        return Sensor(
            "state",
            found.descr,
            found.oid,
            row.index,
            value=plain,
            state=state,
            severity=severity,
            if_index=if_index,
        )
    plain = number(value)
    if plain is None:
        return None
    scaled = _shown(rule, plain)
    if scaled is None:
        return None
    if rule.within is not None and not rule.within[0] <= scaled <= rule.within[1]:
        return None
    limits = _limits(rule, row)
    return Sensor(
        rule.class_,
        found.descr,
        found.oid,
        row.index,
        value=scaled,
        unit=unit,
        low=limits.get("low"),
        low_warn=limits.get("low_warn"),
        high_warn=limits.get("high_warn"),
        high=limits.get("high"),
        if_index=if_index,
    )


def _said(rule: Any, row: Row) -> Value | None:
    """What the row has for the item: its column, a part of its text, a function's."""
    if rule.function is not None:
        return FUNCTIONS[rule.function](row)
    if rule.find is not None:
        return part(rule.find, row.text(rule.of) or "")
    return row.raw(rule.of)


def _scaled(rule: Any, raw: float) -> float:
    value = raw * rule.multiplier / rule.divisor + getattr(rule, "add", 0)
    # 0.1 + 0.2: twelve digits are more than any sensor has.
    return float(f"{value:.12g}")


def _shown(rule: SensorRule, raw: float) -> float | None:
    """In the unit of the sensor; None for the dBm of no light at all."""
    value = _scaled(rule, raw)
    return _dbm(value) if rule.milliwatts else value


def _dbm(milliwatts: float) -> float | None:
    return round(10 * math.log10(milliwatts), 3) if milliwatts > 0 else None


def _limits(rule: SensorRule, row: Row) -> Mapping[str, float | None]:
    """Those that the device or the profile tells, in the sensor's unit."""
    limits = rule.limits
    if limits.function is not None:
        found = LIMITS[limits.function](row)
        return {name: _shown(rule, raw) for name, raw in found.items()}
    return {
        "low": _limit(rule, row, limits.low),
        "low_warn": _limit(rule, row, limits.low_warn),
        "high_warn": _limit(rule, row, limits.high_warn),
        "high": _limit(rule, row, limits.high),
    }


def _limit(rule: SensorRule, row: Row, limit: float | str | None) -> float | None:
    if limit is None or isinstance(limit, int | float):
        return limit
    raw = row.number(limit)
    if raw is None or says(row.raw(limit), rule.limits.skip):
        return None
    if rule.limits.divisor is None:
        return _shown(rule, raw)
    value = raw / rule.limits.divisor
    return _dbm(value) if rule.limits.milliwatts else value


def _state(value: Value | None, states: States) -> tuple[str | None, str, float | None]:
    """(meaning, severity, the number if it is one)"""
    if value is None:
        return None, "unknown", None
    said = Row("", {"": value}).text("")
    plain = number(value) if isinstance(value, int | float) else None
    if plain is None and said is not None and said.isdigit():
        plain = float(said)
    for key, (meaning, severity) in states.items():
        same = key == plain if isinstance(key, int) else _same(key, said)
        if same:
            return meaning, severity, plain
    return said, "unknown", plain


def _same(key: str, said: str | None) -> bool:
    return said is not None and key.casefold() == said.casefold()


def _processor(found: Found, row: Row) -> Processor | None:
    rule: ProcessorRule = found.rule
    plain = number(_said(rule, row))
    if plain is None:
        return None
    usage = _scaled(rule, plain)
    return Processor(found.descr, _FULL_PCT - usage if rule.idle else usage)


def _pool(found: Found, row: Row) -> tuple[float, int | None, int | None] | None:
    """(used per cent, used octets, all octets)"""
    rule: MemoryRule = found.rule
    unit = (
        row.number(rule.unit_bytes)
        if isinstance(rule.unit_bytes, str)
        else rule.unit_bytes
    ) or 1
    used, free, total = (
        _size(row, name) for name in (rule.used, rule.free, rule.total)
    )
    if total is None and used is not None and free is not None:
        total = used + free
    if used is None and total is not None and free is not None:
        used = total - free
    if used is not None:
        spare = sum(_size(row, name) or 0 for name in rule.reclaimable)
        used = used - spare if spare <= used else used
    share = None
    if rule.used_pct is not None:
        share = row.number(rule.used_pct)
    elif rule.free_pct is not None:
        left = row.number(rule.free_pct)
        share = None if left is None else _FULL_PCT - left
    if share is None:
        if used is None or not total:
            return None
        share = _FULL_PCT * used / total
    if used is None and total is not None:
        used = total * share / _FULL_PCT
    return (
        share,
        None if used is None else int(used * unit),
        None if total is None else int(total * unit),
    )


def _size(row: Row, name: str | None) -> float | None:
    """Sizes are never negative: some agents give large ones as signed 32 bits."""
    raw = None if name is None else row.number(name)
    return raw if raw is None or raw >= 0 else raw + 2**32


def _mempool(found: Found, row: Row) -> Mempool | None:
    pool = _pool(found, row)
    return None if pool is None else Mempool(found.descr, *pool)


def _storage(found: Found, row: Row) -> Storage | None:
    pool = _pool(found, row)
    return None if pool is None else Storage(found.descr, *pool)


def _wireless(found: Found, row: Row) -> Wireless | None:
    rule: WirelessRule = found.rule
    if rule.aggregate == "count":
        return Wireless(rule.class_, found.descr, row.index, 1.0)
    plain = number(_said(rule, row))
    if plain is None:
        return None
    return Wireless(rule.class_, found.descr, row.index, _scaled(rule, plain))


def _vlan(found: Found, row: Row) -> Vlan | None:
    rule: VlanRule = found.rule
    try:
        if rule.id == "index":
            id = row.arc(-1)
        else:
            said = row.number(rule.id)
            id = -1 if said is None else int(said)
    except (IndexError, ValueError):
        return None
    name = None if rule.name is None else row.text(rule.name)
    return Vlan(id, name) if 1 <= id <= 4094 else None


def _transceiver(found: Found, row: Row) -> Transceiver | None:
    rule: TransceiverRule = found.rule
    words = {
        name: row.text(column)
        for name in ("type", "vendor", "model", "serial")
        if (column := getattr(rule, name)) is not None
    }
    length = None if rule.wavelength is None else row.number(rule.wavelength)
    # A rule that names no words takes the row itself as the sign of a module.
    if words and not any(words.values()):
        return None
    return Transceiver(row.port(rule.port), **words, wavelength=length or None)


_MEASURES = {
    "sensors": _sensor,
    "processors": _processor,
    "memory": _mempool,
    "storage": _storage,
    "wireless": _wireless,
    "vlans": _vlan,
    "transceivers": _transceiver,
}
