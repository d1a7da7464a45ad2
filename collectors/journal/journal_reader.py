"""`JournalReader`: follows every log of a journal's folder, from its own position."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import msgspec
import structlog

from collectors.batch import Batch
from collectors.journal.cursor import Cursor
from collectors.journal.frame import Newer
from collectors.journal.journal_stats import ReaderStats
from collectors.journal.segment import (
    OLDEST,
    WAKE_FOLDER,
    Positions,
    check_name,
    list_logs,
    read_progress,
)

_log = structlog.get_logger()
# A commit wakes every reader, so a look without one is only a precaution.
_LOOK_S = 15.0


class Chunk(msgspec.Struct, frozen=True):
    """Batches in the order of their log, and the positions after them in all logs. Save
    the positions together with the effect of the batches."""

    batches: list[Batch]
    positions: Positions

    def __len__(self) -> int:
        return sum(len(batch) for batch in self.batches)


class ReaderTaken(RuntimeError):
    """Another reader of that name is running."""


class JournalReader:
    """`async with JournalReader(folder, "store", start) as reader`.

    `start`: the positions saved with the effect. A log that is not in them is read from
    its oldest batch. Delivery is at least once. While a reader is registered (from its
    first start until `forget_reader`), logs keep what it has not passed, up to their
    limit. `yields`: if the disk is full, a log only has to keep what this reader has
    not read. This is for readers that keep unpassed batches in memory and write to the
    journal themselves: they must not hold the space that they wait for.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        start: Positions | None = None,
        yields: bool = False,
    ) -> None:
        self._folder, self.name = folder, check_name(name, "reader")
        self._yields = yields
        self._start = dict(start or {})
        self._cursors: dict[str, Cursor] = {}
        self._turn = 0
        self._look_s = 0.0
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
        self._lock = os.open(wake / f"{self.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ReaderTaken(
                f"reader {self.name!r} of {self._folder} is already running; "
                "expected one for each name"
            ) from None
        pipe = wake / f"{self.name}.wake"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(pipe, 0o600)
        # Also open for writing: otherwise the pipe is at its end while no writer has
        # it.
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._woken = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pipe, self._wake)
        self._thread = ThreadPoolExecutor(1, f"reader-{self.name}")
        self._find_logs()
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._pipe)
        await asyncio.to_thread(self._thread.shutdown)
        for cursor in self._cursors.values():
            cursor.close()
        os.close(self._pipe)
        os.close(self._lock)

    async def read(self, max_rows: int = 50_000, wait_s: float = 5.0) -> Chunk | None:
        """Returns the next batches: at least one frame and about `max_rows` at most.

        Returns None if nothing new comes within `wait_s`. Reading stops, with a log
        message, at a log that a newer version of Towpath wrote. Raises `Newer` once no
        other log has anything.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            if not wait_s or self._woken.is_set() or loop.time() >= self._look_s:
                self._woken.clear()
                try:
                    batches = await loop.run_in_executor(
                        self._thread, self._read_logs, max_rows
                    )
                except BaseException:
                    # What cannot be read is still there at the next call.
                    self._woken.set()
                    raise
                self._look_s = loop.time() + _LOOK_S
                if batches:
                    chunk = Chunk(batches, self.positions)
                    if len(chunk) >= max_rows:
                        # There may be more.
                        self._woken.set()
                    return chunk
            left_s = until_s - loop.time()
            if left_s <= 0:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _LOOK_S)):
                    await self._woken.wait()

    def passed(self, positions: Positions) -> None:
        """Records that everything before `positions` is done, so that logs may delete
        it."""
        for name, position in positions.items():
            if cursor := self._cursors.get(name):
                self.stats.passed_rows += cursor.passed(position)

    def oldest_ms(self) -> int | None:
        """When the oldest unpassed frame was committed; None if there is none.

        For self samples. Reads the files: a few microseconds per log.
        """
        times = [c.oldest_ms() for c in list(self._cursors.values())]
        return min((ms for ms in times if ms is not None), default=None)

    def unread_ms(self) -> int | None:
        """When the oldest unread frame was committed; None if everything is read.

        A reader that works by the clock must not run ahead of this.
        """
        times = [c.unread_ms() for c in list(self._cursors.values())]
        return min((ms for ms in times if ms is not None), default=None)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._pipe, 4096)
            self._woken.set()

    def _find_logs(self) -> None:
        for name in list_logs(self._folder):
            if name not in self._cursors:
                with contextlib.suppress(NotADirectoryError):
                    start = self._start.get(name, OLDEST)
                    self._cursors[name] = Cursor(
                        self._folder / name, self.name, start, self.stats, self._yields
                    )

    def _read_logs(self, max_rows: int) -> list[Batch]:
        """Runs in the thread. Each call begins with another log, so none starves."""
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
        self.stats.newer_logs = len(stopped)
        if stopped and not batches:
            raise Newer(stopped[0])
        return batches


def passed_positions(folder: Path, reader: str) -> Positions:
    """How far a reader has passed in each log, as it recorded. A start for readers
    whose effect cannot save positions."""
    files = ((name, folder / name / "readers" / reader) for name in list_logs(folder))
    return {name: read_progress(file).passed for name, file in files if file.exists()}


def forget_reader(folder: Path, reader: str) -> None:
    """Unregisters a reader: nothing is kept for it. Raises `ReaderTaken` if it runs."""
    check_name(reader, "reader")
    lock = folder / WAKE_FOLDER / f"{reader}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
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
