"""`HttpServer`: serves an ASGI application on a port as part of this process.

All limits are in `ServerLimits`. A renewed certificate is loaded without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvicorn

from collectors.background_tasks import BackgroundTasks
from collectors.file_limit import raise_file_limit
from collectors.http.connection import Connection
from collectors.http.connection_slots import ConnectionSlots
from collectors.http.listener import Listener
from collectors.http.protocol import HttpProtocol
from collectors.http.refusal_reasons import HttpRefusal
from collectors.ip_networks import parse_networks, peer_texts
from collectors.token_buckets import TokenBuckets

_START_S = 20
_STOP_S = 3
_REFUSALS_S = 5

_log = structlog.get_logger()


class CannotServe(RuntimeError):
    """The port or the certificate cannot be used; the text has which and why."""


class ServerLimits(msgspec.Struct, frozen=True):
    """Limits of one server, in connections and seconds.

    A stranger is a connection on which nobody has signed in: at most `strangers` of the
    `connections`, and `strangers_per_address` for one address. One name may be signed
    in on `per_name` connections. `handshakes_per_s` TLS handshakes are started a
    second, in turns by address. `refusals_per_s` refusals to one address are answered
    without delay. A peer has `head_s` for the TLS handshake, and again for the head of
    a request, `idle_s` between two requests, `answer_s` for reading on, and `linger_s`
    for closing the connection.
    """

    connections: int = 4000
    strangers: int = 1000
    strangers_per_address: int = 512
    per_name: int = 8
    handshakes_per_s: float = 250
    refusals_per_s: float = 200
    head_s: float = 10
    idle_s: float = 30
    answer_s: float = 30
    linger_s: float = 2


class Endpoint(msgspec.Struct, frozen=True):
    """Where a server listens. `setting` names the port in error messages."""

    host: str
    port: int
    setting: str


class Certificate(msgspec.Struct, frozen=True):
    """Two PEM files that belong together; a renewed one is loaded within `reload_s`."""

    certificate: Path
    private_key: Path
    reload_s: float = 60

    def load(self, context: ssl.SSLContext) -> None:
        """Loads it into `context` (blocking). Raises `CannotServe` if unusable."""
        for file in (self.certificate, self.private_key):
            try:
                file.open("rb").close()
            except OSError as error:
                raise CannotServe(f"{file}: cannot be read: {error.strerror}") from None
        try:
            context.load_cert_chain(self.certificate, self.private_key)
        except (OSError, ssl.SSLError) as error:
            raise CannotServe(
                f"certificate {self.certificate} with key {self.private_key} cannot be "
                f"used: {error}; expected two PEM files that belong together"
            ) from None

    def stamp(self) -> tuple[int, ...]:
        """Returns a value that changes when a file is replaced."""
        with contextlib.suppress(OSError):
            return tuple(
                path.stat().st_mtime_ns for path in (self.certificate, self.private_key)
            )
        return ()


class HttpServer:
    """Serves `app` between `start` and `stop`.

    The `X-Forwarded-For` of `trusted_proxies` is used. `on_refusal` is called for each
    connection that is closed and each request that cannot be read. Each request's ASGI
    scope has its `connection` (`connection.Connection`): an application that knows the
    sender calls its `sign_in`.
    """

    def __init__(
        self,
        app: Any,
        endpoint: Endpoint,
        limits: ServerLimits,
        *,
        certificate: Certificate | None = None,
        trusted_proxies: Collection[str] = (),
        on_refusal: Callable[[HttpRefusal], None] = lambda reason: None,
    ) -> None:
        self._app, self._endpoint, self.port = app, endpoint, endpoint.port
        self._limits, self._certificate = limits, certificate
        self._proxies = parse_networks(trusted_proxies)
        self._on_refusal = on_refusal
        self._tasks = BackgroundTasks()
        self._serving: asyncio.Task[None] | None = None
        self._server: _Server | None = None
        self._slots: ConnectionSlots[Connection] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        slots = self._slots
        return 0 if slots is None else slots.signed_in + slots.strangers

    @property
    def strangers(self) -> int:
        """How many connections nobody has signed in on."""
        return 0 if self._slots is None else self._slots.strangers

    async def start(self) -> None:
        """Returns when the server listens. Raises `CannotServe` if it cannot."""
        tls = None if self._certificate is None else self._tls(self._certificate)
        listening = self._listen()
        self.port = listening.getsockname()[1]
        # Anyone can make uvicorn log a warning by sending a broken request.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._server = server = _Server(self._settings(), self._listener, tls)
        self._serving = serving = self._tasks.start(
            server.serve([listening]), f"http-server {self._endpoint.setting}"
        )
        if tls is not None:
            self._tasks.start(
                self._follow_certificate(tls), f"http-tls {self._endpoint.setting}"
            )
        try:
            async with asyncio.timeout(_START_S):
                while not server.started:
                    if serving.done():
                        raise CannotServe(
                            f"{self._endpoint.setting}: the server ended at once"
                        )
                    await asyncio.sleep(0.01)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Waits a few seconds for running requests, then closes everything."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        self._server.stopping.set()
        await asyncio.wait({self._serving}, timeout=_STOP_S + 1)
        await self._tasks.stop()

    def _settings(self) -> uvicorn.Config:
        settings = uvicorn.Config(
            self._app,
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(self._proxies),
            forwarded_allow_ips=peer_texts(self._proxies),
            timeout_keep_alive=self._limits.idle_s,  # type: ignore[arg-type]
            timeout_graceful_shutdown=_STOP_S,
        )
        settings.load()
        return settings

    def _listener(self, server: uvicorn.Server) -> Listener:
        limits = self._limits
        connections = self._allowed()
        self._slots = slots = ConnectionSlots[Connection](
            connections,
            min(limits.strangers, connections),
            limits.strangers_per_address,
            limits.per_name,
        )
        make_protocol = functools.partial(
            HttpProtocol,
            config=server.config,
            server_state=server.server_state,
            app_state={},
            head_s=limits.head_s,
            linger_s=limits.linger_s,
            answer_s=limits.answer_s,
        )
        return Listener(
            slots,
            make_protocol,
            self._on_refusal,
            handshake_s=limits.head_s,
            handshakes_per_s=limits.handshakes_per_s,
            refusals=TokenBuckets(
                limits.refusals_per_s, _REFUSALS_S * limits.refusals_per_s
            ),
            trusted_proxies=self._proxies,
        )

    def _allowed(self) -> int:
        """Limits connections to half of the files that the process may open."""
        wanted, files = self._limits.connections, raise_file_limit()
        if files is None or wanted <= files // 2:
            return wanted
        _log.warning(
            "connections_limited_by_open_files",
            server=self._endpoint.setting,
            configured=wanted,
            connections=files // 2,
            open_files=files,
        )
        return max(1, files // 2)

    def _tls(self, certificate: Certificate) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        certificate.load(context)
        return context

    async def _follow_certificate(self, context: ssl.SSLContext) -> None:
        certificate = self._certificate
        assert certificate is not None
        loaded = certificate.stamp()
        while True:
            await asyncio.sleep(certificate.reload_s)
            now = certificate.stamp()
            if now == loaded:
                continue
            loaded = now
            try:
                # In a context of its own first, as files may be half renewed.
                certificate.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
                certificate.load(context)
            except CannotServe as error:
                _log.error("certificate_not_renewed", error=str(error))
            else:
                _log.info("certificate_renewed", path=str(certificate.certificate))

    def _listen(self) -> socket.socket:
        try:
            ((family, kind, protocol, _, address),) = socket.getaddrinfo(
                self._endpoint.host,
                self.port,
                type=socket.SOCK_STREAM,
                flags=socket.AI_PASSIVE,
            )[:1]
            listening = socket.socket(family, kind, protocol)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind(address)
                listening.listen(1024)
            except OSError:
                listening.close()
                raise
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {self._endpoint.host}:{self.port}: "
                f"{error.strerror}; expected a free port ({self._endpoint.setting})"
            ) from None
        listening.setblocking(False)
        return listening


class _Server(uvicorn.Server):
    """uvicorn's server, with our listener in place of the event loop's."""

    def __init__(
        self,
        config: uvicorn.Config,
        make_listener: Callable[[uvicorn.Server], Listener],
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(config)
        self._make_listener, self._tls = make_listener, tls
        self._listener: Listener | None = None
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self.servers = []
        self._listener = self._make_listener(self)
        for listening in sockets or ():
            self._listener.start(listening, self._tls)
        self.started = True

    async def main_loop(self) -> None:
        # uvicorn's wakes ten times a second to look whether it should exit, and to set
        # the date of responses.
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._listener is not None:
            self._listener.stop()
        await super().shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The process handles signals, not one of its components.
        yield
