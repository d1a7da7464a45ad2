"""`OverviewCache`: the state of the estate, worked out once for all who ask."""

from __future__ import annotations

import asyncio

from alerts.alert import Alert
from dashboards.web.page_views import Overview, Views

_KEPT_MS = 2_000
# What is over changes less often, and is read from a file.
_ENDED_KEPT_MS = 15_000


class OverviewCache:
    """`await latest()` returns a state that is at most two seconds old; `await ended()`
    the alerts that ended in the last week, and whether they could be read."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._kept: Overview | None = None
        self._gathering: asyncio.Task[Overview] | None = None
        self._ended: tuple[int, list[Alert], bool] | None = None

    async def latest(self) -> Overview:
        now_ms = self._views.now_ms()
        if self._kept is not None and 0 <= now_ms - self._kept.now_ms < _KEPT_MS:
            return self._kept
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather(), name="overview")
            self._gathering.add_done_callback(self._gathered)
        # A reader who leaves must not stop what others wait for.
        return await asyncio.shield(self._gathering)

    async def ended(self) -> tuple[list[Alert], bool]:
        now_ms = self._views.now_ms()
        if self._ended is None or not 0 <= now_ms - self._ended[0] < _ENDED_KEPT_MS:
            alerts, failing = await self._views.recent()
            self._ended = now_ms, alerts, not failing
        return self._ended[1:]

    async def _gather(self) -> Overview:
        self._kept = await self._views.overview()
        return self._kept

    def _gathered(self, _task: asyncio.Task[Overview]) -> None:
        self._gathering = None
