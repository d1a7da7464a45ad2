"""`ExperienceReader`: reads agents' results and writes `experience` rows."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.experience.groups import ExperienceWindow, GroupsConfig
from collectors.failure_log import FailureLog
from collectors.journal import (
    Append,
    Chunk,
    Newer,
    OpenReader,
    Positions,
    reader_sample,
)
from collectors.wake_times import seconds_to_next
from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_log = structlog.get_logger()
_RETRY_S = 1.0
# How often it looks whether a window is over.
_LOOK_S = 15.0


class ReaderState(msgspec.Struct):
    """What is needed after a restart: the last period that was emitted, the positions
    from which later periods need rows, the length of its windows, and the time before
    which no window that is shown begins."""

    emitted_ms: int
    positions: Positions
    window_s: int = 0
    since_ms: int = 0


class ExperienceReader:
    """`async with ExperienceReader(config, journal, state, append)`.

    Reads every log as reader `groups`, appends `experience` rows at the end of each
    period, and then saves its state. It only marks as read what no later window needs.
    After a restart it reads the rest again, and rows that it emits again are the same.
    If the journal has dropped some of it (a full disk), it continues with the next
    whole window.
    """

    NAME = "groups"

    def __init__(
        self,
        config: GroupsConfig,
        open_reader: OpenReader,
        state: Path,
        append: Append,
        now_ms: WallClock = wall_ms,
        teams: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._config, self._state, self._append = config, state, append
        self._now_ms, self._teams = now_ms, teams
        self._window = ExperienceWindow(config)
        saved, whole = ReaderState(0, {}, config.window_s), False
        try:
            saved = _load(state) or saved
        except (ValueError, OSError) as error:
            whole = True
            _log.error("groups_state_lost", file=str(state), error=str(error))
        if saved.window_s != config.window_s:
            # Its windows would overlap those that were shown.
            saved = msgspec.structs.replace(
                saved, window_s=config.window_s, since_ms=saved.emitted_ms
            )
        # If older rows may be missing, only whole windows count.
        self._saved, self._whole = saved, whole
        self._window.since_ms = saved.since_ms
        self._started = bool(saved.emitted_ms)
        self._gaps = 0
        self.reader = open_reader(self.NAME, saved.positions, yields=True)
        # The newest time of each chunk, and the positions after it.
        self._chunks: deque[tuple[int, Positions]] = deque()
        self._failures = FailureLog("groups_reader_waits", "groups_reader_continues")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        await self.reader.__aenter__()
        self._tasks.start(self._run(), "grouping")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.stop()
        await self.reader.__aexit__(kind, error, trace)

    def sample(self, process: str) -> Sample:
        """Returns its row of `self_reader`. Its lag is always at least one window."""
        now_ms = self._now_ms()
        oldest_ms = self.reader.unread_ms()
        return reader_sample(self.reader.stats, oldest_ms, self.NAME, process, now_ms)

    async def _run(self) -> None:
        while True:
            try:
                # After a failure what was read is tried again, though no rows come.
                look_s = seconds_to_next(_LOOK_S, time.time(), 0.1)
                chunk = await self.reader.read(
                    wait_s=0.0 if self._failures.failing else look_s
                )
                if chunk is not None:
                    self._add_chunk(chunk)
                await self._emit()
            except (OSError, Newer) as error:
                self.reader.stats.failures += 1
                self._failures.failed(error)
                await asyncio.sleep(_RETRY_S)
            else:
                self._failures.recovered()

    def _add_chunk(self, chunk: Chunk) -> None:
        newest_ms = 0
        if self.reader.stats.gaps != self._gaps:
            self._gaps = self.reader.stats.gaps
            self._window = ExperienceWindow(self._config)
            self._started, self._whole = False, True
        for batch in chunk.batches:
            try:
                newest_ms = max(newest_ms, self._window.add(batch) or 0)
            except (ValueError, TypeError, LookupError) as error:
                self.reader.stats.aside_rows += len(batch)
                _log.error(
                    "groups_batch_left_out", source=batch.source, error=str(error)
                )
        self._chunks.append((newest_ms, chunk.positions))

    async def _emit(self) -> None:
        now_ms = self._now_ms()
        if not self._started:
            first_ms = self._window.first_ms()
            if first_ms is None:
                self._mark_read(now_ms)
                return
            saved = self._saved
            since_ms = max(saved.since_ms, first_ms) if self._whole else saved.since_ms
            self._saved = msgspec.structs.replace(
                saved, emitted_ms=max(first_ms, saved.emitted_ms), since_ms=since_ms
            )
            self._window.since_ms = since_ms
            self._started = True
        while True:
            end_ms = self._window.next_end_ms(self._saved.emitted_ms)
            if not self._window.is_over(end_ms, now_ms):
                return
            # Nor is it over while unread chunks may have rows of it.
            unread_ms = self.reader.unread_ms()
            if unread_ms and not self._window.is_over(end_ms, min(now_ms, unread_ms)):
                return
            samples = await self._samples(end_ms)
            if samples:
                # If this fails, the same period is emitted again, unchanged.
                await self._append.append(
                    *batch_samples(samples, self.NAME, self._now_ms())
                )
            needed_ms = self._window.needed_from_ms(end_ms)
            positions = self._saved.positions | self._positions_before(needed_ms)
            self._saved = msgspec.structs.replace(
                self._saved, emitted_ms=end_ms, positions=positions
            )
            self._window.forget(needed_ms)
            await asyncio.to_thread(_save, self._state, self._saved)
            self._mark_read(needed_ms)

    async def _samples(self, end_ms: int) -> list[Sample]:
        try:
            return await asyncio.to_thread(
                lambda: self._window.samples(end_ms, self._teams())
            )
        except Exception as error:  # noqa: BLE001 - one period must not end all others
            self.reader.stats.failures += 1
            _log.error("groups_period_left_out", end_ms=end_ms, error=repr(error))
            return []

    def _positions_before(self, before_ms: int) -> Positions:
        """Returns the positions after the chunks with all rows before that time."""
        positions: Positions = {}
        for newest_ms, after in self._chunks:
            if newest_ms >= before_ms:
                break
            positions = after
        return positions

    def _mark_read(self, before_ms: int) -> None:
        if positions := self._positions_before(before_ms):
            while self._chunks and self._chunks[0][0] < before_ms:
                self._chunks.popleft()
            self.reader.passed(positions)


def _load(path: Path) -> ReaderState | None:
    """Returns the saved state, or None if there is none. Raises `ValueError` if it is
    unreadable."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(data, type=ReaderState)


def _save(path: Path, saved: ReaderState) -> None:
    replace_file(path, msgspec.json.encode(saved), durable=True)
