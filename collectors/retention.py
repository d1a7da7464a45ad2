"""`Retention`: removes data that may only be kept for a number of days.

Stores delete their own old days. This does the rest by the clock, without waiting for
new data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
_EVERY_S = 3600.0
DAY_MS = 86_400_000

Job = tuple[str, int, Callable[[int], int]]
"""(name, days to keep, a function that removes everything from before a time and
returns how much it removed)."""


class Retention:
    """`async with Retention(jobs)`: runs each job at the start and then every hour, in
    a thread.

    A job that fails is logged once and runs again the next time.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        now_ms: WallClock = wall_ms,
        every_s: float = _EVERY_S,
    ) -> None:
        self._jobs, self._now_ms, self._every_s = jobs, now_ms, every_s
        self._failures = FailureLog("retention_failed")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "retention")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            for name, days, remove in self._jobs:
                before_ms = self._now_ms() - days * DAY_MS
                try:
                    removed = await asyncio.to_thread(remove, before_ms)
                except Exception as error:  # noqa: BLE001 - the others must go on
                    self._failures.failed(error, key=name, of=name)
                    continue
                self._failures.recovered(name)
                if removed:
                    _log.info("retention_removed", of=name, removed=removed, days=days)
            await asyncio.sleep(self._every_s)
