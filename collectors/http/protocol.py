"""`HttpProtocol`: reads requests off one connection, strictly, and in bounded time.

llhttp (through httptools) splits the bytes: it refuses what RFC 9112 calls faulty and
what request smuggling lives on (Content-Length with Transfer-Encoding, two
Content-Lengths, line feeds without carriage returns, folded headers). Each refusal
closes the connection, as nobody can tell where the next request begins. uvicorn's
protocol makes an ASGI call of each request; what is added here are bounds: of heads in
size and time, of what is read of a body that nobody wants, of waiting for a peer that
does not read its answer.
"""

from __future__ import annotations

import asyncio
import re
import urllib.parse
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from collectors.http.connection import Connection
from collectors.http.refusal_reasons import HttpRefusal

MAX_HEAD_BYTES = 16_384
MAX_HEADERS = 100
# One byte a chunk would cost a thousand times what the byte does.
MAX_CHUNKS = 4_096
# What is still read of a body after the answer: else the peer's system drops the
# answer (RFC 9112 section 9.6). More than any honest body, so that all get their 401.
_MAX_DRAINED_BYTES = 1_100_000

_FAULTS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
}
# RFC 9110 section 7.2: a name or an address, and perhaps a port.
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")


class _Fault(Exception):
    """This request cannot be read; the connection ends with `status`."""

    def __init__(self, status: int, reason: HttpRefusal = HttpRefusal.BAD_HTTP) -> None:
        super().__init__(status)
        self.status, self.reason = status, reason


class Exchange(RequestResponseCycle):
    """One request and its answer. An answer that is given before the body is there
    ends the connection: what is left of the body would be the next request."""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if 400 <= message["status"] < 500:
                scope = cast("dict[str, Any]", self.scope)
                await asyncio.sleep(scope["connection"].penalty_s())
            if self.more_body:
                self.keep_alive = False
        await super().send(message)


class _Outlet:
    """What an exchange sees of the transport: closing waits for the peer."""

    write: Callable[[bytes], None]
    is_closing: Callable[[], bool]
    close: Callable[[], None]

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing = transport.write, transport.is_closing
        self.close = close

    def forget(self) -> None:
        """Lets go of the connection, which has ended."""
        self.write, self.is_closing, self.close = _drop, _yes, _nothing


def _drop(_data: object) -> None: ...


def _yes() -> bool:
    return True


def _nothing() -> None: ...


class HttpProtocol(HttpToolsProtocol):
    """`head_s` is the time for the head of a request, `linger_s` for the peer to take
    its answer and hang up, `answer_s` for it to go on reading one."""

    def __init__(
        self,
        connection: Connection,
        *args: Any,
        head_s: float,
        linger_s: float,
        answer_s: float,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        # uvicorn lets requests after `Connection: close` pass; nobody needs them.
        self.parser = httptools.HttpRequestParser(self)
        self._connection = connection
        self._head_s, self._linger_s, self._answer_s = head_s, linger_s, answer_s
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = self._chunks = 0
        self._left_to_drain: int | None = None
        self._ended = False

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._connection.transport = transport
        self._outlet = _Outlet(transport, self._finish)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        for timer in (self._timer, self._writing):
            if timer is not None:
                timer.cancel()
        self._connection.lost()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        # Else this and all that TLS holds would stay until the collector comes.
        self._outlet.forget()

    def data_received(self, data: bytes) -> None:
        if self._left_to_drain is not None:
            self._left_to_drain -= len(data)
            if self._left_to_drain < 0:
                self.transport.abort()
            return
        if self._ended:
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            if self._timer is None:
                self._wait_for_head()
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
                raise _Fault(431, HttpRefusal.LARGE_HEAD)
        except _Fault as fault:
            self._refuse(fault)
        except httptools.HttpParserCallbackError as error:
            # What a callback raised comes wrapped.
            cause = error.__context__
            self._refuse(cause if isinstance(cause, _Fault) else _Fault(400))
        except httptools.HttpParserUpgrade:
            # CONNECT, or an upgrade to a protocol that is not spoken here.
            self._refuse(_Fault(501))
        except httptools.HttpParserError:
            self._refuse(_Fault(400))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._chunks = True, 0
        self._measured = 0

    def on_url(self, url: bytes) -> None:
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come here too, after the body.
        self._measure(len(name) + len(value) + 4)
        if len(self.headers) >= MAX_HEADERS:
            raise _Fault(431, HttpRefusal.LARGE_HEAD)
        if self._in_head:
            super().on_header(name, value)

    def _measure(self, size: int) -> None:
        self._measured += size
        if self._measured > MAX_HEAD_BYTES:
            raise _Fault(431, HttpRefusal.LARGE_HEAD)

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise _Fault(400)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        version = self.parser.get_http_version()
        _check_head(version, self.headers)
        url = httptools.parse_url(self.url)
        if url.path is None:
            raise _Fault(400)
        scope = cast("dict[str, Any]", self.scope)
        scope["connection"] = self._connection
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["raw_path"] = url.path
        scope["path"] = urllib.parse.unquote(url.path.decode("ascii"))
        scope["query_string"] = url.query or b""
        self._connection.wake()
        before = self.cycle
        self.cycle = Exchange(
            scope=self.scope,
            transport=self._outlet,  # type: ignore[arg-type]
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and version == "1.1",
            keep_alive=version == "1.1" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self._connection.rest()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # The answer may still wait to be read.
        self._end_in(self._linger_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(self._answer_s, self._give_up_writing)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(self._head_s, self._give_up_head)

    def _give_up_head(self) -> None:
        self._timer = None
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._in_head and not answering:
            # Without an answer: nobody who is this slow reads it.
            self._connection.refuse(HttpRefusal.SLOW_HEAD)
            self.transport.abort()

    def _give_up_writing(self) -> None:
        self._connection.refuse(HttpRefusal.SLOW_READER)
        self.transport.abort()

    def _refuse(self, fault: _Fault) -> None:
        """Says what is wrong, unless an answer is on its way already, and ends."""
        self._connection.refuse(fault.reason)
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        words = _FAULTS[fault.status]
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            % (fault.status, words)
        )
        self._linger()

    def _finish(self) -> None:
        """The last answer of this connection is given."""
        if self.cycle is not None and self.cycle.more_body:
            self._linger()
        else:
            self.transport.close()
            self._end_in(self._linger_s)

    def _linger(self) -> None:
        """Reads on for a little, so that the answer is not lost, and keeps nothing."""
        self._left_to_drain = _MAX_DRAINED_BYTES
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self._end_in(self._linger_s)

    def _end_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)


def _check_head(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """What llhttp leaves to its user: RFC 9112 sections 3.2 and 6.1."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        raise _Fault(400)
    if hosts and not _HOST.fullmatch(hosts[0].strip()):
        raise _Fault(400)
    for name, value in headers:
        if name == b"transfer-encoding":
            if version == "1.0":
                raise _Fault(400)
            if value.strip().lower() != b"chunked":
                raise _Fault(501)
