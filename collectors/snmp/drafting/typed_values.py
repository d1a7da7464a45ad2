"""Tables whose rows measure different things: one column has the values, another says
of each row what it is. Pure.

An environment monitor has one table of sensors, with `sensorType` or `sensorUnit`
beside `sensorValue`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.drafting.unit_words import UNIT_WORDS, stated_divisor
from collectors.snmp.profiles.label_severity import split_words
from collectors.snmp.tables.quantities import USUAL

_VALUES = {"value", "reading", "measurement", "val", "data"}
# After these, such as valueInt: what type the value has.
_TYPES = {"int", "integer", "str", "string", "raw", "current", "now"}
_KINDS = {"unit", "units", "type", "kind", "class"}
_NUMBERS = ("Integer32", "INTEGER", "Gauge32", "Unsigned32", "OCTET STRING")
# Labels and texts that are names of quantities, without a unit.
_QUANTITIES = (
    (r"temp(erature)?s?|thermometer|heat", "temperature"),
    (r"humid(ity)?|%? ?rh|hygrometer", "humidity"),
    (r"volt(age)?s?", "voltage"),
    (r"freq(uency)?", "frequency"),
    (r"fan( ?speed)?s?|tach(ometer)?", "fanspeed"),
    (r"air ?flow", "airflow"),
)
_LEAST_CLASSES = 2
# In a text, instead of an enumeration: the pattern of its values.
_TEXTS = (
    (r"(?i)^\W*(deg\w*\W*)?c(els\w*|entigrade)?\W*$|^(?i:temp)", "temperature", 1.0),
    (r"(?i)%.*rh|rh.*%|humid", "humidity", 1.0),
    (r"(?i)^\W*v(olts?)?\W*$|^voltage", "voltage", 1.0),
    (r"(?i)^\W*mv\W*$|millivolt", "voltage", 1000.0),
    (r"(?i)^\W*hz\W*$|hertz|^freq", "frequency", 1.0),
    (r"(?i)^\W*rpm\W*$", "fanspeed", 1.0),
)


class TypedColumns(msgspec.Struct, frozen=True):
    """A column of values, the column that says what they are, and for each class of
    sensor the values of the latter (numbers, or a pattern) and a certain divisor."""

    value: MibObject
    kind: MibObject
    classes: tuple[tuple[str, tuple[int, ...] | str, float], ...]


def typed_columns(members: Sequence[MibObject]) -> TypedColumns | None:
    """Return the typed values among the columns of a table, or None."""
    value = next((m for m in members if _is_value(m)), None)
    if value is None:
        return None
    for kind in members:
        if split_words(kind.name)[-1] not in _KINDS:
            continue
        if kind.labels:
            classes = tuple(_labelled(kind.labels))
            if len({each[0] for each in classes}) >= _LEAST_CLASSES:
                return TypedColumns(value, kind, classes)
        elif "STRING" in kind.syntax:
            return TypedColumns(
                value, kind, tuple((class_, text, d) for text, class_, d in _TEXTS)
            )
    return None


def typed_items(
    typed: TypedColumns, value: str, kind: str, descr: str
) -> Iterator[str]:
    """Yield the items of a table, with these names of the columns."""
    stated = stated_divisor(typed.value.units, typed.value.hint)
    for class_, wanted, divisor in typed.classes:
        parts = [f"class: {class_}", f"of: {value}"]
        if divisor != 1 or stated != 1:
            parts.append(f"divisor: {divisor if divisor != 1 else stated:g}")
        elif class_ in USUAL:
            parts.append("divisor: [1, 10, 100]")
        elif class_ == "fanspeed":
            parts.append("usual: [300, 30000]")
        else:
            continue
        shown = f"'{wanted}'" if isinstance(wanted, str) else f"[{_joined(wanted)}]"
        parts += [f"when: {{{kind}: {shown}}}", f"descr: {descr}"]
        yield f"{{{', '.join(parts)}}}"


def _joined(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _is_value(member: MibObject) -> bool:
    words = split_words(member.name)
    while len(words) > 1 and words[-1] in _TYPES:
        words = words[:-1]
    return (
        words[-1] in _VALUES
        and member.syntax.startswith(_NUMBERS)
        and not member.labels
        and not re.search(r"\bunit=(celsius|fahrenheit)\b(?!\|)", member.hint)
    )


def _labelled(
    labels: Mapping[int, str],
) -> Iterator[tuple[str, tuple[int, ...], float]]:
    found: dict[tuple[str, float], list[int]] = {}
    for number, label in labels.items():
        named = _class_of(" ".join(split_words(label)))
        if named is not None:
            found.setdefault(named, []).append(number)
    for (class_, divisor), numbers in found.items():
        yield class_, tuple(numbers), divisor


def _class_of(words: str) -> tuple[str, float] | None:
    for pattern, class_ in _QUANTITIES:
        if re.fullmatch(pattern, words):
            return class_, 1.0
    for pattern, class_, factor in UNIT_WORDS:
        if factor is not None and factor <= 1 and re.fullmatch(pattern, words):
            return class_, float(f"{1 / factor:.9g}")
    return None
