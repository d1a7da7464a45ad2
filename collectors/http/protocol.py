"""`HttpProtocol`: reads the requests of one connection, strictly and in bounded time.

llhttp (through httptools) parses the bytes. It refuses what RFC 9112 forbids and what
request smuggling depends on: Content-Length with Transfer-Encoding, two Content-Length
headers, line feeds without carriage returns, folded headers. Each refusal closes the
connection, because nobody can tell where the next request begins. uvicorn's protocol
turns each request into an ASGI call. This class adds limits: on the size and time of a
request's head, on how much is read of a body that nobody wants, and on waiting for a
peer that does not read its answer.
"""

from __future__ import annotations

import asyncio
import re
import urllib.parse
from collections.abc import Callable
from email.utils import formatdate
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
# With one byte in each chunk, a body costs a thousand times as much to read.
MAX_CHUNKS = 4_096
# How much of a body is still read after the answer. If nothing were read, the peer's
# system would drop the answer (RFC 9112 section 9.6). More than any honest body has, so
# that every laptop gets its 401.
_MAX_DRAINED_BYTES = 1_100_000

_REASON_PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
}
# A name or an address, and optionally a port (RFC 9110 section 7.2).
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")


class _BadRequest(Exception):
    """The request cannot be read; the connection is closed after `status`."""

    def __init__(self, status: int, reason: HttpRefusal = HttpRefusal.BAD_HTTP) -> None:
        super().__init__(status)
        self.status, self.reason = status, reason


class Exchange(RequestResponseCycle):
    """One request and its answer.

    An answer that is sent before the body has arrived ends the connection: the rest of
    the body would be read as the next request.
    """

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if 400 <= message["status"] < 500:
                scope = cast("dict[str, Any]", self.scope)
                await asyncio.sleep(scope["connection"].refusal_delay_s())
            if self.more_body:
                self.keep_alive = False
        await super().send(message)


class _LingeringTransport:
    """The transport as an exchange sees it: `close` waits for the peer."""

    write: Callable[[bytes], None]
    is_closing: Callable[[], bool]
    close: Callable[[], None]

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing = transport.write, transport.is_closing
        self.close = close

    def detach(self) -> None:
        """Drops the references to a connection that has ended."""
        self.write, self.is_closing, self.close = (
            _write_nothing,
            _always_closing,
            _do_nothing,
        )


def _write_nothing(_data: object) -> None: ...


def _always_closing() -> bool:
    return True


def _do_nothing() -> None: ...


class HttpProtocol(HttpToolsProtocol):
    """Limits how long a peer may take: `head_s` for the head of a request, `answer_s`
    for reading on, `linger_s` for reading the last answer and closing."""

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
        # Unlike uvicorn's parser, this one stops at `Connection: close`.
        self.parser = httptools.HttpRequestParser(self)
        self._connection = connection
        self._head_s, self._linger_s, self._answer_s = head_s, linger_s, answer_s
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = self._chunks = 0
        self._left_to_drain: int | None = None
        self._ended = False

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._connection.transport = transport
        self._lingering = _LingeringTransport(transport, self._close_after_answer)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._connection.connection_lost()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        # Breaks a cycle that would keep this object and its TLS state in memory.
        self._lingering.detach()

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
                raise _BadRequest(431, HttpRefusal.LARGE_HEAD)
        except _BadRequest as bad_request:
            self._refuse(bad_request)
        except httptools.HttpParserCallbackError as error:
            # httptools wraps what a callback raises.
            cause = error.__context__
            self._refuse(cause if isinstance(cause, _BadRequest) else _BadRequest(400))
        except httptools.HttpParserUpgrade:
            # CONNECT, or an upgrade to another protocol.
            self._refuse(_BadRequest(501))
        except httptools.HttpParserError:
            self._refuse(_BadRequest(400))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._chunks = True, 0
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self._add_to_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Called for trailers, too, after the body.
        self._add_to_head(len(name) + len(value) + 4)
        if len(self.headers) >= MAX_HEADERS:
            raise _BadRequest(431, HttpRefusal.LARGE_HEAD)
        if self._in_head:
            super().on_header(name, value)

    def _add_to_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise _BadRequest(431, HttpRefusal.LARGE_HEAD)

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise _BadRequest(400)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        version = self.parser.get_http_version()
        _check_head(version, self.headers)
        url = httptools.parse_url(self.url)
        if url.path is None:
            raise _BadRequest(400)
        scope = cast("dict[str, Any]", self.scope)
        scope["connection"] = self._connection
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["raw_path"] = url.path
        scope["path"] = urllib.parse.unquote(url.path.decode("ascii"))
        scope["query_string"] = url.query or b""
        self._connection.mark_busy()
        before = self.cycle
        self.cycle = Exchange(
            scope=self.scope,
            transport=self._lingering,  # type: ignore[arg-type]
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=[(b"date", formatdate(usegmt=True).encode())],
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
            self._connection.mark_idle()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # The peer may still have to read the answer.
        self._abort_in(self._linger_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._answer_s, self._give_up_writing)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(self._head_s, self._give_up_head)

    def _give_up_head(self) -> None:
        self._timer = None
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._in_head and not answering:
            # No answer: a peer this slow would not read it.
            self._connection.count_refusal(HttpRefusal.SLOW_HEAD)
            self.transport.abort()

    def _give_up_writing(self) -> None:
        self._connection.count_refusal(HttpRefusal.SLOW_READER)
        self.transport.abort()

    def _refuse(self, bad_request: _BadRequest) -> None:
        """Answers with the error, unless another answer is being sent, and closes."""
        self._connection.count_refusal(bad_request.reason)
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        words = _REASON_PHRASES[bad_request.status]
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            % (bad_request.status, words)
        )
        self._linger()

    def _close_after_answer(self) -> None:
        """Closes the connection after its last answer."""
        if self.cycle is not None and self.cycle.more_body:
            self._linger()
        else:
            self.transport.close()
            self._abort_in(self._linger_s)

    def _linger(self) -> None:
        """Reads and discards for a short time, so that the answer is not lost."""
        self._left_to_drain = _MAX_DRAINED_BYTES
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self._abort_in(self._linger_s)

    def _abort_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)


def _check_head(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Checks what llhttp does not (RFC 9112 sections 3.2 and 6.1)."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        raise _BadRequest(400)
    if hosts and not _HOST.fullmatch(hosts[0].strip()):
        raise _BadRequest(400)
    for name, value in headers:
        if name == b"transfer-encoding":
            if version == "1.0":
                raise _BadRequest(400)
            if value.strip().lower() != b"chunked":
                raise _BadRequest(501)
