"""HTTP requests on a real socket: which are refused, and how bodies are read."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served_http import GET_IN, POST, Served, closed, exchange, served
from waiting import until

from collectors.http import (
    ServerLimits,
)
from collectors.http.protocol import (
    MAX_CHUNKS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
)

BAD_REQUESTS = {
    "content-length with transfer-encoding": POST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding with content-length": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "transfer-encoding twice": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "another transfer coding": POST
    + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding that only ends in chunked": POST
    + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding in HTTP/1.0": b"POST /take HTTP/1.0\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two equal content-lengths": POST
    + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two content-lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "a list of content-lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed content-length": POST + b"Content-Length: +3\r\n\r\nabc",
    "an empty content-length": POST + b"Content-Length: \r\n\r\n",
    "a content-length of 30 digits": POST + b"Content-Length: %s\r\n\r\n" % (b"9" * 30),
    "space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "bare line feeds": b"POST /take HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
    "a bare line feed after a header": POST + b"A: b\nContent-Length: 0\r\n\r\n",
    "a bare line feed at the end": POST + b"Content-Length: 0\n\n",
    "a bare carriage return": POST + b"A: b\rContent-Length: 0\r\n\r\n",
    "a folded header": POST + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a folded first header": b"POST /take HTTP/1.1\r\n Host: x\r\n\r\n",
    "a header without a name": POST + b": b\r\n\r\n",
    "a NUL in a header": POST + b"A: \x00\r\n\r\n",
    "no host": b"POST /take HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two hosts": POST + b"Host: y\r\nContent-Length: 0\r\n\r\n",
    "a host with a space": b"POST /take HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a chunk that ends in a bare line feed": POST
    + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "a chunk size with 0x": POST
    + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": POST
    + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcde0\r\n\r\n",
    "a chunk size of 20 digits": POST
    + b"Transfer-Encoding: chunked\r\n\r\n%s\r\n" % (b"f" * 20),
    "a content-length after the chunks": POST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
    "one byte a chunk": POST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"1\r\na\r\n" * (MAX_CHUNKS + 1),
    "too many headers": POST + b"A: b\r\n" * MAX_HEADERS + b"\r\n",
    "a header too large": POST + b"A: %s\r\n\r\n" % (b"b" * MAX_HEAD_BYTES),
    "a target too large": b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
    % (b"b" * MAX_HEAD_BYTES),
    "a header without end": POST + b"A: " + b"b" * 4 * MAX_HEAD_BYTES,
    "trailers without end": POST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    + b"A: b\r\n" * 5 * MAX_HEADERS,
    "a method of nobody's": b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /in/a\r\n\r\n",
    "HTTP/1.2": b"GET /in/a HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nabc",
    "an upgrade": POST
    + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
async def test_a_bad_request_closes_its_connection_and_hides_no_other_request(
    name: str,
) -> None:
    async with served(linger_s=0.2) as running:
        streams = await running.connect()
        answer = await exchange(streams, BAD_REQUESTS[name] + GET_IN % b"hidden")
        # If the fault is in the body, there is no answer at all.
        assert answer[:12] in {
            b"",
            b"HTTP/1.1 400",
            b"HTTP/1.1 431",
            b"HTTP/1.1 501",
        }
        assert answer == b"" or b"connection: close" in answer
        assert await closed(streams)
        assert not [path for path, _ in running.requests if path == "/in/hidden"]
        assert sum(running.refused.values()) == 1, running.refused
        fresh = await running.connect()
        assert (await exchange(fresh, GET_IN % b"a")).startswith(b"HTTP/1.1 200")
        fresh[1].close()


async def test_ordinary_requests_share_a_connection_in_their_order() -> None:
    async with served() as running:
        streams = await running.connect()
        chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n"
        plain = POST + b"Content-Length: 2\r\n\r\nde"
        for text, size in ((chunked, b"3"), (plain, b"2"), (chunked, b"3")):
            assert (await exchange(streams, text)).endswith(size)
        # Several at once, and in pieces.
        streams[1].write(chunked + plain + GET_IN % b"a")
        for size in (b"3", b"2"):
            assert (await exchange(streams, b"")).endswith(size)
        assert (await exchange(streams, b"")).startswith(b"HTTP/1.1 200")
        for byte in plain[:-1]:
            streams[1].write(bytes([byte]))
            await streams[1].drain()
        assert (await exchange(streams, plain[-1:])).endswith(b"2")
        assert [body for _, body in running.requests[:3]] == [b"abc", b"de", b"abc"]
        assert not running.refused
        streams[1].close()


async def test_expect_continue_is_answered_only_if_the_body_is_read() -> None:
    async with served(linger_s=0.2) as running:
        head = b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        streams = await running.connect()
        assert (await exchange(streams, POST + head)).startswith(b"HTTP/1.1 100")
        assert (await exchange(streams, b"abc")).endswith(b"3")
        streams[1].write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + head)
        answer = await exchange(streams, b"")
        assert answer.startswith(b"HTTP/1.1 404")
        assert b"connection: close" in answer
        assert await closed(streams)


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
async def test_the_body_of_a_refused_path_is_not_read_to_its_end(framing: str) -> None:
    async with served(linger_s=0.5) as running:
        streams = await running.connect()
        head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\n"
        endless = framing == "chunked"
        head += (
            b"Transfer-Encoding: chunked\r\n\r\n"
            if endless
            else b"Content-Length: 1000000000\r\n\r\n"
        )
        answer = await exchange(streams, head)
        assert answer.startswith(b"HTTP/1.1 404")
        assert b"connection: close" in answer
        sent = 0
        piece = b"ffff\r\n" + b"x" * 65_535 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            while sent < 100_000_000:
                streams[1].write(piece)
                await streams[1].drain()
                sent += len(piece)
        assert sent < 20_000_000
        assert await closed(streams)
        assert not running.requests


async def test_the_sender_of_a_large_refused_body_receives_the_refusal() -> None:
    async with served(linger_s=5) as running:
        streams = await running.connect()
        head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        answer = await exchange(streams, head + b"x" * 900_000)
        assert answer.startswith(b"HTTP/1.1 404")
        streams[1].close()


def test_any_bytes_end_in_an_answer_or_a_closed_connection() -> None:
    piece = st.sampled_from(
        [*BAD_REQUESTS.values(), GET_IN % b"a", POST, b"\r\n", b"\n"]
    )

    with asyncio.Runner() as runner:

        @settings(max_examples=200, deadline=None)
        @given(
            st.lists(piece | st.binary(max_size=40), max_size=4),
            st.lists(
                st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4
            ),
        )
        def fuzz(pieces: list[bytes], changes: list[tuple[int, int]]) -> None:
            text = bytearray(b"".join(pieces))
            for at, value in changes:
                if text:
                    text[at % len(text)] = value
            runner.run(send(bytes(text)))

        async def send(text: bytes) -> None:
            streams = await running.connect()
            with contextlib.suppress(ConnectionError):
                streams[1].write(text)
                await streams[1].drain()
                streams[1].write_eof()
            assert await closed(streams)
            await until(lambda: running.server.connections == 0)
            fresh = await running.connect()
            assert (await exchange(fresh, GET_IN % b"a")).startswith(b"HTTP/1.1 200")
            fresh[1].close()
            await until(lambda: running.server.connections == 0)

        running = Served(
            ServerLimits(head_s=0.2, linger_s=0.1, idle_s=0.2, refusals_per_s=10_000),
            None,
        )
        runner.run(running.server.start())
        try:
            fuzz()
        finally:
            runner.run(running.server.stop())
