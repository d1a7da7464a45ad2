"""`FollowedFeeds`: several calendars, fetched in turn while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Self

from alerts.calendars.calendar_feed import CalendarFeed
from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from probes.wire.clock import WallClock

_EVERY_S = 15.0


class FollowedFeeds:
    """`async with FollowedFeeds(…)`: fetches the calendars until it is left. `kind`:
    what they are of, in the log."""

    def __init__(
        self, feeds: Mapping[str, CalendarFeed], kind: str, now_ms: WallClock
    ) -> None:
        self.feeds, self._kind, self._now_ms = feeds, kind, now_ms
        self._failures = FailureLog(f"{kind}_not_read", f"{kind}_read", "warning")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        for name, feed in self.feeds.items():
            self._tasks.start(self._follow(name, feed), f"{self._kind}-{name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _follow(self, name: str, feed: CalendarFeed) -> None:
        while True:
            try:
                await feed.refresh(self._now_ms())
            except OSError as error:
                # A full disk: what is known stays in use.
                self._failures.failed(error, key=name, calendar=name)
            else:
                if feed.state.error:
                    self._failures.failed(feed.state.error, key=name, calendar=name)
                else:
                    self._failures.recovered(name, calendar=name)
            await asyncio.sleep(_EVERY_S)
