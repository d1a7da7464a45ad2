"""Rows of one measurement rolled up by 5 minutes, by the hour or by the day. Pure.

What the fields of a roll-up mean is in `collectors.store.rolled_measurements`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from collectors.batch import Batch, Schema
from collectors.store.day_ranks import day_ranks
from collectors.store.rolled_measurements import (
    DAY,
    DAY_MS,
    HOUR_MS,
    STEPS_MS,
    Part,
    RolledField,
    ranked,
    rolled_fields,
    rolled_name,
)
from probes.wire.catalogue import Field, FieldType, Measurement

_SPACING_MS = {**STEPS_MS, DAY: HOUR_MS}
# Tags, and rows of a time in ms followed by the values of the measurement's fields.
RowsOfSeries = tuple[Mapping[str, str], Sequence[Sequence[Any]]]


def rolled_measurement(declared: Measurement, step: str) -> Measurement:
    """Returns the declaration of a roll-up, as if it were in the catalogue."""
    fields = tuple(
        Field(
            rolled.name,
            _type(rolled, declared.field(rolled.field)),
            "1",
            f"{rolled.part} of {rolled.field}",
        )
        for rolled in rolled_fields(declared, step)
    )
    return Measurement(
        name=rolled_name(declared.name, step),
        meaning=f"{declared.name} by {step}",
        tags=declared.tags,
        fields=fields,
        period_s=_SPACING_MS[step] // 1000,
        lateness_s=declared.lateness_s,
        retention_days=declared.retention_days,
    )


def roll_up(
    declared: Measurement, step: str, series: Iterable[RowsOfSeries], now_ms: int
) -> Batch:
    """Returns the roll-up of `series`. The rows of each are in the order of time and
    have a value (or None) for each of `fields_read`."""
    tags = [tag.name for tag in declared.tags]
    rolled = list(rolled_fields(declared, step))
    schema = Schema(
        rolled_name(declared.name, step), tuple(tags), tuple(f.name for f in rolled)
    )
    rows = [
        [bucket_ms, *(values_of_tags.get(tag, "") for tag in tags), *parts]
        for values_of_tags, rows_of_series in series
        for bucket_ms, parts in (
            _ranks(rows_of_series)
            if step == DAY
            else _buckets(declared, step, rows_of_series)
        )
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    width = 1 + len(tags) + len(rolled)
    return Batch(
        "store/roll-up", now_ms, schema, tuple(columns or [[] for _ in range(width)])
    )


def fields_read(declared: Measurement, step: str) -> tuple[str, ...]:
    """Returns the fields of the rows that a roll-up by `step` is calculated from."""
    if step == DAY:
        return ranked(declared)
    return tuple(field.name for field in declared.fields)


def _ranks(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Yields the times and values of the ranks of each day. `rows` are means of five
    minutes, or rows that are no closer than that."""
    for day_ms, of_day in itertools.groupby(
        rows, key=lambda row: int(row[0]) - int(row[0]) % DAY_MS
    ):
        columns = [
            day_ranks([value for value in values if value is not None])
            for values in list(zip(*of_day, strict=True))[1:]
        ]
        for at, ranks in enumerate(itertools.zip_longest(*columns)):
            yield day_ms + at * HOUR_MS, list(ranks)


def _buckets(
    declared: Measurement, step: str, rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[int, list[Any]]]:
    """Yields the start of each bucket and the values of a roll-up's fields."""
    names = fields_read(declared, step)
    step_ms = STEPS_MS[step]
    fields = [
        (declared.field(name), [f.part for f in group])
        for name, group in itertools.groupby(
            rolled_fields(declared, step), key=lambda rolled: rolled.field
        )
    ]
    for start_ms, in_bucket in itertools.groupby(
        rows, key=lambda row: int(row[0]) - int(row[0]) % step_ms
    ):
        columns = dict(zip(names, list(zip(*in_bucket, strict=True))[1:], strict=True))
        yield (
            start_ms,
            [
                value
                for field, parts in fields
                for value in _parts(field, parts, columns)
            ],
        )


def _parts(
    field: Field, parts: Sequence[Part], columns: Mapping[str, Sequence[Any]]
) -> Iterator[Any]:
    """Yields the parts of one field in one bucket; None if it has no value there."""
    present = [value for value in columns[field.name] if value is not None]
    pairs: list[tuple[Any, Any]] = []
    if field.weight:
        pairs = [
            (value, weight)
            for value, weight in zip(
                columns[field.name], columns[field.weight], strict=True
            )
            if value is not None and weight is not None
        ]
    for part in parts:
        match part:
            case "product":
                yield float(sum(v * w for v, w in pairs)) if pairs else None
            case "weight":
                yield float(sum(w for _, w in pairs)) if pairs else None
            case _ if not present:
                yield None
            case "n":
                yield len(present)
            case "sum":
                yield sum(present)
            case "mean":
                yield sum(present) / len(present)
            case "min":
                yield min(present)
            case "max":
                yield max(present)
            case "last":
                yield present[-1]


def _type(rolled: RolledField, field: Field) -> FieldType:
    if rolled.part in ("product", "weight"):
        return "float"
    return "int" if rolled.part == "n" else field.type
