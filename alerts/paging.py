"""`Paging`: from an alert to its channels, and from notifications to one page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import structlog

from alerts.action_link import ACTIONS, LinkSigner
from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.cycle import CycleResult
from alerts.estate_index import EstateIndex
from alerts.notify.delivery import (
    delivery_notes,
    is_again,
    is_digest,
    message_kind,
    reminder_of,
)
from alerts.notify.page import ActionUrls, Page, PageSettings, build_page
from alerts.notify.routing import FindOnCall, FollowUp, Router, nobody_on_call
from alerts.outbox_entry import OutboxEntry
from collectors.failure_log import FailureLog
from probes.wire.clock import WallClock

_log = structlog.get_logger()
_HOUR_MS = 3_600_000


class Paging:
    """`estate_index` returns the current index: it changes while the engine runs.
    `on_call` returns the channels of who is on call by a rota."""

    def __init__(
        self,
        config: AlertConfig,
        channels: Collection[str],
        estate_index: Callable[[], EstateIndex],
        now_ms: WallClock,
        on_call: FindOnCall = nobody_on_call,
    ) -> None:
        self._config, self._channels = config, tuple(channels)
        self._estate_index, self._now_ms = estate_index, now_ms
        self._on_call = on_call
        self.group_ms = round(config.group_s * 1000)
        self._settings = PageSettings(config.base_url, config.timezone, config.council)
        self._links = LinkSigner(config.links, config.base_url)
        self._failures = FailureLog("messages_without_links", "messages_with_links")

    def destinations(self, alert: Alert) -> Sequence[tuple[str, int, bool]]:
        """(channel, earliest time, whether it waits for business hours) of a page."""
        # Immediate pages wait for a grouping window, to be sent as one message.
        return [
            (
                destination.channel,
                destination.next_ms + (0 if destination.deferred else self.group_ms),
                destination.deferred,
            )
            for destination in self._router().destinations(alert)
        ]

    def follow_up(self, alert: Alert) -> FollowUp:
        """Who is notified again while `alert` is not acknowledged."""
        return self._router().follow_up(alert)

    def _router(self) -> Router:
        return Router(
            self._config.routing,
            self._channels,
            self._estate_index(),
            self._now_ms(),
            self._on_call,
        )

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
            links={entry.episode: self._urls(entry, now_ms) for entry in entries},
            reminder=reminder_of(entries),
            again=is_again(entries),
            thread=entries[0].thread,
        )

    def _urls(self, entry: OutboxEntry, now_ms: int) -> ActionUrls:
        if not self._links.is_on or entry.is_over:
            return {}
        # The same for attempts that follow each other, so that they are one message.
        made_ms = now_ms - now_ms % _HOUR_MS
        try:
            urls: dict[str, str] = {
                action: self._links.url(action, entry.episode, entry.channel, made_ms)
                for action in ACTIONS
                if not (action == "acknowledge" and entry.alert.acknowledged_by)
            }
        except LookupError as error:
            # A page without links is better than none.
            self._failures.failed(error)
            return {}
        self._failures.recovered()
        return urls


def log_pages(result: CycleResult) -> None:
    """Logs what a cycle pages."""
    for page in result.pages:
        _log.warning(
            "alert_paged",
            alert=page.alert.key,
            channel=page.channel,
            episode=page.episode,
        )
    for episode in result.updates:
        _log.warning("alert_cause_found", episode=episode)
