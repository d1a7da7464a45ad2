"""One kept HTTP/1.1 connection: direct, or through a proxy.

h11 reads and writes the protocol; it is strict about lengths, chunks and headers. What
is added here is the way to the server, and limits: of time, and of what is received.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

import h11
import msgspec

from probes.measure.proxy_ways import proxy_login
from probes.measure.tcp_connection import (
    Streams,
    connect_first,
    families_in_turn,
    host_octets,
    look_up,
    start_tls,
    url_host,
)
from probes.platforms.system_trust import trust
from probes.wire.display import displayable

CONNECT_S = 10.0
READ_S = 30.0
MAX_HEAD_BYTES = 32_768
_PORTS = {"http": 80, "https": 443}
_CHUNK_BYTES = 65_536

Headers = Sequence[tuple[str, str]]


class NoAnswer(Exception):
    """There is no answer that can be used; the text says why."""


class ProxyRefused(Exception):
    """The proxy did not connect: its status line and its headers."""

    def __init__(
        self, status_line: str, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        super().__init__(status_line)
        self.headers = headers


class _ErrorBody(msgspec.Struct):
    why: str


class HttpResponse(msgspec.Struct, frozen=True):
    """A whole response; names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def why(self) -> str | None:
        """The server's own sentence; None if something else than our server
        answered."""
        try:
            why = msgspec.json.decode(self.body, type=_ErrorBody).why
            return displayable(why[:300])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None


class HttpConnection:
    """`await connection.request(…)` sends one request at a time; the connection is kept
    for the next one if the server agrees. `close` ends it.

    `local_address` and `certificate` (DER) are those of the present connection. Raises
    `ValueError` if `server` or `proxy` is no address of HTTP.
    """

    def __init__(
        self,
        server: str,
        tls: ssl.SSLContext,
        proxy: str = "",
        *,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._server, self._tls = _address(server), tls
        self._proxy = _address(proxy) if proxy else None
        self._connect_s = connect_s
        self._streams: Streams | None = None
        self._protocol = h11.Connection(h11.CLIENT)
        self._idle: asyncio.Task[bytes] | None = None
        self.local_address = ""
        self.certificate = b""

    async def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        most_bytes: int,
    ) -> HttpResponse:
        """Sends one request and returns the whole answer. Raises `NoAnswer`,
        `ProxyRefused` or `OSError`; after that, and if it is cancelled, the connection
        is closed."""
        try:
            if not self._is_reusable():
                self.close()
                await self._open()
            return await self._exchange(method, path, headers, body, most_bytes)
        except UnicodeError:
            self.close()
            raise NoAnswer("its name cannot be looked up") from None
        except h11.RemoteProtocolError as error:
            self.close()
            raise NoAnswer(f"its answer cannot be read: {str(error)[:100]}") from None
        except h11.LocalProtocolError as error:
            self.close()
            raise NoAnswer(f"the request cannot be sent: {str(error)[:100]}") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection; the next request opens another one."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._streams is not None:
            # Not awaited, because a server may never close its side.
            with contextlib.suppress(RuntimeError):
                self._streams[1].transport.abort()
            self._streams = None

    def _is_reusable(self) -> bool:
        # What arrives between two requests is an end, or the answer to none.
        return self._streams is not None and not (
            self._idle is None or self._idle.done()
        )

    async def _open(self) -> None:
        host = _host(self._server)
        first = self._proxy or self._server
        self.certificate = b""
        try:
            async with asyncio.timeout(self._connect_s):
                addresses = await look_up(_host(first), _port(first))
                self._streams = await connect_first(families_in_turn(addresses))
        except TimeoutError:
            at = "the proxy" if self._proxy else "it"
            raise NoAnswer(f"{at} did not connect in {self._connect_s:g} s") from None
        writer = self._streams[1]
        self.local_address = str(writer.get_extra_info("sockname")[0]).split("%")[0]
        self._protocol = _new_protocol()
        if self._proxy is not None and self._proxy.scheme == "https":
            await self._start_tls(trust(""), _host(self._proxy))
        if self._server.scheme == "https":
            if self._proxy is not None:
                await self._tunnel(_authority(self._server, with_port=True))
            await self._start_tls(self._tls, host)
            tls = writer.get_extra_info("ssl_object")
            self.certificate = tls.getpeercert(binary_form=True) or b""

    async def _start_tls(self, tls: ssl.SSLContext, host: str) -> None:
        assert self._streams is not None
        try:
            async with asyncio.timeout(READ_S):
                await start_tls(self._streams[1], tls, host)
        except TimeoutError:
            raise NoAnswer(f"{host} did not begin encryption in {READ_S:g} s") from None

    async def _tunnel(self, to: str) -> None:
        """Has the proxy connect to the server (RFC 9110 section 9.3.6)."""
        assert self._proxy is not None
        await self._send(
            h11.Request(
                method="CONNECT",
                target=to,
                headers=[("Host", to), *_login(self._proxy)],
            ),
            h11.EndOfMessage(),
        )
        answer = await self._head(_CHUNK_BYTES)
        if not 200 <= answer.status_code < 300:
            reason = bytes(answer.reason).decode("latin-1")
            raise ProxyRefused(
                f"{answer.status_code} {reason}".strip(), list(answer.headers)
            )
        if self._protocol.trailing_data[0]:
            raise NoAnswer("the proxy sent something before the server could")
        self._protocol = _new_protocol()

    async def _exchange(
        self, method: str, path: str, headers: Headers, body: bytes, most_bytes: int
    ) -> HttpResponse:
        parts = self._server
        target = f"{parts.path.rstrip('/')}{path}"
        sent = [("Host", _authority(parts, with_port=False)), *headers]
        if self._proxy is not None and parts.scheme == "http":
            # RFC 9112 section 3.2.2.
            target = f"http://{sent[0][1]}{target}"
            sent += _login(self._proxy)
        if body or method not in {"GET", "HEAD"}:
            sent.append(("Content-Length", str(len(body))))
        request = h11.Request(
            method=method,
            target=target,
            headers=[(n.encode(), v.encode()) for n, v in sent],
        )
        await self._send(request, h11.Data(data=body), h11.EndOfMessage())
        head = await self._head(most_bytes)
        content = await self._body(most_bytes)
        self._keep()
        found: dict[str, str] = {}
        for raw_name, raw_value in head.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
        return HttpResponse(head.status_code, found, content)

    async def _send(self, *events: h11.Event) -> None:
        assert self._streams is not None
        writer = self._streams[1]
        for event in events:
            writer.write(self._protocol.send(event) or b"")
        # A server may answer, and close, before it has read a large body.
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    async def _head(self, most_bytes: int) -> h11.Response:
        """The head of the answer, after all that only announce one (100 to 199)."""
        left_bytes = MAX_HEAD_BYTES + most_bytes
        while left_bytes > 0:
            event = self._protocol.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                received = await self._receive()
                if not received:
                    raise NoAnswer("the connection was closed without an answer")
                left_bytes -= received
            elif not isinstance(event, h11.InformationalResponse):
                raise NoAnswer("its answer cannot be read")
        raise NoAnswer("the head of the answer is too long")

    async def _body(self, most_bytes: int) -> bytes:
        content = bytearray()
        # Chunks of one octet take six.
        left_bytes = MAX_HEAD_BYTES + 8 * most_bytes
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Data):
                content += event.data
            elif event is h11.NEED_DATA:
                left_bytes -= await self._receive()
            else:
                return bytes(content)
            if len(content) > most_bytes or left_bytes < 0:
                raise NoAnswer("the answer is too long")

    async def _receive(self) -> int:
        """Passes what arrives to the parser; returns how many octets."""
        assert self._streams is not None
        reading, self._idle = self._idle, None
        try:
            async with asyncio.timeout(READ_S):
                data = await (reading or self._streams[0].read(_CHUNK_BYTES))
        except TimeoutError:
            raise NoAnswer(f"nothing arrived for {READ_S:g} s") from None
        self._protocol.receive_data(data)
        return len(data)

    def _keep(self) -> None:
        """Keeps the connection if both sides may use it again."""
        assert self._streams is not None
        done = self._protocol.our_state is self._protocol.their_state is h11.DONE
        if not done or self._protocol.trailing_data[0]:
            self.close()
            return
        self._protocol.start_next_cycle()
        self._idle = asyncio.create_task(
            self._streams[0].read(_CHUNK_BYTES), name="http-idle"
        )
        self._idle.add_done_callback(_note)


def _note(reading: asyncio.Task[bytes]) -> None:
    """Takes the error of a connection that ended between two requests."""
    if not reading.cancelled():
        reading.exception()


def _new_protocol() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)


def _address(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url} is no address of HTTP")
    return parts


def _host(parts: SplitResult) -> str:
    return parts.hostname or ""


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _login(parts: SplitResult) -> list[tuple[str, str]]:
    login = proxy_login(parts)
    return [("Proxy-Authorization", login)] if login else []


def _authority(parts: SplitResult, *, with_port: bool) -> str:
    """Host and port as a request names them."""
    host = url_host(host_octets(_host(parts)).decode())
    usual = not with_port and parts.port in {None, _PORTS[parts.scheme]}
    return host if usual else f"{host}:{_port(parts)}"
