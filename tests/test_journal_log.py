"""The journal as sources and readers see it."""

import asyncio
import time

import pytest
from journal_places import JournalPlace
from waiting import until

from collectors.batch import Batch, Schema, batch_samples
from collectors.journal import (
    BatchReader,
    JournalTaken,
    ReaderTaken,
    UnhurriedAppend,
    journal_sample,
    reader_sample,
)
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import check_sample
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample


def rows(first: int, count: int = 8) -> Batch:
    """A batch whose `packets` are first, first + 1 …: the ids read show which rows."""
    samples = [
        Sample("device", {"device": f"d{i % 5}"}, {"up": 1, "packets": i}, 1000 + i)
        for i in range(first, first + count)
    ]
    return batch_samples(samples, "poll/test", 2000)[0]


def ids(batches: list[Batch]) -> list[int]:
    return [value for batch in batches for value in batch.field("packets")]


async def drain(
    reader: BatchReader, wait_s: float = 0.2, most_s: float = 20
) -> list[int]:
    """What there is, also if servers are slow to say that it is all."""
    found: list[int] = []
    until_s = time.monotonic() + most_s
    while time.monotonic() < until_s:
        if chunk := await reader.read(wait_s=wait_s):
            found += ids(chunk.batches)
            reader.passed(chunk.positions)
        elif reader.oldest_ms() is None:
            break
    return found


async def test_what_was_appended_is_read_in_order(place: JournalPlace) -> None:
    async with place.journal("poll") as journal:
        for first in range(0, 80, 8):
            await journal.append(rows(first))
    async with place.reader("store") as reader:
        assert await drain(reader) == list(range(80))


async def test_appends_that_come_together_share_a_commit(place: JournalPlace) -> None:
    async with place.journal("poll") as journal:
        await asyncio.gather(*(journal.append(rows(8 * i)) for i in range(200)))
        assert journal.stats.appended_rows == 1600
        assert journal.stats.commits < 20
    async with place.reader("store") as reader:
        assert sorted(await drain(reader)) == list(range(1600))


async def test_a_reader_goes_on_from_the_positions_it_saved(
    place: JournalPlace,
) -> None:
    async with place.journal("poll") as journal:
        await journal.append(rows(0))
        await journal.append(rows(8))
        async with place.reader("alert") as reader:
            chunk = await reader.read(max_rows=1)
            assert chunk is not None
            assert ids(chunk.batches) == list(range(8))
        async with place.reader("alert", chunk.positions) as reader:
            assert await drain(reader) == list(range(8, 16))
        async with place.reader("alert") as reader:
            assert await drain(reader) == list(range(16))


async def test_a_waiting_reader_is_woken_by_an_append(place: JournalPlace) -> None:
    async with (
        place.journal("poll") as journal,
        place.reader("alert") as reader,
    ):
        reading = asyncio.create_task(reader.read(wait_s=30))
        await asyncio.sleep(0.05)
        await journal.append(rows(0))
        chunk = await reading
        assert chunk is not None
        assert ids(chunk.batches) == list(range(8))


async def test_a_reader_finds_logs_that_begin_after_it(place: JournalPlace) -> None:
    async with place.reader("store") as reader:
        assert await reader.read(wait_s=0) is None
        async with (
            place.journal("poll") as one,
            place.journal("ingest") as two,
        ):
            await asyncio.gather(one.append(rows(0)), two.append(rows(100)))
            assert sorted(await drain(reader)) == [*range(8), *range(100, 108)]
            assert set(reader.positions) == {"poll", "ingest"}


async def test_a_log_has_one_writer(place: JournalPlace) -> None:
    async with place.journal("poll"):
        with pytest.raises(JournalTaken, match=r"log 'poll'.*pid"):
            async with place.journal("poll"):
                pass


async def test_a_reader_name_is_used_once_at_a_time(place: JournalPlace) -> None:
    async with place.reader("store"):
        with pytest.raises(ReaderTaken, match="'store'"):
            async with place.reader("store"):
                pass
        with pytest.raises(ReaderTaken):
            await place.forget("store")


async def test_what_is_not_in_the_catalogue_goes_to_the_dead_letter(
    place: JournalPlace,
) -> None:
    strange = [
        Batch("a", 1, Schema("devise", (), ("up",)), ([1], [1])),
        Batch("b", 1, Schema("device", (), ("up",)), ([1], ["yes"])),
        Batch("c", 1, Schema("device", ("device",), ("up",)), ([1], ["\ud800"], [1])),
        Batch("d", 1, Schema("device", (), ("up",)), ([10**30], [1])),
        Batch("e", 1, Schema("device", (), ("up",)), ()),
    ]
    async with place.journal("poll") as journal:
        await journal.append(*strange, rows(0))
        assert journal.stats.dead_rows == 5
        assert journal.stats.appended_rows == 8
    dead = (place.folder / "poll" / "dead" / "dead.jsonl").read_text()
    assert len(dead.splitlines()) == 5
    assert "did you mean 'device'?" in dead
    async with place.reader("store") as reader:
        assert await drain(reader) == list(range(8))


async def test_self_samples_are_in_the_catalogue(place: JournalPlace) -> None:
    async with (
        place.journal("poll") as journal,
        place.reader("store") as reader,
    ):
        await journal.append(rows(0))
        # Until the servers have sent the rows, how old they are is not known.
        since_ms = wall_ms() - 60_000
        await until(lambda: (reader.oldest_ms() or 0) > since_ms)
        now_ms = (reader.oldest_ms() or 0) + 5000
        sample = reader_sample(reader.stats, reader.oldest_ms(), "store", "all", now_ms)
        assert check_sample(sample, CATALOGUE).fields["lag_s"] == 5.0
        assert await drain(reader) == list(range(8))
        assert reader.oldest_ms() is None
        assert reader.stats.passed_rows == 8
        sample = journal_sample(journal.stats, "all", now_ms)
        assert check_sample(sample, CATALOGUE).fields["appended_rows"] == 8
        await place.until_passed(reader)


async def test_rows_that_nobody_waits_for_share_the_next_commit(
    place: JournalPlace,
) -> None:
    async with place.journal("poll") as journal:
        unhurried = UnhurriedAppend(journal)
        waiting = [asyncio.create_task(unhurried.append(rows(n))) for n in (0, 8)]
        await asyncio.sleep(0)
        assert journal.stats.commits == 0
        await journal.append(rows(16))
        assert journal.stats.commits == 1
        assert all(task.done() for task in waiting)
        # Without others they are on disk a second later, or when the journal closes.
        late = asyncio.create_task(unhurried.append(rows(24)))
        await asyncio.sleep(0)
    await late
    async with place.reader("store") as reader:
        assert sorted(await drain(reader)) == list(range(32))


async def test_readers_of_one_process_decode_a_commit_once(place: JournalPlace) -> None:
    async with place.journal("poll") as journal:
        await journal.append(rows(0))
        await journal.append(rows(8))
    chunks = []
    for name in ("store", "alert"):
        async with place.reader(name) as reader:
            chunks.append(await reader.read(wait_s=0.2))
    store, alert = (chunk.batches if chunk else [] for chunk in chunks)
    assert ids(store) == list(range(16))
    assert [id(batch) for batch in store] == [id(batch) for batch in alert]
    assert store is not alert
