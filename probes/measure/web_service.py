"""One HTTPS request to a service in the policy, timed by phase.

The phases are name resolution, TCP connection, proxy, TLS handshake, first byte and
total. Every phase that was reached is reported, even if a later one failed. The client
is small: one GET, no cookies, no redirects, at most 64 kB.

It uses the system's proxy, as a browser would. If a script (PAC, WPAD) selects the
proxy and the system cannot run it for us, it connects directly, and the result shows
that a script is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from urllib.parse import SplitResult, urlsplit

from probes.measure.http_answer import (
    MAX_BYTES,
    body_bytes,
    ends,
    judge,
    leads_elsewhere,
)
from probes.measure.http_answer import status_of as read_status
from probes.measure.proxy_ways import is_usable, proxy_login, proxy_port
from probes.measure.tcp_connection import (
    Streams,
    TcpAddress,
    connect_first,
    first_of_each_family,
    look_up,
    start_tls,
    url_host,
)
from probes.platforms.proxies import NO_PROXY, applies
from probes.platforms.system_facts import ProxySetting
from probes.platforms.system_trust import trust
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.path_probes import TLS_BYTES
from probes.wire.policy import OnlineCheck, Service
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.service_probes import WEB
from probes.wire.socket_errors import outcome_of

NAME = WEB.name
VERSION = 2
TIMEOUT_S = 10.0
# Failures that a sign-in page causes for HTTPS; plain HTTP then shows if there is one.
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
# IP and TCP headers of a short exchange.
_TCP_BYTES = 600


class _Ended(Exception):
    """The request has failed with `outcome`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class _PhaseTimer:
    """The duration of each phase in ms, and the octets used."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.cost_bytes = 0
        self.start()

    def start(self) -> None:
        self.started_s = self._last_s = time.perf_counter()

    def end(self, phase: str) -> None:
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
    """Sends one GET. `target` is the service's name, never its URL.

    A response below 500 is `ok`: the service answered, and `status` shows how.
    """
    time_ms, timer = now_ms(), _PhaseTimer()
    if proxy.kind != "none":
        timer.values["proxy"] = proxy.kind
    try:
        async with asyncio.timeout(timeout_s):
            _, outcome = await _request_head(service.url, tls, software, proxy, timer)
    except TimeoutError:
        outcome = Outcome.TIMEOUT
    except _Ended as ended:
        outcome = ended.outcome
    return Result(
        NAME, VERSION, time_ms, outcome, service.name, timer.values, timer.cost_bytes
    )


async def hides_behind_sign_in(
    url: str, *, software: str = "towpath-agent", timeout_s: float = 5.0
) -> tuple[bool, int]:
    """Returns (is there a sign-in page, octets used). Call it if HTTPS to the host has
    failed: a sign-in page redirects plain HTTP to another host (RFC 8952)."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False, 0
    timer = _PhaseTimer()
    with contextlib.suppress(TimeoutError, _Ended):
        async with asyncio.timeout(timeout_s):
            url = f"http://{url_host(host)}/"
            head, _ = await _request_head(
                url, None, software, NO_PROXY, timer, only_head=True
            )
            status = read_status(head) or 0
            return leads_elsewhere(status, head, host), timer.cost_bytes
    return False, timer.cost_bytes


async def check_online(
    check: OnlineCheck,
    *,
    tls: ssl.SSLContext,
    software: str = "towpath-agent",
    timeout_s: float = 5.0,
    now_ms: WallClock,
) -> Result:
    """The outcome is `ok` if the page is as expected, `captive_portal` if something
    else answers instead."""
    time_ms, timer = now_ms(), _PhaseTimer()
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            head, outcome = await _request_head(
                check.url, tls, software, NO_PROXY, timer, body
            )
        expected = read_status(head) == check.status and (
            check.text.encode() in bytes(body)
        )
        if not expected and outcome in {Outcome.OK, Outcome.BAD_ANSWER}:
            outcome = Outcome.CAPTIVE_PORTAL
    except TimeoutError:
        outcome = Outcome.TIMEOUT
    except _Ended as ended:
        outcome = ended.outcome
    return Result(
        NAME, VERSION, time_ms, outcome, check.name, timer.values, timer.cost_bytes
    )


async def _request_head(
    url: str,
    tls: ssl.SSLContext | None,
    software: str,
    proxy: ProxySetting,
    timer: _PhaseTimer,
    body: bytearray | None = None,
    only_head: bool = False,
) -> tuple[bytes, Outcome]:
    """Returns the header section of the response, and its outcome. Fills `timer`, and
    `body` if given."""
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
    except ValueError:
        raise _Ended(Outcome.NOT_CONFIGURED) from None
    host = parts.hostname or ""
    through = _proxy_for(host, proxy)
    to_proxy = None
    if through and through.scheme == "https":
        # Reading the system's authorities takes tens of milliseconds, which are not the
        # network's.
        to_proxy = trust("")
        timer.start()
    at = (through.hostname or "", proxy_port(through)) if through else (host, port)
    addresses = await _resolve(*at)
    timer.end("lookup_ms")
    reader, writer = await _connect(addresses)
    timer.cost_bytes += _TCP_BYTES
    timer.end("connect_ms")
    try:
        if to_proxy is not None:
            await _start_tls(writer, to_proxy, at[0])
            timer.cost_bytes += TLS_BYTES
        if through and secure:
            await _connect_through_proxy(
                reader, writer, through, f"{url_host(host)}:{port}", timer
            )
            timer.end("proxy_ms")
        if secure and tls is not None:
            await _start_tls(writer, tls, host)
            timer.cost_bytes += TLS_BYTES
            timer.end("tls_ms")
        request = _request(parts, software, None if secure else through)
        writer.write(request)
        timer.cost_bytes += len(request)
        head, rest = await _read_head(reader, timer)
        status = read_status(head)
        if status is None:
            raise _Ended(Outcome.BAD_ANSWER)
        timer.values["status"] = status
        if not only_head:
            rest = await _read_body(reader, head, rest, status, timer)
        timer.values["total_ms"] = (time.perf_counter() - timer.started_s) * 1000
        if body is not None:
            body += rest
        return head, judge(status, head, host)
    except OSError as error:
        raise _Ended(outcome_of(error)) from None
    finally:
        # Not awaited, because a server may never close its side.
        with contextlib.suppress(RuntimeError):
            writer.transport.abort()


async def _read_body(
    reader: asyncio.StreamReader,
    head: bytes,
    body: bytes,
    status: int,
    timer: _PhaseTimer,
) -> bytes:
    expected = body_bytes(head, status)
    while len(body) < expected and not (expected == MAX_BYTES and ends(head, body)):
        chunk = await reader.read(16_384)
        if not chunk:
            break
        timer.cost_bytes += len(chunk)
        body += chunk
    return body


def _proxy_for(host: str, proxy: ProxySetting) -> SplitResult | None:
    """The HTTP proxy for `host`; None if it is reached directly."""
    if not applies(proxy, host):
        return None
    return urlsplit(proxy.url) if is_usable(proxy.url) else None


async def _connect_through_proxy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    proxy: SplitResult,
    to: str,
    timer: _PhaseTimer,
) -> None:
    """Sends CONNECT (RFC 9110 section 9.3.6)."""
    request = f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{_login(proxy)}\r\n".encode()
    writer.write(request)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        raise _Ended(Outcome.RESET) from None
    except asyncio.LimitOverrunError:
        raise _Ended(Outcome.BAD_ANSWER) from None
    timer.cost_bytes += len(request) + len(head)
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
    login = proxy_login(proxy)
    return f"Proxy-Authorization: {login}\r\n" if login else ""


async def _resolve(host: str, port: int) -> list[TcpAddress]:
    try:
        return first_of_each_family(await look_up(host, port))
    except (OSError, UnicodeError) as error:
        raise _Ended(outcome_of(error)) from None


async def _connect(addresses: list[TcpAddress]) -> Streams:
    try:
        return await connect_first(addresses)
    except OSError as error:
        raise _Ended(outcome_of(error)) from None


async def _start_tls(
    writer: asyncio.StreamWriter, tls: ssl.SSLContext, host: str
) -> None:
    try:
        await start_tls(writer, tls, host)
    except ssl.SSLCertVerificationError as error:
        raise _Ended(outcome_of(error)) from None
    except (ssl.SSLError, ValueError):
        # A sign-in page that intercepts everything is a common reason.
        raise _Ended(Outcome.TLS_FAILED) from None


def _request(parts: SplitResult, software: str, proxy: SplitResult | None) -> bytes:
    """Builds a GET; to a proxy, with the whole URL (RFC 9112 section 3.2.2)."""
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


async def _read_head(
    reader: asyncio.StreamReader, timer: _PhaseTimer
) -> tuple[bytes, bytes]:
    """Reads the status line and headers, and the part of the body that came with them.
    Ends the phase `first_byte_ms`."""
    head = await reader.read(4_096)
    if not head:
        raise _Ended(Outcome.RESET)
    timer.end("first_byte_ms")
    while b"\r\n\r\n" not in head and len(head) < 32_768:
        chunk = await reader.read(4_096)
        if not chunk:
            break
        head += chunk
    timer.cost_bytes += len(head)
    head, _, body = head.partition(b"\r\n\r\n")
    return head, body
