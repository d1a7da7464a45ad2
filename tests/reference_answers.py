"""The answer to a `Query`, worked out in plain Python from the rows themselves: nothing
of it is shared with what writes InfluxQL or SQL."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from collectors.server_measurements import CATALOGUE
from collectors.store.query import Pick, Query
from probes.wire.sample import Sample, Value

Tags = tuple[tuple[str, str], ...]


def answer(
    query: Query,
    rows: Iterable[Sample],
    from_ms: int,
    to_ms: int,
    choices: Mapping[str, str],
) -> dict[Tags, dict[str, Value]]:
    """Group -> its figures over `[from_ms, to_ms]`; groups without a figure are left
    out. `choices`: tag -> a pattern that its whole text has to match."""
    groups: dict[Tags, list[Sample]] = {}
    chosen = {tag: re.compile(text).fullmatch for tag, text in choices.items()}
    for row in rows:
        if row.measurement != query.measurement or not from_ms <= row.time_ms <= to_ms:
            continue
        if any(
            (row.tags.get(where.tag, "") in where.values) is where.negate
            for where in query.where
        ):
            continue
        if all(is_whole(row.tags.get(tag, "")) for tag, is_whole in chosen.items()):
            key = tuple((tag, row.tags.get(tag, "")) for tag in query.group_by)
            groups.setdefault(key, []).append(row)
    found = {}
    for key, held in groups.items():
        figures = {
            pick.name: _figure(pick, _in_steps(pick, held, query.mean_step_ms))
            for pick in query.picks
        }
        there = {name: value for name, value in figures.items() if value is not None}
        if there:
            found[key] = there
    return found


def _in_steps(pick: Pick, rows: list[Sample], step_ms: int | None) -> list[Sample]:
    """The rows, or one for the mean of each step of that length since 1970."""
    if step_ms is None:
        return rows
    steps: dict[int, list[Sample]] = {}
    for row in rows:
        steps.setdefault(row.time_ms - row.time_ms % step_ms, []).append(row)
    return [
        Sample(rows[0].measurement, {}, {pick.field: mean}, at)
        for at, held in steps.items()
        if (mean := _mean(pick.field, held)) is not None
    ]


def _mean(name: str, rows: list[Sample]) -> float | None:
    """Each row's value by what the row counts; a row without that takes no part."""
    weight = CATALOGUE.measurement(rows[0].measurement).field(name).weight
    pairs = [
        (float(row.fields[name]), float(row.fields[weight]) if weight else 1.0)
        for row in rows
        if name in row.fields and (not weight or weight in row.fields)
    ]
    whole = math.fsum(count for _, count in pairs)
    return math.fsum(v * count for v, count in pairs) / whole if whole else None


def _figure(pick: Pick, rows: list[Sample]) -> Value | None:
    seen = [
        (row.time_ms, row.fields[pick.field])
        for row in rows
        if pick.field in row.fields
    ]
    if not seen:
        return None
    if pick.aggregate == "count":
        return len(seen)
    if pick.aggregate == "last":
        return max(seen, key=lambda each: each[0])[1]
    numbers = sorted(value for _, value in seen if not isinstance(value, str))
    if pick.aggregate in ("min", "max", "sum"):
        return {"min": min, "max": max, "sum": sum}[pick.aggregate](numbers)
    if pick.aggregate == "mean":
        return _mean(pick.field, rows)
    rank = math.floor(len(numbers) * int(pick.aggregate[1:]) / 100 + 0.5)
    return numbers[max(rank, 1) - 1]
