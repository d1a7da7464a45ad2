"""`Grouping`: the reader that turns agents' results into `experience` rows."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import gather
from collectors.experience.groups import ExperienceWindow, GroupsConfig
from collectors.failure_log import FailureLog
from collectors.journal import (
    Append,
    Chunk,
    JournalReader,
    Newer,
    Positions,
    reader_sample,
)
from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_events = structlog.get_logger()
_AGAIN_S = 1.0


class Saved(msgspec.Struct):
    """What a restart needs: the last period that was emitted, and positions from which
    all is read again that later periods need."""

    emitted_ms: int
    positions: Positions


class Grouping:
    """`async with Grouping(config, journal_folder, state_file, append)`.

    Reads every log as `groups`, appends `experience` rows at the end of each period,
    and saves its state after that. It passes only what no later window needs; after a
    restart it reads that again, and what it emits again is the same. If the journal no
    longer has it (a full disk), it goes on with the next whole window.
    """

    NAME = "groups"

    def __init__(
        self,
        config: GroupsConfig,
        journal: Path,
        state: Path,
        append: Append,
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._config, self._state, self._append = config, state, append
        self._now_ms = now_ms
        self._window = ExperienceWindow(config)
        saved, whole = Saved(0, {}), False
        try:
            saved = _load(state) or saved
        except (ValueError, OSError) as error:
            whole = True
            _events.error("groups_state_lost", file=str(state), error=str(error))
        # If rows may be missing before the oldest it has, only whole windows count.
        self._saved, self._whole = saved, whole
        self._begun = bool(saved.emitted_ms)
        self._gaps = 0
        self.reader = JournalReader(journal, self.NAME, saved.positions, yields=True)
        # Positions behind a chunk, and the newest time of what it brought.
        self._behind: deque[tuple[int, Positions]] = deque()
        self._failures = FailureLog("groups_wait", "groups_go_on")
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
        """Its row of `self_reader`. Its lag is at least a window long, by design."""
        now_ms = self._now_ms()
        oldest_ms = self.reader.unread_ms()
        return reader_sample(self.reader.stats, oldest_ms, self.NAME, process, now_ms)

    async def _run(self) -> None:
        while True:
            try:
                chunk = await self.reader.read()
                if chunk is not None:
                    self._take(chunk)
                await self._emit()
            except (OSError, Newer) as error:
                self.reader.stats.failures += 1
                self._failures.failed(error)
                await asyncio.sleep(_AGAIN_S)
            else:
                self._failures.recovered()

    def _take(self, chunk: Chunk) -> None:
        newest_ms = 0
        if self.reader.stats.gaps != self._gaps:
            self._gaps = self.reader.stats.gaps
            self._window = ExperienceWindow(self._config)
            self._begun, self._whole = False, True
        for batch in chunk.batches:
            try:
                newest_ms = max(newest_ms, self._window.add(batch) or 0)
            except (ValueError, TypeError, LookupError) as error:
                self.reader.stats.aside_rows += len(batch)
                _events.error(
                    "groups_batch_left_out", source=batch.source, says=str(error)
                )
        self._behind.append((newest_ms, chunk.positions))

    async def _emit(self) -> None:
        # What is not read yet may hold rows of a period: time stands still before it.
        now_ms = min(self._now_ms(), self.reader.unread_ms() or self._now_ms())
        if not self._begun:
            first_ms = self._window.first_end_ms(whole=self._whole)
            if first_ms is None:
                self._pass(now_ms)
                return
            emitted_ms = max(first_ms - 1, self._saved.emitted_ms)
            self._saved = Saved(emitted_ms, self._saved.positions)
            self._begun = True
        while True:
            end_ms = self._window.next_end_ms(self._saved.emitted_ms)
            if not self._window.is_over(end_ms, now_ms):
                return
            samples = await self._samples(end_ms)
            if samples:
                # Not durable, not emitted: the period is tried again, unchanged.
                await self._append.append(*gather(samples, self.NAME, self._now_ms()))
            needed_ms = self._window.needs_after(end_ms)
            positions = self._saved.positions | self._passable(needed_ms)
            self._saved = Saved(end_ms, positions)
            self._window.forget(needed_ms)
            await asyncio.to_thread(_save, self._state, self._saved)
            self._pass(needed_ms)

    async def _samples(self, end_ms: int) -> list[Sample]:
        try:
            return await asyncio.to_thread(self._window.samples, end_ms)
        except Exception as error:  # noqa: BLE001 - one period must not end all others
            self.reader.stats.failures += 1
            _events.error("groups_period_left_out", end_ms=end_ms, says=repr(error))
            return []

    def _passable(self, before_ms: int) -> Positions:
        """The positions behind the chunks whose rows are all before that time."""
        positions: Positions = {}
        for newest_ms, behind in self._behind:
            if newest_ms >= before_ms:
                break
            positions = behind
        return positions

    def _pass(self, before_ms: int) -> None:
        if positions := self._passable(before_ms):
            while self._behind and self._behind[0][0] < before_ms:
                self._behind.popleft()
            self.reader.passed(positions)


def _load(path: Path) -> Saved | None:
    """What was saved; None where nothing was. `ValueError` where it is not readable."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(data, type=Saved)


def _save(path: Path, saved: Saved) -> None:
    replace_file(path, msgspec.json.encode(saved), durable=True)
