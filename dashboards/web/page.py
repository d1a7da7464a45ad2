"""`StatusPage`: serves the pages on one address until it is left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
import uvicorn

from alerts.alert import Alert
from alerts.standing import open_alerts, recent_alerts, silences
from alerts.suppress import Silence
from collectors.estate import Estate
from collectors.store.query import Store
from dashboards.answers import Answers
from dashboards.web.app import app
from dashboards.web.config import WebConfig
from dashboards.web.views import Alerts, Views

_log = structlog.get_logger()


class PageError(RuntimeError):
    """The page cannot be served; the text says why and what to do."""


class AlertFile:
    """Alerts as the alert engine keeps them; a file not yet there holds none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> list[Alert]:
        return open_alerts(self._path)

    def recent(self, since_ms: int) -> list[Alert]:
        return recent_alerts(self._path, since_ms)

    def silences(self, from_ms: int) -> list[Silence]:
        return silences(self._path, from_ms)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the process's composition root, not to one of its parts.
        yield


class StatusPage:
    """`async with StatusPage(config, estate, alerts, store) as page`.

    `alerts` is the alert engine's file, or anything with
    `open()`, `recent()` and `silences()`;
    `council` is the title where the settings have none. `unwell` says what keeps
    Towpath from its work, a sentence each; it may block. `page.url` is where it is once
    entered. `PageError` where the port cannot be had.
    """

    def __init__(
        self,
        config: WebConfig,
        estate: Callable[[], Estate],
        alerts: Path | Alerts,
        store: Store,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        council: str = "",
        unwell: Callable[[int], Sequence[str]] = lambda now_ms: (),
    ) -> None:
        self._config = config
        source = AlertFile(alerts) if isinstance(alerts, Path) else alerts
        views = Views(estate, source, Answers(store, now_ms), now_ms, unwell)
        if council and not config.title:
            config = config.model_copy(update={"title": council})
        self.app = app(config, views)
        self.url = ""
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        listener = self._listen()
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}"
        self._server = _Server(
            uvicorn.Config(
                self.app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=2,
                timeout_keep_alive=15,
                limit_concurrency=200,
                proxy_headers=False,
            )
        )
        self._task = asyncio.create_task(
            self._server.serve(sockets=[listener]), name="status-page"
        )
        async with asyncio.timeout(10):
            # uvicorn has no event to wait for.
            while not self._server.started and not self._task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        if self._task.done():
            self._task.result()
        _log.info("status_page_open", url=self.url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        assert self._task is not None
        self._server.should_exit = True
        try:
            async with asyncio.timeout(4):
                await asyncio.shield(self._task)
        except TimeoutError:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _listen(self) -> socket.socket:
        host, port = self._config.host, self._config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise PageError(
                f"the status page cannot listen on {host} port {port}: "
                f"{error.strerror}; set [web] port to a free one"
            ) from None
        listener.setblocking(False)
        return listener
