"""The types of the catalogue: every measurement, tag and field is declared once.

The agents' part is declared with the probes (`probes/wire/*_probes.py`), the server's
in `collectors/server_measurements.py`. Rules, dashboards, reports, the catalogue page
and `what-we-collect` may only use what is declared there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

import msgspec

from probes.wire.display import shortened
from probes.wire.sample import Sample, Value

FieldType = Literal["int", "float", "str"]
_LARGEST = sys.float_info.max
_Named = TypeVar("_Named", "Tag", "Field")


class Tag(msgspec.Struct, frozen=True):
    """A text that identifies or groups rows; it has few values and changes slowly.

    `describes`: it only describes what the other tags identify, as the description of a
    port does. Rows that differ only in it are about the same subject.
    """

    name: str
    meaning: str
    personal: bool = False
    describes: bool = False


class Field(msgspec.Struct, frozen=True):
    """A value of a row. `unit` is "ms", "bit/s", "ratio", "1", "flag" (0/1) …

    `weight`: the field of the same row that counts what this value is based on, such as
    the calls behind a share of poor calls. A mean over rows is weighted by it.
    `counter`: it only increases, from 0 at the start of the process. `among`: the
    allowed texts; the server stores any other as `other`.
    """

    name: str
    type: FieldType
    unit: str
    meaning: str
    personal: bool = False
    weight: str = ""
    counter: bool = False
    among: tuple[str, ...] = ()


class Measurement(msgspec.Struct, frozen=True):
    """One declared measurement.

    `personal`: its rows are about one laptop. They are kept in a database of their own
    for `retention_days`, and no shared page may query them. `lateness_s`: rows received
    later than this after their time are stored but never reach rules.
    """

    name: str
    meaning: str
    tags: tuple[Tag, ...]
    fields: tuple[Field, ...]
    period_s: int
    lateness_s: int
    retention_days: int
    personal: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """The names of the tags that identify a subject, in order."""
        return tuple(tag.name for tag in self.tags if not tag.describes)

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The names of the tags that only describe a subject, in order."""
        return tuple(tag.name for tag in self.tags if tag.describes)

    def tag(self, name: str) -> Tag:
        """Returns the tag of that name. Raises `UnknownName` (with a suggestion)."""
        return _find(name, self.tags, f"tag of {self.name!r}")

    def field(self, name: str) -> Field:
        """Returns the field of that name. Raises `UnknownName` (with a suggestion)."""
        return _find(name, self.fields, f"field of {self.name!r}")


class UnknownName(LookupError):
    """A name that is not in the catalogue; the text may suggest one that is.

    The suggestion is only searched for when the text is read. That takes a thousand
    times as long as the look-up itself, and agents can send any name.
    """

    def __init__(self, name: str, among: Iterable[str], what: str) -> None:
        super().__init__(name)
        self._name, self._among, self._what = name, tuple(among), what

    def __str__(self) -> str:
        hint = did_you_mean(self._name, self._among)
        return f"no {self._what} is called {self._name!r}{hint}"


class Misfit(ValueError):
    """A row that does not match the catalogue; the text names the row and the reason.

    `reason` is the same without values, so that refusals can be counted by it.
    """

    def __init__(self, text: str | UnknownName, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class Catalogue:
    """An immutable, ordered set of measurements."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._by_name: dict[str, Measurement] = {}
        for measurement in measurements:
            name = measurement.name
            if name in self._by_name:
                raise ValueError(f"measurement {name!r} is declared twice")
            names = [tag.name for tag in measurement.tags]
            names += [field.name for field in measurement.fields]
            if len(names) != len(set(names)):
                # InfluxDB 3 refuses a table whose tag and field share a name.
                raise ValueError(f"{name!r}: a tag and a field share a name")
            numbers = {
                field.name for field in measurement.fields if field.type != "str"
            }
            for field in measurement.fields:
                if field.weight and {field.name, field.weight} - numbers:
                    raise ValueError(
                        f"{name}.{field.name}: its weight {field.weight!r} is "
                        "expected to be a number of the same measurement"
                    )
            self._by_name[name] = measurement

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __len__(self) -> int:
        return len(self._by_name)

    def measurement(self, name: str) -> Measurement:
        """Returns the measurement of that name. Raises `UnknownName` (with a
        suggestion)."""
        measurement = self._by_name.get(name)
        if measurement is None:
            raise UnknownName(name, self._by_name, "measurement")
        return measurement


def conform(value: object, field: Field, where: str) -> Value:
    """Returns `value` as the type that the catalogue gives `field`. Raises `Misfit` if
    it is of another type.

    Whole numbers become floats if a float is declared; nothing else is converted. NaN
    and infinities are refused: InfluxDB cannot store them.
    """
    kind = field.type
    if kind == "str":
        if isinstance(value, str):
            return value
    elif isinstance(value, bool):
        pass
    elif kind == "int":
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            return value
    elif isinstance(value, int | float) and abs(value) <= _LARGEST:
        # NaN, infinities and whole numbers beyond any float do not get here.
        return float(value)
    raise Misfit(
        f"{where}: field {field.name!r} is {_shown(value)}, "
        f"expected {kind} ({field.unit})",
        f"field {field.name} is not {kind}",
    )


def check_sample(sample: Sample, catalogue: Catalogue) -> Sample:
    """Returns `sample` with its values as declared. Raises `Misfit` if one is wrong."""
    where = sample.measurement
    try:
        declared = catalogue.measurement(sample.measurement)
        for name, text in sample.tags.items():
            declared.tag(name)
            if not isinstance(text, str):
                raise Misfit(f"{where}: tag {name!r} is {_shown(text)}, expected text")
        fields = {
            name: conform(value, declared.field(name), where)
            for name, value in sample.fields.items()
        }
    except UnknownName as unknown:
        raise Misfit(unknown) from None
    if not fields:
        raise Misfit(f"{where}: a row without fields")
    return Sample(sample.measurement, sample.tags, fields, sample.time_ms)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` if a known name is near, else an empty text."""
    # Only mistakes need it.
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _find(name: str, among: tuple[_Named, ...], what: str) -> _Named:
    for candidate in among:
        if candidate.name == name:
            return candidate
    raise UnknownName(name, [candidate.name for candidate in among], what)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python does not format whole numbers of more than 4,300 digits.
        return "a number of thousands of digits"
    return shortened(text, 101)
