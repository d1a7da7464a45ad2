"""The journal in NATS at its limits: what is dropped, noted and counted."""

from __future__ import annotations

import asyncio

import pytest
from journal_places import JournalPlace
from test_journal_bounds import noise
from test_journal_log import drain, ids, rows
from test_journal_nats import tidier

from probes.wire.clock import wall_ms

SMALL = 64 << 10
pytestmark = pytest.mark.parametrize("place", ["nats"], indirect=True)


async def _fail(until: int) -> None:
    raise ConnectionError


async def test_at_the_limit_the_oldest_unread_rows_go_and_the_reader_counts_them(
    place: JournalPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, also if the writer is killed between noting and dropping them."""
    async with place.journal("poll") as journal:
        async with place.reader("store") as reader:
            await journal.append(rows(0))
            chunk = await reader.read()
            assert chunk is not None
        for first in range(8, 10_008, 500):
            await journal.append(noise(first))
        limits = {"max_bytes": SMALL, "segment_bytes": SMALL // 4}
        killed = tidier(place, journal, **limits)
        with monkeypatch.context() as patched:
            # They are noted, and not dropped.
            patched.setattr(killed, "_purge", _fail)
            with pytest.raises(ConnectionError):
                await killed.tidy(wall_ms())
        await tidier(place, journal, **limits).tidy(wall_ms())
        dropped = journal.stats.dropped_rows
        assert 500 < dropped < 10_000
        assert journal.stats.bytes <= SMALL
        async with place.reader("store", chunk.positions) as reader:
            left = await drain(reader)
            while not reader.stats.gap_rows:
                left += await drain(reader)
        # The first eight had been read, though they had not been passed.
        assert left == list(range(10_008))[-len(left) :]
        assert reader.stats.gaps == 1
        assert reader.stats.gap_rows == dropped - 8
        assert reader.stats.gap_rows + len(left) == 10_000


async def test_what_was_dropped_in_many_steps_is_counted_when_the_reader_is_back(
    place: JournalPlace,
) -> None:
    limits = {"max_bytes": SMALL, "segment_bytes": SMALL // 4}
    async with place.journal("poll") as journal:
        async with place.reader("store") as reader:
            await journal.append(rows(0))
            assert await drain(reader) == list(range(8))
            await place.until_passed(reader)
        for first in range(8, 20_008, 500):
            await journal.append(noise(first))
            # The notes of early steps are dropped by later ones.
            await tidier(place, journal, **limits).tidy(wall_ms())
        async with place.reader("store", reader.positions) as again:
            left: list[int] = []
            async with asyncio.timeout(10):
                while len(left) + again.stats.gap_rows < 20_000:
                    left += await drain(again)
            assert again.stats.gap_rows == journal.stats.dropped_rows


async def test_rows_that_are_too_old_go(place: JournalPlace) -> None:
    async with place.journal("poll") as journal, place.reader("store"):
        await journal.append(rows(0))
        await tidier(place, journal).tidy(wall_ms() + 31 * 86_400_000)
        assert journal.stats.dropped_rows == 8


async def test_on_full_servers_what_a_yielding_reader_has_read_may_go(
    place: JournalPlace,
) -> None:
    async with (
        place.journal("poll") as journal,
        place.reader("alert", yields=True) as alert,
    ):
        await journal.append(rows(0))
        assert ids((await alert.read()).batches) == list(range(8))  # type: ignore[union-attr]
        await tidier(place, journal).tidy(wall_ms())
        assert journal.stats.segments == 1
        journal.stats.full = True
        await tidier(place, journal).tidy(wall_ms())
        assert journal.stats.dropped_rows == 8
