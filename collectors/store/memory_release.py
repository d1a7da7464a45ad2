"""Gives memory that queries have used back to the system, between the steps of a long
piece of work."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import sys
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from collectors.store.query import Store


@runtime_checkable
class ReleasingStore(Protocol):
    """A store that keeps memory of its queries."""

    async def release_memory(self) -> None: ...


async def release_memory(store: Store) -> None:
    """Returns when neither the store nor the heap keeps what no query uses."""
    if isinstance(store, ReleasingStore):
        await store.release_memory()
    trim = _heap_trim()
    if trim is not None:
        await asyncio.to_thread(trim, 0)


@functools.cache
def _heap_trim() -> Callable[[int], int] | None:
    """Returns glibc's `malloc_trim`; None if the C library has none."""
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
