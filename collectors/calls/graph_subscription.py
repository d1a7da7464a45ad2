"""`GraphSubscription`: asks Microsoft Graph for change notifications of call records.

Notifications have ids only (`includeResourceData` is not set), so there is no
certificate for encrypting their content, and none to rotate.
"""

from __future__ import annotations

import contextlib

from collectors.calls.graph_client import GraphClient, RecordGone
from collectors.calls.graph_token import GraphRefused
from collectors.calls.notification_body import Notifications
from collectors.calls.notification_server import NotificationServer
from collectors.calls.record_list import (
    RECORD_ID,
    PageRefused,
    graph_time,
    page_rows,
)
from collectors.calls.record_values import as_text
from collectors.failure_log import FailureLog
from probes.wire.clock import WallClock

# Microsoft's longest time is 4230 minutes.
_LASTS_MS = 4200 * 60_000
_RESOURCE = "communications/callRecords"


class GraphSubscription:
    """`keep` makes it, or renews it when half of its time is over. `client_state` and
    address are the server's."""

    def __init__(
        self, graph_url: str, server: NotificationServer, now_ms: WallClock
    ) -> None:
        self._url, self._server, self._now_ms = graph_url, server, now_ms
        self._id, self._renew_ms = "", 0
        self._failures = FailureLog(
            "calls_not_notified", "calls_notified_again", "warning"
        )

    @property
    def is_active(self) -> bool:
        return bool(self._id) and not self._failures.failing

    def note(self, found: Notifications) -> None:
        """Takes note of what Graph says of the subscription itself."""
        if "subscriptionRemoved" in found.events:
            self._id = ""
        if "reauthorizationRequired" in found.events:
            self._renew_ms = 0

    async def keep(self, graph: GraphClient) -> None:
        """Makes or renews it if need be. A failure is logged: records are listed all
        the same."""
        now_ms = self._now_ms()
        if self._id and now_ms < self._renew_ms:
            return
        try:
            with self._server.answering_validation():
                if self._id:
                    await self._renew(graph, now_ms)
                if not self._id:
                    await self._make(graph, now_ms)
        except (GraphRefused, PageRefused, RecordGone) as refused:
            sentence = (
                f"no change notifications: {refused}; Microsoft must reach "
                f"{self._server.url}"
            )
            self._failures.failed(sentence, kind=sentence)
        else:
            self._renew_ms = now_ms + _LASTS_MS // 2
            self._failures.recovered()

    async def _renew(self, graph: GraphClient, now_ms: int) -> None:
        expires = {"expirationDateTime": graph_time(now_ms + _LASTS_MS)}
        try:
            await graph.change("PATCH", self._address(self._id), expires)
        except RecordGone:
            self._id = ""

    async def _make(self, graph: GraphClient, now_ms: int) -> None:
        await self._remove_earlier(graph)
        made = await graph.change(
            "POST",
            self._address(),
            {
                "changeType": "created",
                "resource": _RESOURCE,
                "notificationUrl": self._server.url,
                "lifecycleNotificationUrl": self._server.url,
                "expirationDateTime": graph_time(now_ms + _LASTS_MS),
                "clientState": self._server.client_state,
                "latestSupportedTlsVersion": "v1_2",
            },
        )
        id = as_text(made.get("id"))
        if not _is_id(id):
            raise GraphRefused("Microsoft Graph names no subscription")
        self._id = id

    async def _remove_earlier(self, graph: GraphClient) -> None:
        """Removes those of an earlier run, whose `clientState` is lost."""
        async for body in graph.pages(self._address()):
            for row in page_rows(body):
                id = as_text(row.get("id"))
                if row.get("notificationUrl") == self._server.url and _is_id(id):
                    with contextlib.suppress(RecordGone):
                        await graph.change("DELETE", self._address(id))

    def _address(self, id: str = "") -> str:
        return f"{self._url}/v1.0/subscriptions" + (f"/{id}" if id else "")


def _is_id(text: str) -> bool:
    """Whether it may be part of an address."""
    return RECORD_ID.fullmatch(text) is not None
