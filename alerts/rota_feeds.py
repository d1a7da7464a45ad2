"""`RotaFeeds`: the calendars of who is on call, kept up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

from alerts.alert_config import AlertConfig
from alerts.calendars.calendar_feed import CalendarFeed
from alerts.rota import OnCallNow, on_call
from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from probes.wire.clock import WallClock

_EVERY_S = 15.0


class RotaFeeds:
    """`async with RotaFeeds(…)`: fetches the calendars until it is left."""

    def __init__(self, config: AlertConfig, now_ms: WallClock) -> None:
        self._rotas, self._contacts = config.rotas, config.contacts
        self._now_ms = now_ms
        self.feeds = {
            name: CalendarFeed(
                rota_feed_name(name), rota, config.calendar_folder, config.timezone
            )
            for name, rota in config.rotas.items()
        }
        self._failures = FailureLog("rota_not_read", "rota_read", "warning")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        for name, feed in self.feeds.items():
            self._tasks.start(self._follow(name, feed), f"rota-{name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def now(self, rota: str) -> OnCallNow:
        """Who is on call now."""
        running = self.feeds[rota].state.running(self._now_ms())
        return on_call(self._rotas[rota], self._contacts, running)

    def channels(self, rota: str) -> Sequence[str]:
        """The channels of who is on call now, or those that stand in."""
        return self.now(rota).channels

    async def _follow(self, name: str, feed: CalendarFeed) -> None:
        while True:
            try:
                await feed.refresh(self._now_ms())
            except OSError as error:
                # A full disk: what is known stays in use.
                self._failures.failed(error, key=name, rota=name)
            else:
                if feed.state.error:
                    self._failures.failed(feed.state.error, key=name, rota=name)
                else:
                    self._failures.recovered(name, rota=name)
            await asyncio.sleep(_EVERY_S)


def rota_feed_name(rota: str) -> str:
    """Its name among the kept calendars: one of maintenance may have the same."""
    return f"rota.{rota}"
