"""`Batch`: rows of one measurement from one source, in columns. Everything in the
journal is a batch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from probes.wire.catalogue import (
    Catalogue,
    Field,
    Measurement,
    Misfit,
    UnknownName,
    conform,
)
from probes.wire.sample import Sample, Value

Column = list[Any]
_UNIDENTIFIED = "a time that is no number of ms, or a tag that is not text"


class Schema(msgspec.Struct, frozen=True, array_like=True):
    """The names of a batch's columns: time first, then tags, then fields."""

    measurement: str
    tags: tuple[str, ...]
    fields: tuple[str, ...]

    @staticmethod
    def of(measurement: Measurement) -> Schema:
        """All tags and fields that the catalogue declares, in its order."""
        return Schema(
            measurement.name,
            tuple(tag.name for tag in measurement.tags),
            tuple(field.name for field in measurement.fields),
        )


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one measurement from one source.

    `source` is who made it (`poll/core-1`, `agent/3f2a`); `received_ms` is when it
    entered Towpath. `columns` has 1 + len(tags) + len(fields) lists of equal length:
    times in ms, tag texts, field values. None means "no value in this row".
    """

    source: str
    received_ms: int
    schema: Schema
    columns: tuple[Column, ...]

    @property
    def measurement(self) -> str:
        return self.schema.measurement

    @property
    def times_ms(self) -> list[int]:
        return self.columns[0]

    def __len__(self) -> int:
        return len(self.columns[0])

    def tag(self, name: str) -> list[str]:
        """The column of tag `name`; empty texts if the batch has no such tag."""
        try:
            return self.columns[1 + self.schema.tags.index(name)]
        except ValueError:
            return [""] * len(self)

    def field(self, name: str) -> list[Value | None]:
        """The column of field `name`; Nones if the batch has no such field."""
        try:
            at = 1 + len(self.schema.tags) + self.schema.fields.index(name)
        except ValueError:
            return [None] * len(self)
        return self.columns[at]

    def rows(self, at: Sequence[int]) -> Batch:
        """A batch of the rows with those numbers; itself if they are all its rows."""
        if len(at) == len(self):
            return self
        columns = tuple([column[n] for n in at] for column in self.columns)
        return Batch(self.source, self.received_ms, self.schema, columns)

    def samples(self) -> Iterator[Sample]:
        """The rows one by one, without absent tags and fields."""
        tags, fields = self.schema.tags, self.schema.fields
        for time_ms, *cells in zip(*self.columns, strict=True):
            yield Sample(
                self.schema.measurement,
                {n: c for n, c in zip(tags, cells, strict=False) if c},
                {
                    n: c
                    for n, c in zip(fields, cells[len(tags) :], strict=True)
                    if c is not None
                },
                time_ms,
            )


def batch_samples(
    samples: Iterable[Sample], source: str, received_ms: int
) -> list[Batch]:
    """Makes one batch per measurement, in order of first appearance."""
    grouped: dict[str, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(sample.measurement, []).append(sample)
    batches = []
    for measurement, rows in grouped.items():
        tags = tuple(dict.fromkeys(name for row in rows for name in row.tags))
        fields = tuple(dict.fromkeys(name for row in rows for name in row.fields))
        columns: tuple[Column, ...] = (
            [row.time_ms for row in rows],
            *([row.tags.get(name, "") for row in rows] for name in tags),
            *([row.fields.get(name) for row in rows] for name in fields),
        )
        schema = Schema(measurement, tags, fields)
        batches.append(Batch(source, received_ms, schema, columns))
    return batches


def check_batch(batch: Batch, catalogue: Catalogue) -> Batch:
    """Returns `batch` with values of the declared types; itself if it has them already.

    Raises `Misfit` if something does not fit the catalogue.
    """
    schema, columns = batch.schema, batch.columns
    where = f"{schema.measurement} from {batch.source}"
    _check_shape(batch)
    try:
        fields = _declared(schema, catalogue)
    except UnknownName as unknown:
        raise Misfit(f"{where}: {unknown}", _unknown_reason(schema)) from None
    if set(map(type, columns[0])) - {int} or not _in_64_bits(columns[0]):
        text = "a time that is not a whole number of ms"
        raise Misfit(f"{where}: {text}", text)
    own = 1 + len(schema.tags)
    # Together first: columns are many, and in most batches nothing is wrong.
    are_tags = not set(map(type, chain.from_iterable(columns[1:own]))) - {str}
    if are_tags and all(
        _fits(list(chain.from_iterable([columns[at] for at in places])), kind)
        for kind, places in _places_by_type(schema, catalogue)
    ):
        return batch
    for name, column in zip(schema.tags, columns[1:], strict=False):
        if set(map(type, column)) - {str}:
            text = f"tag {name!r} is not text in every row"
            raise Misfit(f"{where}: {text}", text)
    converted: dict[int, Column] = {}
    for at, field in enumerate(fields, own):
        column = columns[at]
        if _fits(column, field.type):
            continue
        checked = [
            None if value is None else conform(value, field, where) for value in column
        ]
        if any(type(a) is not type(b) for a, b in zip(checked, column, strict=True)):
            converted[at] = checked
    if not converted:
        return batch
    return Batch(
        batch.source,
        batch.received_ms,
        schema,
        tuple(converted.get(at, column) for at, column in enumerate(columns)),
    )


class SiftedBatch(NamedTuple):
    """A batch split by the catalogue into `fit` and `aside`.

    `aside` has each row that lost a value, with its time, its tags and the lost values.
    `reasons` counts the losses by reason; `text` is a sentence about the first.
    """

    fit: Batch | None
    aside: Batch | None
    reasons: Counter[str]
    text: str


def sift(batch: Batch, catalogue: Catalogue) -> SiftedBatch:
    """Like `check_batch`, but drops only what does not fit.

    A bad value is dropped alone; a bad time or tag drops its row. A batch that is
    malformed, or has a name that is not in the catalogue, is set aside whole.
    """
    try:
        return SiftedBatch(check_batch(batch, catalogue), None, Counter(), "")
    except Misfit as misfit:
        text, reason = str(misfit), misfit.reason
    try:
        _check_shape(batch)
        declared = _declared(batch.schema, catalogue)
    except (Misfit, UnknownName):
        rows = max(1, *map(len, batch.columns)) if batch.columns else 1
        return SiftedBatch(None, batch, Counter({reason: rows}), text)
    own = 1 + len(batch.schema.tags)
    sound = [_is_identified(row) for row in zip(*batch.columns[:own], strict=True)]
    reasons = Counter({_UNIDENTIFIED: sound.count(False)})
    good: list[Column] = []
    bad: list[Column] = []
    for field, column in zip(declared, batch.columns[own:], strict=True):
        kept: Column = [None] * len(column)
        lost: Column = [None] * len(column)
        for at, value in enumerate(column):
            if value is None:
                continue
            lost[at] = value
            if sound[at]:
                try:
                    kept[at] = conform(value, field, batch.measurement)
                    lost[at] = None
                except Misfit as misfit:
                    reasons[misfit.reason] += 1
        good.append(kept)
        bad.append(lost)
    return SiftedBatch(
        _with_fields(batch, good), _with_fields(batch, bad), +reasons, text
    )


def _is_identified(row: tuple[object, ...]) -> bool:
    time_ms, *tags = row
    if type(time_ms) is not int or not _in_64_bits([time_ms]):
        return False
    return all(isinstance(tag, str) for tag in tags)


def _with_fields(batch: Batch, fields: list[Column]) -> Batch | None:
    """`batch` with these fields, without rows and fields that have no value."""
    used = [at for at, c in enumerate(fields) if any(v is not None for v in c)]
    rows = [
        at
        for at in range(len(batch))
        if any(fields[field][at] is not None for field in used)
    ]
    if not rows:
        return None
    schema = batch.schema
    own = batch.columns[: 1 + len(schema.tags)]
    return Batch(
        batch.source,
        batch.received_ms,
        Schema(
            schema.measurement, schema.tags, tuple(schema.fields[at] for at in used)
        ),
        tuple([c[at] for at in rows] for c in (*own, *(fields[at] for at in used))),
    )


def _check_shape(batch: Batch) -> None:
    schema, columns = batch.schema, batch.columns
    where = f"{schema.measurement} from {batch.source}"
    if len(columns) != 1 + len(schema.tags) + len(schema.fields):
        raise Misfit(
            f"{where}: {len(columns)} columns do not match the schema",
            "columns do not match the schema",
        )
    if len(set(map(len, columns))) > 1:
        text = "columns of different lengths"
        raise Misfit(f"{where}: {text}", text)
    if not schema.fields:
        raise Misfit(f"{where}: no fields", "no fields")


@lru_cache(maxsize=4096)
def _declared(schema: Schema, catalogue: Catalogue) -> tuple[Field, ...]:
    """The declared fields of a schema. Raises `UnknownName` if a name is undeclared."""
    measurement = catalogue.measurement(schema.measurement)
    for name in schema.tags:
        measurement.tag(name)
    return tuple(measurement.field(name) for name in schema.fields)


@lru_cache(maxsize=4096)
def _places_by_type(
    schema: Schema, catalogue: Catalogue
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """For each type of the declared fields, which columns have it."""
    places: dict[str, list[int]] = {}
    for at, field in enumerate(_declared(schema, catalogue), 1 + len(schema.tags)):
        places.setdefault(field.type, []).append(at)
    return tuple((kind, tuple(columns)) for kind, columns in places.items())


def _unknown_reason(schema: Schema) -> str:
    return f"a name of {schema.measurement} is not in the catalogue"


_NONE = type(None)
_EXACT = {"int": {int, _NONE}, "float": {float, _NONE}, "str": {str, _NONE}}


def _fits(column: Column, kind: str) -> bool:
    """True if `conform` would certainly leave every value of the column unchanged.

    Checks the set of types instead of each value: a poll's batch of 52 rows is checked
    once per column, not once per cell.
    """
    types = set(map(type, column))
    if types - _EXACT[kind]:
        return False
    if kind == "str":
        return True
    # Neither None nor 0 is outside the limits.
    values = filter(None, column) if _NONE in types else column
    if kind == "int":
        return _in_64_bits(list(values))
    # A sum is finite only if every term is. If it overflows, each value is checked.
    return math.isfinite(sum(values))


def _in_64_bits(values: list[int]) -> bool:
    return not values or (min(values) >= -(2**63) and max(values) < 2**63)
