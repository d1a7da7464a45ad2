"""Test doubles of the journal: one keeps every batch, one drops them."""

from __future__ import annotations

import asyncio

from collectors.batch import Batch


class ListAppend:
    """Keeps every batch in memory. While `fault` is set, `append` raises it; while
    `open` is cleared, `append` waits."""

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
        """Return (measurement, agent, time_ms) of every row: its identity here."""
        return {
            (batch.measurement, agent, time_ms)
            for batch in self.batches
            for agent, time_ms in zip(batch.tag("agent"), batch.times_ms, strict=True)
        }


class NullAppend:
    """Accepts every batch at once and keeps none, to measure the server alone."""

    async def append(self, *batches: Batch) -> None:
        return
