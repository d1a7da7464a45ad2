"""`RotaFeeds`: the calendars of who is on call, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from alerts.alert_config import AlertConfig
from alerts.calendars.calendar_feed import CalendarFeed
from alerts.calendars.followed_feeds import FollowedFeeds
from alerts.rota import OnCallNow, on_call
from probes.wire.clock import WallClock


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
        self._followed = FollowedFeeds(self.feeds, "rota", now_ms)

    async def __aenter__(self) -> Self:
        await self._followed.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._followed.__aexit__(*error)

    def now(self, rota: str) -> OnCallNow:
        """Who is on call now."""
        running = self.feeds[rota].state.running(self._now_ms())
        return on_call(self._rotas[rota], self._contacts, running)

    def channels(self, rota: str) -> Sequence[str]:
        """The channels of who is on call now, or those that stand in."""
        return self.now(rota).channels


def rota_feed_name(rota: str) -> str:
    """Its name among the kept calendars: one of maintenance may have the same."""
    return f"rota.{rota}"
