"""An in-memory DuckDB that reads Parquet files in threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec
import pyarrow as pa

Cells = list[tuple[Any, ...]]
_Result = TypeVar("_Result")
_FETCHED = 5_000


class FileVanished(Exception):
    """A file from the list no longer exists: it was compacted or too old."""


class FileUnreadable(Exception):
    """DuckDB could not read the files; one of them may be damaged."""


class OutOfMemory(FileUnreadable):
    """The query needs more memory than it may have."""


class DuckLimits(msgspec.Struct, frozen=True):
    threads: int = 2
    memory_mb: int = 512
    at_once: int = 2
    timeout_s: float = 60.0


class DuckDb:
    """`async with DuckDb(limits) as duckdb: await duckdb.rows(sql)`.

    `spill` is a folder for data that does not fit in memory; without it such a query
    fails. Several queries run at once, each with its own cursor and thread.
    """

    def __init__(self, limits: DuckLimits, spill: Path | None = None) -> None:
        self._limits, self._spill = limits, spill
        self._slots = asyncio.Semaphore(limits.at_once)
        self._releasing = asyncio.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    async def __aenter__(self) -> DuckDb:
        self._connection = await asyncio.to_thread(
            duckdb.connect,
            ":memory:",
            config={
                "threads": self._limits.threads,
                "memory_limit": f"{self._limits.memory_mb}MB",
                "temp_directory": str(self._spill) if self._spill else "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "preserve_insertion_order": False,
                "allocator_flush_threshold": "4MB",
            },
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def release_memory(self) -> None:
        """Opens DuckDB anew when no query runs: it keeps some of the memory of its
        queries until it is closed."""
        # Two that each hold some of the slots would wait for one another for ever.
        async with self._releasing, contextlib.AsyncExitStack() as slots:
            for _ in range(self._limits.at_once):
                await slots.enter_async_context(self._slots)
            if self._connection is not None:
                await self.__aexit__()
                await self.__aenter__()

    async def rows(self, sql: str, timeout_s: float | None = None) -> Cells:
        """Runs a query and returns its rows; stops it if the caller is cancelled.

        Raises `FileVanished`, `FileUnreadable` or `TimeoutError`.
        """
        return await self._ask(sql, _fetch_rows, timeout_s)

    async def table(self, sql: str) -> pa.Table:
        """The same for an answer whose columns are read whole."""
        return await self._ask(sql, _fetch_table)

    async def _ask(
        self,
        sql: str,
        fetch: Callable[[duckdb.DuckDBPyConnection, str], _Result],
        timeout_s: float | None = None,
    ) -> _Result:
        if self._connection is None:
            raise RuntimeError("the embedded store was not entered")
        async with self._slots:
            cursor = self._connection.cursor()
            work = asyncio.create_task(
                asyncio.to_thread(_run, cursor, sql, fetch), name="duck"
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


def _fetch_rows(cursor: duckdb.DuckDBPyConnection, sql: str) -> Cells:
    rows: Cells = []
    cursor.execute(sql)
    # In parts, because no other thread of Python runs while rows are fetched.
    while part := cursor.fetchmany(_FETCHED):
        rows += part
    return rows


def _fetch_table(cursor: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    return cursor.sql(sql).to_arrow_table()


def _run(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    fetch: Callable[[duckdb.DuckDBPyConnection, str], _Result],
) -> _Result:
    try:
        return fetch(cursor, sql)
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory(_first_line(error)) from None
    except duckdb.IOException as error:
        if "No files found" in str(error) or "No such file" in str(error):
            raise FileVanished(str(error)) from None
        raise FileUnreadable(_first_line(error)) from None
    except duckdb.Error as error:
        raise FileUnreadable(_first_line(error)) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


async def run_to_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Awaits `work` to its end, even if the caller is cancelled.

    A thread that changes files must not be left running.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
