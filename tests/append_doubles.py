"""Doubles of the journal: an `Append` that keeps or drops what it is given."""

from __future__ import annotations

import asyncio

from collectors.batch import Batch


class ListAppend:
    """Keeps every batch in memory. `fault` is raised instead while it is set, and
    nothing returns while `open` is cleared."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.calls = 0
        self.fault: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def append(self, *batches: Batch) -> None:
        self.calls += 1
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        self.batches.extend(batches)

    def rows(self) -> set[tuple[str, str, int]]:
        """(measurement, agent, time_ms) of every row: what identifies one here."""
        return {
            (batch.measurement, agent, time_ms)
            for batch in self.batches
            for agent, time_ms in zip(batch.tag("agent"), batch.times_ms, strict=True)
        }


class NullAppend:
    """Takes everything at once and keeps nothing: what a server costs by itself."""

    async def append(self, *batches: Batch) -> None:
        return
