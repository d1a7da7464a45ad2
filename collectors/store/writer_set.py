"""`WriterSet`: what the writers of a store know of each other, through the journal.

The journal keeps rows for all of them, from when the first one starts. One that does
not run is reported by another, with how far it is behind. When the number of writers
was changed, the old ones are forgotten once all new ones are where they were.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from collectors.journal import Positions, ReaderTaken
from collectors.journal.known_readers import KnownReaders
from collectors.store.rollup_files import RollUpFiles
from collectors.store.store_config import StoreConfig
from collectors.store.store_parts import StorePart, have_passed, part_of
from collectors.store.store_positions import remove_other_positions
from collectors.wake_times import sleep_with_others
from probes.wire.sample import Sample

_log = structlog.get_logger(__name__)
# So often in a row a writer must neither wait nor pass anything to count as absent.
_LOOKS = 3


class WriterSet:
    """`async with WriterSet(config, part, readers)`, before the reader is entered."""

    def __init__(
        self, config: StoreConfig, part: StorePart, readers: KnownReaders
    ) -> None:
        self._config, self._part, self._readers = config, part, readers
        self._still: dict[StorePart, tuple[Positions, int]] = {}
        # Those that this one reports: since when their oldest rows wait.
        self._absent: dict[StorePart, int | None] = {}
        self._is_added = part.count == 1
        self._is_tidy = False
        self._tasks = BackgroundTasks()
        self._failures = FailureLog("writers_not_seen", "writers_seen_again")

    async def __aenter__(self) -> WriterSet:
        await self._try()
        self._tasks.start(self._keep_looking(), "store-writers")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def samples(self, process: str, now_ms: int) -> list[Sample]:
        """A row of `self_reader` for each writer that does not run."""
        return [
            Sample(
                "self_reader",
                {"process": process, "reader": part.reader},
                {"lag_s": 0.0 if ms is None else max(0, now_ms - ms) / 1000},
                now_ms,
            )
            for part, ms in self._absent.items()
        ]

    async def look(self) -> None:
        """Looks once at what the journal knows."""
        if not self._is_added:
            await self._readers.add(part.reader for part in self._part.parts)
            self._is_added = True
        names = await self._readers.names()
        known = [part for part in map(part_of, names) if part is not None]
        await self._forget([p for p in known if p.count != self._part.count])
        await self._find_absent()

    async def _forget(self, others: list[StorePart]) -> None:
        if not others and self._is_tidy:
            return
        self._is_tidy = False
        own = [await self._readers.passed(p.reader) for p in self._part.parts]
        for other in others:
            old = await self._readers.passed(other.reader)
            if have_passed(own, old):
                # One that still runs is forgotten later.
                with contextlib.suppress(ReaderTaken):
                    await self._readers.forget(other.reader)
                    _log.info("writer_forgotten", reader=other.reader)
        if not others and all(own):
            self._is_tidy = await asyncio.to_thread(self._remove_files)

    def _remove_files(self) -> bool:
        """Removes what other numbers of writers left. Returns whether nothing is left
        of them."""
        remove_other_positions(self._config, self._part.count)
        files = RollUpFiles(self._config.folder, self._config.database)
        files.remove_others(self._part)
        return all(part.count == self._part.count for part in files.found())

    async def _find_absent(self) -> None:
        running = {self._part}
        for part in self._part.parts:
            if part == self._part:
                continue
            passed = await self._readers.passed(part.reader)
            before, looks = self._still.get(part, (passed, 0))
            is_still = passed == before and not await self._readers.runs(part.reader)
            looks = looks + 1 if is_still else 0
            self._still[part] = passed, looks
            if looks < _LOOKS:
                running.add(part)
        self._absent = {
            part: await self._readers.oldest_ms(part.reader)
            for part in self._part.parts
            if part not in running and reporter(part, running) == self._part
        }

    async def _keep_looking(self) -> None:
        while True:
            await sleep_with_others(self._config.tidy_s)
            await self._try()

    async def _try(self) -> None:
        try:
            await self.look()
        except Exception as error:  # noqa: BLE001 - it must not stop writing
            self._failures.failed(error, key=repr(error))
        else:
            self._failures.recovered()


def reporter(absent: StorePart, running: set[StorePart]) -> StorePart:
    """Which of the running writers reports an absent one: the next one."""
    return min(running, key=lambda part: (part.number - absent.number) % absent.count)
