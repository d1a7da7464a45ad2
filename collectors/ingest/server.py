"""`HttpServer`: uvicorn as a component: on our socket, under our signals, with our
logs; slow and silent connections are closed, a renewed certificate is taken up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from collectors.ingest.config import HttpsConfig

_START_S = 20
_STOP_S = 3

log = structlog.get_logger()


class CannotServe(RuntimeError):
    """The port or the certificate cannot be used; the text says which and why."""


def load_certificate(config: HttpsConfig, context: ssl.SSLContext) -> None:
    """Into `context`; `CannotServe`, a sentence, where it cannot be used. Blocking."""
    certificate, key = config.certificate, config.private_key
    assert certificate is not None
    assert key is not None
    for file in (certificate, key):
        try:
            file.open("rb").close()
        except OSError as error:
            raise CannotServe(f"{file}: cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CannotServe(
            f"certificate {certificate} with key {key} cannot be used: {error}; "
            "expected two PEM files that belong together"
        ) from None


class HttpServer:
    """Serves an ASGI application between `start` and `stop`."""

    def __init__(self, config: HttpsConfig, app: Any) -> None:
        self._config, self._app = config, app
        self._tasks: list[asyncio.Task[None]] = []
        self._server: uvicorn.Server | None = None
        self.port = config.port

    async def start(self) -> None:
        """Returns when it listens. `CannotServe` says why it cannot."""
        context = None if self._config.plaintext else self._context()
        listener = self._listen()
        self.port = listener.getsockname()[1]
        # Anyone can make it warn of a broken request, as often as they like.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        server = _Server(self._settings(context))
        self._server = server
        serving = asyncio.create_task(server.serve([listener]), name="https-ingest")
        self._tasks = [serving]
        if context is not None:
            self._tasks.append(
                asyncio.create_task(self._follow_certificate(context), name="https-tls")
            )
        serving.add_done_callback(_ended)
        try:
            async with asyncio.timeout(_START_S):
                while not server.started:
                    if serving.done():
                        raise CannotServe("the HTTPS server ended when it started")
                    await asyncio.sleep(0.01)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Lets running requests end for a few seconds, then leaves."""
        if self._server is None:
            return
        self._server.should_exit = True
        await asyncio.wait(self._tasks[:1], timeout=_STOP_S + 1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _settings(self, context: ssl.SSLContext | None) -> uvicorn.Config:
        config = self._config
        settings = uvicorn.Config(
            self._app,
            http=_protocol(config.header_s),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(config.trusted_proxies),
            forwarded_allow_ips=list(config.trusted_proxies),
            limit_concurrency=config.max_connections,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_STOP_S,
            h11_max_incomplete_event_size=32_768,
        )
        settings.load()
        settings.ssl = context
        return settings

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load_certificate(context)
        return context

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        # Tried out first: half a renewal would leave the running one broken.
        load_certificate(self._config, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        load_certificate(self._config, context)

    async def _follow_certificate(self, context: ssl.SSLContext) -> None:
        loaded = self._stamp()
        while True:
            await asyncio.sleep(self._config.certificate_look_s)
            now = self._stamp()
            if now == loaded:
                continue
            loaded = now
            try:
                self._load_certificate(context)
            except CannotServe as error:
                log.error("the renewed certificate cannot be used", error=str(error))
            else:
                log.info("certificate renewed", path=str(self._config.certificate))

    def _stamp(self) -> tuple[int, ...]:
        paths = (self._config.certificate, self._config.private_key)
        with contextlib.suppress(OSError):
            return tuple(p.stat().st_mtime_ns for p in paths if p is not None)
        return ()

    def _listen(self) -> socket.socket:
        host, port = self._config.host, self._config.port
        try:
            ((family, kind, protocol, _, address),) = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[:1]
            # With its protocol named: asyncio turns Nagle's algorithm off only then.
            listener = socket.socket(family, kind, protocol)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(1024)
            except OSError:
                listener.close()
                raise
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {host}:{port} for HTTPS reports: {error.strerror}; "
                "expected a free port (ingest.https.port)"
            ) from None
        listener.setblocking(False)
        return listener


def _ended(serving: asyncio.Task[None]) -> None:
    if not serving.cancelled() and serving.exception() is not None:
        log.error("the HTTPS server ended", error=repr(serving.exception()))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the process, not to one of its components.
        yield


def _protocol(header_s: float) -> type[asyncio.Protocol]:
    """HTTP/1.1 that hangs up on a peer which does not finish its request's head: it
    would hold a connection for ever, as only the wait after an answer is timed."""

    class Impatient(H11Protocol):
        _watch: asyncio.TimerHandle | None = None

        def connection_made(  # type: ignore[override]
            self, transport: asyncio.Transport
        ) -> None:
            super().connection_made(transport)
            self._watch = self.loop.call_later(header_s, self._look, None)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._watch is not None:
                self._watch.cancel()
            super().connection_lost(exc)

        def _look(self, last: object) -> None:
            cycle = self.cycle
            waiting = cycle is None or cycle.response_complete
            idle = self.timeout_keep_alive_task is not None
            if waiting and not idle and cycle is last:
                self.transport.close()
                return
            self._watch = self.loop.call_later(header_s, self._look, cycle)

    return Impatient
