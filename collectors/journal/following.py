"""`follow`: hands batches to an effect, and quarantines those it cannot process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from pydantic import Field

from collectors.batch import Batch
from collectors.failure_log import FailureLog
from collectors.journal.batch_reader import BatchReader
from collectors.journal.frame import Newer
from collectors.journal.journal_reader import Chunk
from collectors.journal.quarantine import Quarantine
from collectors.journal.segment import Positions
from collectors.strict_model import StrictModel
from probes.wire.clock import wall_ms

_log = structlog.get_logger()

Effect = Callable[[Chunk], Awaitable[None]]


class Away(Exception):
    """Something the effect needs is down (a database, a disk): retry without limit.

    Raise it with a sentence that names what is down. Each sentence is logged once, and
    again on recovery.
    """


class FollowConfig(StrictModel):
    """Retries of an effect: after `wait_s`, doubled up to `longest_wait_s`."""

    max_rows: int = Field(default=50_000, gt=0)
    tries: int = Field(default=5, gt=0)
    wait_s: float = Field(default=0.5, gt=0)
    longest_wait_s: float = Field(default=30.0, gt=0)
    aside_bytes: int = Field(default=16 << 20, gt=0)


async def follow(
    reader: BatchReader,
    effect: Effect,
    aside: Path,
    config: FollowConfig | None = None,
) -> None:
    """Reads until cancelled and hands each chunk to `effect`.

    `effect` makes a chunk durable together with its positions; then the reader passes
    it. `effect` may get the same batches again, and chunks with positions only. If it
    raises `Away`, the chunk is retried without limit. If it raises anything else, the
    chunk is tried `tries` times and then halved until the batches that cannot be
    processed are found: those go to `aside`/<reader>.jsonl and are counted in the
    reader's stats. Reading stops at a log that a newer Towpath wrote; the other logs
    continue.
    """
    follower = _Follower(reader, effect, aside, config or FollowConfig())
    while True:
        await follower.step()


class _Follower:
    def __init__(
        self, reader: BatchReader, effect: Effect, aside: Path, config: FollowConfig
    ) -> None:
        self._reader, self._effect, self._config = reader, effect, config
        self._aside = Quarantine(aside, reader.name, config.aside_bytes)
        self._error = ""
        self._failures = FailureLog("reader_waits", "reader_goes_on", "warning")

    async def step(self) -> None:
        before = self._reader.positions
        try:
            chunk = await self._reader.read(self._config.max_rows)
        except Newer:
            # The reader has logged it. Other logs may still have something.
            await asyncio.sleep(self._config.wait_s)
            return
        if chunk is None:
            return
        if not await self._try(chunk, self._config.tries):
            await self._halve(chunk.batches, before)
            await self._save(chunk.positions)
        self._reader.passed(chunk.positions)

    async def _halve(self, batches: list[Batch], before: Positions) -> None:
        """Processes the good batches of a failed chunk, with the positions before it.

        If the process ends here, the whole chunk comes again.
        """
        middle = len(batches) // 2
        for half in (batches[:middle], batches[middle:]):
            if not half or await self._try(Chunk(half, before), 1):
                continue
            if len(half) > 1:
                await self._halve(half, before)
            else:
                await self._set_aside(half[0])

    async def _save(self, positions: Positions) -> None:
        """Retries until it succeeds: without batches, no batch can be the cause."""
        while True:
            if await self._try(Chunk([], positions), self._config.tries):
                return
            _log.error(
                "reader_cannot_save", reader=self._reader.name, error=self._error
            )
            await asyncio.sleep(self._config.longest_wait_s)

    async def _try(self, chunk: Chunk, tries: int) -> bool:
        """Returns True if the effect succeeds, False after `tries` failures."""
        wait_s = self._config.wait_s
        while True:
            try:
                await self._effect(chunk)
            except Away as away:
                self._reader.stats.failures += 1
                error = str(away) or type(away).__name__
                self._failures.failed(error, key=error, reader=self._reader.name)
            except Exception as error:  # noqa: BLE001 - one batch must not stop all
                self._reader.stats.failures += 1
                self._error = f"{type(error).__name__}: {error}"
                tries -= 1
                if not tries:
                    return False
            else:
                self._failures.recovered(reader=self._reader.name)
                return True
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._config.longest_wait_s)

    async def _set_aside(self, batch: Batch) -> None:
        self._reader.stats.aside_rows += len(batch)
        now_ms = wall_ms()
        _log.error(
            "batch_set_aside",
            reader=self._reader.name,
            source=batch.source,
            measurement=batch.measurement,
            rows=len(batch),
            error=self._error,
        )
        try:
            await asyncio.to_thread(self._aside.put, batch, self._error, now_ms)
        except OSError as error:
            _log.error("batch_not_kept", reader=self._reader.name, error=str(error))
