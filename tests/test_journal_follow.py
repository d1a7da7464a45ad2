"""Poison never blocks, and a database that is away loses nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from journal_places import JournalPlace
from test_journal_log import ids, rows
from waiting import until

from collectors.journal import (
    Away,
    BatchReader,
    Chunk,
    FollowConfig,
    follow,
)
from collectors.journal.following import Effect

QUICK = FollowConfig(wait_s=0.001, longest_wait_s=0.002, tries=2)


@contextlib.asynccontextmanager
async def following(
    place: JournalPlace, effect: Effect, batches: int = 16
) -> AsyncIterator[BatchReader]:
    async with place.journal("poll") as journal:
        await asyncio.gather(*(journal.append(rows(8 * i)) for i in range(batches)))
        async with place.reader("store") as reader:
            task = asyncio.create_task(
                follow(reader, effect, place.folder / "aside", QUICK), name="follow"
            )
            try:
                yield reader
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def test_the_batches_that_cannot_be_digested_are_set_aside(
    place: JournalPlace,
) -> None:
    stored: set[int] = set()
    poison = {3, 77}

    async def effect(chunk: Chunk) -> None:
        if poison & set(ids(chunk.batches)):
            raise ValueError("indigestible")
        stored.update(ids(chunk.batches))

    async with following(place, effect) as reader:
        await until(lambda: reader.stats.passed_rows == 128)
        assert reader.stats.aside_rows == 16
        await place.until_passed(reader)
    assert stored == set(range(128)) - set(range(8)) - set(range(72, 80))
    aside = (place.folder / "aside" / "store.jsonl").read_text().splitlines()
    assert len(aside) == 2
    assert "indigestible" in aside[0]


async def test_positions_are_saved_only_when_all_before_them_was_used(
    place: JournalPlace,
) -> None:
    calls: list[tuple[set[int], bool]] = []

    async def effect(chunk: Chunk) -> None:
        ids_read = set(ids(chunk.batches))
        if 5 in ids_read:
            raise ValueError("indigestible")
        calls.append((ids_read, bool(chunk.positions["poll"].offset)))

    async with following(place, effect, batches=4) as reader:
        await until(lambda: reader.stats.passed_rows == 32)
    assert [moved for _, moved in calls[:-1]] == [False] * (len(calls) - 1)
    assert calls[-1] == (set(), True)


async def test_a_database_that_is_away_is_waited_for(place: JournalPlace) -> None:
    stored: set[int] = set()
    failures = iter(range(12))

    async def effect(chunk: Chunk) -> None:
        if next(failures, None) is not None:
            raise Away("the database does not answer")
        stored.update(ids(chunk.batches))

    async with following(place, effect) as reader:
        await until(lambda: reader.stats.passed_rows == 128)
        assert reader.stats.failures == 12
        assert reader.stats.aside_rows == 0
    assert stored == set(range(128))
