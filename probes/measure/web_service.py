"""One HTTPS request to a service the policy names, by phases.

Name resolution, TCP connection, proxy, TLS handshake, first byte, all of it: each phase
that was reached is reported, also where a later one failed. Its own small client: one
GET, no cookies, no redirects followed, at most 64 kB read.

Through the proxy the system names, as a browser would. Where a script (PAC, WPAD) names
it and the system does not run that for us, the direct way is tried, and the result says
that a script is set.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import time
from urllib.parse import SplitResult, unquote, urlsplit

from probes.measure.http_answer import (
    MAX_BYTES,
    body_bytes,
    ends,
    judge,
    leads_elsewhere,
)
from probes.measure.http_answer import status_of as read_status
from probes.platforms.proxies import applies
from probes.platforms.system_facts import ProxySetting
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.policy import OnlineCheck, Service
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.service_probes import WEB
from probes.wire.socket_errors import outcome_of

NAME = WEB.name
VERSION = 2
TIMEOUT_S = 10.0
NO_PROXY = ProxySetting("none")
# What a sign-in page does to HTTPS, and plain HTTP then tells.
SUSPICIOUS = frozenset(
    {
        Outcome.TLS_FAILED,
        Outcome.TIMEOUT,
        Outcome.REFUSED,
        Outcome.RESET,
        Outcome.UNREACHABLE,
        Outcome.NAME_NOT_FOUND,
        Outcome.NAME_SERVER_FAILED,
        Outcome.BAD_ANSWER,
    }
)
# X509_V_ERR_CERT_NOT_YET_VALID: certificates are made in the past.
_NOT_YET_VALID = 9
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
    proxy: ProxySetting = NO_PROXY,
    timeout_s: float = TIMEOUT_S,
    now_ms: WallClock,
) -> Result:
    """One GET; `target` is the service's name, never its URL.

    An answer below 500 is `ok`: the service answered, and `status` says what.
    """
    time_ms, clock = now_ms(), _Clock()
    if proxy.kind != "none":
        clock.values["proxy"] = proxy.kind
    try:
        async with asyncio.timeout(timeout_s):
            _, outcome = await _ask(service.url, tls, software, proxy, clock)
    except TimeoutError:
        outcome = Outcome.TIMEOUT
    except _Ended as ended:
        outcome = ended.outcome
    return Result(
        NAME, VERSION, time_ms, outcome, service.name, clock.values, clock.cost_bytes
    )


async def hides_behind_sign_in(
    url: str, *, software: str = "towpath-agent", timeout_s: float = 5.0
) -> tuple[bool, int]:
    """(is a sign-in page there, what asking cost): plain HTTP to the same host, once
    HTTPS to it failed. It is one where that leads to another host (RFC 8952)."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False, 0
    clock = _Clock()
    shown = f"[{host}]" if ":" in host else host
    with contextlib.suppress(TimeoutError, _Ended):
        async with asyncio.timeout(timeout_s):
            url = f"http://{shown}/"
            head, _ = await _ask(url, None, software, NO_PROXY, clock, only_head=True)
            status = read_status(head) or 0
            return leads_elsewhere(status, head, host), clock.cost_bytes
    return False, clock.cost_bytes


async def check_online(
    check: OnlineCheck,
    *,
    tls: ssl.SSLContext,
    software: str = "towpath-agent",
    timeout_s: float = 5.0,
    now_ms: WallClock,
) -> Result:
    """`ok` where the page is what it should be, `captive_portal` where something else
    answers in its place."""
    time_ms, clock = now_ms(), _Clock()
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            head, outcome = await _ask(check.url, tls, software, NO_PROXY, clock, body)
        as_it_should = read_status(head) == check.status and (
            check.text.encode() in bytes(body)
        )
        if not as_it_should and outcome in {Outcome.OK, Outcome.BAD_ANSWER}:
            outcome = Outcome.CAPTIVE_PORTAL
    except TimeoutError:
        outcome = Outcome.TIMEOUT
    except _Ended as ended:
        outcome = ended.outcome
    return Result(
        NAME, VERSION, time_ms, outcome, check.name, clock.values, clock.cost_bytes
    )


async def _ask(
    url: str,
    tls: ssl.SSLContext | None,
    software: str,
    proxy: ProxySetting,
    clock: _Clock,
    body: bytearray | None = None,
    only_head: bool = False,
) -> tuple[bytes, Outcome]:
    """The head of the answer and what it means; fills `clock`, and `body` where it is
    wanted."""
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
    except ValueError:
        raise _Ended(Outcome.NOT_CONFIGURED) from None
    host = parts.hostname or ""
    through = _proxy_for(host, proxy)
    at = (through.hostname or "", through.port or 8080) if through else (host, port)
    addresses = await _look_up(*at)
    clock.passed("lookup_ms")
    reader, writer = await _connect(addresses)
    clock.cost_bytes += _TCP_BYTES
    clock.passed("connect_ms")
    try:
        if through and secure:
            await _ask_proxy(reader, writer, through, f"{_shown(host)}:{port}", clock)
            clock.passed("proxy_ms")
        if secure and tls is not None:
            await _shake_hands(writer, tls, host)
            clock.cost_bytes += _TLS_BYTES
            clock.passed("tls_ms")
        request = _request(parts, software, None if secure else through)
        writer.write(request)
        clock.cost_bytes += len(request)
        head, rest = await _head(reader, clock)
        status = read_status(head)
        if status is None:
            raise _Ended(Outcome.BAD_ANSWER)
        clock.values["status"] = status
        if not only_head:
            rest = await _rest(reader, head, rest, status, clock)
        clock.values["total_ms"] = (time.perf_counter() - clock.begun_s) * 1000
        if body is not None:
            body += rest
        return head, judge(status, head, host)
    except OSError as error:
        raise _Ended(outcome_of(error)) from None
    finally:
        # Not awaited: a server that does not close its side must not hold us up.
        with contextlib.suppress(RuntimeError):
            writer.transport.abort()


async def _rest(
    reader: asyncio.StreamReader, head: bytes, body: bytes, status: int, clock: _Clock
) -> bytes:
    expected = body_bytes(head, status)
    while len(body) < expected and not (expected == MAX_BYTES and ends(head, body)):
        chunk = await reader.read(16_384)
        if not chunk:
            break
        clock.cost_bytes += len(chunk)
        body += chunk
    return body


def _proxy_for(host: str, proxy: ProxySetting) -> SplitResult | None:
    """The HTTP proxy for `host`; None where it is reached directly."""
    if not applies(proxy, host):
        return None
    parts = urlsplit(proxy.url)
    return parts if parts.scheme == "http" else None


async def _ask_proxy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    proxy: SplitResult,
    to: str,
    clock: _Clock,
) -> None:
    """CONNECT (RFC 9110 section 9.3.6)."""
    asked = f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{_login(proxy)}\r\n".encode()
    writer.write(asked)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        raise _Ended(Outcome.RESET) from None
    except asyncio.LimitOverrunError:
        raise _Ended(Outcome.BAD_ANSWER) from None
    clock.cost_bytes += len(asked) + len(head)
    status = read_status(head)
    if status is None:
        raise _Ended(Outcome.BAD_ANSWER)
    if status == 407:
        raise _Ended(Outcome.AUTH_FAILED)
    if status == 403:
        raise _Ended(Outcome.REFUSED)
    if status == 504:
        raise _Ended(Outcome.TIMEOUT)
    if not 200 <= status < 300:
        raise _Ended(Outcome.UNREACHABLE)


def _login(proxy: SplitResult) -> str:
    if not proxy.username:
        return ""
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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
    except ssl.SSLCertVerificationError as error:
        early = error.verify_code == _NOT_YET_VALID
        raise _Ended(Outcome.CLOCK_WRONG if early else Outcome.TLS_FAILED) from None
    except (ssl.SSLError, ValueError):
        # A sign-in page in front of everything is a usual reason for this one.
        raise _Ended(Outcome.TLS_FAILED) from None


def _request(parts: SplitResult, software: str, proxy: SplitResult | None) -> bytes:
    """A GET; to a proxy, of the whole URL (RFC 9112 section 3.2.2)."""
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    host = parts.netloc.rpartition("@")[2]
    login = ""
    if proxy is not None:
        path, login = f"http://{host}{path}", _login(proxy)
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{login}"
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
