"""The physical parts of a device: ENTITY-MIB (RFC 6933)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import as_int, text
from collectors.snmp.session.session import Value

_ENTITY = "1.3.6.1.2.1.47.1.1.1.1"
_TEXTS = {2: "descr", 7: "name", 10: "software", 11: "serial", 13: "model"}
_IDENTIFYING = (11, 13)
_CLASS_COLUMN = 5
# entPhysicalVendorType: all that some agents have of a part.
_TYPE_COLUMN = 3
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
# Parts of these classes, and optical modules of any, are plugged into a device.
_PLUGGED = ("port", "sensor", "fan", "powerSupply", "battery", "energyObject")
_OPTIC = re.compile(r"(?i)\b(q?sfp\w*|xfp|gbic|cfp\d?|transceiver|\d+base-?\w+)\b")
# What makers leave in a field that nobody filled in, or put there instead.
_PLACEHOLDER = re.compile(
    r"([0f#*?.-])\1{3,}|(00[ :-])+00|system mac:.*|n/?a|none|null"
    r"|not (specified|available|applicable|set)|unknown"
    r"|default string|to be filled by o\.?e\.?m\.?|system serial number",
    re.IGNORECASE,
)


class Entity(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """One physical part, without empty texts. `index`: a number, or a text of several
    numbers, as on Nokia's routers (chassis and part)."""

    index: int | str
    class_: str
    name: str | None = None
    descr: str | None = None
    model: str | None = None
    serial: str | None = None
    software: str | None = None


def device_parts(entities: Sequence[Entity]) -> list[Entity]:
    """Return the parts whose model and serial number may be the device's, the chassis
    first: not those that are plugged into it."""
    chassis = [part for part in entities if part.class_ == CHASSIS]
    others = [
        part
        for part in entities
        if part.class_ not in (CHASSIS, *_PLUGGED)
        and not any(map(_OPTIC.search, filter(None, (part.descr, part.name))))
    ]
    return [*chassis, *others]


def without_placeholder(value: str | None) -> str | None:
    """Return the text, or None for such as `FFFFFFFF`, `N/A` or a port's address,
    which identify nothing."""
    if not value or _PLACEHOLDER.fullmatch(value.strip()):
        return None
    return value


async def read_entities(snmp: DeviceSession) -> dict[str, Value]:
    """Read the rows of entPhysicalTable, by whole OID. Raises `Failed`."""
    rows: dict[str, Value] = {}
    if await snmp.has_rows(_ENTITY):
        for column in (_CLASS_COLUMN, *_TEXTS):
            rows |= await snmp.walk(f"{_ENTITY}.{column}")
        if not rows:
            rows = await snmp.walk(f"{_ENTITY}.{_TYPE_COLUMN}")
    return rows


def parse_entities(rows: Mapping[str, Value]) -> list[Entity]:
    """Return the parts. Pure."""
    texts: dict[tuple[int, ...], dict[str, str]] = {}
    classes: dict[tuple[int, ...], str] = {}
    for column, index, value in _iterate_cells(rows, _ENTITY):
        if column == _CLASS_COLUMN:
            number = as_int(value) or 0
            known = 1 <= number <= len(_CLASSES)
            classes[index] = _CLASSES[number - 1] if known else "unknown"
        elif column in _TEXTS and (value_text := text(value)):
            if column in _IDENTIFYING:
                value_text = without_placeholder(value_text)
            if value_text is not None:
                texts.setdefault(index, {})[_TEXTS[column]] = value_text
        elif column in _TEXTS or column == _TYPE_COLUMN:
            texts.setdefault(index, {})
    return [
        Entity(
            index[0] if len(index) == 1 else ".".join(map(str, index)),
            classes.get(index, "unknown"),
            **texts.get(index, {}),
        )
        for index in sorted(classes.keys() | texts.keys())
    ]


def merge_entities(
    standard: Sequence[Entity], others: Iterable[Entity]
) -> list[Entity]:
    """Return the parts of ENTITY-MIB, and those of other tables that it lacks."""
    known = {part.index for part in standard}
    return [*standard, *(part for part in others if part.index not in known)]


def _iterate_cells(
    rows: Mapping[str, Value], base: str
) -> Iterator[tuple[int, tuple[int, ...], Value]]:
    """Yield (column, index, value) of the rows of the table `base`."""
    for oid, value in rows.items():
        if oids.under(oid, base):
            column, *index = oids.parts(oids.tail(oid, base))
            if index:
                yield column, tuple(index), value
