"""The HTTP server on a real socket: what it refuses and which limits hold."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from waiting import until

from collectors.http import (
    CannotServe,
    Certificate,
    Endpoint,
    HttpRefusal,
    HttpServer,
    ServerLimits,
)
from collectors.http.connection import Connection
from collectors.http.protocol import (
    MAX_CHUNKS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    HttpProtocol,
)
from collectors.ingest.certificate import Certificates, make_certificates

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A server whose `/in` signs in, `/take` reads the body, `/wait` waits."""

    def __init__(self, limits: ServerLimits, certificates: Certificates | None) -> None:
        self.refused: Counter[HttpRefusal] = Counter()
        self.requests: list[tuple[str, bytes]] = []
        self.go_on = asyncio.Event()
        self.certificates = certificates
        app = Starlette(
            routes=[
                Route("/in/{name}", self._sign_in),
                Route("/take", self._take, methods=["POST"]),
                Route("/wait/{name}", self._wait),
                Route("/large", lambda request: Response(b"x" * 30_000_000)),
            ]
        )
        self.server = HttpServer(
            app,
            Endpoint("127.0.0.1", 0, "test.port"),
            limits,
            certificate=None
            if certificates is None
            else Certificate(certificates.certificate, certificates.private_key),
            on_refusal=self._count,
        )

    async def connect(self, source: str = "127.0.0.1") -> Streams:
        trust = None
        if self.certificates is not None:
            trust = ssl.create_default_context(cafile=str(self.certificates.authority))
        return await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=trust, local_addr=(source, 0)
        )

    async def silent(self, source: str = "127.0.0.1") -> Streams:
        """A TCP connection that never begins TLS."""
        return await asyncio.open_connection(
            "127.0.0.1", self.server.port, local_addr=(source, 0)
        )

    def _count(self, reason: HttpRefusal) -> None:
        self.refused[reason] += 1

    async def _sign_in(self, request: Request) -> Response:
        self.requests.append((request.url.path, b""))
        there = request.scope["connection"].sign_in(request.path_params["name"])
        return Response(status_code=200 if there else 503)

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append((request.url.path, body))
        return Response(b"%d" % len(body))

    async def _wait(self, request: Request) -> Response:
        request.scope["connection"].sign_in(request.path_params["name"])
        await self.go_on.wait()
        return Response(b"waited")


@contextlib.asynccontextmanager
async def served(folder: Path | None = None, **limits: Any) -> AsyncIterator[Served]:
    certificates = None if folder is None else make_certificates(folder / "tls")
    running = Served(ServerLimits(**limits), certificates)
    await running.server.start()
    try:
        yield running
    finally:
        await running.server.stop()


async def exchange(streams: Streams, text: bytes) -> bytes:
    """Sends `text` and returns one answer with its body; empty if the peer closed."""
    reader, writer = streams
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        writer.write(text)
        await writer.drain()
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            return head + await reader.readexactly(length)
    return b""


async def closed(streams: Streams) -> bool:
    """Waits until the peer has closed the connection."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        async with asyncio.timeout(20):
            while await streams[0].read(65_536):
                pass
    streams[1].close()
    return True


GET_IN = b"GET /in/%s HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /take HTTP/1.1\r\nHost: x\r\n"
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
        # Some are noticed while the body is read: then there is no answer at all.
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


async def test_expect_continue_is_answered_only_by_who_reads_the_body() -> None:
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


async def test_an_honest_body_gets_its_refusal_though_nobody_wants_it() -> None:
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


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    return request.param  # type: ignore[no-any-return]


def test_silent_slow_and_idle_peers_are_closed_in_time_and_counted(
    run: Any, tmp_path: Path
) -> None:
    async def attack() -> None:
        async with served(tmp_path, head_s=0.3, idle_s=0.4) as running:
            silent = await running.silent()
            quiet, dribbling, idle = [await running.connect() for _ in range(3)]
            dribbling[1].write(b"GET /in/a HT")
            assert (await exchange(idle, GET_IN % b"a")).startswith(b"HTTP/1.1 200")
            for streams in (silent, quiet, dribbling, idle):
                assert await closed(streams)
            await until(lambda: running.server.connections == 0)
            assert running.refused == {
                HttpRefusal.HANDSHAKE: 1,
                HttpRefusal.SLOW_HEAD: 2,
            }

    run(attack())


def test_strangers_never_take_the_slots_of_those_who_signed_in(
    run: Any, tmp_path: Path
) -> None:
    async def attack() -> None:
        limits = {"connections": 12, "strangers": 6, "strangers_per_address": 6}
        async with served(tmp_path, **limits) as running:
            known = [await running.connect() for _ in range(6)]
            for number, streams in enumerate(known):
                answer = await exchange(streams, GET_IN % b"%d" % number)
                assert answer.startswith(b"HTTP/1.1 200")
            crowd = [await running.silent("127.0.0.2") for _ in range(20)]
            crowd += [await running.connect("127.0.0.3") for _ in range(20)]
            assert running.server.strangers <= 6
            # One who is known goes on; one who comes now gets in.
            for number, streams in enumerate(known):
                answer = await exchange(streams, GET_IN % b"%d" % number)
                assert answer.startswith(b"HTTP/1.1 200")
            known[0][1].close()
            await until(lambda: running.server.connections <= 11)
            newcomer = await running.connect("127.0.0.4")
            answer = await exchange(newcomer, GET_IN % b"new")
            assert answer.startswith(b"HTTP/1.1 200")
            assert running.refused.total() >= 34
            for streams in (*known, *crowd, newcomer):
                streams[1].close()

    run(attack())


async def test_500_laptops_behind_one_address_are_not_shut_out_by_silent_ones(
    tmp_path: Path,
) -> None:
    limits = {"connections": 120, "strangers": 30, "strangers_per_address": 20}
    async with served(tmp_path, **limits, handshakes_per_s=2_000) as running:
        crowd = [await running.silent() for _ in range(40)]
        gate = asyncio.Semaphore(10)

        async def laptop(number: int) -> bool:
            async with gate:
                streams = await running.connect()
                answer = await exchange(streams, GET_IN % b"laptop-%d" % number)
                streams[1].close()
                return answer.startswith(b"HTTP/1.1 200")

        assert all(await asyncio.gather(*map(laptop, range(500))))
        assert running.refused[HttpRefusal.ADDRESS_FULL] >= 20
        for _, writer in crowd:
            writer.close()


async def test_a_flood_of_handshakes_keeps_other_addresses_waiting_for_no_turn(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, handshakes_per_s=20) as running:
        crowd = [asyncio.create_task(running.connect("127.0.0.3")) for _ in range(80)]
        await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
        streams = await running.connect("127.0.0.2")
        assert b" 200 " in await exchange(streams, GET_IN % b"x")
        waiting = [task for task in crowd if not task.done()]
        # Of those 80 most still wait.
        assert len(waiting) > 40
        for task in crowd:
            task.cancel()
        done = await asyncio.gather(*crowd, return_exceptions=True)
        for result in (*done, streams):
            if isinstance(result, tuple):
                result[1].close()


async def test_answers_to_refused_requests_wait_and_nothing_else_does() -> None:
    async with served(refusals_per_s=0.7) as running:
        refused = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        crowd = [await running.connect() for _ in range(12)]
        asked = [asyncio.create_task(exchange(streams, refused)) for streams in crowd]
        done, _ = await asyncio.wait(asked, timeout=0.1)
        honest = await running.connect()
        assert b" 200 " in await exchange(honest, GET_IN % b"a")
        assert len(done) < 12
        assert all(b" 404 " in answer for answer in await asyncio.gather(*asked))
        for streams in (*crowd, honest):
            streams[1].close()


async def test_one_name_has_few_connections_and_those_at_work_are_kept() -> None:
    async with served(per_name=2, connections=20, strangers=10) as running:
        waiting = await running.connect()
        waiting[1].write(b"GET /wait/a HTTP/1.1\r\nHost: x\r\n\r\n")
        resting, third = await running.connect(), await running.connect()
        assert b" 200 " in await exchange(resting, GET_IN % b"a")
        await until(lambda: running.server.strangers == 1)
        assert b" 200 " in await exchange(third, GET_IN % b"a")
        assert await closed(resting)
        assert running.refused == {HttpRefusal.AGENT_FULL: 1}
        running.go_on.set()
        assert (await exchange(waiting, b"")).endswith(b"waited")
        for streams in (waiting, third):
            streams[1].close()


def test_a_peer_that_does_not_read_its_answer_is_closed(run: Any) -> None:
    async def attack() -> None:
        async with served(answer_s=0.3, linger_s=0.2) as running:
            reader, writer = await running.connect()
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: running.refused[HttpRefusal.SLOW_READER] == 1)
            await until(lambda: running.server.connections == 0)
            writer.close()

    run(attack())


async def test_if_no_file_is_left_a_stranger_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(socket.socket):
        left = 0

        def accept(self) -> Any:
            if Full.left:
                Full.left -= 1
                raise OSError(24, "Too many open files")
            return super().accept()

    listening = functools.partial(HttpServer._listen)

    def listen(server: HttpServer) -> socket.socket:
        made = listening(server)
        return Full(fileno=made.detach())

    monkeypatch.setattr(HttpServer, "_listen", listen)
    async with served() as running:
        stranger, known = await running.connect(), await running.connect()
        assert b" 200 " in await exchange(known, GET_IN % b"a")
        Full.left = 1
        newcomer = await running.connect()
        assert b" 200 " in await exchange(newcomer, GET_IN % b"b")
        assert await closed(stranger)
        assert running.refused == {HttpRefusal.NO_FILES: 1}
        assert b" 200 " in await exchange(known, GET_IN % b"a")
        for streams in (known, newcomer):
            streams[1].close()


def test_a_closed_connection_leaves_no_objects_behind(run: Any, tmp_path: Path) -> None:
    async def come_and_go() -> None:
        gc.collect()
        gc.disable()
        try:
            async with served(tmp_path) as running:
                for _ in range(5):
                    streams = await running.connect()
                    assert b" 200 " in await exchange(streams, GET_IN % b"a")
                    streams[1].close()
                    silent = await running.silent()
                    silent[1].close()
                await until(lambda: running.server.connections == 0)
                await asyncio.sleep(0)
                left = [type(o) for o in gc.get_objects()]
            assert HttpProtocol not in left
            assert Connection not in left
        finally:
            gc.enable()

    run(come_and_go())


async def test_an_error_of_one_sentence_has_why_it_cannot_listen() -> None:
    async with served() as running:
        second = HttpServer(
            None,
            Endpoint("127.0.0.1", running.server.port, "web.port"),
            ServerLimits(),
        )
        with pytest.raises(CannotServe, match=r"cannot listen.*\(web\.port\)"):
            await second.start()


async def test_connections_stay_below_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collectors.http.server.raise_file_limit", lambda: 20)
    async with served(connections=4000, strangers=4000) as running:
        crowd = [await running.connect() for _ in range(30)]
        await until(lambda: running.refused[HttpRefusal.NO_PLACE] == 20)
        assert running.server.connections == 10
        for _, writer in crowd:
            writer.close()
