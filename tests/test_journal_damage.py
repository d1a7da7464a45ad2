"""Whatever the disk returns, the journal reads what is whole and reports the rest."""

import asyncio
import contextlib
import errno
import os
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from test_journal_log import drain, ids, rows

from collectors.journal import (
    Chunk,
    FollowConfig,
    Journal,
    JournalConfig,
    JournalFailed,
    JournalReader,
    Newer,
    follow,
)
from collectors.journal.frame import HEADER_BYTES, Frame, header, pack, unpack
from collectors.journal.segment import (
    WAKE_FOLDER,
    frame_at,
    frames,
    list_segments,
    next_frame,
)
from collectors.server_measurements import CATALOGUE

MARKER = bytes(range(100, 108))
FRAMES = [
    pack(MARKER, [msgspec.msgpack.encode(rows(8 * i))], 8, 1_000 + i) for i in range(6)
]
WHOLE = b"".join(FRAMES)
ENDS = [sum(map(len, FRAMES[: i + 1])) for i in range(len(FRAMES))]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("segment") / "segment"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def fill(fd: int, data: bytes) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, data, 0)


def read_ids(fd: int) -> list[int]:
    found = []
    for frame in frames(fd, MARKER):
        data = os.pread(fd, frame.end - frame.start, frame.start)
        found += ids(unpack(frame, data))
    return found


def test_cut_at_any_byte_a_segment_gives_its_whole_frames(file: int) -> None:
    for length in range(len(WHOLE) + 1):
        fill(file, WHOLE[:length])
        whole = sum(end <= length for end in ENDS)
        assert read_ids(file) == list(range(8 * whole))


def test_any_flipped_bit_costs_one_frame_and_is_never_believed(file: int) -> None:
    for at in range(len(WHOLE)):
        flipped = bytearray(WHOLE)
        flipped[at] ^= 1 << (at % 8)
        fill(file, flipped)
        hit = sum(end <= at for end in ENDS)
        expected = [i for i in range(48) if i // 8 != hit]
        assert read_ids(file) == expected


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_garbage_between_frames_is_passed_over(file: int, data: st.DataObject) -> None:
    junk = st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=80).map(lambda tail: MARKER + tail),
        st.integers(0, len(FRAMES[0]) - 1).map(lambda cut: FRAMES[0][:cut]),
        st.just(bytes(4096)),
    )
    parts = []
    for frame in FRAMES:
        parts += [data.draw(junk), frame]
    parts.append(data.draw(junk))
    fill(file, b"".join(parts))
    assert read_ids(file) == list(range(48))


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200), offset=st.integers(0, 2**40))
def test_no_bytes_break_the_header(data: bytes, offset: int) -> None:
    header_read = header(data, offset, MARKER)
    assert header_read in ("short", "damaged") or isinstance(header_read, Frame)


def test_a_frame_after_a_marker_across_the_edge_of_a_read_is_found(file: int) -> None:
    for shift in range(-9, 2):
        lead = bytes((1 << 20) + shift)
        fill(file, lead + FRAMES[0])
        assert next_frame(file, 0, MARKER) == len(lead)
        assert not isinstance(frame_at(file, len(lead), MARKER), str)


def test_headers_alone_tell_the_same_frames(file: int) -> None:
    fill(file, WHOLE)
    assert list(frames(file, MARKER, crc=False)) == list(frames(file, MARKER))


async def write(folder: Path, *firsts: int) -> Path:
    async with Journal(JournalConfig(folder=folder), "poll", CATALOGUE) as journal:
        for first in firsts:
            await journal.append(rows(first))
    return list_segments(folder / "poll")[-1].path


async def test_a_torn_tail_is_cut_and_what_comes_after_is_read(tmp_path: Path) -> None:
    chance = random.Random(7)
    expected: list[int] = []
    await write(tmp_path, 2000)
    async with JournalReader(tmp_path, "other"):
        pass
    async with JournalReader(tmp_path, "store") as reader:
        await drain(reader, wait_s=0)
        for turn in range(12):
            path = await write(tmp_path, 24 * turn, 24 * turn + 8, 24 * turn + 16)
            kept = list(range(24 * turn, 24 * turn + 24))
            whole = path.read_bytes()
            tail = FRAMES[0][: chance.randrange(1, len(FRAMES[0]))]
            path.write_bytes(whole + (whole[:8] + tail[8:])[: len(tail)])
            expected += kept
            assert await drain(reader, wait_s=0) == kept
        await write(tmp_path, 1000)
        assert await drain(reader) == list(range(1000, 1008))
        assert reader.stats.damaged_frames == 0
    async with JournalReader(tmp_path, "other") as reader:
        assert (await drain(reader))[8:] == [*expected, *range(1000, 1008)]


async def test_the_tail_that_was_cut_is_counted_and_named(tmp_path: Path) -> None:
    path = await write(tmp_path, 0)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"half a frame")
    config = JournalConfig(folder=tmp_path)
    with capture_logs() as logs:
        async with Journal(config, "poll", CATALOGUE) as journal:
            assert journal.stats.cut_bytes == len(b"half a frame")
    [said] = [log for log in logs if log["event"] == "journal_tail_cut"]
    assert (said["file"], said["offset"]) == (str(path), size)


async def test_a_damaged_frame_is_skipped_counted_and_named(tmp_path: Path) -> None:
    path = await write(tmp_path, 0, 8, 16)
    segment = list_segments(tmp_path / "poll")[-1]
    fd = os.open(path, os.O_RDWR)
    second = list(frames(fd, segment.marker))[1]
    os.pwrite(fd, b"\0\0\0", second.start + HEADER_BYTES + 20)
    os.close(fd)
    with capture_logs() as logs:
        async with JournalReader(tmp_path, "store") as reader:
            assert await drain(reader) == [*range(8), *range(16, 24)]
            assert reader.stats.damaged_frames == 1
            assert reader.stats.damaged_bytes == second.end - second.start
    [said] = [log for log in logs if log["event"] == "journal_damaged"]
    assert (said["file"], said["offset"]) == (str(path), second.start)


async def test_damage_at_the_end_of_an_older_segment_does_not_stop_a_reader(
    tmp_path: Path,
) -> None:
    path = await write(tmp_path, 0, 8)
    async with JournalReader(tmp_path, "keep"):
        pass
    await write(tmp_path, 16)
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\0")
    async with JournalReader(tmp_path, "store") as reader:
        assert await drain(reader) == [*range(8), *range(16, 24)]
        assert reader.stats.damaged_frames == 1


async def test_a_frame_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    path = await write(tmp_path, 0, 8)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    async with JournalReader(tmp_path, "store") as reader:
        assert await drain(reader, wait_s=0) == list(range(8))
        assert reader.stats.damaged_frames == 0
        path.write_bytes(whole)
        # As the writer does once a frame is complete.
        (tmp_path / WAKE_FOLDER / "store.wake").write_bytes(b"!")
        assert await drain(reader) == list(range(8, 16))


async def test_a_reader_of_a_log_begun_anew_starts_at_its_oldest(
    tmp_path: Path,
) -> None:
    for first in (0, 8, 16):
        await write(tmp_path, first)
    async with JournalReader(tmp_path, "store") as reader:
        assert len(await drain(reader)) == 24
        positions = reader.positions
    for segment in list_segments(tmp_path / "poll"):
        segment.path.unlink()
    await asyncio.to_thread((tmp_path / "poll" / "readers" / "store").unlink)
    await write(tmp_path, 100)
    async with JournalReader(tmp_path, "store", positions) as reader:
        assert await drain(reader) == list(range(100, 108))
        assert reader.stats.gaps == 1


def make_newer(log: Path) -> None:
    """The second frame of the newest segment becomes one of version 2."""
    found = list_segments(log)[-1]
    fd = os.open(found.path, os.O_RDWR)
    second = list(frames(fd, found.marker))[1]
    frame = bytearray(os.pread(fd, second.end - second.start, second.start))
    frame[8] = 2
    frame[28:32] = zlib.crc32(frame[32:], zlib.crc32(frame[:28])).to_bytes(4, "little")
    os.pwrite(fd, frame, second.start)
    os.close(fd)


async def test_what_a_newer_version_wrote_is_not_skipped(tmp_path: Path) -> None:
    await write(tmp_path, 0, 8)
    make_newer(tmp_path / "poll")
    async with JournalReader(tmp_path, "store") as reader:
        chunk = await reader.read(max_rows=1)
        assert chunk is not None
        for _ in range(2):
            with pytest.raises(Newer, match=r"segment at \d+: a frame of version 2"):
                await reader.read()
        assert reader.positions == chunk.positions


async def test_a_log_of_a_newer_version_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    await write(tmp_path, 0, 8)
    make_newer(tmp_path / "poll")
    seen: set[int] = set()

    async def effect(chunk: Chunk) -> None:
        seen.update(ids(chunk.batches))

    async with (
        Journal(JournalConfig(folder=tmp_path), "ingest", CATALOGUE) as other,
        JournalReader(tmp_path, "store") as reader,
    ):
        config = FollowConfig(wait_s=0.01)
        task = asyncio.create_task(follow(reader, effect, tmp_path / "aside", config))
        async with asyncio.timeout(30):
            for first in (100, 200):
                await other.append(rows(first))
                while True:
                    if first in seen:
                        break
                    await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert reader.oldest_ms() is not None
    assert seen == {*range(8), *range(100, 108), *range(200, 208)}


async def test_after_a_failed_fsync_the_file_is_left_for_a_new_one(
    tmp_path: Path,
) -> None:
    failing = False

    def sync(fd: int) -> None:
        if failing:
            raise OSError(errno.EIO, "the disk has failed")
        os.fsync(fd)

    config = JournalConfig(folder=tmp_path)
    async with (
        JournalReader(tmp_path, "store") as reader,
        Journal(config, "poll", CATALOGUE, sync) as journal,
    ):
        await journal.append(rows(0))
        failing = True
        for first in (8, 16):
            with pytest.raises(JournalFailed, match="the disk has failed"):
                await journal.append(rows(first))
        failing = False
        await journal.append(rows(24))
        assert journal.stats.refused_rows == 16
        # It may see what was refused, never miss what was acknowledged.
        assert {*range(8), *range(24, 32)} <= set(await drain(reader))
        assert len(list_segments(tmp_path / "poll")) >= 2
    async with JournalReader(tmp_path, "other") as other:
        assert await drain(other) == [*range(8), *range(24, 32)]
