"""Returns the memory of finished queries to the system, for long pieces of work."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from collectors.batch import Batch
from collectors.store.answer_series import AnswerSeries, query_series
from collectors.store.query import Query, Row, Store

# Giving memory back takes as much processor time as a small query.
_MOST_GROWTH_BYTES = 20_000_000
_STATM = Path("/proc/self/statm")


@runtime_checkable
class ReleasingStore(Protocol):
    """A store that keeps memory of its queries."""

    async def release_memory(self) -> None: ...


class SparingStore:
    """Answers as `store` does, and gives memory back when this process has grown."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Arrow's own allocator keeps what it has freed, which no trim gives back.
        pa.set_memory_pool(pa.system_memory_pool())
        self._before = resident_bytes()

    async def write(self, batches: list[Batch]) -> None:
        await self._store.write(batches)

    async def query(self, query: Query) -> list[Row]:
        await self._limit()
        return await self._store.query(query)

    async def series(self, query: Query) -> list[AnswerSeries]:
        await self._limit()
        return await query_series(self._store, query)

    async def release_memory(self) -> None:
        await release_memory(self._store)
        trim = _heap_trim()
        if trim is not None:
            await asyncio.to_thread(trim, 0)
        self._before = resident_bytes()

    async def _limit(self) -> None:
        if resident_bytes() - self._before > _MOST_GROWTH_BYTES:
            await self.release_memory()


def resident_bytes() -> int:
    """Returns the resident memory of this process; 0 if the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


async def release_memory(store: Store) -> None:
    """Has `store` give back the memory that no query uses, if it can."""
    if isinstance(store, ReleasingStore):
        await store.release_memory()


@functools.cache
def _heap_trim() -> Callable[[int], int] | None:
    """Returns glibc's `malloc_trim`; None if the C library has none."""
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
