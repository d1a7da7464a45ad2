"""An in-memory DuckDB that reads Parquet files off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import duckdb
import msgspec

Cells = list[tuple[Any, ...]]
_Result = TypeVar("_Result")


class FileVanished(Exception):
    """A file that was listed is gone: it was compacted, or its days were over."""


class FileUnreadable(Exception):
    """DuckDB could not read the files; one of them may be damaged."""


class DuckLimits(msgspec.Struct, frozen=True):
    threads: int = 2
    memory_mb: int = 512
    at_once: int = 2
    timeout_s: float = 60.0


class DuckDb:
    """`async with Duck(limits) as duck: await duck.rows(sql)`.

    `spill` is a folder for what does not fit in memory; without one such a question
    fails. Several questions run at once, each on a cursor and a thread of its own.
    """

    def __init__(self, limits: DuckLimits, spill: Path | None = None) -> None:
        self._limits, self._spill = limits, spill
        self._turn = asyncio.Semaphore(limits.at_once)
        self._base: duckdb.DuckDBPyConnection | None = None

    async def __aenter__(self) -> DuckDb:
        self._base = duckdb.connect(
            ":memory:",
            config={
                "threads": self._limits.threads,
                "memory_limit": f"{self._limits.memory_mb}MB",
                "temp_directory": str(self._spill) if self._spill else "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "preserve_insertion_order": False,
            },
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    async def rows(self, sql: str, timeout_s: float | None = None) -> Cells:
        """Runs a query and returns its rows; stops it if the caller is cancelled.

        Raises `FileVanished`, `FileUnreadable` or `TimeoutError`.
        """
        if self._base is None:
            raise RuntimeError("the embedded store is used before it is entered")
        async with self._turn:
            cursor = self._base.cursor()
            work = asyncio.create_task(
                asyncio.to_thread(_run, cursor, sql), name="duck"
            )
            try:
                async with asyncio.timeout(timeout_s or self._limits.timeout_s):
                    return await asyncio.shield(work)
            finally:
                if not work.done():
                    cursor.interrupt()
                    with contextlib.suppress(Exception):
                        await work
                cursor.close()


def _run(cursor: duckdb.DuckDBPyConnection, sql: str) -> Cells:
    try:
        return cursor.execute(sql).fetchall()
    except duckdb.IOException as error:
        if "No files found" in str(error) or "No such file" in str(error):
            raise FileVanished(str(error)) from None
        raise FileUnreadable(_first_line(error)) from None
    except duckdb.Error as error:
        raise FileUnreadable(_first_line(error)) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


async def run_to_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Awaits `work` to its end even where the waiter is cancelled: a thread that
    changes files cannot be left behind."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
