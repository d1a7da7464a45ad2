"""Rows of one measurement rolled up by 5 minutes and by the hour, and these by the day.
Pure.

What the fields of a roll-up mean is in `collectors.store.rolled_measurements`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from collectors.batch import Batch, Schema
from collectors.store.day_ranks import day_ranks
from collectors.store.rolled_measurements import (
    DAY,
    DAY_MS,
    HOUR,
    HOUR_MS,
    STEPS_MS,
    Part,
    RolledField,
    ranked,
    rolled_fields,
    rolled_name,
    rolled_steps,
)
from probes.wire.catalogue import Field, FieldType, Measurement

# Tags, and rows of a time in ms followed by the values of the measurement's fields.
RowsOfSeries = tuple[Mapping[str, str], Sequence[Sequence[Any]]]
_OfSeries = Callable[[Sequence[Sequence[Any]]], Iterator[tuple[int, list[Any]]]]


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
        period_s=STEPS_MS[step] // 1000,
        lateness_s=declared.lateness_s,
        retention_days=declared.retention_days,
    )


class RollUpSource(NamedTuple):
    """What a roll-up is calculated from: fields of a measurement or of a roll-up of it,
    and the fields of the result."""

    measurement: str
    fields: tuple[str, ...]
    rolled: tuple[RolledField, ...]


def sources(declared: Measurement, step: str) -> list[RollUpSource]:
    """Returns what is read for a roll-up by `step`: rows; for days their hours and, for
    ranks, the means of five minutes. Each is one `roll_up`."""
    rolled = tuple(rolled_fields(declared, step))
    if step != DAY:
        names = tuple(field.name for field in declared.fields)
        return [RollUpSource(declared.name, names, rolled)]
    parts = tuple(field for field in rolled if field.part != "rank")
    hours = rolled_name(declared.name, HOUR)
    found = [RollUpSource(hours, tuple(field.name for field in parts), parts)]
    if names := ranked(declared):
        ranks = tuple(field for field in rolled if field.part == "rank")
        source = declared.name
        if "5m" in rolled_steps(declared):
            # These rows are much fewer, and have the means.
            source = rolled_name(declared.name, "5m")
            names = tuple(f"{name}_mean" for name in names)
        found.append(RollUpSource(source, names, ranks))
    return found


def roll_up(
    declared: Measurement,
    step: str,
    source: RollUpSource,
    series: Iterable[RowsOfSeries],
    now_ms: int,
) -> Batch:
    """Returns the roll-up of `series`. The rows of each are in the order of time and
    have a value (or None) for each field of `source`."""
    tags = [tag.name for tag in declared.tags]
    names = tuple(field.name for field in source.rolled)
    schema = Schema(rolled_name(declared.name, step), tuple(tags), names)
    of_series: _OfSeries
    if step != DAY:
        of_series = functools.partial(_buckets, declared, step)
    elif source.rolled[0].part == "rank":
        of_series = _ranks
    else:
        of_series = functools.partial(_days, source.rolled)
    rows = [
        [bucket_ms, *(values_of_tags.get(tag, "") for tag in tags), *parts]
        for values_of_tags, rows_of_series in series
        for bucket_ms, parts in of_series(rows_of_series)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    width = 1 + len(tags) + len(names)
    return Batch(
        "store/roll-up", now_ms, schema, tuple(columns or [[] for _ in range(width)])
    )


def _ranks(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Yields the times and values of the ranks of each day. `rows` are means of five
    minutes, or rows that are no closer than that."""
    for day_ms, of_day in _by_bucket(rows, DAY_MS):
        columns = [
            day_ranks([value for value in values if value is not None])
            for values in list(zip(*of_day, strict=True))[1:]
        ]
        for at, ranks in enumerate(itertools.zip_longest(*columns)):
            yield day_ms + at * HOUR_MS, list(ranks)


def _days(
    rolled: Sequence[RolledField], hours: Sequence[Sequence[Any]]
) -> Iterator[tuple[int, list[Any]]]:
    """Yields the start of each day and its parts, merged from those of its hours."""
    for day_ms, of_day in _by_bucket(hours, DAY_MS):
        columns = list(zip(*of_day, strict=True))[1:]
        yield (
            day_ms,
            [
                _merged(field, [value for value in values if value is not None])
                for field, values in zip(rolled, columns, strict=True)
            ],
        )


def _merged(field: RolledField, values: Sequence[Any]) -> Any:
    """Merges a part of hours that are in the order of time; None if none has it."""
    if not values:
        return None
    match field.merged_by:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "last":
            return values[-1]
        case _:
            return sum(values)


def _by_bucket(
    rows: Sequence[Sequence[Any]], length_ms: int
) -> Iterator[tuple[int, Iterator[Sequence[Any]]]]:
    return itertools.groupby(
        rows, key=lambda row: int(row[0]) - int(row[0]) % length_ms
    )


def _buckets(
    declared: Measurement, step: str, rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[int, list[Any]]]:
    """Yields the start of each bucket and the values of a roll-up's fields."""
    names = [field.name for field in declared.fields]
    fields = [
        (declared.field(name), [f.part for f in group])
        for name, group in itertools.groupby(
            rolled_fields(declared, step), key=lambda rolled: rolled.field
        )
    ]
    for start_ms, in_bucket in _by_bucket(rows, STEPS_MS[step]):
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
