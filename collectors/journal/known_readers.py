"""`KnownReaders`: the readers for which a journal keeps rows, running or not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from collectors.journal.journal_reader import forget_reader, passed_positions
from collectors.journal.segment import (
    OLDEST,
    WAKE_FOLDER,
    Positions,
    check_name,
    committed_after,
    list_logs,
)


class KnownReaders(Protocol):
    """Methods raise what the journal's kind raises if it cannot be reached."""

    async def names(self) -> list[str]: ...

    async def add(self, readers: Iterable[str]) -> None:
        """Keeps rows for these from now on, even if they have never run."""

    async def passed(self, reader: str) -> Positions:
        """How far it has passed in each log that it has opened."""

    async def runs(self, reader: str) -> bool:
        """Whether it waits for rows now. One that is busy may seem not to run."""

    async def oldest_ms(self, reader: str) -> int | None:
        """When the oldest rows that it has not passed were committed."""

    async def forget(self, reader: str) -> None:
        """Keeps nothing for it any more. Raises `ReaderTaken` if it runs."""


class FileReaders:
    """Those of a journal of files."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._wake = folder, folder / WAKE_FOLDER

    async def names(self) -> list[str]:
        return sorted(path.stem for path in self._wake.glob("*.lock"))

    async def add(self, readers: Iterable[str]) -> None:
        self._wake.mkdir(parents=True, exist_ok=True)
        for reader in readers:
            lock = self._wake / f"{check_name(reader, 'reader')}.lock"
            os.close(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600))

    async def passed(self, reader: str) -> Positions:
        return await asyncio.to_thread(passed_positions, self._folder, reader)

    async def runs(self, reader: str) -> bool:
        try:
            # A pipe that no reader has open cannot be opened for writing alone.
            pipe = os.open(self._wake / f"{reader}.wake", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        os.close(pipe)
        return True

    async def oldest_ms(self, reader: str) -> int | None:
        positions = await self.passed(reader)

        def find() -> int | None:
            times = [
                committed_after(self._folder / log, positions.get(log, OLDEST))
                for log in list_logs(self._folder)
            ]
            return min((ms for ms in times if ms is not None), default=None)

        return await asyncio.to_thread(find)

    async def forget(self, reader: str) -> None:
        await asyncio.to_thread(forget_reader, self._folder, reader)
