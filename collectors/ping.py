"""ICMP echo to every device of an estate from one socket an address family.

Unprivileged where the system allows it (`net.ipv4.ping_group_range`), else raw with
CAP_NET_RAW, else not at all, which is said once. Each address has its own phase: at
10,000 devices and an echo every 20 s some 25 leave together, every 50 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import socket
import struct
import sys
import time
import zlib
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from probes.wire.icmp import ECHO_REPLY, echo_reply_payload, echo_request

_log = structlog.get_logger()
_TICK_S = 0.05
# What an answer may take; later ones count as lost.
TIMEOUT_S = 1.0
# `ask`: so many echoes, so far apart.
_ASKED, _APART_S = 3, 0.4
_RECEIVE_BYTES = 1 << 20
# Linux: the kernel's time of arrival, so that a busy loop is no long way.
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else 0
_TIMESPEC = struct.Struct("=qq")
# Linux's ICMP_FILTER and ICMP6_FILTER for raw sockets: echo replies only.
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1


class EchoResult(msgspec.Struct, frozen=True):
    """Echoes whose fate is known. `rtt_ms`: the mean of those answered."""

    sent: int
    answered: int
    rtt_ms: float | None

    @property
    def loss_ratio(self) -> float:
        return 1 - self.answered / self.sent


class PingTarget:
    """One address; made by `Pinger.watch`."""

    def __init__(self, pinger: Pinger, address: str) -> None:
        self._pinger, self.address = pinger, address
        self.gone = False
        self._sent = self._answered = 0
        self._rtt_ms = 0.0

    def take(self) -> EchoResult | None:
        """What became of the echoes since the last `take`; None where there were none
        whose fate is known."""
        if not self._sent:
            return None
        rtt_ms = self._rtt_ms / self._answered if self._answered else None
        found = EchoResult(self._sent, self._answered, rtt_ms)
        self._sent = self._answered = 0
        self._rtt_ms = 0.0
        return found

    async def ask(self) -> EchoResult | None:
        """Some echoes now, for who wants to know at once; None where there can be
        none. What came before is forgotten: it may be from better days."""
        if not self._pinger.reaches(self.address):
            return None
        self.take()
        for _ in range(_ASKED):
            self._pinger.send(self)
            await asyncio.sleep(_APART_S)
            if self._answered:
                break
        else:
            await asyncio.sleep(TIMEOUT_S - _APART_S + _TICK_S)
        return self.take()

    def ended(self, rtt_ms: float | None) -> None:
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

    `every_s` 0: nothing is sent. Loopback addresses are not asked unless `loopback`
    says so: it would be us who answer, whatever became of the device.
    """

    def __init__(self, every_s: float = 20.0, loopback: bool = False) -> None:
        self._every_s, self._loopback = every_s, loopback
        self._sockets: dict[int, socket.socket] = {}
        self._due: list[tuple[float, int, PingTarget]] = []
        self._waiting: dict[int, _PendingEcho] = {}
        self._count = 0
        self._ident = os.getpid() & 0xFFFF
        # Tells our echoes from those of another process with our identifier.
        self._token = os.urandom(8)
        self._tasks = BackgroundTasks()
        self.sent = 0

    @property
    def available(self) -> bool:
        """True where this process may send echoes at all."""
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
                "whether a device that is silent on SNMP is dead cannot be told",
            )
            return self
        self._tasks.start(self._run(), "pinger")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.stop()
        for sock in self._sockets.values():
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def watch(self, address: str) -> PingTarget:
        """An echo every `every_s` from now on, until `drop`."""
        pinged = PingTarget(self, address)
        if self.reaches(address):
            phase = zlib.crc32(address.encode()) / 2**32
            # The first within a tick or so: who is new is soon asked.
            due_s = time.monotonic() + phase * min(1.0, self._every_s)
            self._push(due_s, pinged)
        return pinged

    def drop(self, pinged: PingTarget) -> None:
        pinged.gone = True

    def send(self, pinged: PingTarget) -> None:
        """One echo request; its fate comes to `pinged`."""
        family = _family(pinged.address)
        sock = self._sockets[family]
        self._count += 1
        number = self._count & 0xFFFF
        payload = self._token + self._count.to_bytes(8, "big")
        packet = echo_request(family, self._ident, number, payload)
        waiting = _PendingEcho(pinged, time.time_ns(), time.monotonic() + TIMEOUT_S)
        self._waiting[self._count] = waiting
        self.sent += 1
        # No route, or a full buffer: as good as lost.
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
                # After a sleep of our own: one echo, not all that were missed.
                self._push(max(due_s + self._every_s, now_s), pinged)
            self._expire(now_s)
            await asyncio.sleep(_TICK_S)

    def _expire(self, now_s: float) -> None:
        """Sent in order, so the oldest are the first of the dict."""
        while self._waiting:
            number, waiting = next(iter(self._waiting.items()))
            if waiting.until_s > now_s:
                break
            del self._waiting[number]
            waiting.pinged.ended(None)

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(256):
            try:
                packet, extra, _, peer = sock.recvmsg(256, 64)
            except BlockingIOError:
                return
            except OSError:
                # An error some router sent for an echo: that one is lost.
                continue
            now_ns = _arrived_ns(extra) or time.time_ns()
            self._take(packet, str(peer[0]).partition("%")[0], now_ns)

    def _take(self, packet: bytes, peer: str, now_ns: int) -> None:
        number = read_reply(packet, self._token)
        if number is None:
            return
        waiting = self._waiting.get(number)
        if waiting is None or waiting.pinged.address != peer:
            return
        del self._waiting[number]
        # A clock that was stepped in between: never negative, never over the timeout.
        rtt_ms = min(max(0.0, (now_ns - waiting.sent_ns) / 1e6), TIMEOUT_S * 1000)
        waiting.pinged.ended(rtt_ms)


def read_reply(packet: bytes, token: bytes) -> int | None:
    """Returns the number of the echo that `packet` answers, None for anything else.
    Pure."""
    payload = echo_reply_payload(packet)
    if payload is None or len(payload) < 16 or payload[:8] != token:
        return None
    return int.from_bytes(payload[8:16], "big")


def open_socket(family: int) -> socket.socket | None:
    """A socket for echoes of that family, None where we may have none."""
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
    """Bits set are kinds that the kernel keeps from us."""
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
