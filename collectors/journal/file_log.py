"""`JournalLog`: to what a journal commits; `FileLog`: files in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, TypeVarTuple, Unpack

from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.journal.journal_config import JournalConfig
from collectors.journal.journal_log import Log, LogPiece
from collectors.journal.journal_stats import JournalStats

_Arguments = TypeVarTuple("_Arguments")
_Answer = TypeVar("_Answer")


class JournalLog(Protocol):
    """`lanes`: how many commits may run at the same time."""

    lanes: int

    async def open(self, stats: JournalStats, now_ms: int) -> None:
        """Raises `JournalTaken` if another process writes this log."""

    async def commit(self, frames: list[list[LogPiece]], now_ms: int) -> None:
        """Returns when all frames are durable. Raises `JournalFailed`."""

    async def tidy(self, now_ms: int) -> None:
        """Deletes what is read or too old. Raises `OSError`."""

    async def close(self) -> None: ...


class FileLog:
    """Calls a `Log` in a thread, one call at a time."""

    lanes = 1

    def __init__(
        self,
        config: JournalConfig,
        name: str,
        sync: Callable[[int], None],
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._config, self._name, self._sync = config, name, sync
        self._bounded = bounded

    async def open(self, stats: JournalStats, now_ms: int) -> None:
        self._thread = ThreadPoolExecutor(1, f"journal-{self._name}")
        try:
            self.log = await self._call(
                Log,
                self._config,
                self._name,
                stats,
                now_ms,
                self._sync,
                self._bounded,
            )
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def commit(self, frames: list[list[LogPiece]], now_ms: int) -> None:
        await self._call(self.log.commit, frames, now_ms)

    async def tidy(self, now_ms: int) -> None:
        await self._call(self.log.tidy, now_ms)

    async def close(self) -> None:
        await self._call(self.log.close)
        self._thread.shutdown()

    async def _call(
        self,
        function: Callable[[Unpack[_Arguments]], _Answer],
        *arguments: *_Arguments,
    ) -> _Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)
