"""`NotificationServer`: where Microsoft Graph sends its change notifications.

It may face the internet: it takes small POSTs to one path, says nothing of Towpath, and
keeps a limited number of ids. What is lost is found when records are listed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collectors.calls.calls_config import NotificationsConfig
from collectors.calls.notification_body import Notifications, read_notifications
from collectors.http import (
    Endpoint,
    HttpRefusal,
    HttpServer,
    ServerLimits,
)
from collectors.limited_body import read_limited

# Graph puts at most 1,000 notifications into a request.
_MOST_BYTES = 1 << 20
_MOST_IDS = 10_000
_TOKEN = re.compile(r"[\x20-\x7e]{1,1024}", re.ASCII)
_LIMITS = ServerLimits(connections=200, strangers=200, strangers_per_address=50)
_PLAIN = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class NotificationServer:
    """`async with NotificationServer(config, counts)`. `counts` gets `notices`, the
    records that were named, and `notices_refused`."""

    def __init__(self, config: NotificationsConfig, counts: Counter[str]) -> None:
        self.url, self._counts = config.url, counts
        self.client_state = secrets.token_urlsafe(32)
        self._ids: set[str] = set()
        self._events: set[str] = set()
        self._has_any = asyncio.Event()
        self._validating = 0
        path = urlsplit(config.url).path or "/"
        self._server = HttpServer(
            Starlette(routes=[Route(path, self._receive, methods=["POST"])]),
            Endpoint(config.host, config.port, "calls.notifications.port"),
            _LIMITS,
            certificate=config.pem_files(),
            on_refusal=self._count_refusal,
        )

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.stop()

    @property
    def port(self) -> int:
        return self._server.port

    @contextlib.contextmanager
    def answering_validation(self) -> Iterator[None]:
        """While it lasts, tokens by which Graph proves this address are sent back."""
        self._validating += 1
        try:
            yield
        finally:
            self._validating -= 1

    async def wait(self, seconds: float) -> Notifications:
        """Returns what came, as soon as anything has; nothing after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._has_any.wait()
        found = Notifications(frozenset(self._ids), frozenset(self._events))
        self._ids.clear()
        self._events.clear()
        self._has_any.clear()
        return found

    async def _receive(self, request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            if not self._validating or not _TOKEN.fullmatch(token):
                return self._refuse(400)
            return Response(token, 200, _PLAIN, "text/plain")
        body = await read_limited(request.stream(), _MOST_BYTES)
        if body is None:
            return self._refuse(413)
        found = read_notifications(body, self.client_state)
        self._counts["notices_refused"] += found.refused
        for id in found.ids:
            if len(self._ids) < _MOST_IDS:
                self._ids.add(id)
        self._counts["notices"] += len(found.ids)
        self._events |= found.events
        if self._ids or self._events:
            self._has_any.set()
        # Graph would send those of an earlier subscription again for hours.
        return Response(status_code=202, headers=_PLAIN)

    def _refuse(self, status: int) -> Response:
        self._counts["notices_refused"] += 1
        return Response(status_code=status, headers=_PLAIN)

    def _count_refusal(self, reason: HttpRefusal) -> None:
        self._counts["notices_refused"] += 1
