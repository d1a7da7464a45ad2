"""One HTTPS request to a service the policy names, by phases.

Name resolution, TCP connection, TLS handshake, first byte, all of it: each phase that
was reached is reported, also where a later one failed. Its own small client: one GET,
no cookies, no redirects followed, at most 64 kB read. Not through a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from probes.failure import Outcome
from probes.faults import outcome_of
from probes.policy import Service
from probes.report import Result
from probes.sample import Value

NAME = "web"
VERSION = 1
TIMEOUT_S = 10.0
MAX_BYTES = 65_536
# IP and TCP headers of a short exchange, and a TLS 1.3 handshake with a usual chain.
_TCP_BYTES = 600
_TLS_BYTES = 5_000


class _Ended(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class _Clock:
    """The phases' lengths in ms, and the bytes they cost."""

    def __init__(self) -> None:
        self.begun_s = self._last_s = time.perf_counter()
        self.values: dict[str, Value] = {}
        self.cost_bytes = 0

    def passed(self, phase: str) -> None:
        now_s = time.perf_counter()
        self.values[phase] = (now_s - self._last_s) * 1000
        self._last_s = now_s


async def measure(
    service: Service,
    *,
    tls: ssl.SSLContext,
    software: str = "towpath-agent",
    timeout_s: float = TIMEOUT_S,
    now_ms: Callable[[], int],
) -> Result:
    """One GET; `target` is the service's name, never its URL.

    An answer below 500 is `ok`: the service answered, and `status` says what.
    """
    time_ms, clock = now_ms(), _Clock()
    try:
        async with asyncio.timeout(timeout_s):
            outcome = await _ask(service.url, tls, software, clock)
    except TimeoutError:
        outcome = Outcome.TIMEOUT
    except _Ended as ended:
        outcome = ended.outcome
    return Result(
        NAME, VERSION, time_ms, outcome, service.name, clock.values, clock.cost_bytes
    )


async def _ask(url: str, tls: ssl.SSLContext, software: str, clock: _Clock) -> Outcome:
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
    except ValueError:
        raise _Ended(Outcome.NOT_CONFIGURED) from None
    host = parts.hostname or ""
    addresses = await _look_up(host, port)
    clock.passed("lookup_ms")
    reader, writer = await _connect(addresses)
    clock.cost_bytes += _TCP_BYTES
    clock.passed("connect_ms")
    try:
        if secure:
            await _shake_hands(writer, tls, host)
            clock.cost_bytes += _TLS_BYTES
            clock.passed("tls_ms")
        request = _request(parts, software)
        writer.write(request)
        clock.cost_bytes += len(request)
        head, body = await _head(reader, clock)
        status = _status(head)
        clock.values["status"] = status
        expected = _body_bytes(head, status)
        while len(body) < expected and not (
            expected == MAX_BYTES and _ends(head, body)
        ):
            chunk = await reader.read(16_384)
            if not chunk:
                break
            clock.cost_bytes += len(chunk)
            body += chunk
        clock.values["total_ms"] = (time.perf_counter() - clock.begun_s) * 1000
        return _judge(status, head, host)
    except OSError as error:
        raise _Ended(outcome_of(error)) from None
    finally:
        # Not awaited: a server that does not close its side must not hold us up.
        with contextlib.suppress(RuntimeError):
            writer.transport.abort()


async def _look_up(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _Ended(outcome_of(error)) from None
    except UnicodeError:
        raise _Ended(Outcome.NAME_NOT_FOUND) from None
    return [(family, (str(at[0]), int(at[1]))) for family, _, _, _, at in found]


async def _connect(
    addresses: list[tuple[int, tuple[str, int]]],
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The first address of each family, the other one 250 ms later (RFC 8305)."""
    chosen: dict[int, tuple[str, int]] = {}
    for family, at in addresses:
        chosen.setdefault(family, at)
    failed: list[Outcome] = []
    waiting: set[asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
    waiting = set()
    try:
        for index, (family, (host, port)) in enumerate(chosen.items()):
            waiting.add(
                asyncio.create_task(
                    asyncio.open_connection(host, port, family=family),
                    name=f"web-connect-{index}",
                )
            )
            last = index == len(chosen) - 1
            while waiting:
                done, pending = await asyncio.wait(
                    waiting,
                    timeout=None if last else 0.25,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    waiting.discard(task)
                    error = task.exception()
                    if error is None:
                        return task.result()
                    failed.append(outcome_of(error))
                if not last or not pending:
                    break
    finally:
        for task in waiting:
            task.cancel()
            task.add_done_callback(_close)
    # Where one family is missing here, the other's failure says more.
    known = [each for each in failed if each is not Outcome.NO_NETWORK]
    raise _Ended((known or failed or [Outcome.UNREACHABLE])[0])


def _close(
    task: asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
) -> None:
    """Lets go of a connection that came second."""
    if not task.cancelled() and task.exception() is None:
        task.result()[1].transport.abort()


async def _shake_hands(
    writer: asyncio.StreamWriter, tls: ssl.SSLContext, host: str
) -> None:
    try:
        await writer.start_tls(tls, server_hostname=host)
    except (ssl.SSLError, ValueError):
        # A sign-in page in front of everything is a usual reason for this one.
        raise _Ended(Outcome.TLS_FAILED) from None


def _request(parts: SplitResult, software: str) -> bytes:
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    return (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
        f"User-Agent: {software}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode("utf-8", "replace")


async def _head(reader: asyncio.StreamReader, clock: _Clock) -> tuple[bytes, bytes]:
    """The status line with headers, and what came of the body with them; notes the
    first byte's time."""
    head = await reader.read(4_096)
    if not head:
        raise _Ended(Outcome.RESET)
    clock.passed("first_byte_ms")
    while b"\r\n\r\n" not in head and len(head) < 32_768:
        more = await reader.read(4_096)
        if not more:
            break
        head += more
    clock.cost_bytes += len(head)
    head, _, body = head.partition(b"\r\n\r\n")
    return head, body


def _field(head: bytes, wanted: bytes) -> bytes:
    """The value of a header field; empty where it is not there."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == wanted:
            return value.strip()
    return b""


def _body_bytes(head: bytes, status: int) -> int:
    """How much of a body to wait for (RFC 9112 section 6.3), at most `MAX_BYTES`."""
    if status in {204, 304} or status < 200:
        return 0
    length = _field(head, b"content-length")
    if length.isdigit() and not _field(head, b"transfer-encoding"):
        return min(int(length[:12]), MAX_BYTES)
    return MAX_BYTES


def _ends(head: bytes, body: bytes) -> bool:
    """True at the last chunk of a chunked body."""
    chunked = b"chunked" in _field(head, b"transfer-encoding").lower()
    return chunked and body.endswith(b"0\r\n\r\n")


def _status(head: bytes) -> int:
    """The status of an HTTP/1 answer (RFC 9112 section 4)."""
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) >= 2 and words[0].startswith(b"HTTP/1.") and len(words[1]) == 3:
        with contextlib.suppress(ValueError):
            return int(words[1])
    raise _Ended(Outcome.BAD_ANSWER)


def _judge(status: int, head: bytes, host: str) -> Outcome:
    if status == 511:
        return Outcome.CAPTIVE_PORTAL
    if status == 407:
        return Outcome.AUTH_FAILED
    if status >= 500 or status < 100:
        return Outcome.BAD_ANSWER
    if 300 <= status < 400 and _leads_to_bare_stranger(head, host):
        return Outcome.CAPTIVE_PORTAL
    return Outcome.OK


def _leads_to_bare_stranger(head: bytes, host: str) -> bool:
    """True where it redirects to another host without TLS, or to a bare address:
    what sign-in pages of hotels and trains do, and services do not."""
    location = _field(head, b"location").decode("latin-1")
    try:
        to = urlsplit(location)
        other = to.hostname or host
    except ValueError:
        return False
    bare = other.replace(".", "").isdigit()
    return other != host and (to.scheme == "http" or bare)
