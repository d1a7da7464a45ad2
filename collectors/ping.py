"""ICMP echo to every device of an estate, from one socket per address family.

The socket is unprivileged if the system allows it (`net.ipv4.ping_group_range`), or raw
with CAP_NET_RAW. If neither is allowed, nothing is sent and this is logged once. About
25 echoes leave together: with 10,000 devices and an echo every 20 s, every 50 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import os
import socket
import struct
import sys
import time
import zlib
from ipaddress import ip_address
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from probes.wire.icmp import ECHO_REPLY, echo_reply_payload, echo_request

_log = structlog.get_logger()
_TICK_S = 0.05
# About so many echoes leave together.
_GROUP = 25
# Later answers count as lost.
TIMEOUT_S = 1.0
# `probe`: so many echoes, so far apart.
_PROBES, _APART_S = 3, 0.4
_RECEIVE_BYTES = 1 << 20
# Linux: the kernel's time of arrival, so that a busy event loop adds no delay.
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else 0
_TIMESPEC = struct.Struct("=qq")
# Linux's ICMP_FILTER and ICMP6_FILTER for raw sockets: echo replies only.
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1


class EchoResult(msgspec.Struct, frozen=True):
    """Echoes that were answered or lost. `rtt_ms`: the mean of the answered ones."""

    sent: int
    answered: int
    rtt_ms: float | None

    @property
    def loss_ratio(self) -> float:
        return 1 - self.answered / self.sent


class PingTarget:
    """One address that is pinged; made by `Pinger.watch`."""

    def __init__(self, pinger: Pinger, address: str) -> None:
        self._pinger, self.address = pinger, address
        self.gone = False
        self._sent = self._answered = 0
        self._rtt_ms = 0.0

    def read_result(self) -> EchoResult | None:
        """The result of the echoes since the last call; None if there is none yet."""
        self._pinger.expire(time.monotonic())
        if not self._sent:
            return None
        rtt_ms = self._rtt_ms / self._answered if self._answered else None
        result = EchoResult(self._sent, self._answered, rtt_ms)
        self._sent = self._answered = 0
        self._rtt_ms = 0.0
        return result

    async def probe(self) -> EchoResult | None:
        """Sends a few echoes now and returns their result; None if none can be sent.

        Discards earlier echoes, because the device may have answered them in time.
        """
        if not self._pinger.reaches(self.address):
            return None
        self.read_result()
        for _ in range(_PROBES):
            self._pinger.send(self)
            await asyncio.sleep(_APART_S)
            if self._answered:
                break
        else:
            await asyncio.sleep(TIMEOUT_S - _APART_S + _TICK_S)
        return self.read_result()

    def record(self, rtt_ms: float | None) -> None:
        self._sent += 1
        if rtt_ms is not None:
            self._answered += 1
            self._rtt_ms += rtt_ms


class _PendingEcho(msgspec.Struct, gc=False):
    pinged: PingTarget
    sent_ns: int
    until_s: float


class Pinger:
    """`async with Pinger(every_s) as pinger: pinged = pinger.watch("192.0.2.1")`.

    If `every_s` is 0, nothing is sent. Loopback addresses are only pinged if `loopback`
    is set: this machine would answer, whatever the state of the device.
    """

    def __init__(self, every_s: float = 20.0, loopback: bool = False) -> None:
        self._every_s, self._loopback = every_s, loopback
        self._sockets: dict[int, socket.socket] = {}
        self._due: list[tuple[float, int, PingTarget]] = []
        self._waiting: dict[int, _PendingEcho] = {}
        self._count = 0
        self._ident = os.getpid() & 0xFFFF
        # Distinguishes our echoes from those of a process with the same identifier.
        self._token = os.urandom(8)
        self._watched = asyncio.Event()
        self._tasks = BackgroundTasks()
        self.sent = 0

    @property
    def available(self) -> bool:
        """True if this process may send echoes."""
        return bool(self._sockets)

    def reaches(self, address: str) -> bool:
        if ip_address(address).is_loopback and not self._loopback:
            return False
        return _family(address) in self._sockets

    async def __aenter__(self) -> Self:
        if self._every_s <= 0:
            return self
        for family in (socket.AF_INET, socket.AF_INET6):
            sock = open_socket(family)
            if sock is not None:
                self._sockets[family] = sock
                asyncio.get_running_loop().add_reader(sock, self._readable, sock)
        if not self._sockets:
            _log.warning(
                "no_ping",
                detail="neither net.ipv4.ping_group_range nor CAP_NET_RAW allows ICMP: "
                "if a device does not answer SNMP, it is unknown whether it is down",
            )
            return self
        self._tasks.start(self._run(), "pinger")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        for sock in self._sockets.values():
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def watch(self, address: str) -> PingTarget:
        """Sends an echo every `every_s` until `drop`."""
        pinged = PingTarget(self, address)
        if self.reaches(address):
            phase = zlib.crc32(address.encode()) / 2**32
            # The first echo soon, so that a new device soon has a result.
            due_s = time.monotonic() + phase * min(1.0, self._every_s)
            self._push(due_s, pinged)
            self._watched.set()
        return pinged

    def drop(self, pinged: PingTarget) -> None:
        pinged.gone = True

    def send(self, pinged: PingTarget) -> None:
        """Sends one echo request; the result goes to `pinged`."""
        family = _family(pinged.address)
        sock = self._sockets[family]
        self._count += 1
        number = self._count & 0xFFFF
        payload = self._token + self._count.to_bytes(8, "big")
        packet = echo_request(family, self._ident, number, payload)
        waiting = _PendingEcho(pinged, time.time_ns(), time.monotonic() + TIMEOUT_S)
        self._waiting[self._count] = waiting
        self.sent += 1
        # No route, or a full buffer: the echo is lost.
        with contextlib.suppress(OSError):
            sock.sendto(packet, (pinged.address, 0))

    def _push(self, due_s: float, pinged: PingTarget) -> None:
        heapq.heappush(self._due, (due_s, id(pinged), pinged))

    async def _run(self) -> None:
        while True:
            now_s = time.monotonic()
            while self._due and self._due[0][0] <= now_s:
                due_s, _, pinged = heapq.heappop(self._due)
                if pinged.gone:
                    continue
                self.send(pinged)
                # If this machine was asleep: one echo, not all that were missed.
                next_s = max(due_s, now_s) + self._every_s
                self._push(grouped_s(next_s, self._every_s, len(self._due)), pinged)
            self.expire(now_s)
            self._watched.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s(now_s)):
                    await self._watched.wait()

    def _wait_s(self, now_s: float) -> float | None:
        """How long until an echo is due; at least a tick, so that those of many devices
        share one wake. What is lost is counted when somebody reads the result."""
        return max(self._due[0][0] - now_s, _TICK_S) if self._due else None

    def expire(self, now_s: float) -> None:
        """Counts overdue echoes as lost. The dict holds the oldest first."""
        while self._waiting:
            number, waiting = next(iter(self._waiting.items()))
            if waiting.until_s > now_s:
                break
            del self._waiting[number]
            waiting.pinged.record(None)

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(256):
            try:
                packet, extra, _, peer = sock.recvmsg(256, 64)
            except BlockingIOError:
                return
            except OSError:
                # A router reported an error for an echo: that echo is lost.
                continue
            now_ns = _arrived_ns(extra) or time.time_ns()
            self._receive(packet, str(peer[0]).partition("%")[0], now_ns)

    def _receive(self, packet: bytes, peer: str, now_ns: int) -> None:
        number = read_reply(packet, self._token)
        if number is None:
            return
        waiting = self._waiting.get(number)
        if waiting is None or waiting.pinged.address != peer:
            return
        del self._waiting[number]
        # If the clock was set meanwhile: never negative, never over the timeout.
        rtt_ms = min(max(0.0, (now_ns - waiting.sent_ns) / 1e6), TIMEOUT_S * 1000)
        waiting.pinged.record(rtt_ms)


def grouped_s(due_s: float, every_s: float, others: int) -> float:
    """The last time up to `due_s` at which an echo leaves with others. Pure.

    A wake costs more than an echo, so the echoes of few devices leave at once. The
    times between groups divide `every_s`, so that each device keeps its interval.
    """
    groups = 1 << (others // _GROUP).bit_length()
    apart_s = every_s / groups
    return math.floor(due_s / apart_s + 1e-3) * apart_s


def read_reply(packet: bytes, token: bytes) -> int | None:
    """Returns the number of the echo that `packet` answers, None for anything else.
    Pure."""
    payload = echo_reply_payload(packet)
    if payload is None or len(payload) < 16 or payload[:8] != token:
        return None
    return int.from_bytes(payload[8:16], "big")


def open_socket(family: int) -> socket.socket | None:
    """A socket for echoes of that family; None if this process may have none."""
    v4 = family == socket.AF_INET
    protocol = socket.IPPROTO_ICMP if v4 else socket.IPPROTO_ICMPV6
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError:
            continue
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            if _SO_TIMESTAMPNS:
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if kind == socket.SOCK_RAW and sys.platform == "linux":
                _only_replies(sock, v4)
        return sock
    return None


def _only_replies(sock: socket.socket, v4: bool) -> None:
    """Makes the kernel drop all ICMP types but echo replies (a set bit is a drop)."""
    if v4:
        blocked = ~(1 << ECHO_REPLY[socket.AF_INET]) & 0xFFFFFFFF
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", blocked))
    else:
        words = [0xFFFFFFFF] * 8
        reply = ECHO_REPLY[socket.AF_INET6]
        words[reply >> 5] &= ~(1 << (reply & 31))
        blocked6 = struct.pack("=8I", *words)
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, blocked6)


def _arrived_ns(extra: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= 16:
            seconds, ns = _TIMESPEC.unpack_from(data)
            return int(seconds * 1_000_000_000 + ns)
    return None


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
