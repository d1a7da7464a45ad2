"""`/metrics` for Prometheus, on a port of its own: Towpath's figures about itself, and
the rows that rules evaluate if that is on. `/healthz` and `/readyz` for what runs the
process: whether a restart would help, and whether its roles can do their work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Self
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector
from pydantic import Field

from collectors.strict_model import StrictModel
from towpath.readiness import Readiness

# A loop that does not come to its next callback for so long is stuck.
_LOOP_S = 5.0
_Start = Callable[[str, list[tuple[str, str]]], object]
_Application = Callable[[dict[str, Any], _Start], Iterable[bytes]]


class MetricsConfig(StrictModel):
    """`port` is for a process with all roles. A process with one role adds 1 for poll,
    2 for ingest, 3 for store, 4 for alert, 5 for web or 6 for calls; part 2 of the
    store adds 7, and so on. 0 turns it off. `rows`: the alert role exposes the newest
    rows that rules evaluate."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65514)] = 9468
    rows: bool = False


class MetricsServer:
    """Answers scrapes in threads of its own, from `collectors`."""

    def __init__(
        self,
        config: MetricsConfig,
        roles: Sequence[str],
        readiness: Readiness,
        *collectors: Collector,
        part: int = 1,
    ) -> None:
        self.host, self.port = config.host, _port(config, roles, part)
        self._registry = CollectorRegistry(auto_describe=False)
        self._collectors, self._readiness = collectors, readiness
        self._roles = list(roles)
        self._stopping = False

    def __enter__(self) -> Self:
        for collector in self._collectors:
            self._registry.register(collector)
        try:
            self._server = _ScrapeServer((self.host, self.port), _QuietHandler)
        except OSError as error:
            raise OSError(
                f"cannot listen on {self.host}:{self.port} ({error.strerror}): "
                "set metrics.port to a free port, or to 0"
            ) from None
        self._loop = asyncio.get_running_loop()
        self._server.set_app(self._answer(make_wsgi_app(self._registry)))
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        # `handle_request` waits for a connection, however long that takes.
        with contextlib.suppress(OSError):
            address = self._server.socket.getsockname()[:2]
            socket.create_connection(address, 1).close()
        self._thread.join(2)
        self._server.server_close()

    def _answer(self, metrics: _Application) -> _Application:
        reasons = {"/healthz": self._deadness, "/readyz": self._readiness.reasons}

        def answer(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
            find = reasons.get(environ["PATH_INFO"])
            if find is None:
                return metrics(environ, start)
            found = find()
            body = {"ok": not found, "roles": self._roles, "reasons": found}
            status = "503 Service Unavailable" if found else "200 OK"
            start(status, [("Content-Type", "application/json")])
            return [json.dumps(body).encode() + b"\n"]

        return answer

    def _deadness(self) -> list[str]:
        # This thread would answer for long after the loop has stopped working.
        done = threading.Event()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(done.set)
        if done.wait(_LOOP_S):
            return []
        return [f"the process has done nothing for {_LOOP_S:g} s"]

    def _serve(self) -> None:
        # `serve_forever` would wake twice a second to look whether it should stop.
        while not self._stopping:
            self._server.handle_request()


def _port(config: MetricsConfig, roles: Sequence[str], part: int) -> int:
    """The port of a process with these roles and that part of the store."""
    order = ("poll", "ingest", "store", "alert", "web", "calls")
    if part > 1:
        return config.port + len(order) + part - 1
    if len(roles) < len(order):
        return config.port + 1 + order.index(roles[0])
    return config.port


class _ScrapeServer(ThreadingWSGIServer):
    def __init__(
        self, address: tuple[str, int], handler: type[WSGIRequestHandler]
    ) -> None:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        self.address_family = found[0][0]
        super().__init__(address, handler)


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Scrapes are not logged."""
