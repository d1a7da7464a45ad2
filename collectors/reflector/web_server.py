"""The reflector's web server: ndt7 and browsers' test calls over WebSocket, and a small
echo for web probes."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random
import ssl
import time
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from collectors.http.connection_slots import ConnectionSlots
from collectors.ip_networks import network_of
from collectors.reflector import call_echo
from collectors.reflector.call_echo import BusyCall, CallEcho
from collectors.reflector.ndt7_server import (
    MalformedRequest,
    Subtest,
    SubtestRequest,
    TestConnection,
    parse_request,
)
from collectors.reflector.reflector_access import token_holder
from collectors.reflector.reflector_config import ReflectorConfig
from collectors.reflector.reflector_limits import AllowList
from probes.wire import ndt7

_log = structlog.get_logger()
_ECHO = "towpath\n"
_NEEDS_TOKEN = "a speed test needs the token of an enrolled laptop's policy\n"
_ALL_TESTS = {
    ndt7.DOWNLOAD: "download",
    ndt7.UPLOAD: "upload",
    call_echo.PATH: call_echo.TEST,
}
_CLOSE_S = 3.0
_PLACE_S = 1.0


class WebStats(msgspec.Struct):
    """Counters since start, except `testing` and `calling`: the numbers of speed tests
    and of browsers' test calls that run now."""

    echoes: int = 0
    downloads: int = 0
    uploads: int = 0
    busy: int = 0
    refused: int = 0
    failed: int = 0
    crowded: int = 0
    octets_out: int = 0
    octets_in: int = 0
    testing: int = 0
    calls: int = 0
    calling: int = 0


class _SlotConnection(TestConnection):
    """Takes a connection slot when it is made: idle connections must not keep others
    out."""

    def __init__(
        self,
        slots: ConnectionSlots[ServerConnection],
        stats: WebStats,
        *args: Any,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self._slots, self._stats = slots, stats

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        address = network_of(str(self.remote_address[0]))
        closed = self._slots.admit(self, address)
        if closed is not None:
            self._stats.crowded += 1
            closed[0].transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._slots.remove(self)
        super().connection_lost(exc)


class ReflectorWebServer:
    """Serves everything on one TCP port. `async with` runs it; then `port` is known."""

    def __init__(
        self,
        config: ReflectorConfig,
        addresses: tuple[str, ...],
        seconds: float = ndt7.SECONDS,
        secret: bytes = b"",
    ) -> None:
        self._config, self._addresses, self._seconds = config, addresses, seconds
        self._secret = secret
        self._allow = AllowList(config.allow)
        self._noise = b""
        self._server: Server | None = None
        self._asks: dict[ServerConnection, SubtestRequest] = {}
        self._tests: dict[ServerConnection, Subtest | CallEcho | BusyCall] = {}
        self._calls: set[ServerConnection] = set()
        self._admitted: dict[ServerConnection, asyncio.Task[None]] = {}
        self._networks: dict[ServerConnection, str] = {}
        self._holders: dict[ServerConnection, str] = {}
        self._testing: dict[ServerConnection, str] = {}
        self._freed = asyncio.Condition()
        self.stats = WebStats()
        # Tests have slots of their own. One address may have half of the others; then a
        # new connection replaces its oldest one.
        self._slots: ConnectionSlots[ServerConnection] = ConnectionSlots(
            config.connections + config.tests_at_once + config.calls_at_once,
            config.connections,
            max(1, config.connections // 2),
            config.tests_at_once + config.calls_at_once,
        )

    @property
    def port(self) -> int:
        assert self._server is not None, "not running"
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def __aenter__(self) -> ReflectorWebServer:
        self._noise = os.urandom(ndt7.LARGEST_SENT)
        try:
            self._server = await self._serve()
        except OSError as error:
            raise OSError(
                f"cannot listen on TCP port {self._config.web_port}: "
                f"{os.strerror(error.errno or 0)}; expected a free port (web_port)"
            ) from None
        return self

    async def _serve(self) -> Server:
        # The library logs every client that disconnects; we log failures ourselves.
        quiet = logging.getLogger("towpath.reflector.web")
        quiet.setLevel(logging.CRITICAL + 1)
        return await serve(
            self._handle,
            list(self._addresses),  # type: ignore[arg-type] # asyncio takes several
            self._config.web_port,
            ssl=self._tls(),
            subprotocols=[
                Subprotocol(ndt7.SUBPROTOCOL),
                Subprotocol(call_echo.SUBPROTOCOL),
            ],
            compression=None,
            create_connection=functools.partial(  # type: ignore[arg-type]
                _SlotConnection, self._slots, self.stats
            ),
            process_request=self._route,
            process_response=self._admit,
            server_header="towpath-reflector",
            open_timeout=ndt7.HANDSHAKE_S,
            ping_interval=None,
            close_timeout=_CLOSE_S,
            max_size=ndt7.LARGEST_TAKEN,
            # In frames, each as large as a message, so that reading pauses early.
            max_queue=1,
            write_limit=ndt7.WAITING_BYTES,
            logger=quiet,
        )

    async def __aexit__(self, *_exc: object) -> None:
        if self._server is None:
            return
        self._server.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._server.wait_closed()
        except TimeoutError:
            for connection in list(self._server.handlers):
                connection.transport.abort()
            await self._server.wait_closed()
        if self._admitted:
            await asyncio.wait(set(self._admitted.values()), timeout=_CLOSE_S)

    def _tls(self) -> ssl.SSLContext | None:
        if self._config.tls_certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._config.tls_certificate, self._config.tls_key)
        return context

    def _route(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers anything but a test. None continues the WebSocket handshake."""
        if request.path.partition("?")[0] == "/echo":
            self.stats.echoes += 1
            return _respond(connection, HTTPStatus.OK, _ECHO)
        try:
            ask = parse_request(request.path, _ALL_TESTS)
        except MalformedRequest as why:
            self.stats.refused += 1
            return _respond(connection, HTTPStatus.BAD_REQUEST, f"{why}\n")
        if ask is None:
            return _respond(connection, HTTPStatus.NOT_FOUND, "not found\n")
        if not self._allow.allows(str(connection.remote_address[0])):
            self.stats.refused += 1
            return _respond(connection, HTTPStatus.FORBIDDEN, "not for you\n")
        holder = ""
        if self._config.access == "token":
            holder = token_holder(self._secret, ask.token, time.time())
            if not holder:
                # Before waiting for a slot: clients without a token delay nobody.
                self.stats.refused += 1
                return _respond(connection, HTTPStatus.FORBIDDEN, _NEEDS_TOKEN)
        self._asks[connection] = ask
        self._holders[connection] = holder
        return None

    async def _admit(
        self, connection: ServerConnection, _request: Request, response: Response
    ) -> Response | None:
        """Takes a slot for a test, or answers that there is none.

        Waits for a moment: a client's upload may begin before the slot of its download
        is free.
        """
        ask = self._asks.pop(connection, None)
        holder = self._holders.pop(connection, "")
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS or ask is None:
            return None
        assert isinstance(connection, TestConnection)
        if ask.test == call_echo.TEST:
            self._asks[connection] = ask
            self._admit_call(connection, holder)
            return None
        network = network_of(str(connection.remote_address[0]), 24, 56)
        try:
            async with asyncio.timeout(_PLACE_S), self._freed:
                await self._freed.wait_for(lambda: self._has_place(network, holder))
        except TimeoutError:
            return self._busy(connection)
        self._networks[connection] = network
        self._slots.sign_in(connection, "")
        if holder:
            self._testing[connection] = holder
        # The slot is freed when the connection ends, however it ends.
        self._admitted[connection] = asyncio.create_task(
            self._release(connection), name="ndt7-place"
        )
        self.stats.testing = len(self._networks)
        self._asks[connection] = ask
        share_bps = self._config.share_bps
        self._tests[connection] = Subtest(
            connection, ask, self._noise, share_bps, self._seconds
        )
        if share_bps:
            if ask.test == "upload":
                connection.hold_to(share_bps)
            response.headers[ndt7.CAP_HEADER] = str(round(share_bps))
        return None

    def _admit_call(self, connection: TestConnection, holder: str) -> None:
        """Takes a slot for a test call, or closes it as busy. They are small, and an
        office may make several at a time."""
        self._admitted[connection] = asyncio.create_task(
            self._release(connection), name="call-place"
        )
        if len(self._calls) >= self._config.calls_at_once or (
            holder and holder in self._testing.values()
        ):
            self.stats.busy += 1
            self._tests[connection] = BusyCall(connection)
            return
        self._calls.add(connection)
        self.stats.calling = len(self._calls)
        self._slots.sign_in(connection, "")
        if holder:
            self._testing[connection] = holder
        self._tests[connection] = CallEcho(connection)

    def _has_place(self, network: str, holder: str) -> bool:
        if holder and holder in self._testing.values():
            return False
        of_network = sum(other == network for other in self._networks.values())
        return (
            len(self._networks) < self._config.tests_at_once
            and of_network < self._config.tests_per_network
        )

    def _busy(self, connection: ServerConnection) -> Response:
        """Answers 503 with a random Retry-After, to spread clients out."""
        self.stats.busy += 1
        response = _respond(connection, HTTPStatus.SERVICE_UNAVAILABLE, "busy\n")
        after_s = self._config.retry_after_s * random.uniform(0.5, 1.5)
        response.headers["Retry-After"] = str(max(1, round(after_s)))
        return response

    async def _release(self, connection: ServerConnection) -> None:
        await connection.wait_closed()
        await self._free(connection)
        self._admitted.pop(connection, None)
        self._asks.pop(connection, None)
        self._holders.pop(connection, None)
        self._tests.pop(connection, None)

    async def _free(self, connection: ServerConnection) -> None:
        """Frees the slot of a test, once."""
        async with self._freed:
            self._testing.pop(connection, None)
            self._calls.discard(connection)
            self.stats.calling = len(self._calls)
            if self._networks.pop(connection, None) is not None:
                self.stats.testing = len(self._networks)
                self._freed.notify_all()

    async def _handle(self, connection: ServerConnection) -> None:
        ask, test = self._asks[connection], self._tests[connection]
        try:
            await test.run()
        except ConnectionClosed:
            pass
        except Exception as error:  # noqa: BLE001 - one test must not end the others
            self.stats.failed += 1
            _log.warning("ndt7_test_failed", test=ask.test, error=repr(error))
        finally:
            await self._free(connection)
        if isinstance(test, BusyCall):
            return
        if isinstance(test, CallEcho):
            self.stats.calls += 1
        elif ask.test == "download":
            self.stats.downloads += 1
            self.stats.octets_out += test.octets
        else:
            self.stats.uploads += 1
            self.stats.octets_in += test.octets


def _respond(connection: ServerConnection, status: HTTPStatus, text: str) -> Response:
    response = connection.respond(status, text)
    response.headers["Cache-Control"] = "no-store"
    return response
