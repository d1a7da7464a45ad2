"""From a row to a reading: units, limits, states, sizes. Pure."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from collectors.snmp.profiles.items import (
    MemoryRule,
    ProcessorRule,
    SensorRule,
    States,
    TransceiverRule,
    VlanRule,
    WirelessRule,
)
from collectors.snmp.profiles.matched_rows import MatchedRow, holds, key_column
from collectors.snmp.profiles.readings import (
    Mempool,
    Processor,
    RefusedColumn,
    Sensor,
    Storage,
    Transceiver,
    Wireless,
)
from collectors.snmp.profiles.row import ProfileRow, part, says
from collectors.snmp.profiles.row_functions import FUNCTIONS, LIMITS
from collectors.snmp.profiles.sensor_limits import LIMIT_NAMES, SensorLimits, consistent
from collectors.snmp.session.octet_text import as_number, text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import (
    CODES,
    SENSORS,
    SIZE,
    USAGE,
    WIRELESS,
    Encoding,
    Implausible,
    Quantity,
    to_measurement,
)
from collectors.snmp.tables.vlans import Vlan
from probes.wire.numbers import finite

_DIGITS = re.compile(r"[0-9]+")
Reading = Sensor | Processor | Mempool | Storage | Wireless | Transceiver | Vlan
_FULL_PCT = 100.0


def measure(
    found: MatchedRow, fresh: Mapping[str, Value] | None = None
) -> Reading | RefusedColumn | None:
    """What `found` says with the values `fresh` by instance, or as it was walked.

    None if the device gives no value; `RefusedColumn` if it gives one that cannot be.
    """
    row = found.row
    if fresh is not None:
        row = row.fresh(
            {n: fresh[oid] for n, oid in found.live.items() if oid in fresh}
        )
        if any(oid not in fresh for oid in found.live.values()):
            return None
        if not holds(found.rule, row, key_column(found.rule)):
            return None
    try:
        return _MEASURES[found.section](found, row)
    except Implausible as implausible:
        kind = getattr(found.rule, "class_", found.section)
        value = finite(implausible.value)
        return RefusedColumn(
            found.section, kind, found.descr, found.oid, row.index, value
        )


def _sensor(found: MatchedRow, row: ProfileRow) -> Sensor | None:
    rule: SensorRule = found.rule
    if rule.class_ == "state":
        return _state_sensor(found, row)
    quantity = SENSORS[rule.class_]
    if rule.within is not None:
        least, most = rule.within
        quantity = msgspec.structs.replace(quantity, least=least, most=most)
    try:
        value = _measured(quantity, row, lambda row: _shown(rule, _raw(rule, row)))
    except Implausible:
        if rule.within is None:
            raise
        # The profile says that such a value stands for "not there".
        return None
    if value is None:
        return None
    limits = _limits(rule, row, quantity, value)
    return Sensor(
        rule.class_,
        found.descr,
        found.oid,
        row.index,
        value=value,
        unit=rule.unit if rule.unit is not None else quantity.unit,
        low=limits.low,
        low_warn=limits.low_warn,
        high_warn=limits.high_warn,
        high=limits.high,
        if_index=row.port(rule.port),
    )


def _state_sensor(found: MatchedRow, row: ProfileRow) -> Sensor | None:
    state, severity, plain = _state(_said(found.rule, row), found.states)
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
        if_index=row.port(found.rule.port),
    )


def _measured(
    quantity: Quantity, row: ProfileRow, value: Callable[[ProfileRow], float | None]
) -> float | None:
    """`value` of the row in the first encoding that makes it plausible."""
    return to_measurement(quantity, lambda encoding: value(row.encoded(encoding)))


def _said(rule: Any, row: ProfileRow) -> Value | None:
    """What the row has for the item: its column, a part of its text, a function's."""
    if rule.function is not None:
        return FUNCTIONS[rule.function](row)
    if rule.find is not None:
        return part(rule.find, row.text(rule.of) or "")
    return row.raw(rule.of)


def _raw(rule: Any, row: ProfileRow) -> float | None:
    """What `_said` is as a number."""
    if rule.function is not None:
        return as_number(FUNCTIONS[rule.function](row))
    return row.read(_said(rule, row))


def _scaled(rule: Any, raw: float) -> float:
    value = raw * rule.multiplier / rule.divisor + getattr(rule, "add", 0)
    # 0.1 + 0.2: twelve digits are more than any sensor has.
    return float(f"{value:.12g}")


def _shown(rule: SensorRule, raw: float | None) -> float | None:
    """In the unit of the sensor; None for the dBm of no light at all."""
    if raw is None:
        return None
    value = _scaled(rule, raw)
    return _dbm(value) if rule.milliwatts else value


def _dbm(milliwatts: float) -> float | None:
    return round(10 * math.log10(milliwatts), 3) if milliwatts > 0 else None


def _limits(
    rule: SensorRule, row: ProfileRow, quantity: Quantity, value: float
) -> SensorLimits:
    """Those that the device gives, in the sensor's unit, if they can be meant, and
    those that the profile sets."""
    given = rule.limits
    fixed = {
        name: limit
        for name in LIMIT_NAMES
        if isinstance(limit := getattr(given, name), int | float)
    }
    columns = [n for n in LIMIT_NAMES if isinstance(getattr(given, n), str)]
    if given.function is None and not columns:
        return SensorLimits(**fixed)

    def read(name: str) -> Callable[[ProfileRow], float | None]:
        if given.function is None:
            return lambda row: _limit(rule, row, getattr(given, name))
        compute = LIMITS[given.function]
        return lambda row: _shown(rule, compute(row).get(name))

    found: dict[str, float | None] = {}
    for name in columns or LIMIT_NAMES:
        with contextlib.suppress(Implausible):
            found[name] = _measured(quantity, row, read(name))
    return msgspec.structs.replace(
        consistent(SensorLimits(**found), quantity, value), **fixed
    )


def _limit(rule: SensorRule, row: ProfileRow, column: str) -> float | None:
    raw = row.number(column)
    if raw is None or says(row.raw(column), rule.limits.skip):
        return None
    if rule.limits.divisor is None:
        return _shown(rule, raw)
    value = raw / rule.limits.divisor
    return _dbm(value) if rule.limits.milliwatts else value


def _state(value: Value | None, states: States) -> tuple[str | None, str, float | None]:
    """(meaning, severity, the number if it is one)"""
    if value is None:
        return None, "unknown", None
    said = text(value) or None
    plain = as_number(value) if isinstance(value, int | float) else None
    if plain is None and said is not None and _DIGITS.fullmatch(said):
        plain = as_number(said)
    for key, (meaning, severity) in states.items():
        same = key == plain if isinstance(key, int) else _same(key, said)
        if same:
            return meaning, severity, plain
    return said, "unknown", plain


def _same(key: str, said: str | None) -> bool:
    return said is not None and key.casefold() == said.casefold()


def _processor(found: MatchedRow, row: ProfileRow) -> Processor | None:
    rule: ProcessorRule = found.rule

    def usage_pct(row: ProfileRow) -> float | None:
        raw = _raw(rule, row)
        if raw is None:
            return None
        return _FULL_PCT - _scaled(rule, raw) if rule.idle else _scaled(rule, raw)

    usage = _measured(USAGE, row, usage_pct)
    return None if usage is None else Processor(found.descr, min(usage, _FULL_PCT))


def _pool(
    found: MatchedRow, row: ProfileRow
) -> tuple[float, int | None, int | None] | None:
    """(used per cent, used octets, all octets)"""
    rule: MemoryRule = found.rule
    row = row.encoded(Encoding(SIZE.codes))
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
    if not USAGE.contains(share):
        raise Implausible(share)
    if used is None and total is not None:
        used = total * share / _FULL_PCT
    return min(share, _FULL_PCT), _octets(used, unit), _octets(total, unit)


def _octets(size: float | None, unit: float) -> int | None:
    return int(size * unit) if size is not None and SIZE.contains(size * unit) else None


def _size(row: ProfileRow, name: str | None) -> float | None:
    """Sizes are never negative: some agents give large ones as signed 32 bits."""
    raw = None if name is None else row.number(name)
    if raw is None or raw >= 0:
        return raw
    return Encoding(SIZE.codes).decode(raw + 2**32)


def _mempool(found: MatchedRow, row: ProfileRow) -> Mempool | None:
    pool = _pool(found, row)
    return None if pool is None else Mempool(found.descr, *pool)


def _storage(found: MatchedRow, row: ProfileRow) -> Storage | None:
    pool = _pool(found, row)
    return None if pool is None else Storage(found.descr, *pool)


def _wireless(found: MatchedRow, row: ProfileRow) -> Wireless | None:
    rule: WirelessRule = found.rule
    if rule.aggregate == "count":
        return Wireless(rule.class_, found.descr, row.index, 1.0)

    def value(row: ProfileRow) -> float | None:
        raw = _raw(rule, row)
        return None if raw is None else _scaled(rule, raw)

    shown = _measured(WIRELESS[rule.class_], row, value)
    if shown is None:
        return None
    return Wireless(rule.class_, found.descr, row.index, shown)


def _vlan(found: MatchedRow, row: ProfileRow) -> Vlan | None:
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


def _transceiver(found: MatchedRow, row: ProfileRow) -> Transceiver | None:
    rule: TransceiverRule = found.rule
    words = {
        name: row.text(column)
        for name in ("type", "vendor", "model", "serial")
        if (column := getattr(rule, name)) is not None
    }
    length = None
    if rule.wavelength is not None:
        length = row.encoded(Encoding(CODES)).number(rule.wavelength)
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
