"""`Journal`: writes a log. `append` returns when batches are durable."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol, Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch, sift
from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.journal.file_log import FileLog, JournalLog
from collectors.journal.journal_config import JournalConfig, JournalFailed
from collectors.journal.journal_log import LogPiece
from collectors.journal.journal_stats import JournalStats
from collectors.journal.quarantine import Quarantine
from collectors.wake_times import seconds_to_next
from probes.wire.catalogue import Catalogue
from probes.wire.clock import wall_ms
from probes.wire.fsync import sync_data

_log = structlog.get_logger()
_FRAME_ROWS = 5_000
_COMMIT_ROWS = 50_000
_TIDY_S, _TIDY_FULL_S = 10.0, 1.0
_REASONS_KEPT = 100
_COLLECT_S = 1.0
_encoder = msgspec.msgpack.Encoder()


class Append(Protocol):
    """The part of a journal that sources use."""

    async def append(self, *batches: Batch) -> None:
        """Returns when the batches are on disk.

        Raises `JournalFailed` if they are not; then do not acknowledge them.
        """


class UnhurriedAppend:
    """Appends rows that nobody waits for: the commit may come a little later, with
    those of others. A commit wakes every reader."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def append(self, *batches: Batch) -> None:
        await self._journal._append(batches, _COLLECT_S)


class _PendingAppend(msgspec.Struct):
    pieces: list[LogPiece]
    dead: list[tuple[Batch, str]]
    done: asyncio.Future[None]


class Journal:
    """`async with Journal(config, "poll", catalogue) as journal`.

    Appends that arrive while no more commits may run share the next one: one write and
    one fsync of a file. What is not in the catalogue goes to `<log>/dead/` and is
    counted in `stats`. `sync` makes a file descriptor's data durable; `log` is where
    to commit, files if not given. Entering raises `JournalTaken` if another process
    has the log. Leaving waits for pending appends.
    """

    def __init__(
        self,
        config: JournalConfig,
        name: str,
        catalogue: Catalogue,
        sync: Callable[[int], None] = sync_data,
        log: JournalLog | None = None,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._name, self._catalogue = name, catalogue
        self._log = FileLog(config, name, sync, bounded) if log is None else log
        self.stats = JournalStats()
        self._waiting: list[_PendingAppend] = []
        self._work = asyncio.Event()
        self._tasks = BackgroundTasks()
        self._open = False
        self._dead = Quarantine(config.folder / name / "dead", "dead")
        self._witnesses: list[Callable[[Batch], None]] = []

    def show_refused(self, witness: Callable[[Batch], None]) -> None:
        """Calls `witness` with every batch that could not be written and that no reader
        will see."""
        self._witnesses.append(witness)

    async def __aenter__(self) -> Self:
        await self._log.open(self.stats, wall_ms())
        self._open = True
        self._committing = self._tasks.start(
            self._commit_all(), f"journal-{self._name}"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        self._work.set()
        try:
            await self._committing
        finally:
            await self._log.close()

    async def append(self, *batches: Batch) -> None:
        """Makes batches durable; returns when they are on disk.

        A value that does not fit the catalogue is quarantined, without the rest of its
        row and without an exception. Raises `JournalFull` or `JournalFailed` if the
        batches could not be written: then send all batches of the call again.
        """
        await self._append(batches, 0.0)

    async def _append(self, batches: Iterable[Batch], collect_s: float) -> None:
        """`collect_s`: how long others may join the same commit."""
        if not self._open:
            raise JournalFailed(f"journal {self._name!r} is not running")
        pieces: list[LogPiece] = []
        dead: list[tuple[Batch, str]] = []
        fitting: list[Batch] = []
        for batch in batches:
            sifted = sift(batch, self._catalogue)
            if sifted.reasons:
                self._count_dead(batch.source, sifted.reasons, sifted.text)
            if sifted.aside is not None:
                dead.append((sifted.aside, sifted.text))
            fit = sifted.fit
            if fit is None or not len(fit):
                continue
            try:
                pieces.append(LogPiece(_encoder.encode(fit), len(fit)))
                fitting.append(fit)
            except (ValueError, TypeError, OverflowError) as error:
                # Text with lone surrogates, for example.
                reasons = Counter({"cannot be encoded": len(fit)})
                self._count_dead(batch.source, reasons, str(error))
                dead.append((fit, f"cannot be encoded: {error}"))
        if not pieces and not dead:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_PendingAppend(pieces, dead, done))
        if collect_s:
            asyncio.get_running_loop().call_later(collect_s, self._work.set)
        else:
            self._work.set()
        try:
            await done
        except JournalFailed:
            for witness in self._witnesses:
                for fit in fitting:
                    witness(fit)
            raise

    async def _commit_all(self) -> None:
        tidy_at_s = self._next_tidy_s()
        lanes = asyncio.Semaphore(self._log.lanes)
        async with asyncio.TaskGroup() as running:
            while self._open or self._waiting:
                if self.stats.full:
                    tidy_at_s = min(tidy_at_s, self._next_tidy_s())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(tidy_at_s - time.monotonic(), 0.0)):
                        await self._work.wait()
                self._work.clear()
                while self._waiting:
                    await lanes.acquire()
                    running.create_task(self._commit(self._next_group(), lanes))
                if time.monotonic() >= tidy_at_s:
                    tidy_at_s = self._next_tidy_s()
                    try:
                        await self._log.tidy(wall_ms())
                    except OSError as error:
                        _log.error("journal_tidy_failed", error=str(error))

    def _next_tidy_s(self) -> float:
        """When to tidy next, by the monotonic clock."""
        # Segments last for minutes, but nothing can be written while the disk is full.
        every_s = _TIDY_FULL_S if self.stats.full else _TIDY_S
        return time.monotonic() + seconds_to_next(every_s, time.time(), 0.1)

    def _next_group(self) -> list[_PendingAppend]:
        """The pending appends for the next commit, about `_COMMIT_ROWS` rows."""
        rows = taken = 0
        while taken < len(self._waiting) and rows < _COMMIT_ROWS:
            rows += sum(piece.rows for piece in self._waiting[taken].pieces)
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _commit(
        self, group: list[_PendingAppend], lanes: asyncio.Semaphore
    ) -> None:
        now_ms = wall_ms()
        try:
            if any(append.dead for append in group):
                await asyncio.to_thread(self._keep_dead, group, now_ms)
            pieces = [piece for append in group for piece in append.pieces]
            if pieces:
                await self._log.commit(_frames(pieces), now_ms)
        except Exception as error:  # noqa: BLE001 - every append gets it
            _fail(group, error)
        else:
            for append in group:
                if not append.done.done():
                    append.done.set_result(None)
        finally:
            lanes.release()

    def _keep_dead(self, group: list[_PendingAppend], now_ms: int) -> None:
        """Runs in a thread."""
        for append in group:
            for batch, reason in append.dead:
                try:
                    self._dead.put(batch, reason, now_ms)
                except OSError as error:
                    # It is counted and logged already; a full disk is reported below.
                    _log.warning("journal_dead_letter_lost", error=str(error))

    def _count_dead(self, source: str, reasons: Counter[str], error: str) -> None:
        stats = self.stats
        for reason, count in reasons.items():
            if reason not in stats.dead_reasons:
                if len(stats.dead_reasons) >= _REASONS_KEPT:
                    reason = "other"
                if reason not in stats.dead_reasons:
                    _log.warning(
                        "journal_dead_letter",
                        log=self._name,
                        source=source,
                        reason=reason,
                        error=error,
                    )
            stats.dead_rows += count
            stats.dead_reasons[reason] += count


def _frames(pieces: list[LogPiece]) -> list[list[LogPiece]]:
    """The pieces of each frame, about `_FRAME_ROWS` rows."""
    frames: list[list[LogPiece]] = []
    rows = _FRAME_ROWS
    for piece in pieces:
        if rows >= _FRAME_ROWS:
            frames.append([])
            rows = 0
        frames[-1].append(piece)
        rows += piece.rows
    return frames


def _fail(group: list[_PendingAppend], error: Exception) -> None:
    for append in group:
        if append.done.done():
            continue
        if not append.pieces:
            # It had nothing to write.
            append.done.set_result(None)
        else:
            # A copy for each, because a traceback grows with every raise.
            append.done.set_exception(copy.copy(error))
