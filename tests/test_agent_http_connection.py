"""The agent's HTTP connection, against servers that answer rightly and wrongly."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from probes.agent import http_connection
from probes.agent.http_connection import (
    HttpConnection,
    HttpResponse,
    NoAnswer,
    ProxyRefused,
)
from probes.agent.server_connection import reason_of

MOST_BYTES = 1_000
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Peer:
    """Answers one request after the other; the last answer again and again. `heads`
    are the requests, `connections` how often somebody connected."""

    def __init__(self, *answers: bytes, ends: bool = False, after: bytes = b"") -> None:
        self.answers, self.ends, self.after = list(answers), ends, after
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections, self.port = 0, 0
        self._serving: set[asyncio.Task[None] | None] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[HttpConnection]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        connection = HttpConnection(f"http://127.0.0.1:{self.port}", NO_TLS)
        try:
            yield connection
        finally:
            connection.close()
            server.close()
            serving = [task for task in self._serving if task is not None]
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                    self.heads.append(head)
                    _, _, length = head.lower().partition("content-length: ")
                    size = int(length.split("\r\n")[0] or 0)
                    self.bodies.append(await reader.readexactly(size))
                    more = len(self.answers) > 1
                    writer.write(self.answers.pop(0) if more else self.answers[0])
                    await writer.drain()
                    if self.ends:
                        break
                    if self.after:
                        await asyncio.sleep(0.01)
                        writer.write(self.after)
        finally:
            writer.close()


async def answer_to(*answers: bytes, ends: bool = True) -> HttpResponse | str:
    """The answer that is read, or why there is none."""
    async with Peer(*answers, ends=ends).running() as connection:
        try:
            async with asyncio.timeout(30):
                return await connection.request("GET", "/", most_bytes=MOST_BYTES)
        except NoAnswer as error:
            return str(error)


async def test_requests_share_one_connection() -> None:
    peer = Peer(OK)
    async with peer.running() as connection:
        for _ in range(3):
            answer = await connection.request(
                "POST", "/v1/x", [("A", "b")], b"body", most_bytes=MOST_BYTES
            )
            assert answer == HttpResponse(200, {"content-length": "5"}, b"hello")
        assert connection.local_address == "127.0.0.1"
    assert peer.connections == 1
    assert peer.bodies == [b"body"] * 3
    host = f"127.0.0.1:{peer.port}"
    assert peer.heads[0] == (
        f"POST /v1/x HTTP/1.1\r\nHost: {host}\r\nA: b\r\nContent-Length: 4\r\n\r\n"
    )


@pytest.mark.parametrize(
    "peer",
    [
        Peer(OK, ends=True),
        Peer(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
        # An answer to nothing, with the true one and a moment after it.
        Peer(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake"),
        Peer(OK, after=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake"),
    ],
)
async def test_a_connection_that_ended_or_said_more_is_not_used_again(
    peer: Peer,
) -> None:
    async with peer.running() as connection:
        for _ in range(3):
            answer = await connection.request("GET", "/", most_bytes=MOST_BYTES)
            assert answer.body == b"hello"
            await until(lambda: not connection._is_reusable())
    assert peer.connections == 3


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: a\r\n\r\n" + OK,
         b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 204 X\r\n\r\n", b""),
        (b"HTTP/1.1 304 X\r\nContent-Length: 900\r\n\r\n", b""),
    ],
)  # fmt: skip
async def test_every_way_to_end_a_body_is_read(answer: bytes, body: bytes) -> None:
    read = await answer_to(answer)
    assert isinstance(read, HttpResponse)
    assert read.body == body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200", "closed without an answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "closed without an answer"),
        (b"nonsense\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
         "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
         "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nA\x00: 5\r\n\r\nhello", "cannot be read"),
        (CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", "cannot be read"),
        (CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", "cannot be read"),
        (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", "cannot be read"),
        (CHUNKED + b"3\r\nabc\r\n", "cannot be read"),
        (CHUNKED + b"f" * 21 + b"\r\n", "cannot be read"),
        (CHUNKED + b"1\r\nx\r\n" * 1_001, "too long"),
        (CHUNKED + b"1" + b";x" * 40_000 + b"\r\nx\r\n0\r\n\r\n", "too long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1_001,
         "too long"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_001, "too long"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 40_000, "too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9_000, "too long"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9_000, "too long"),
    ],
)  # fmt: skip
async def test_what_is_no_answer_ends_the_connection_with_a_reason(
    answer: bytes, why: str
) -> None:
    reason = await answer_to(answer)
    assert isinstance(reason, str)
    assert why in reason


async def test_a_body_that_both_lengths_describe_is_read_as_chunks() -> None:
    # RFC 9112 section 6.3; what follows may be smuggled, so nothing else is read.
    peer = Peer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake"
    )
    async with peer.running() as connection:
        for _ in range(2):
            answer = await connection.request("GET", "/", most_bytes=MOST_BYTES)
            assert answer.body == b""
    assert peer.connections == 2


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [OK, CHUNKED, b"HTTP/1.1 200 OK\r\n", b"Content-Length: 7\r\n", b"\r\n",
             b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n",
             b"HTTP/1.1 100 X\r\n\r\n", b"Connection: close\r\n", b"\n", b"x" * 2_000]
        ),
    ),
    max_size=8,
)  # fmt: skip


@given(PIECES)
async def test_no_answer_breaks_the_connection(pieces: list[bytes]) -> None:
    read = await answer_to(b"".join(pieces))
    if isinstance(read, HttpResponse):
        assert len(read.body) <= MOST_BYTES
        assert 200 <= read.status < 1_000
    else:
        assert read.isprintable()
        assert len(read) < 300


async def test_a_name_that_is_none_and_an_address_that_is_none_are_told_apart() -> None:
    for server in (
        "https://[::1",
        "ftp://a",
        "https://",
        "a",
        "http://a:0",
        "http://a:x",
    ):
        with pytest.raises(ValueError, match=r".+"):
            HttpConnection(server, NO_TLS)
    for server in (f"http://{'a' * 70}.ŷ", "http://ŷ..example"):
        with pytest.raises(NoAnswer, match="its name cannot be looked up"):
            await HttpConnection(server, NO_TLS).request("GET", "/", most_bytes=1)


async def test_a_header_that_would_be_two_is_not_sent() -> None:
    peer = Peer(OK)
    async with peer.running() as connection:
        with pytest.raises(NoAnswer, match="cannot be sent"):
            await connection.request("GET", "/", [("A", "b\r\nC: d")], most_bytes=1)
        with pytest.raises(NoAnswer, match="cannot be sent"):
            await connection.request("GET", "/ HTTP/1.1\r\nX: y", most_bytes=1)
    assert peer.heads == []


async def test_a_server_that_is_silent_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "READ_S", 0.02)
    assert await answer_to(b"HTTP/1.1 200 OK\r\n", ends=False) == (
        "nothing arrived for 0.02 s"
    )


async def test_a_name_with_letters_of_its_own_is_sent_as_dns_has_it() -> None:
    peer = Peer(OK)
    async with peer.running():
        proxied = HttpConnection(
            "http://tŷ.example/base", NO_TLS, f"http://zoë:a%40b@127.0.0.1:{peer.port}"
        )
        await proxied.request("GET", "/x?y=1", most_bytes=MOST_BYTES)
        proxied.close()
    assert peer.heads == [
        "GET http://xn--t-foa.example/base/x?y=1 HTTP/1.1\r\n"
        "Host: xn--t-foa.example\r\nProxy-Authorization: Basic em/DqzphQGI=\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        (b"HTTP/1.1 407 Sign in\r\nProxy-Authenticate: NTLM\r\n\r\n",
         ProxyRefused, "407 Sign in"),
        (b"HTTP/1.1 503 \r\n\r\n", ProxyRefused, "503"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03", NoAnswer, "before the server could"),
        (b"SSH-2.0-x\r\n\r\n", NoAnswer, "cannot be read"),
    ],
)  # fmt: skip
async def test_a_proxy_that_does_not_connect_is_told_from_one_that_lies(
    answer: bytes, error: type[Exception], why: str
) -> None:
    peer = Peer(answer)
    async with peer.running():
        proxied = HttpConnection(
            "https://[2001:db8::1]", NO_TLS, f"http://127.0.0.1:{peer.port}"
        )
        with pytest.raises(error, match=why):
            await proxied.request("GET", "/", most_bytes=MOST_BYTES)
    assert peer.heads[0].startswith(
        "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
    )


def page_instead_of_tls() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(22, "Der Remotecomputer hat …", None, 1225),
         "the connection was refused ("),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
         "the connection was cut (["),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
         "its name is not known to DNS (["),
        (OSError(errno.ENETUNREACH, "unreachable"), "there is no network (["),
        (ssl.SSLError(1, "wrong version number"), "wrong version number"),
        (ConnectionResetError(), "the connection was cut"),
        (page_instead_of_tls(), "something without encryption answers, such as a si"),
        (NoAnswer("it did not connect in 10 s"), "it did not connect in 10 s"),
    ],
)  # fmt: skip
def test_what_the_system_says_is_said_in_plain_words(
    error: Exception, reason: str
) -> None:
    if isinstance(error, OSError) and error.errno == 22:
        # Windows gives this number beside the one of POSIX.
        error.winerror = 1225  # type: ignore[attr-defined]
    assert reason in reason_of(error)
    assert "()" not in reason_of(error)
