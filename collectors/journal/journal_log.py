"""`Log`: the files of one log, written by the one process that holds its lock.

Blocking; `Journal` calls it from a thread of its own, one call at a time.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.journal.frame import MARKER_BYTES, pack
from collectors.journal.journal_config import (
    JournalConfig,
    JournalFailed,
    JournalFull,
    JournalTaken,
)
from collectors.journal.journal_stats import JournalStats
from collectors.journal.segment import (
    DROPPED,
    WAKE_FOLDER,
    Position,
    Progress,
    Segment,
    check_name,
    frames,
    list_segments,
    read_lines,
    read_progress,
    segment_path,
)
from collectors.process_lock import LockTaken, take_lock
from probes.wire.atomic_file import replace_file
from probes.wire.fsync import sync, sync_data

_log = structlog.get_logger()
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DROPPED_LINES_KEPT = 1000


class LogPiece(msgspec.Struct, frozen=True):
    """A batch as msgpack, and its rows."""

    data: bytes
    rows: int


class _LogSegment(msgspec.Struct):
    """A segment and its contents. `size` is the number of bytes committed to it."""

    segment: Segment
    size: int = 0
    rows: int = 0
    first_ms: int | None = None


class Log:
    """Opens the log of that name: takes its lock, cuts a torn tail, begins a segment.

    Raises `JournalTaken` if another process has the lock.
    """

    def __init__(
        self,
        config: JournalConfig,
        name: str,
        stats: JournalStats,
        now_ms: int,
        sync: Callable[[int], None] = sync_data,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._config, self._stats, self._sync = config, stats, sync
        self._bounded = bounded
        self._folder = config.folder / check_name(name, "log")
        self._readers = self._folder / "readers"
        self._reserve = self._folder / "reserve"
        self._held: list[_LogSegment] = []
        self._fd = -1
        self._begun_s = 0.0
        self._broken = False
        self._readers.mkdir(parents=True, exist_ok=True)
        (config.folder / WAKE_FOLDER).mkdir(exist_ok=True)
        self._lock = self._take_lock(name)
        try:
            self._recover()
            try:
                self._begin()
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._reserve.unlink(missing_ok=True)
                self._begin()
            self.tidy(now_ms)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        os.close(self._lock)

    def commit(self, pieces: list[list[LogPiece]], now_ms: int) -> None:
        """Writes each list of pieces as one frame and makes all durable at once.

        Raises `JournalFull` or `JournalFailed`. Then nothing of it is in the log,
        except that after a failed fsync a reader may have seen rows that will come
        again.
        """
        rows = sum(piece.rows for frame in pieces for piece in frame)
        begun_s = time.perf_counter()
        try:
            try:
                self._append(pieces, rows, now_ms)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._make_room(now_ms)
                self._append(pieces, rows, now_ms)
        except OSError as error:
            self._stats.refused_rows += rows
            self._refuse(error)
        if self._stats.full and self._has_reserve():
            self._stats.full = False
            _log.info("journal_has_room_again", log=str(self._folder))
        stats = self._stats
        stats.commits += 1
        stats.appended_rows += rows
        stats.commit_ms.append((time.perf_counter() - begun_s) * 1000)
        self._count()
        self._wake()

    def tidy(self, now_ms: int) -> None:
        """Begins, deletes and drops segments as needed.

        Begins a segment if the active one is old, or if the disk is full and every
        reader has passed it. Deletes what every reader has passed. Drops the oldest
        segment if the log is too large or the segment too old.
        """
        readers = self._progress()
        active, full = self._held[-1], self._stats.full
        passed = [reader.passed for reader in readers]
        done = [reader.released for reader in readers] if full else passed
        with contextlib.suppress(OSError):
            # If the disk is full, the next append reports it.
            if active.size and (self._is_old() or (full and _all_passed(done, active))):
                self._begin()
        while len(self._held) > 1 and _all_passed(done, self._held[0]):
            oldest = self._held[0]
            if _all_passed(passed, oldest):
                self._delete(oldest)
            else:
                self._delete_unread(oldest, now_ms)
        while len(self._held) > 1 and (
            self._size() > self._config.max_bytes or self._is_expired(now_ms)
        ):
            self._drop(self._held[0], now_ms)
        self._restore_reserve()
        self._count()

    def _append(self, pieces: list[list[LogPiece]], rows: int, now_ms: int) -> None:
        active = self._held[-1]
        if self._broken or (
            active.size
            and (active.size >= self._config.segment_bytes or self._is_old())
        ):
            self._begin()
            active = self._held[-1]
            self.tidy(now_ms)
        marker = active.segment.marker
        data = b"".join(
            pack(marker, [p.data for p in frame], sum(p.rows for p in frame), now_ms)
            for frame in pieces
        )
        # The space of the reserve is for readers: the store must write what it has read
        # before a segment can be deleted.
        needed = len(data) + self._config.reserve_bytes
        if self._stats.full and _free_bytes(self._folder) < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            _write_all(self._fd, data, active.size)
            self._sync(self._fd)
        except OSError:
            # Readers may have seen complete frames, and after a failed fsync the
            # content of the disk is unknown: never write at this offset again.
            self._broken = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, active.size)
            raise
        active.size += len(data)
        active.rows += rows
        active.first_ms = now_ms if active.first_ms is None else active.first_ms

    def _make_room(self, now_ms: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._reserve.unlink()
        self._stats.full, was_full = True, self._stats.full
        if not was_full:
            _log.error("journal_disk_full", log=str(self._folder), reserve="given up")
        self.tidy(now_ms)

    def _refuse(self, error: OSError) -> NoReturn:
        text = f"{self._folder}: {error.strerror or error}"
        if error.errno in _FULL:
            self._stats.full = True
            raise JournalFull(error.errno, f"no room for the journal, {text}") from None
        _log.error("journal_write_failed", log=str(self._folder), error=str(error))
        raise JournalFailed(
            error.errno, f"the journal could not be written, {text}"
        ) from error

    def _take_lock(self, name: str) -> int:
        try:
            return take_lock(self._folder / "lock")
        except LockTaken as taken:
            raise JournalTaken(
                f"log {name!r} in {self._config.folder} is written by another process "
                f"(pid {taken.holder}); expected one process for each log"
            ) from None

    def _recover(self) -> None:
        """Reads what the segments hold, and cuts a torn frame off the newest one."""
        segments = list_segments(self._folder)
        for segment in segments:
            newest = segment is segments[-1]
            fd = os.open(segment.path, os.O_RDWR)
            try:
                held = _LogSegment(segment)
                for frame in frames(fd, segment.marker, crc=newest):
                    held.size = frame.end
                    held.rows += frame.rows
                    if held.first_ms is None:
                        held.first_ms = frame.committed_ms
                size = os.fstat(fd).st_size
                if newest and size > held.size:
                    os.ftruncate(fd, held.size)
                    os.fsync(fd)
                    self._stats.cut_bytes += size - held.size
                    _log.warning(
                        "journal_tail_cut",
                        file=str(segment.path),
                        offset=held.size,
                        bytes=size - held.size,
                    )
                elif not newest:
                    held.size = size
            finally:
                os.close(fd)
            self._held.append(held)

    def _begin(self) -> None:
        """Makes a new, empty segment the active one.

        Also at every start: a reader may have seen more of the last segment than is on
        disk.
        """
        number = self._held[-1].segment.number + 1 if self._held else 1
        marker = secrets.token_bytes(MARKER_BYTES)
        path = segment_path(self._folder, number, marker)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            sync(self._folder)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._broken = fd, False
        self._begun_s = time.monotonic()
        for empty in [held for held in self._held if not held.size]:
            self._delete(empty)
        self._held.append(_LogSegment(Segment(number, marker, path)))

    def _is_old(self) -> bool:
        return time.monotonic() - self._begun_s >= self._config.segment_s

    def _is_expired(self, now_ms: int) -> bool:
        """True if the oldest segment has rows that may be kept no longer."""
        first_ms = self._held[0].first_ms
        days_ms = self._config.max_days * 86_400_000
        return first_ms is not None and first_ms < self._bounded(now_ms) - days_ms

    def _progress(self) -> list[Progress]:
        """How far each reader is in this log: those in the settings and those that have
        ever run, even if they have not opened this log yet."""
        wake = self._config.folder / WAKE_FOLDER
        names = {*self._config.readers, *(p.stem for p in wake.glob("*.lock"))}
        return [read_progress(self._readers / name) for name in names]

    def _delete(self, held: _LogSegment) -> None:
        held.segment.path.unlink(missing_ok=True)
        self._held.remove(held)

    def _drop(self, held: _LogSegment, now_ms: int) -> None:
        """Deletes an unread segment: it is logged, counted and recorded."""
        record = self._delete_unread(held, now_ms)
        self._stats.dropped_bytes += held.size
        self._stats.dropped_rows += held.rows
        _log.error("journal_dropped_unread", log=str(self._folder), **record)

    def _delete_unread(self, held: _LogSegment, now_ms: int) -> dict[str, int]:
        record = {
            "segment": held.segment.number,
            "bytes": held.size,
            "rows": held.rows,
            "dropped_ms": now_ms,
        }
        # First recorded: a reader that finds it gone counts it at once. A full disk has
        # room for the record only afterwards.
        is_recorded = self._record_missing(record)
        self._delete(held)
        if not is_recorded:
            self._record_missing(record)
        return record

    def _record_missing(self, record: dict[str, int]) -> bool:
        """Adds to the file from which readers learn what they missed."""
        path = self._folder / DROPPED
        lines = [*read_lines(path), json.dumps(record)][-_DROPPED_LINES_KEPT:]
        try:
            body = ("\n".join(lines) + "\n").encode()
            replace_file(path, body, durable=False, mode=None)
        except OSError:
            return False
        return True

    def _restore_reserve(self) -> None:
        if self._has_reserve():
            return
        want = self._config.reserve_bytes
        if _free_bytes(self._folder) < 3 * want:
            return
        try:
            with self._reserve.open("xb") as file:
                file.write(bytes(want))
        except OSError:
            self._reserve.unlink(missing_ok=True)

    def _has_reserve(self) -> bool:
        return not self._config.reserve_bytes or self._reserve.exists()

    def _wake(self) -> None:
        try:
            pipes = list((self._config.folder / WAKE_FOLDER).glob("*.wake"))
        except OSError:
            return
        for pipe in pipes:
            # No reader has it open (ENXIO), or it is full already (EAGAIN).
            with contextlib.suppress(OSError):
                fd = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                try:
                    os.write(fd, b"!")
                finally:
                    os.close(fd)

    def _size(self) -> int:
        return sum(held.size for held in self._held)

    def _count(self) -> None:
        self._stats.bytes = self._size()
        self._stats.segments = len(self._held)
        self._stats.oldest_ms = next(
            (held.first_ms for held in self._held if held.first_ms is not None), None
        )


def _all_passed(positions: list[Position], held: _LogSegment) -> bool:
    """True if there are readers and each of them has passed the whole segment."""
    end = (held.segment.number, held.size)
    return bool(positions) and all((p.segment, p.offset) >= end for p in positions)


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _free_bytes(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bfree * room.f_frsize
