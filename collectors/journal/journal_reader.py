"""`JournalReader`: follows every log of a journal's folder, from its own position."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
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


class JournalReader:
    """`async with Reader(folder, "store", start) as reader`.

    `start`: the positions saved with the effect; a log that is not in them, or all of
    them where it is None, is read from the oldest that is there. Delivery is at least
    once. While a reader is registered (from its first start until `forget_reader`)
    logs keep what it has not passed, up to their limit. `yields`: a log whose disk is
    full need only keep what it has not read. That is for readers that hold in memory
    what they have not passed, and write to the journal themselves: they must never
    hold back the room that they wait for.
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
                f"reader {self.name!r} of {self._folder} runs already; expected one "
                "for each name"
            ) from None
        pipe = wake / f"{self.name}.wake"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(pipe, 0o600)
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
                    self._cursors[name] = Cursor(
                        self._folder / name, self.name, start, self.stats, self._yields
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


def passed_positions(folder: Path, reader: str) -> Positions:
    """How far a reader has passed in each log, by its own word: a start for readers
    whose effect has no place to save positions with it."""
    files = ((name, folder / name / "readers" / reader) for name in list_logs(folder))
    return {name: read_progress(file).passed for name, file in files if file.exists()}


def forget_reader(folder: Path, reader: str) -> None:
    """Nothing is kept for that reader any more. `ReaderTaken` while it runs."""
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
