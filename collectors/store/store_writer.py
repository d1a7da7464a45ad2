"""`StoreWriter`: writes the journal's rows to the store."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Protocol

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch
from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.failure_log import FailureLog
from collectors.journal import (
    Away,
    BatchReader,
    Chunk,
    FollowConfig,
    Positions,
    Quarantine,
    follow,
    reader_sample,
)
from collectors.store.erasure import Erasures, without_erased
from collectors.store.file_layout import DAY_MS
from collectors.store.store_config import StoreConfig
from collectors.store.store_errors import RowsRefused
from collectors.store.store_parts import StorePart
from collectors.store.store_positions import positions_path, save_positions
from collectors.wake_times import seconds_to_next, sleep_with_others
from probes.wire.catalogue import Catalogue
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_log = structlog.get_logger(__name__)
# Polls begin at the common times: by then most have ended, and their rows are new.
_AFTER_POLLS_S = 1.0


class WritableStore(Protocol):
    """What the writer needs of a store."""

    @property
    def catalogue(self) -> Catalogue: ...

    async def write(self, batches: list[Batch]) -> None: ...

    async def tidy(self, now_ms: int, deletion_ms: int | None = None) -> None: ...


@dataclasses.dataclass
class WriterStats:
    """Counters since start.

    `expired_rows` were older than their retention when they arrived. `refused_rows`
    were not accepted by the store and are in quarantine.
    """

    written_rows: int = 0
    expired_rows: int = 0
    refused_rows: int = 0


class StoreWriter:
    """`async with StoreWriter(config, reader, store)` while both are entered.

    Rows are written before the position after them is saved. After a crash some are
    written again, which changes nothing. `reader` must start at `saved_positions`.
    With a `part` it writes the rows of that part alone.
    """

    def __init__(
        self,
        config: StoreConfig,
        reader: BatchReader,
        store: WritableStore,
        now_ms: WallClock = wall_ms,
        part: StorePart | None = None,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._config, self._reader, self._store = config, reader, store
        self._part = part or StorePart()
        self._now_ms, self._bounded = now_ms, bounded
        self._keep_ms = {
            declared.name: declared.retention_days * DAY_MS
            for declared in store.catalogue
        }
        self._positions = positions_path(config, reader.name)
        self._quarantine = Quarantine(config.folder / "aside", f"{reader.name}-refused")
        self._erasures = Erasures(config.folder)
        self._saved: Positions | None = None
        self._tasks = BackgroundTasks()
        self._tidy_failures = FailureLog("store_not_tidied", "store_tidied_again")
        self.stats = WriterStats()

    async def __aenter__(self) -> StoreWriter:
        self._config.folder.mkdir(parents=True, exist_ok=True)
        following = follow(
            self._reader,
            self._write,
            self._config.folder / "aside",
            FollowConfig(max_rows=self._config.flush_rows),
        )
        self._tasks.start(following, "store-writer")
        self._tasks.start(self._tidy(), "store-tidy")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def samples(self, process: str, now_ms: int) -> list[Sample]:
        """Returns its row of `self_reader`."""
        reader = self._reader
        sample = reader_sample(
            reader.stats, reader.oldest_ms(), reader.name, process, now_ms
        )
        fields = {**sample.fields, "expired_rows": self.stats.expired_rows}
        return [msgspec.structs.replace(sample, fields=fields)]

    async def _write(self, chunk: Chunk) -> None:
        erased = await asyncio.to_thread(self._erasures.known)
        own = self._part.rows(chunk.batches, self._store.catalogue)
        batches = self._unexpired(without_erased(own, erased))
        rows = sum(len(batch) for batch in batches)
        if rows:
            try:
                await self._store.write(batches)
            except RowsRefused as refused:
                await self._quarantine_rows(refused)
            self.stats.written_rows += rows
        try:
            await asyncio.to_thread(save_positions, self._positions, chunk.positions)
        except OSError as error:
            raise Away(f"{self._positions}: {error.strerror}") from None
        moved_on = chunk.positions != self._saved
        self._saved = dict(chunk.positions)
        if moved_on and len(chunk) < self._config.flush_rows:
            # Few rows are waiting: collect more, so that files and requests are few.
            now_s = time.time() - _AFTER_POLLS_S
            await asyncio.sleep(seconds_to_next(self._config.pace_s, now_s, 0.1))

    def _unexpired(self, batches: list[Batch]) -> list[Batch]:
        now_ms = self._bounded(self._now_ms())
        kept = []
        for batch in batches:
            oldest = now_ms - self._keep_ms.get(batch.measurement, 0)
            if not len(batch) or min(batch.times_ms) >= oldest:
                kept.append(batch)
                continue
            fresh = [at for at, ms in enumerate(batch.times_ms) if ms >= oldest]
            if not self.stats.expired_rows:
                _log.warning(
                    "rows_expired", measurement=batch.measurement, source=batch.source
                )
            self.stats.expired_rows += len(batch) - len(fresh)
            if fresh:
                kept.append(batch.rows(fresh))
        return kept

    async def _quarantine_rows(self, refused: RowsRefused) -> None:
        rows = sum(len(batch) for batch in refused.batches)
        self.stats.refused_rows += rows
        self._reader.stats.aside_rows += rows
        _log.error("rows_refused", rows=rows, error=str(refused))
        try:
            for batch in refused.batches:
                await asyncio.to_thread(
                    self._quarantine.put, batch, str(refused), self._now_ms()
                )
        except OSError as error:
            _log.error("rows_not_kept", rows=rows, error=str(error))

    async def _tidy(self) -> None:
        while True:
            await sleep_with_others(self._config.tidy_s)
            try:
                now_ms = self._now_ms()
                await self._store.tidy(now_ms, self._bounded(now_ms))
            except Exception as error:  # noqa: BLE001 - upkeep must not stop writing
                self._tidy_failures.failed(error, key=repr(error))
            else:
                self._tidy_failures.recovered()
