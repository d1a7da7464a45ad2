"""`Reader`: follows every log of a journal's folder, from its own position."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from collectors.batch import Batch
from collectors.journal.frame import Damaged, Newer, unpack
from collectors.journal.segment import (
    DROPPED,
    OLDEST,
    WAKE_FOLDER,
    Position,
    Positions,
    Segment,
    check_name,
    frame_at,
    list_logs,
    list_segments,
    next_frame,
    passed_text,
    read_lines,
    read_passed,
)
from collectors.journal.stats import ReaderStats

_events = structlog.get_logger()
_LOOK_S = 0.1


class Chunk(msgspec.Struct, frozen=True):
    """What a reader got: batches in the order of their log, and the positions of all
    logs behind them. Save the positions together with the effect of the batches."""

    batches: list[Batch]
    positions: Positions

    def __len__(self) -> int:
        return sum(len(batch) for batch in self.batches)


class ReaderTaken(RuntimeError):
    """Another reader of that name runs already."""


class Reader:
    """`async with Reader(folder, "store", start) as reader`.

    `start`: the positions saved with the effect; a log that is not in them, or all of
    them where it is None, is read from the oldest that is there. Delivery is at least
    once. While a reader is registered (from its first start until `forget_reader`)
    logs keep what it has not passed, up to their limit.
    """

    def __init__(self, folder: Path, name: str, start: Positions | None = None) -> None:
        self._folder, self.name = folder, check_name(name, "reader")
        self._start = dict(start or {})
        self._cursors: dict[str, _Cursor] = {}
        self._turn = 0
        self.stats = ReaderStats()

    @property
    def positions(self) -> Positions:
        """How far it has read (not: passed) in every log it knows."""
        return self._start | {
            name: cursor.position for name, cursor in list(self._cursors.items())
        }

    async def __aenter__(self) -> Self:
        wake = self._folder / WAKE_FOLDER
        wake.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(wake / f"{self.name}.lock", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ReaderTaken(
                f"reader {self.name!r} of {self._folder} runs already; expected one "
                "for each name"
            ) from None
        pipe = wake / f"{self.name}.wake"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(pipe, 0o660)
        # Open for writing too, or the pipe is at its end whenever no writer has it.
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._woken = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pipe, self._hear)
        self._thread = ThreadPoolExecutor(1, f"reader-{self.name}")
        self._find_logs()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._pipe)
        await asyncio.to_thread(self._thread.shutdown)
        for cursor in self._cursors.values():
            cursor.close()
        os.close(self._pipe)
        os.close(self._lock)

    async def read(self, max_rows: int = 50_000, wait_s: float = 1.0) -> Chunk | None:
        """The next batches, at least one frame of them and about `max_rows` at most;
        None where nothing new comes within `wait_s`.

        What a later version of Towpath wrote is not skipped: that log is read no
        further, which is said, and `Newer` raised once no other has anything.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            self._woken.clear()
            batches = await loop.run_in_executor(self._thread, self._look, max_rows)
            if batches:
                return Chunk(batches, self.positions)
            left_s = until_s - loop.time()
            if left_s <= 0:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _LOOK_S)):
                    await self._woken.wait()

    def passed(self, positions: Positions) -> None:
        """Tell the logs that all before `positions` may be deleted, as its effect is
        durable."""
        for name, position in positions.items():
            if cursor := self._cursors.get(name):
                self.stats.passed_rows += cursor.passed(position)

    def oldest_ms(self) -> int | None:
        """When the oldest frame it has not passed was committed; None: there is none.

        For self samples; looks at the files, a few microseconds a log.
        """
        found = [c.oldest_ms() for c in list(self._cursors.values())]
        return min((ms for ms in found if ms is not None), default=None)

    def unread_ms(self) -> int | None:
        """When the oldest frame it has not even read was committed; None: it has read
        all there is. A reader that works by the clock must not run ahead of this."""
        found = [c.unread_ms() for c in list(self._cursors.values())]
        return min((ms for ms in found if ms is not None), default=None)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._pipe, 4096)
        self._woken.set()

    def _find_logs(self) -> None:
        for name in list_logs(self._folder):
            if name not in self._cursors:
                with contextlib.suppress(NotADirectoryError):
                    start = self._start.get(name, OLDEST)
                    self._cursors[name] = _Cursor(
                        self._folder / name, self.name, start, self.stats
                    )

    def _look(self, max_rows: int) -> list[Batch]:
        """In the thread. Every look begins with another log: none starves another."""
        self._find_logs()
        cursors = list(self._cursors.values())
        self._turn += 1
        batches: list[Batch] = []
        for at in range(len(cursors)):
            if max_rows <= 0:
                break
            rows = cursors[(self._turn + at) % len(cursors)].read(max_rows, batches)
            max_rows -= rows
            self.stats.read_rows += rows
        stopped = [cursor.newer for cursor in cursors if cursor.newer]
        if stopped and not batches:
            raise Newer(stopped[0])
        return batches


class _Unpassed(msgspec.Struct):
    end: Position
    rows: int
    committed_ms: int


class _Cursor:
    """One reader in one log."""

    def __init__(
        self, log: Path, reader: str, start: Position, stats: ReaderStats
    ) -> None:
        self._log, self._stats = log, stats
        self.position = start
        self._segment: Segment | None = None
        self._fd = -1
        self._stuck_size = -1
        self.newer = ""
        self._unpassed: deque[_Unpassed] = deque()
        readers = log / "readers"
        readers.mkdir(exist_ok=True)
        self._passed_fd = os.open(readers / reader, os.O_RDWR | os.O_CREAT, 0o640)
        self._say(start)

    def close(self) -> None:
        os.close(self._passed_fd)
        if self._fd >= 0:
            os.close(self._fd)

    def passed(self, position: Position) -> int:
        """Rows of this run that lie before `position` and did not before."""
        self._say(position)
        rows = 0
        while self._unpassed and _is_behind(self._unpassed[0].end, position):
            rows += self._unpassed.popleft().rows
        return rows

    def _say(self, position: Position) -> None:
        # A disk with no room for the first 42 bytes: the log then keeps everything.
        with contextlib.suppress(OSError):
            os.pwrite(self._passed_fd, passed_text(position), 0)

    def oldest_ms(self) -> int | None:
        return self._unpassed[0].committed_ms if self._unpassed else self.unread_ms()

    def unread_ms(self) -> int | None:
        position = self.position
        for segment in list_segments(self._log):
            if segment.number < position.segment:
                continue
            offset = position.offset if segment.number == position.segment else 0
            try:
                fd = os.open(segment.path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                found = frame_at(fd, offset, segment.marker)
                if not isinstance(found, str):
                    return found[0].committed_ms
            finally:
                os.close(fd)
        return None

    def read(self, max_rows: int, batches: list[Batch]) -> int:
        """Adds to `batches` until `max_rows` or the end; returns the rows added."""
        rows = 0
        while rows < max_rows:
            # Listed before it is read: what ends while a newer one is there is done.
            later = self._stand()
            if self._segment is None:
                break
            offset, marker = self.position.offset, self._segment.marker
            found = frame_at(self._fd, offset, marker)
            if not isinstance(found, str):
                frame, data = found
                end = Position(self._segment.number, frame.end)
                try:
                    got = unpack(frame, data)
                except Newer as newer:
                    self._stop(f"{self._segment.path} at {offset}: {newer}")
                    break
                except Damaged as damaged:
                    self._skip(frame.end, str(damaged))
                    continue
                self.position = end
                added = sum(len(batch) for batch in got)
                rows += added
                batches += got
                self._unpassed.append(_Unpassed(end, added, frame.committed_ms))
                continue
            size = os.fstat(self._fd).st_size
            if found != "end" and not self._resynced(offset, size, later is not None):
                break
            if found == "end":
                if later is None:
                    break
                self._open(later)
        return rows

    def _stand(self) -> Segment | None:
        """Stands on the segment of the position, or on the next that is there.
        Returns the segment after it, if there is one."""
        segments = list_segments(self._log)
        at = self.position
        if self._segment is None and segments:
            if at.segment > segments[-1].number:
                self._gap(0, "the log was begun anew")
                self.position = at = OLDEST
            ahead = [s for s in segments if s.number >= at.segment]
            if ahead[0].number != at.segment:
                self._missed(at.segment, ahead[0].number)
                self._open(ahead[0])
            else:
                self._open(ahead[0], at.offset)
        number = self._segment.number if self._segment else 0
        return next((s for s in segments if s.number > number), None)

    def _open(self, segment: Segment, offset: int = 0) -> None:
        if self._segment and segment.number > self._segment.number + 1:
            self._missed(self._segment.number + 1, segment.number)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._segment = None
        try:
            self._fd = os.open(segment.path, os.O_RDONLY)
        except FileNotFoundError:
            # Dropped this moment; the next look finds the one after it.
            self.position = Position(segment.number, offset)
            return
        self._segment = segment
        self._stuck_size = -1
        self.position = Position(segment.number, offset)

    def _missed(self, first: int, until: int) -> None:
        """Count what was dropped of the segments `first` ≤ number < `until`."""
        rows = times = 0
        for line in read_lines(self._log / DROPPED):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                if first <= record["segment"] < until:
                    rows += record["rows"]
                    times += 1
        if times:
            self._gap(rows, "dropped at the limit before it was read")

    def _gap(self, rows: int, why: str) -> None:
        self._stats.gaps += 1
        self._stats.gap_rows += rows
        _events.warning(
            "journal_gap", log=str(self._log), at=str(self.position), rows=rows, why=why
        )

    def _resynced(self, offset: int, size: int, ended: bool) -> bool:
        """Past bytes that are no frame: True where it stands on something new.

        In the newest segment it may be a frame that is being written, unless an
        intact one follows. Looked for once for each size the file has.
        """
        assert self._segment is not None
        if size == self._stuck_size and not ended:
            return False
        self._stuck_size = size
        found = next_frame(self._fd, offset + 1, self._segment.marker)
        if found is None and not ended:
            return False
        self._skip(size if found is None else found, "not a frame")
        return True

    def _stop(self, why: str) -> None:
        if not self.newer:
            _events.error("journal_newer", says=why)
        self.newer = why

    def _skip(self, to: int, why: str) -> None:
        assert self._segment is not None
        offset = self.position.offset
        self._stats.damaged_frames += 1
        self._stats.damaged_bytes += to - offset
        _events.error(
            "journal_damaged",
            file=str(self._segment.path),
            offset=offset,
            bytes=to - offset,
            why=why,
        )
        self.position = Position(self._segment.number, to)


def passed_positions(folder: Path, reader: str) -> Positions:
    """How far a reader has passed in each log, by its own word: a start for readers
    whose effect has no place to save positions with it."""
    files = ((name, folder / name / "readers" / reader) for name in list_logs(folder))
    return {name: read_passed(file) for name, file in files if file.exists()}


def forget_reader(folder: Path, reader: str) -> None:
    """Nothing is kept for that reader any more. `ReaderTaken` while it runs."""
    check_name(reader, "reader")
    lock = folder / WAKE_FOLDER / f"{reader}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in list_logs(folder):
            (folder / name / "readers" / reader).unlink(missing_ok=True)
        lock.with_suffix(".wake").unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    except BlockingIOError:
        raise ReaderTaken(f"reader {reader!r} of {folder} runs") from None
    finally:
        os.close(fd)


def _is_behind(end: Position, passed: Position) -> bool:
    return (end.segment, end.offset) <= (passed.segment, passed.offset)
