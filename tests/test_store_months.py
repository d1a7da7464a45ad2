"""Months of roll-ups in one file: they answer as their days do, or not at all."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import msgspec
import pytest
from stores import CATALOGUE, DAY, HOUR, PLAIN, START, ask, batch
from structlog.testing import capture_logs

from collectors.batch import Batch
from collectors.store import month_files
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Query, SelectedSpan
from collectors.store.rolled_months import RolledDay, by_months, month_file
from probes.wire.catalogue import Catalogue

# START is 28 September 2026.
OCTOBER = START + 3 * DAY
OVER = OCTOBER + 34 * DAY


def _months(folder: Path) -> list[Path]:
    return sorted(folder.glob("shared-*-months/*/*.parquet"))


def _damage(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.write_bytes(b"PAR1 not really PAR1")


_Row = tuple[int, dict[str, str], dict[str, int | float | str | None]]


def _rows() -> Batch:
    """Rows of some hours of 28 September to 9 October; there are days without any."""
    chance = random.Random(1)
    rows: list[_Row] = [
        (
            START + day * DAY + chance.choice((3, 9, 22)) * HOUR + n,
            {"a": chance.choice("xyz"), "b": chance.choice(("", "q"))},
            {"whole": chance.randrange(9), "share": 0.5, "calls": 2},
        )
        for day in (0, 1, 3, 4, 5, 7, 8, 11)
        for n in range(6)
    ]
    return batch(*rows)


def _ones(days: int) -> Batch:
    """A row of 1 on each of the first days of October."""
    rows: list[_Row] = [
        (OCTOBER + day * DAY, {"a": "x"}, {"whole": 1}) for day in range(days)
    ]
    return batch(*rows)


async def _total(store: EmbeddedStore) -> object:
    """The sum of October."""
    query = ask("whole:sum", span=(OCTOBER, OCTOBER + 31 * DAY))
    [row] = await store.query(query)
    return row.values["whole_sum"]


def _questions(chance: random.Random) -> list[Query]:
    """Queries of whole months, parts of them, and the working hours of some days."""
    picks = ("whole:sum", "whole:count", "whole:max", "whole:last", "share:mean")
    found = []
    for _ in range(20):
        begin = START + chance.randrange(0, 10 * 24) * HOUR
        span = begin, begin + chance.randrange(1, 40 * 24) * HOUR
        every = chance.choice((None, HOUR, DAY))
        by = chance.choice(((), ("a",), ("a", "b")))
        found.append(ask(*picks, by=by, every=every, span=span))
    spans = tuple(
        (START + day * DAY + 8 * HOUR, START + day * DAY + 17 * HOUR)
        for day in range(34)
        if day % 7 < 5
    )
    whole = ask(*picks, by=("a",), span=(spans[0][0], spans[-1][1]))
    by_hour = msgspec.structs.replace(whole, every_ms=HOUR)
    some = tuple(
        SelectedSpan(begin, end, "a", (chance.choice("xyz"), "y"))
        for begin, end in spans
    )
    return [
        *found,
        msgspec.structs.replace(by_hour, selections=some),
        msgspec.structs.replace(whole, spans=spans),
    ]


async def test_a_month_answers_every_query_as_its_days_and_rows_do(
    tmp_path: Path,
) -> None:
    questions = _questions(random.Random(1))
    october = questions[-1]
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        await store.write([_rows()])
        of_rows = [await store.query(query) for query in questions]
        await store.tidy(OVER)
        assert len(_months(tmp_path)) == 4  # September and October, two steps
        assert [await store.query(query) for query in questions] == of_rows
        _damage(tmp_path, "shared-*-months/*/*.parquet")
        # A damaged month only costs time.
        assert [await store.query(query) for query in questions] == of_rows
        for path in _months(tmp_path):
            path.unlink()
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        assert [await store.query(query) for query in questions] == of_rows
        await store.tidy(OVER)
        # Only the months can answer.
        _damage(tmp_path, "shared-1[hd]/*/2026-*/*.parquet")
        assert await store.query(october) == of_rows[-1]


async def test_late_rows_of_a_month_count_at_once_and_it_is_joined_again(
    tmp_path: Path,
) -> None:
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        await store.write([_ones(7)])
        await store.tidy(OVER)
        made = _months(tmp_path)
        assert len(made) == 2
        await store.write([batch((OCTOBER + 5 * DAY + 1, {"a": "x"}, {"whole": 7}))])
        assert await _total(store) == 14
        for hours in (2, 4):
            _age(tmp_path)
            await store.tidy(OVER + hours * HOUR)
            assert await _total(store) == 14
        again = _months(tmp_path)
        assert len(again) == 2
        assert not set(made) & set(again)


async def test_a_damaged_day_is_joined_to_no_month(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        await store.write([_ones(3)])
        await store.tidy(OCTOBER + 31 * DAY + 2 * HOUR)
        assert _months(tmp_path) == []  # October may still get rows
        _damage(tmp_path, "shared-1h/*/2026-10-02/*.parquet")
        await store.tidy(OVER)
        [month] = _months(tmp_path)
        assert month.parent.parent.name == "shared-1d-months"
        assert not list((tmp_path / "tmp").iterdir())
        await store.tidy(OVER + 2 * HOUR)
        assert len(_months(tmp_path)) == 2


async def test_a_damaged_month_is_said_once_and_made_again(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        await store.write([_ones(7)])
        await store.tidy(OVER)
        made = _months(tmp_path)
        _damage(tmp_path, "shared-1d-months/*/*.parquet")
        _damage(tmp_path, "shared-1d/*/2026-10-03/*.parquet")
        with capture_logs() as logged:
            assert [await _total(store) for _ in range(3)] == [7, 7, 7]
        said = [Path(entry["file"]).parent.name for entry in logged]
        assert said == ["plain", "2026-10-03"]
        await store.tidy(OVER + 2 * HOUR)
        assert _months(tmp_path) == made
        # Only the month that was made again can answer.
        _damage(tmp_path, "shared-1d/*/2026-*/*.parquet")
        _damage(tmp_path, "shared/*/2026-*/*.parquet")
        assert await _total(store) == 7


async def test_a_month_goes_with_its_first_day(tmp_path: Path) -> None:
    brief = msgspec.structs.replace(PLAIN, retention_days=40)
    query = ask("whole:count", span=(OCTOBER, OCTOBER + 31 * DAY))
    async with EmbeddedStore(tmp_path, Catalogue((brief,))) as store:
        await store.write([_ones(5)])
        await store.tidy(OVER)
        assert len(_months(tmp_path)) == 2
        await store.tidy(OCTOBER + 43 * DAY)
        assert _months(tmp_path) == []
        [row] = await store.query(query)
        assert row.values == {"whole_count": 2}


async def test_large_days_stay_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(month_files, "MOST_DAY_BYTES", 100)
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        await store.write([_ones(2)])
        await store.tidy(OVER)
    assert _months(tmp_path) == []


async def test_days_of_an_older_catalogue_are_joined_to_those_with_more_columns(
    tmp_path: Path,
) -> None:
    older = msgspec.structs.replace(PLAIN, fields=PLAIN.fields[:1])
    for day, catalogue in ((0, Catalogue((older,))), (1, CATALOGUE)):
        async with EmbeddedStore(tmp_path, catalogue) as store:
            at = OCTOBER + day * DAY
            fields = {"whole": 1} if day == 0 else {"whole": 1, "real": 2.5}
            await store.write([batch((at, {"a": "x"}, {**fields}))])
            await store.tidy(at + 2 * DAY)
    query = ask("whole:sum", "real:sum", span=(OCTOBER, OCTOBER + 31 * DAY))
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        await store.tidy(OVER)
        assert len(_months(tmp_path)) == 2
        [row] = await store.query(query)
    assert row.values == {"whole_sum": 2, "real_sum": 2.5}


def test_only_the_file_of_exactly_these_days_is_chosen() -> None:
    days = [
        Path(f"/s/shared-1h/plain/2026-10-{day:02d}/day-{day}.parquet")
        for day in range(1, 32)
    ]
    whole = month_file(days)
    some = [RolledDay(day, is_asked=n % 7 < 5) for n, day in enumerate(days)]

    def exists(path: Path) -> bool:
        return path == whole

    assert by_months(some, exists) == [whole]
    assert by_months(some[1:], exists) == [d.path for d in some[1:] if d.is_asked]
    other = [RolledDay(days[0].with_name("day-99.parquet")), *some[1:]]
    assert whole not in by_months(other, exists)
    assert by_months([RolledDay(day, False) for day in days], exists) == []


def _age(folder: Path) -> None:
    """Makes all files old enough to be deleted if another supersedes them."""
    old = time.time() - 60

    for path in folder.rglob("*.parquet"):
        os.utime(path, (old, old))
