"""Converts a matched row to a reading: units, limits, states, sizes. Pure."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from collectors.snmp.profiles.items import (
    EntityRule,
    ProcessorRule,
    SensorRule,
    States,
    TransceiverRule,
    VlanRule,
    WirelessRule,
)
from collectors.snmp.profiles.label_severity import WORDS
from collectors.snmp.profiles.label_severity import severity as label_severity
from collectors.snmp.profiles.matched_rows import (
    MatchedRow,
    key_column,
    meets_conditions,
)
from collectors.snmp.profiles.pool_sizes import FULL_PCT, read_pool
from collectors.snmp.profiles.profile_types import to_slice
from collectors.snmp.profiles.readings import (
    Mempool,
    Processor,
    RefusedColumn,
    Sensor,
    Storage,
    Transceiver,
    Wireless,
)
from collectors.snmp.profiles.row import ProfileRow, extract, matches_any
from collectors.snmp.profiles.row_functions import FUNCTIONS, LIMITS
from collectors.snmp.profiles.sensor_limits import (
    LIMIT_NAMES,
    SensorLimits,
    drop_contradictions,
)
from collectors.snmp.session.octet_text import as_number, text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.entities import Entity
from collectors.snmp.tables.quantities import (
    CODES,
    SENSORS,
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
Reading = (
    Sensor | Processor | Mempool | Storage | Wireless | Transceiver | Vlan | Entity
)


def measure(
    matched: MatchedRow, fresh: Mapping[str, Value] | None = None
) -> Reading | RefusedColumn | None:
    """Return the reading of a row, with `fresh` values by instance or as walked.

    None if the device gives no value; `RefusedColumn` if the value is implausible.
    """
    row = matched.row
    if fresh is not None:
        row = row.with_cells(
            {n: fresh[oid] for n, oid in matched.live.items() if oid in fresh}
        )
        if any(oid not in fresh for oid in matched.live.values()):
            return None
        if not meets_conditions(matched.rule, row, key_column(matched.rule)):
            return None
    try:
        return _MEASURES[matched.section](matched, row)
    except Implausible as implausible:
        kind = getattr(matched.rule, "class_", matched.section)
        value = finite(implausible.value)
        return RefusedColumn(
            matched.section, kind, matched.descr, matched.oid, row.index, value
        )


def _to_sensor(matched: MatchedRow, row: ProfileRow) -> Sensor | None:
    rule: SensorRule = matched.rule
    if rule.class_ == "state":
        return _to_state_sensor(matched, row)
    quantity = _with_range(SENSORS[rule.class_], rule.within)
    value = _to_present(
        rule, quantity, row, lambda row: _to_sensor_unit(rule, _raw_number(rule, row))
    )
    if value is None:
        return None
    limits = _read_limits(rule, row, quantity, value)
    return Sensor(
        rule.class_,
        matched.descr,
        matched.oid,
        row.index,
        value=value,
        unit=rule.unit if rule.unit is not None else quantity.unit,
        low=limits.low,
        low_warn=limits.low_warn,
        high_warn=limits.high_warn,
        high=limits.high,
        if_index=row.find_if_index(rule.port),
    )


def _with_range(quantity: Quantity, within: tuple[float, float] | None) -> Quantity:
    """Return the quantity with the range of a rule, if it has one."""
    if within is None:
        return quantity
    return msgspec.structs.replace(quantity, least=within[0], most=within[1])


def _to_state_sensor(matched: MatchedRow, row: ProfileRow) -> Sensor | None:
    state, severity, plain = _find_state(raw_value(matched.rule, row), matched.states)
    if state is None:
        return None
    if matched.rule.states == WORDS:
        severity = label_severity(state)
    return Sensor(
        "state",
        matched.descr,
        matched.oid,
        row.index,
        value=plain,
        state=state,
        severity=severity,
        if_index=row.find_if_index(matched.rule.port),
    )


def _to_plausible(
    quantity: Quantity, row: ProfileRow, value: Callable[[ProfileRow], float | None]
) -> float | None:
    """Return `value` of the row in the first encoding that makes it plausible."""
    return to_measurement(quantity, lambda encoding: value(row.with_encoding(encoding)))


def _to_present(
    rule: SensorRule | WirelessRule,
    quantity: Quantity,
    row: ProfileRow,
    value: Callable[[ProfileRow], float | None],
) -> float | None:
    """Return what `_to_plausible` does; None for what the rule's `within` excludes, as
    that means "not present"."""
    try:
        return _to_plausible(quantity, row, value)
    except Implausible:
        if rule.within is None:
            raise
        return None


def raw_value(rule: Any, row: ProfileRow) -> Value | None:
    """Return the item's raw value: its column, a part of its text, or a function's
    result."""
    if rule.function is not None:
        return FUNCTIONS[rule.function](row)
    if rule.find is not None:
        return extract(rule.find, row.text(rule.of) or "")
    return row.raw(rule.of)


def _raw_number(rule: Any, row: ProfileRow) -> float | None:
    """Return the item's raw value as a number."""
    if rule.function is not None:
        return as_number(FUNCTIONS[rule.function](row))
    return row.to_number(raw_value(rule, row))


def _scale(rule: Any, raw: float) -> float:
    divisor = rule.divisor[0] if isinstance(rule.divisor, tuple) else rule.divisor
    value = raw * rule.multiplier / divisor + getattr(rule, "add", 0)
    # Twelve digits hide rounding (0.1 + 0.2) and are more than any sensor has.
    return float(f"{value:.12g}")


def _to_sensor_unit(rule: SensorRule, raw: float | None) -> float | None:
    """Return a raw number in the sensor's unit; None for no light, which has no dBm."""
    if raw is None or (len(rule.divisor) > 1 and raw != 0):
        # Without a certain scale, only 0 is certain.
        return None
    value = _scale(rule, raw)
    return _to_dbm(value) if rule.milliwatts else value


def _to_dbm(milliwatts: float) -> float | None:
    return round(10 * math.log10(milliwatts), 3) if milliwatts > 0 else None


def _read_limits(
    rule: SensorRule, row: ProfileRow, quantity: Quantity, value: float
) -> SensorLimits:
    """Return the device's plausible limits, in the sensor's unit, and the limits that
    the profile sets."""
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
            return lambda row: _read_limit(rule, row, getattr(given, name))
        compute = LIMITS[given.function]
        return lambda row: _to_sensor_unit(rule, compute(row).get(name))

    read_limits: dict[str, float | None] = {}
    for name in columns or LIMIT_NAMES:
        with contextlib.suppress(Implausible):
            read_limits[name] = _to_plausible(quantity, row, read(name))
    limits = drop_contradictions(SensorLimits(**read_limits), quantity, value)
    return msgspec.structs.replace(limits, **fixed)


def _read_limit(rule: SensorRule, row: ProfileRow, column: str) -> float | None:
    raw = row.number(column)
    if raw is None or matches_any(row.raw(column), rule.limits.skip):
        return None
    if rule.limits.divisor is None:
        return _to_sensor_unit(rule, raw)
    value = raw / rule.limits.divisor
    return _to_dbm(value) if rule.limits.milliwatts else value


def _find_state(
    value: Value | None, states: States
) -> tuple[str | None, str, float | None]:
    """Return (meaning, severity, the number if it is one)."""
    if value is None:
        return None, "unknown", None
    value_text = text(value) or None
    plain = as_number(value) if isinstance(value, int | float) else None
    if plain is None and value_text is not None and _DIGITS.fullmatch(value_text):
        plain = as_number(value_text)
    for key, (meaning, severity) in states.items():
        same = key == plain if isinstance(key, int) else _is_same_text(key, value_text)
        if same:
            return meaning, severity, plain
    return value_text, "unknown", plain


def _is_same_text(key: str, value_text: str | None) -> bool:
    return value_text is not None and key.casefold() == value_text.casefold()


def _to_processor(matched: MatchedRow, row: ProfileRow) -> Processor | None:
    rule: ProcessorRule = matched.rule

    def usage_pct(row: ProfileRow) -> float | None:
        raw = _raw_number(rule, row)
        if raw is None:
            return None
        return FULL_PCT - _scale(rule, raw) if rule.idle else _scale(rule, raw)

    usage = _to_plausible(USAGE, row, usage_pct)
    return None if usage is None else Processor(matched.descr, min(usage, FULL_PCT))


def _to_mempool(matched: MatchedRow, row: ProfileRow) -> Mempool | None:
    pool = read_pool(matched.rule, row)
    return None if pool is None else Mempool(matched.descr, *pool)


def _to_storage(matched: MatchedRow, row: ProfileRow) -> Storage | None:
    pool = read_pool(matched.rule, row)
    return None if pool is None else Storage(matched.descr, *pool)


def _to_wireless(matched: MatchedRow, row: ProfileRow) -> Wireless | None:
    rule: WirelessRule = matched.rule
    if rule.aggregate == "count":
        return Wireless(rule.class_, matched.descr, row.index, 1.0)

    def value(row: ProfileRow) -> float | None:
        raw = _raw_number(rule, row)
        return None if raw is None else _scale(rule, raw)

    quantity = _with_range(WIRELESS[rule.class_], rule.within)
    shown = _to_present(rule, quantity, row, value)
    if shown is None:
        return None
    return Wireless(rule.class_, matched.descr, row.index, shown)


def _to_vlan(matched: MatchedRow, row: ProfileRow) -> Vlan | None:
    rule: VlanRule = matched.rule
    try:
        if rule.id == "index":
            id = row.arc(-1)
        else:
            value_text = row.number(rule.id)
            id = -1 if value_text is None else int(value_text)
    except (IndexError, ValueError):
        return None
    name = None if rule.name is None else row.text(rule.name)
    return Vlan(id, name) if 1 <= id <= 4094 else None


def _to_transceiver(matched: MatchedRow, row: ProfileRow) -> Transceiver | None:
    rule: TransceiverRule = matched.rule
    words = {
        name: row.text(column)
        for name in ("type", "vendor", "model", "serial")
        if (column := getattr(rule, name)) is not None
    }
    length = None
    if rule.wavelength is not None:
        length = row.with_encoding(Encoding(CODES)).number(rule.wavelength)
    # For a rule without text columns, the row itself shows that there is a module.
    if words and not any(words.values()):
        return None
    return Transceiver(row.find_if_index(rule.port), **words, wavelength=length or None)


def _to_entity(matched: MatchedRow, row: ProfileRow) -> Entity:
    rule: EntityRule = matched.rule
    arcs = row.index.split(".")
    arcs = arcs[to_slice(rule.index)] or arcs
    texts = {
        name: row.text(column) or None
        for name in ("name", "model", "serial")
        if (column := getattr(rule, name)) is not None
    }
    index = int(arcs[0]) if len(arcs) == 1 else ".".join(arcs)
    descr = matched.descr if rule.descr else None
    return Entity(index, rule.class_, descr=descr, **texts)


_MEASURES = {
    "sensors": _to_sensor,
    "processors": _to_processor,
    "memory": _to_mempool,
    "storage": _to_storage,
    "wireless": _to_wireless,
    "vlans": _to_vlan,
    "transceivers": _to_transceiver,
    "entities": _to_entity,
}
