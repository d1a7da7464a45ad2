"""Percentiles by the hour come from roll-ups, and are those of the rows."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
from stores import DAY, HOUR, START

from collectors.batch import Batch, Schema
from collectors.server_measurements import CATALOGUE
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Query
from collectors.store.rollup import steps_of
from dashboards.report.report_queries import line_hours
from probes.wire.catalogue import Catalogue

DECLARED = CATALOGUE.measurement("line")
DAYS = 2
MINUTE = 60_000


def _batch() -> Batch:
    """Line b has gaps, and a new supplier on its second day."""
    chance = random.Random(1)
    rows = [
        (
            time_ms,
            line,
            "s1",
            "primary",
            "New" if line == "b" and time_ms >= START + DAY + 90 * MINUTE else "Old",
            None if line == "b" and chance.random() < 0.9 else chance.random(),
            chance.random(),
            1 if chance.random() < 0.9 else 0,
        )
        for line in ("a", "b")
        for time_ms in range(START, START + DAYS * DAY + HOUR, MINUTE)
    ]
    tags = ("line", "site", "role", "supplier")
    fields = ("down_use_ratio", "up_use_ratio", "up")
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    return Batch("test", START, Schema("line", tags, fields), columns)


async def test_hours_of_lines_are_read_from_roll_ups(tmp_path: Path) -> None:
    # From one in the night to half past the last hour, as in summer.
    queries = [
        line_hours(START, START + DAYS * DAY, ["a", "b"]),
        line_hours(START + HOUR, START + DAYS * DAY + 30 * MINUTE, ["a", "b", "none"]),
    ]
    async with EmbeddedStore(tmp_path, Catalogue([DECLARED])) as store:
        await store.write([_batch()])
        before = [await store.query(query) for query in queries]
        # Line b has 48 hours, and one of two suppliers.
        assert len(before[0]) == 48 + 48 + 1
        await store.tidy(START + DAYS * DAY + 2 * HOUR)
        after = [await store.query(query) for query in queries]
        (files,) = store._files.choose(DECLARED, queries[:1]).chosen
    assert [msgspec.to_builtins(rows) for rows in after] == [
        msgspec.to_builtins(rows) for rows in before
    ]
    assert not files.scan.files
    assert len(files.rolled) == DAYS


def test_only_hours_of_each_series_have_percentiles() -> None:
    query = line_hours(START, START + DAY, ["a"])
    assert steps_of(query, DECLARED) == [HOUR]
    others: list[Query] = [
        msgspec.structs.replace(query, every_ms=2 * HOUR),
        msgspec.structs.replace(query, group_by=("line",)),
    ]
    assert [steps_of(other, DECLARED) for other in others] == [[], []]
