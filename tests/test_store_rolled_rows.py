"""Each figure of each measurement's roll-ups, merged over buckets and series, is that
of the rows."""

from __future__ import annotations

import random
from typing import Any

import pytest

from collectors.batch import Batch
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Aggregate, Pick, weight_field
from collectors.store.rolled_measurements import (
    DAY,
    ROLLED,
    STEPS_MS,
    parts_of,
    ranked,
    rolled_fields,
    rolled_steps,
)
from collectors.store.rolled_rows import roll_up, rolled_measurement, sources
from probes.wire.catalogue import Measurement

HOUR = 3_600_000
# The hours around the end of summer time, 25 October 2026 at 01:00 UTC.
FROM = 1_792_882_800_000 - 1_792_882_800_000 % HOUR
AGGREGATES: tuple[Aggregate, ...] = (
    "mean",
    "min",
    "max",
    "sum",
    "count",
    "last",
    "weight",
)
Rows = list[list[Any]]
TAGS = {"site": "a"}


def _rows(declared: Measurement, chance: random.Random) -> Rows:
    """Rows of the hours around a midnight; values are absent now and then, some weights
    are 0."""
    rows = []
    for at in range(FROM - 2 * HOUR, FROM + 3 * HOUR, declared.period_s * 1000):
        row: list[Any] = [at + chance.randrange(1000)]
        for field in declared.fields:
            value = chance.choice((0, chance.randrange(-9, 99)))
            row.append(
                None
                if chance.random() < 0.3
                else f"t{value}"
                if field.type == "str"
                else value / 7
                if field.type == "float"
                else abs(value)
            )
        rows.append(row)
    return rows


def _column(batch: Batch, name: str) -> list[Any]:
    at = batch.schema.fields.index(name)
    return list(batch.columns[1 + len(batch.schema.tags) + at])


def _of_rows(rows: Rows, pick: Pick, declared: Measurement) -> Any:
    """The figure by the definition in `collectors.store.query`."""
    names = [field.name for field in declared.fields]
    at = 1 + names.index(pick.field)
    weight = weight_field(pick, declared)
    if weight:
        weight_at = 1 + names.index(weight)
        pairs = [(row[at], row[weight_at]) for row in rows]
        pairs = [(v, w) for v, w in pairs if v is not None and w is not None]
        total = sum(w for _, w in pairs)
        if not total:
            return None
        return (
            total
            if pick.aggregate == "weight"
            else (sum(v * w for v, w in pairs) / total)
        )
    present = [row[at] for row in sorted(rows) if row[at] is not None]
    if not present:
        return None
    match pick.aggregate:
        case "mean":
            return sum(present) / len(present)
        case "count" | "weight":
            return len(present)
        case "last":
            return present[-1]
        case "sum":
            return sum(present)
        case "min":
            return min(present)
        case _:
            return max(present)


def _merged(batch: Batch, name: str, how: str) -> Any:
    present = [value for value in _column(batch, name) if value is not None]
    if not present:
        return None
    if how == "last":
        return present[-1]
    return {"sum": sum, "min": min, "max": max}[how](present)


def _rolled_up(declared: Measurement, step: str, rows: Rows) -> Batch:
    """The roll-up of rows; of days, that of the hours of these."""
    if step != DAY:
        return roll_up(declared, step, *sources(declared, step), [(TAGS, rows)], 0)
    hours = _rolled_up(declared, "1h", rows)
    of_hours = sources(declared, DAY)[0]
    columns = [_column(hours, name) for name in of_hours.fields]
    merged = [list(row) for row in zip(hours.times_ms, *columns, strict=True)]
    return roll_up(declared, DAY, of_hours, [(TAGS, merged)], 0)


@pytest.mark.parametrize("name", sorted(ROLLED))
def test_every_figure_of_a_roll_up_is_that_of_the_rows(name: str) -> None:
    declared = CATALOGUE.measurement(name)
    chance = random.Random(name)
    checked = set()
    for _ in range(5):
        rows = _rows(declared, chance)
        for step in rolled_steps(declared):
            batch = _rolled_up(declared, step, rows)
            assert all(time % STEPS_MS[step] == 0 for time in batch.times_ms)
            for field in declared.fields:
                for aggregate in AGGREGATES:
                    pick = Pick(field.name, aggregate)
                    is_text = field.type == "str" and aggregate not in ("last", "count")
                    parts = None if is_text else parts_of(pick, declared)
                    if parts is None:
                        continue
                    merged = [_merged(batch, p.name, p.merged_by) for p in parts]
                    got = merged[0]
                    if len(merged) == 2:
                        got = merged[0] / merged[1] if merged[1] else None
                    expected = _of_rows(rows, pick, declared)
                    if isinstance(expected, float | int) and not isinstance(got, str):
                        # A sum of weights of 0 is absent.
                        if aggregate == "weight" and not got:
                            got = None
                        expected = pytest.approx(expected)
                    elif got == 0 and aggregate == "weight":
                        got = None
                    assert got == expected, (field.name, aggregate, step)
                    checked.add(step)
    assert {"1h", DAY} <= checked == set(rolled_steps(declared))


@pytest.mark.parametrize("name", sorted(ROLLED))
def test_a_roll_up_has_the_columns_that_it_declares(name: str) -> None:
    declared = CATALOGUE.measurement(name)
    for step in rolled_steps(declared):
        rolled: list[str] = []
        for source in sources(declared, step):
            rows = [[FROM, *(None for _ in source.fields)]]
            batch = roll_up(declared, step, source, [(TAGS, rows)], 0)
            rolled += batch.schema.fields
        declared_names = [f.name for f in rolled_measurement(declared, step).fields]
        assert rolled == declared_names
        assert declared_names == [f.name for f in rolled_fields(declared, step)]


def test_days_have_their_ranks_at_their_hours() -> None:
    declared = CATALOGUE.measurement("line")
    day = FROM - FROM % (24 * HOUR)
    means = [(day + n * 300_000, *([float(n)] * 4)) for n in range(2 * 288)]
    of_means = sources(declared, DAY)[1]
    batch = roll_up(declared, DAY, of_means, [({"line": "a"}, means)], 0)
    assert list(batch.times_ms) == [day + n * HOUR for n in range(48)]
    for name in ranked(declared):
        ranks = _column(batch, f"{name}_rank")
        assert sorted(ranks[:24]) == [float(6 + 12 * n) for n in range(24)]
        assert sorted(ranks[24:]) == [float(288 + 6 + 12 * n) for n in range(24)]
