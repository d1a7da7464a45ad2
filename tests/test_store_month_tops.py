"""Percentiles by the tops of months are those of all values, whatever these are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from stores import DAY, HOUR, START, note_texts

from collectors.batch import Batch, Schema
from collectors.server_measurements import CATALOGUE
from collectors.store import top_forms
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Highest, Pick, Query
from collectors.store.top_forms import TopForm
from probes.wire.catalogue import Catalogue

LINE = CATALOGUE.measurement("line")
TAGS = ("line", "site", "role", "supplier")
FIELDS = ("down_use_ratio", "up_use_ratio")
# START is 28 September 2026: six days of September, and eight of October.
BEGIN, OCTOBER, END = START - 3 * DAY, START + 3 * DAY, START + 11 * DAY
OVER = START + 40 * DAY
P95S = tuple(Pick(field, "p95") for field in FIELDS)


def _days(chance: random.Random) -> Iterator[list[float | None]]:
    """The values of each day of a line: busy days or months, equal values, gaps."""
    kind = chance.randrange(5)
    hot = {chance.randrange(14) for _ in range(chance.choice((1, 1, 4)))}
    for day in range(14):
        most = chance.choice((0, 3, 20, 20, 20))
        level = 5.0 if day in hot or (kind == 4 and day < 6) else 1.0
        yield [_value(kind, level, chance) for _ in range(most)]


def _value(kind: int, level: float, chance: random.Random) -> float | None:
    if kind == 1:
        return float(chance.randrange(3))
    if kind == 2:
        return level
    if kind == 3 and chance.random() < 0.6:
        return chance.choice((None, 0.0))
    return level * chance.random() if kind < 4 else level + chance.random() / 8


def _batch(chance: random.Random, lines: int) -> Batch:
    rows = []
    for n in range(lines):
        tags = f"line-{n:02d}", f"site-{n % 4}", "primary", "Northern"
        for day, values in enumerate(_days(chance)):
            for place, value in enumerate(values):
                at = BEGIN + day * DAY + place * HOUR
                rows.append((at, *tags, value, chance.random()))
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    return Batch("test", BEGIN, Schema("line", TAGS, FIELDS), columns)


def _queries() -> list[Query]:
    several = (*P95S, Pick(FIELDS[0], "max"), Pick(FIELDS[1], "p99"))
    whole = Query("line", P95S, BEGIN, END, group_by=("site", "line"))
    return [
        whole,
        msgspec.structs.replace(whole, highest=Highest(3, "site", ("line",))),
        # One month with parts of the other, and alone.
        Query("line", several, BEGIN + HOUR, END, group_by=("line",)),
        Query("line", several, OCTOBER, END, group_by=("supplier",)),
    ]


async def test_a_percentile_by_the_tops_of_months_is_that_of_all_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small lists, so that what is in none of them counts.
    form = TopForm(FIELDS, None, 5, 1)
    monkeypatch.setitem(top_forms._FORMS, "line", form)
    monkeypatch.setattr(top_forms, "_MONTH_MARKS", 4)
    queries = _queries()
    async with EmbeddedStore(tmp_path, Catalogue([LINE])) as store:
        await store.write([_batch(random.Random(1), 90)])
        expected = [await store.query(query) for query in queries]
        await store.tidy(OVER)
        texts = note_texts(store, monkeypatch)
        for query, rows in zip(queries, expected, strict=True):
            assert await store.query(query) == rows, query
        assert any("-lists.parquet" in text for text in texts)
        # Of months with too many values in no list, the days are read.
        assert any("tops/line/2026-09-" in text for text in texts)


async def test_a_month_is_read_only_while_it_is_that_of_its_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = Query("line", P95S, BEGIN, END, group_by=("line",))
    async with EmbeddedStore(tmp_path, Catalogue([LINE])) as store:
        await store.write([_batch(random.Random(3), 20)])
        expected = await store.query(query)
        await store.tidy(OVER)
        months = _months(tmp_path)
        assert len(months) == 4
        texts = note_texts(store, monkeypatch)
        assert await store.query(query) == expected
        # With lists of usual length all is in them.
        assert not any("tops/line/2026-" in text for text in texts)
        months[0].write_bytes(b"PAR1 not really PAR1")
        assert await store.query(query) == expected
        # Late rows: the month is not that of its days any more.
        late = (OCTOBER, "line-00", "site-0", "primary", "Northern", 9.0, 9.0)
        columns = tuple([value] for value in late)
        await store.write([Batch("late", END, Schema("line", TAGS, FIELDS), columns)])
        highest = Query("line", (Pick(FIELDS[0], "max"), *P95S), BEGIN, END)
        [row] = await store.query(msgspec.structs.replace(highest, group_by=("role",)))
        assert row.values["down_use_ratio_max"] == 9.0


def _months(folder: Path) -> list[Path]:
    return sorted(folder.glob("shared-tops-months/line/*"))
