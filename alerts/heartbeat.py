"""`Heartbeat`: calls a URL while Towpath is well, so that an outside watcher notices
when it is not. It calls only after a complete cycle: rows read, rules evaluated, the
result on disk."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

import httpx2

from collectors.background_tasks import BackgroundTasks
from collectors.checked_client import checked_client
from collectors.failure_log import FailureLog

_TIMEOUT_S = 10.0


class Heartbeat:
    """`beat()` reports a complete cycle. The URL is called at most every `period_s`,
    and not at all if no cycle was completed since."""

    def __init__(self, url: str, period_s: float = 60.0) -> None:
        self._url, self._period_s = url, period_s
        self._has_beaten = asyncio.Event()
        self._tasks = BackgroundTasks()
        self._failures = FailureLog("heartbeat_fails", "heartbeat_recovered", "warning")
        self.calls = self.failures = 0

    async def __aenter__(self) -> Self:
        if self._url:
            self._tasks.start(self._run(), "heartbeat")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def beat(self) -> None:
        self._has_beaten.set()

    async def _run(self) -> None:
        tls = await asyncio.to_thread(ssl.create_default_context)
        while True:
            await self._has_beaten.wait()
            self._has_beaten.clear()
            await self._call(tls)
            await asyncio.sleep(self._period_s)

    async def _call(self, tls: ssl.SSLContext) -> None:
        self.calls += 1
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                async with checked_client(self._url, tls, timeout=_TIMEOUT_S) as client:
                    response = await client.get(self._url)
                    response.raise_for_status()
        except (TimeoutError, OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            self.failures += 1
            # Only the host and the kind of error: the rest of such a URL is a secret.
            host = httpx2.URL(self._url).host
            self._failures.failed(type(error).__name__, host=host)
        else:
            self._failures.recovered()
