"""Parts and their sensors: ENTITY-MIB (RFC 6933), ENTITY-SENSOR-MIB (RFC 3433)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from collectors.snmp import oids
from collectors.snmp.session import Session, Value
from collectors.snmp.text import text, whole
from collectors.snmp.walk import Budget, Stamina, walk

_ENTITY = "1.3.6.1.2.1.47.1.1.1.1"
_SENSOR = "1.3.6.1.2.1.99.1.1.1"
_TEXTS = {2: "descr", 7: "name", 10: "software", 11: "serial", 13: "model"}
_CLASS_COLUMN = 5
_CLASSES = (
    "other",
    "unknown",
    "chassis",
    "backplane",
    "container",
    "powerSupply",
    "fan",
    "sensor",
    "module",
    "port",
    "stack",
    "cpu",
    "energyObject",
    "battery",
    "storageDrive",
)
CHASSIS = "chassis"
# EntitySensorDataType: class and unit; 10 rpm, 11 m³/min, 12 a truth value.
_KINDS = {
    3: ("voltage", "V"),
    4: ("voltage", "V"),
    5: ("current", "A"),
    6: ("power", "W"),
    7: ("frequency", "Hz"),
    8: ("temperature", "C"),
    9: ("humidity", "%"),
    10: ("fanspeed", "rpm"),
    11: ("airflow", "cmm"),
    12: ("state", None),
}
_UNITS_SCALE = 9
_OK = 1
# Beyond this, entPhySensorPrecision is garbage (Cisco: 1615384784).
_PRECISE = range(-8, 10)


class Entity(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """One physical part. Empty texts are left out."""

    index: int
    class_: str
    name: str | None = None
    descr: str | None = None
    model: str | None = None
    serial: str | None = None
    software: str | None = None


class Sensor(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """One sensor that works; `value` after scaling, in `unit`."""

    class_: str
    descr: str
    oid: str
    index: str
    value: float
    unit: str | None


async def read_entities(
    session: Session, stamina: Stamina, budget: Budget
) -> dict[str, Value]:
    """The rows of both tables, by whole OID. Raises `Failed`."""
    rows: dict[str, Value] = {}
    for column in (_CLASS_COLUMN, *_TEXTS):
        found = await walk(session, f"{_ENTITY}.{column}", stamina, budget)
        if not found and column == _CLASS_COLUMN:
            break
        rows |= found
    for column in (1, 2, 3, 4, 5):
        found = await walk(session, f"{_SENSOR}.{column}", stamina, budget)
        if not found:
            break
        rows |= found
    return rows


def entities(rows: Mapping[str, Value]) -> list[Entity]:
    """The parts there are. Pure."""
    found: dict[int, dict[str, str]] = {}
    classes: dict[int, str] = {}
    for column, index, value in _cells(rows, _ENTITY):
        if column == _CLASS_COLUMN:
            number = whole(value) or 0
            known = 1 <= number <= len(_CLASSES)
            classes[index] = _CLASSES[number - 1] if known else "unknown"
        elif column in _TEXTS and (said := text(value)):
            found.setdefault(index, {})[_TEXTS[column]] = said
    return [
        Entity(index, classes.get(index, "unknown"), **found.get(index, {}))
        for index in sorted(classes.keys() | found.keys())
    ]


def sensors(rows: Mapping[str, Value]) -> list[Sensor]:
    """The sensors that say they work, scaled by EntitySensorValue's rule. Pure."""
    cells: dict[int, dict[int, Value]] = {}
    for column, index, value in _cells(rows, _SENSOR):
        cells.setdefault(index, {})[column] = value
    parts = {part.index: part for part in entities(rows)}
    found = []
    for index, row in cells.items():
        kind = _KINDS.get(whole(row.get(1)) or 0)
        raw = whole(row.get(4))
        if kind is None or raw is None or row.get(5, _OK) != _OK:
            continue
        part = parts.get(index)
        label = (part.descr or part.name) if part else None
        found.append(
            Sensor(
                class_=kind[0],
                descr=label or f"sensor {index}",
                oid=f"{_SENSOR}.4.{index}",
                index=str(index),
                value=_scaled(raw, whole(row.get(2)), whole(row.get(3))),
                unit=kind[1],
            )
        )
    return found


def _scaled(raw: int, scale: int | None, precision: int | None) -> float:
    """raw · 10^scale / 10^precision; a negative precision tells exact digits only."""
    exponent = ((scale or _UNITS_SCALE) - _UNITS_SCALE) * 3
    if precision is not None and precision in _PRECISE and precision > 0:
        exponent -= precision
    return raw * 10.0**exponent if exponent >= 0 else raw / 10.0**-exponent


def _cells(rows: Mapping[str, Value], base: str) -> list[tuple[int, int, Value]]:
    """(column, index, value) of the rows of the table `base`."""
    found = []
    for oid, value in rows.items():
        if oids.under(oid, base):
            column, _, index = oids.tail(oid, base).partition(".")
            if column.isdigit() and index.isdigit():
                found.append((int(column), int(index), value))
    return found
