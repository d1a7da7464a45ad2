"""Tables whose rows measure different things: one column has the values, and what each
row is comes from another column, from its index or from its name. Pure.

An environment monitor has one table of sensors, with `sensorType` or `sensorUnit`
beside `sensorValue`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from collectors.snmp.drafting.mib_objects import MibObject, Objects
from collectors.snmp.drafting.mib_words import WORD_LISTS
from collectors.snmp.drafting.unit_words import UNIT_WORDS, stated_divisor
from collectors.snmp.profiles.label_severity import split_words
from collectors.snmp.tables.quantities import USUAL

_VALUES = {"value", "reading", "measurement", "val", "data"}
# After these, such as valueInt: what type the value has.
_TYPES = {"int", "integer", "str", "string", "raw", "current", "now"}
_KINDS = {"unit", "units", "type", "kind", "class"}
_NAMES = {"name", "descr", "description", "label"}
# Last words of columns with the number of a value's decimal places.
_DIGITS = {"digits", "decimals", "precision"}
# What takes one arc in an index.
_ONE_ARC = ("Integer32", "INTEGER", "Gauge32", "Unsigned32")
_NUMBERS = (*_ONE_ARC, "OCTET STRING")
# Labels and texts that are names of quantities, without a unit.
_QUANTITIES = (
    (r"temp(erature)?s?|thermometer|heat", "temperature"),
    (r"humid(ity)?|%? ?rh|hygrometer", "humidity"),
    (r"(rms )?volt(age)?s?", "voltage"),
    (r"(rms )?current", "current"),
    (r"(active|real) power", "power"),
    (r"power factor", "power_factor"),
    (r"freq(uency)?", "frequency"),
    (r"fan( ?speed)?s?|tach(ometer)?", "fanspeed"),
    (r"air ?flow", "airflow"),
)
# Tenths of units, as labels: dV.
_TENTHS = {"d v": "voltage", "d a": "current", "d w": "power"}
_LEAST_CLASSES = 2
# In a text, instead of an enumeration: the pattern of its values.
_TEXTS = (
    ("temperature", r"(?i)milli-? ?deg", 1000.0),
    ("voltage", r"(?i)\bmv\b|millivolt", 1000.0),
    (
        "temperature",
        r"(?i)^\W*(deg\w*\W*)?c(els\w*|entigrade)?\W*$|^temp(?!.*milli)",
        1.0,
    ),
    ("humidity", r"(?i)%.*rh|rh.*%|humid", 1.0),
    ("voltage", r"(?i)^\W*v(olts?)?\W*$|^voltage(?!.*(\bmv\b|milli))", 1.0),
    ("frequency", r"(?i)^\W*hz\W*$|hertz|^freq", 1.0),
    ("fanspeed", r"(?i)^\W*rpm\W*$|\(rpm\)", 1.0),
)
# In the names of rows, if nothing else says what they are.
_NAMED = (
    ("temperature", r"(?i)\btemp|temperature|thermal", 1.0),
    ("humidity", r"(?i)humid", 1.0),
    ("voltage", r"(?i)^(?!.*temp).*(volt|\bvcc|\b\d+(\.\d+)? ?v\b)", 1.0),
    ("fanspeed", r"(?i)^(?!.*(temp|volt)).*(\bfan|\brpm\b)", 1.0),
)
# In the values themselves: what follows the number.
_OWN_UNITS = (
    ("temperature", r"(?:°|deg(?:rees?)?)? ?c(?:elsius)?"),
    ("humidity", r"%? ?rh"),
    ("percent", r"%"),
    ("voltage", r"v(?:olts?|ac|dc)?"),
    ("current", r"a(?:mps?|mperes?)?"),
    ("power", r"w(?:atts?)?|va"),
    ("power_consumed", r"kwh"),
    ("frequency", r"hz|hertz"),
    ("fanspeed", r"rpm"),
)
# What has values that are texts with units.
_PROBES = {"sensor", "sensors", "sens", "probe", "point", "var", "element", "meter"}
_PROBES |= {"analog", "measurement", "measurements", "env", "environment", "reading"}
# In the names of rows that are settings.
_SETTINGS = r"(?i)set ?p(oin)?t|thresh|limit|hyster|alarm|warn"


class TypedColumns(msgspec.Struct, frozen=True):
    """A column of values, and what says of each row what it is.

    `classes`: for each class of sensor the values that `kind`, or arc `arc` of the
    index, has in its rows (numbers, or a pattern), and a certain divisor. `digits`: a
    column with the number of decimal places. `scale`: a column with the prefix of the
    unit, as in ENTITY-SENSOR-MIB.
    """

    value: MibObject
    classes: tuple[tuple[str, tuple[int, ...] | str, float], ...]
    kind: MibObject | None = None
    arc: int | None = None
    digits: MibObject | None = None
    scale: MibObject | None = None

    @property
    def scaling_columns(self) -> dict[str, str]:
        """The columns that the function of such rows expects, but for `value`."""
        if self.digits is None:
            return {}
        if self.scale is None:
            return {"digits": self.digits.oid}
        return {"scale": self.scale.oid, "precision": self.digits.oid}

    @property
    def function(self) -> str:
        return "decimal_digits" if self.scale is None else "entity_sensor"


class MibIndex(msgspec.Struct, frozen=True):
    """The objects of a maker by name; and, by the names of their table's index, the
    columns with decimal places and those that say what a row is."""

    by_name: Mapping[str, MibObject]
    digits: Mapping[str, Sequence[MibObject]]
    kinds: Mapping[str, Sequence[MibObject]]

    @classmethod
    def of(cls, objects: Objects) -> MibIndex:
        digits: dict[str, list[MibObject]] = {}
        kinds: dict[str, list[MibObject]] = {}
        for member in objects.values():
            last = split_words(member.name)[-1:]
            if member.kind != "column" or not {*last} & (_DIGITS | _KINDS):
                continue
            index = index_of(member.table, objects)
            if index and {*last} & _DIGITS:
                digits.setdefault(index, []).append(member)
            elif index and member.labels:
                kinds.setdefault(index, []).append(member)
        by_name = {member.name: member for member in objects.values()}
        return cls(by_name, digits, kinds)

    def digits_of(self, value: MibObject, index: str) -> MibObject | None:
        """Return the column with the decimal places of `value`: in the same table, or
        in one with the same index, if the name is of the same things."""
        columns = self.digits.get(index, ())
        return next((c for c in columns if _is_of_same(c, value)), None)

    def kinds_of(self, value: MibObject, index: str) -> Iterator[MibObject]:
        """Yield columns of other tables with the same index that say what the rows of
        `value` are."""
        for column in self.kinds.get(index, ()):
            if column.table != value.table and _is_of_same(column, value):
                yield column


def _is_of_same(column: MibObject, value: MibObject) -> bool:
    words = split_words(column.name)
    while len(words) > 1 and words[-1] in {*_DIGITS, *_KINDS, "decimal"}:
        words = words[:-1]
    of_same = "".join(words) in "".join(split_words(value.name))
    return column.table == value.table or of_same


def index_of(entry: str, objects: Objects) -> str:
    """Return the names of a table's index, by the OID of its entry."""
    holder = objects.get(entry.rpartition(".")[0])
    return (holder.index if holder else "").split(" (")[0].replace(" ", "")


def typed_columns(
    members: Sequence[MibObject], objects: Objects, mib_index: MibIndex
) -> TypedColumns | None:
    """Return the typed values among the columns of a table, or None."""
    value = next((m for m in members if _is_value(m)), None)
    if value is None:
        return None
    index = index_of(value.table, objects)
    typed = _find_kind(value, members, index, mib_index)
    if typed is None:
        return None
    digits = mib_index.digits_of(value, index)
    scale = next((m for m in members if split_words(m.name)[-1] == "scale"), None)
    if scale is not None and not {"milli", "units"} <= {*scale.labels.values()}:
        return typed
    return msgspec.structs.replace(typed, digits=digits, scale=scale)


def _find_kind(
    value: MibObject, members: Sequence[MibObject], index: str, mib_index: MibIndex
) -> TypedColumns | None:
    kinds = [m for m in members if split_words(m.name)[-1] in _KINDS]
    # Beside a type, a class is analog or digital.
    kinds.sort(key=lambda m: split_words(m.name)[-1] == "class")
    for kind in kinds:
        if classes := _classes_of(kind):
            return TypedColumns(value, classes, kind)
        if not kind.labels and "STRING" in kind.syntax:
            return TypedColumns(value, _TEXTS, kind)
    for arc, name in enumerate(index.split(",")):
        part = mib_index.by_name.get(name)
        if part is None or not part.syntax.startswith(_ONE_ARC):
            break
        if classes := _classes_of(part):
            return TypedColumns(value, classes, arc=arc)
    for kind in mib_index.kinds_of(value, index):
        if classes := _classes_of(kind):
            return TypedColumns(value, classes, kind)
    if value.hint or value.units:
        return None
    for kind in members:
        if split_words(kind.name)[-1] in _NAMES and "STRING" in kind.syntax:
            return TypedColumns(value, _NAMED, kind)
    return None


def named_scalars(
    members: Sequence[MibObject], meanings: Mapping[str, object]
) -> Iterator[TypedColumns]:
    """Yield the numbered scalars whose kind another scalar names: `sensor1Value` and
    `sensor1Name`."""
    names = {
        words: member
        for member in members
        if "STRING" in member.syntax
        and (words := _stem_of_number(member, _NAMES)) is not None
    }
    for member in members:
        stem = _stem_of_number(member, _VALUES)
        if stem in names and member.oid not in meanings and _is_value(member):
            yield TypedColumns(member, _NAMED, names[stem])


def _stem_of_number(member: MibObject, last: set[str]) -> tuple[str, ...] | None:
    """Return the words before the last, if this is one of `last`, after a number."""
    words = split_words(member.name)
    if len(words) < 3 or words[-1] not in last or not words[-2].isdecimal():
        return None
    return tuple(words[:-1])


def typed_items(
    typed: TypedColumns, value: str, kind: str, name: str | None, descr: str
) -> Iterator[str]:
    """Yield the items of a table, with these names of the columns. Rows with the name
    of a setting are left out."""
    stated = stated_divisor(typed.value.units, typed.value.hint)
    for class_, wanted, divisor in typed.classes:
        parts = [f"class: {class_}", f"of: {value}"]
        if divisor != 1:
            parts.append(f"divisor: {divisor:g}")
        elif stated != 1 and typed.digits is None and class_ in USUAL:
            others = ", ".join(f"{d}" for d in (1, 10, 100) if d != stated)
            parts += ["described: true", f"divisor: [{stated:g}, {others}]"]
        elif stated != 1 and typed.digits is None:
            parts.append(f"divisor: {stated:g}")
        elif typed.digits is not None:
            parts.append(f"function: {typed.function}")
        elif class_ in USUAL:
            parts.append("divisor: [1, 10, 100]")
        elif class_ == "fanspeed":
            parts.append("usual: [300, 30000]")
        else:
            continue
        shown = f"'{wanted}'" if isinstance(wanted, str) else f"[{_joined(wanted)}]"
        parts.append(f"when: {{{kind}: {shown}}}")
        if name is not None:
            parts.append(f"unless: {{{name}: '{_SETTINGS}'}}")
        parts.append(f"descr: {descr}")
        yield f"{{{', '.join(parts)}}}"


def texts_with_units(
    members: Sequence[MibObject], meanings: Mapping[str, object]
) -> list[MibObject]:
    """Return the columns of texts that are values of any kind: they may begin with a
    number and end with its unit."""
    not_now = WORD_LISTS.not_now - WORD_LISTS.owners
    return [
        member
        for member in members
        if member.syntax.startswith("OCTET STRING")
        and not re.search(r"Mac|Date|Address", member.syntax)
        and member.oid not in meanings
        and _PROBES & {*split_words(member.name)}
        and not not_now & {*split_words(member.name)}
        and _is_value(member)
    ]


def own_unit_items(value: str, name: str | None, descr: str) -> Iterator[str]:
    """Yield the items of a column of texts with units. Rows with the name of a setting
    are left out."""
    for class_, unit in _OWN_UNITS:
        ending = rf"(?i)\d *(?:{unit})\.?\s*$"
        parts = [f"class: {class_}", f"of: {value}", f"when: {{{value}: '{ending}'}}"]
        parts.append(r"find: '^\s*([-+]?\d+(?:[.,]\d+)?)'")
        if name is not None:
            parts.append(f"unless: {{{name}: '{_SETTINGS}'}}")
        yield f"{{{', '.join([*parts, f'descr: {descr}'])}}}"


def _joined(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _is_value(member: MibObject) -> bool:
    words = split_words(member.name)
    if (WORD_LISTS.settings | WORD_LISTS.never_now) & {*words} - _KINDS:
        return False
    while len(words) > 1 and words[-1] in _TYPES:
        words = words[:-1]
    return (
        words[-1] in _VALUES
        and member.syntax.startswith(_NUMBERS)
        and not member.labels
        and not re.search(r"\bunit=(celsius|fahrenheit)\b(?!\|)", member.hint)
    )


def _classes_of(kind: MibObject) -> tuple[tuple[str, tuple[int, ...], float], ...]:
    """Return the classes that the labels name; empty if they are too few."""
    found: dict[tuple[str, float], list[int]] = {}
    for number, label in kind.labels.items():
        named = _class_of(" ".join(split_words(label)))
        if named is not None:
            found.setdefault(named, []).append(number)
    if len({class_ for class_, _ in found}) < _LEAST_CLASSES:
        return ()
    return tuple(
        (class_, tuple(numbers), divisor)
        for (class_, divisor), numbers in found.items()
    )


def _class_of(words: str) -> tuple[str, float] | None:
    for pattern, class_ in _QUANTITIES:
        if re.fullmatch(pattern, words):
            return class_, 1.0
    if words in _TENTHS:
        return _TENTHS[words], 10.0
    for pattern, class_, factor in UNIT_WORDS:
        if factor is not None and factor <= 1 and re.fullmatch(pattern, words):
            return class_, float(f"{1 / factor:.9g}")
    return None


def is_described_value(member: MibObject, meanings: Mapping[str, object]) -> bool:
    """Return True if only its description says that the object is of one class: its
    name is that of values of any kind."""
    class_ = getattr(meanings.get(member.oid), "class_", None)
    words = split_words(member.name)
    is_value = words[-1] in _VALUES | _TYPES and not member.units
    stems = tuple(WORD_LISTS.signs.get(class_ or "", ()))
    return bool(stems) and is_value and not any(w.startswith(stems) for w in words)
