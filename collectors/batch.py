"""`Batch`: one measurement of one source, columnar. What flows through Towpath,
what the journal holds, what every reader gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from probes.catalogue import Catalogue, Misfit, Unknown, conform
from probes.sample import Sample, Value

Column = list[Any]


class Schema(msgspec.Struct, frozen=True, array_like=True):
    """The names of a batch's columns: time first, then tags, then fields."""

    measurement: str
    tags: tuple[str, ...]
    fields: tuple[str, ...]


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one measurement from one source.

    `source` says who made it (`poll/core-1`, `agent/3f2a`), `received_ms` when it
    entered Towpath. `columns` has 1 + len(tags) + len(fields) lists of equal length:
    times in ms, tag texts, field values; None is "no value in this row".
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
        """The column of tag `name`; empty texts where the batch has no such tag."""
        try:
            return self.columns[1 + self.schema.tags.index(name)]
        except ValueError:
            return [""] * len(self)

    def field(self, name: str) -> list[Value | None]:
        """The column of field `name`; Nones where the batch has no such field."""
        try:
            at = 1 + len(self.schema.tags) + self.schema.fields.index(name)
        except ValueError:
            return [None] * len(self)
        return self.columns[at]

    def samples(self) -> Iterator[Sample]:
        """The rows one by one, absent tags and fields left out."""
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


def gather(samples: Iterable[Sample], source: str, received_ms: int) -> list[Batch]:
    """`samples` as one batch a measurement, in order of first appearance."""
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


def check(batch: Batch, catalogue: Catalogue) -> Batch:
    """`batch` with its values as declared; `Misfit` says what does not fit.

    Returns the same object where nothing had to be turned.
    """
    schema, columns = batch.schema, batch.columns
    where = f"{schema.measurement} from {batch.source}"
    if len(columns) != 1 + len(schema.tags) + len(schema.fields):
        raise Misfit(f"{where}: {len(columns)} columns do not match the schema")
    if len({len(column) for column in columns}) > 1:
        raise Misfit(f"{where}: columns of different lengths")
    if not schema.fields:
        raise Misfit(f"{where}: no fields")
    if not all(type(time_ms) is int for time_ms in columns[0]):
        raise Misfit(f"{where}: a time that is not a whole number of ms")
    turned: dict[int, Column] = {}
    try:
        declared = catalogue.measurement(schema.measurement)
        for at, name in enumerate(schema.tags, 1):
            declared.tag(name)
            if not all(type(text) is str for text in columns[at]):
                raise Misfit(f"{where}: tag {name!r} is not text in every row")
        for at, name in enumerate(schema.fields, 1 + len(schema.tags)):
            field = declared.field(name)
            checked = [
                None if value is None else conform(value, field, where)
                for value in columns[at]
            ]
            if any(
                type(a) is not type(b)
                for a, b in zip(checked, columns[at], strict=True)
            ):
                turned[at] = checked
    except Unknown as unknown:
        raise Misfit(f"{where}: {unknown}") from None
    if not turned:
        return batch
    return Batch(
        batch.source,
        batch.received_ms,
        schema,
        tuple(turned.get(at, column) for at, column in enumerate(columns)),
    )
