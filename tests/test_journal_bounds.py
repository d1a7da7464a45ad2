"""The journal is bounded, and deletes nothing that a reader still needs before that."""

import asyncio
import random
from pathlib import Path

import pytest
from pydantic import ValidationError
from test_journal_log import drain, rows
from waiting import until

from collectors.batch import Batch
from collectors.journal import (
    Journal,
    JournalConfig,
    JournalReader,
    forget_reader,
    journal_writer,
)
from collectors.journal.segment import DROPPED, list_segments, read_lines
from collectors.server_measurements import CATALOGUE

SMALL = 64 << 10


@pytest.fixture(autouse=True)
def tidied_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "_TIDY_S", 0.3)


def noise(first: int, count: int = 500) -> Batch:
    """Rows that do not compress: about 6 kB."""
    batch = rows(first, count)
    chance = random.Random(first)
    columns = dict(zip(("time", "device", "up", "packets"), batch.columns, strict=True))
    columns["device"] = [chance.randbytes(6).hex() for _ in range(count)]
    return Batch(batch.source, 0, batch.schema, tuple(columns.values()))


def config(folder: Path, **more: object) -> JournalConfig:
    return JournalConfig.model_validate(
        {"folder": folder, "max_bytes": 4 * SMALL, "segment_bytes": SMALL, **more}
    )


async def fill(journal: Journal, firsts: range) -> None:
    for first in firsts:
        await journal.append(noise(first))


async def tidied(journal: Journal, segments: int) -> None:
    async with asyncio.timeout(30):
        while True:
            if journal.stats.segments <= segments:
                return
            await asyncio.sleep(0.02)


async def test_a_segment_goes_when_every_reader_has_passed_it(tmp_path: Path) -> None:
    async with (
        Journal(config(tmp_path), "poll", CATALOGUE) as journal,
        JournalReader(tmp_path, "store") as store,
        JournalReader(tmp_path, "alert") as alert,
    ):
        await fill(journal, range(0, 15_000, 500))
        assert journal.stats.segments > 2
        assert await drain(store) == list(range(15_000))
        held = journal.stats.segments
        await journal.append(rows(0))
        assert journal.stats.segments >= held
        assert (await drain(alert))[:15_000] == list(range(15_000))
        await drain(store)
        await tidied(journal, 1)
        assert journal.stats.dropped_bytes == 0


async def test_a_reader_that_is_only_configured_is_waited_for(tmp_path: Path) -> None:
    wanted = config(tmp_path, readers=("store",))
    async with (
        Journal(wanted, "poll", CATALOGUE) as journal,
        JournalReader(tmp_path, "alert") as alert,
    ):
        await fill(journal, range(0, 10_000, 500))
        await drain(alert)
        await asyncio.sleep(1.2)
        async with JournalReader(tmp_path, "store") as store:
            assert await drain(store) == list(range(10_000))


async def test_rows_are_noted_as_dropped_before_they_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "poll"
    unlink = Path.unlink
    noted: list[bool] = []

    def look_and_unlink(path: Path, missing_ok: bool = False) -> None:
        for segment in list_segments(log):
            if segment.path == path:
                notes = "".join(read_lines(log / DROPPED))
                noted.append(f'"segment": {segment.number},' in notes)
        unlink(path, missing_ok)

    async with Journal(config(tmp_path), "poll", CATALOGUE) as journal:
        monkeypatch.setattr(Path, "unlink", look_and_unlink)
        await fill(journal, range(0, 30_000, 500))
        await until(lambda: noted, "a segment to be dropped")
    assert all(noted)


async def test_at_the_limit_the_oldest_unread_rows_go_and_the_reader_is_notified(
    tmp_path: Path,
) -> None:
    async with (
        Journal(config(tmp_path), "poll", CATALOGUE) as journal,
        JournalReader(tmp_path, "store") as reader,
    ):
        await journal.append(rows(0))
        chunk = await reader.read()
        assert chunk is not None
        await fill(journal, range(8, 60_008, 500))

        def disk() -> int:
            segments = list_segments(tmp_path / "poll")
            return sum(segment.path.stat().st_size for segment in segments)

        await until(lambda: journal.stats.bytes == disk(), "it to be tidied")
        assert disk() <= 4 * SMALL + 20_000
        left = await drain(reader)
        dropped = journal.stats.dropped_rows
        assert journal.stats.dropped_bytes > 0
        # It still reads the segment it stood in: its file is open, though deleted.
        assert reader.stats.gaps == 1
        assert 0 < reader.stats.gap_rows < dropped
        assert 8 + len(left) + reader.stats.gap_rows == 60_008
        assert left == sorted(left)
    async with JournalReader(tmp_path, "store", chunk.positions) as reader:
        again = await drain(reader)
        assert again == left[-len(again) :]
        assert reader.stats.gap_rows == dropped


async def test_a_reader_that_is_forgotten_keeps_nothing(tmp_path: Path) -> None:
    async with (
        Journal(config(tmp_path), "poll", CATALOGUE) as journal,
        JournalReader(tmp_path, "store") as store,
    ):
        async with JournalReader(tmp_path, "gone"):
            pass
        await fill(journal, range(0, 10_000, 500))
        await drain(store)
        await asyncio.sleep(1.2)
        assert journal.stats.segments > 1
        forget_reader(tmp_path, "gone")
        await tidied(journal, 1)


async def test_a_segment_ends_by_age_too(tmp_path: Path) -> None:
    async with (
        Journal(config(tmp_path, segment_s=0.1), "poll", CATALOGUE) as journal,
        JournalReader(tmp_path, "store") as reader,
    ):
        await journal.append(rows(0))
        first = list_segments(tmp_path / "poll")[-1]
        assert await drain(reader) == list(range(8))
        async with asyncio.timeout(30):
            while True:
                if not first.path.exists():
                    break
                await asyncio.sleep(0.02)
        await journal.append(rows(8))
        assert await drain(reader) == list(range(8, 16))


async def test_numbers_are_never_used_twice(tmp_path: Path) -> None:
    seen: set[int] = set()
    for first in range(0, 40, 8):
        async with (
            Journal(config(tmp_path), "poll", CATALOGUE) as journal,
            JournalReader(tmp_path, "store") as reader,
        ):
            await journal.append(rows(first))
            await drain(reader, wait_s=0)
            newest = list_segments(tmp_path / "poll")[-1].number
            assert newest not in seen
            seen.add(newest)


def test_segments_that_do_not_fit_the_limit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="at most half of max_bytes"):
        config(tmp_path, segment_bytes=3 * SMALL)
