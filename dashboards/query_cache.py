"""Queries the store with a time limit, few at once, and keeps each answer for a while.

Many people who reload a page must not cause many scans of the store, and a store that
is down must not take the page with it.
"""

from __future__ import annotations

import asyncio

import structlog

from collectors.store.query import Query, Row, Store
from probes.wire.clock import WallClock

_log = structlog.get_logger()


class QueryCache:
    """`await ask(query)` returns the rows, or None if the store did not answer.

    `keep_ms`: how long an answer is reused. Callers round the times of queries
    (`rounded`), or no query would ever repeat.
    """

    def __init__(
        self,
        store: Store,
        now_ms: WallClock,
        timeout_s: float = 10.0,
        keep_ms: int = 15_000,
        at_once: int = 4,
    ) -> None:
        self._store, self._now_ms = store, now_ms
        self._timeout_s, self._keep_ms = timeout_s, keep_ms
        self._gate = asyncio.Semaphore(at_once)
        self._kept: dict[Query, tuple[int, list[Row]]] = {}
        self._asking: dict[Query, asyncio.Task[list[Row] | None]] = {}
        self.failing = ""

    async def query(self, query: Query) -> list[Row] | None:
        now_ms = self._now_ms()
        kept = self._kept.get(query)
        if kept is not None and now_ms - kept[0] < self._keep_ms:
            return kept[1]
        task = self._asking.get(query)
        if task is None:
            task = asyncio.create_task(self._fetch(query), name="dashboard-query")
            self._asking[query] = task
            task.add_done_callback(lambda _: self._asking.pop(query, None))
        # A reader who leaves must not stop a query that others wait for.
        return await asyncio.shield(task)

    async def all(self, *queries: Query) -> list[list[Row] | None]:
        return list(await asyncio.gather(*(self.query(query) for query in queries)))

    async def _fetch(self, query: Query) -> list[Row] | None:
        try:
            async with self._gate, asyncio.timeout(self._timeout_s):
                rows = await self._store.query(query)
        except Exception as error:  # noqa: BLE001 - the page must work without a store
            why = str(error) or type(error).__name__
            if not self.failing:
                _log.warning("store_not_answering", why=why)
            self.failing = why
            return None
        if self.failing:
            _log.info("store_answering_again")
        self.failing = ""
        now_ms = self._now_ms()
        self._kept = {
            known: kept
            for known, kept in self._kept.items()
            if now_ms - kept[0] < self._keep_ms
        }
        self._kept[query] = (now_ms, rows)
        return rows


def rounded(now_ms: int, to_ms: int = 10_000) -> int:
    """Returns the next multiple of `to_ms`: ranges are half-open, and include now."""
    return now_ms - now_ms % to_ms + to_ms
