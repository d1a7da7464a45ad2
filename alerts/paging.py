"""`Paging`: from an alert to its channels, and from notifications to one page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.estate_index import EstateIndex
from alerts.notify.delivery import delivery_notes, is_digest, message_kind
from alerts.notify.page import Page, PageSettings, build_page
from alerts.notify.routing import destinations
from alerts.outbox_entry import OutboxEntry
from probes.wire.clock import WallClock


class Paging:
    """`estate_index` returns the current index: it changes while the engine runs."""

    def __init__(
        self,
        config: AlertConfig,
        channels: Collection[str],
        estate_index: Callable[[], EstateIndex],
        now_ms: WallClock,
    ) -> None:
        self._config, self._channels = config, tuple(channels)
        self._estate_index, self._now_ms = estate_index, now_ms
        self.group_ms = round(config.group_s * 1000)
        self._settings = PageSettings(config.base_url, config.timezone, config.council)

    def destinations(self, alert: Alert) -> Sequence[tuple[str, int, bool]]:
        """(channel, earliest time, whether it waits for business hours) of a page."""
        routed = destinations(
            alert,
            self._config.routing,
            self._channels,
            self._estate_index(),
            self._now_ms(),
        )
        # Immediate pages wait for a grouping window, to be sent as one message.
        return [
            (
                destination.channel,
                destination.next_ms + (0 if destination.deferred else self.group_ms),
                destination.deferred,
            )
            for destination in routed
        ]

    def render(self, entries: Sequence[OutboxEntry], now_ms: int) -> Page:
        """The page of notifications that are sent as one message."""
        return build_page(
            [entry.shown for entry in entries],
            message_kind(entries),
            [entry.episode for entry in entries],
            now_ms,
            self._settings,
            {site.id: site.name for site in self._estate_index().estate.sites},
            delivery_notes(entries, now_ms),
            parts=[entry.part for entry in entries],
            digest=is_digest(entries),
            is_retry=any(entry.tries for entry in entries),
        )
