"""The STAMP session-reflector: RFC 8762 stateful mode, RFC 8972 TLVs, UDP.

Each packet is answered at once with one of the same size and the session's own sequence
number, so that a sender can distinguish loss in each direction. If the kernel supports
it, the reply has the packet's arrival time, TTL and DSCP, uses the requested DSCP, and
leaves from the address that received the packet.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import time
from typing import Any

import msgspec

from collectors.background_tasks import BackgroundTasks
from collectors.reflector.reflector_config import ReflectorConfig
from collectors.reflector.reflector_limits import AllowList, SourceRates, StampSessions
from probes.wire import stamp, stamp_auth

_LINUX = sys.platform == "linux"
_TIMESTAMPNS_NEW = 64
_TIMESPEC = struct.Struct("@qq")
_INT = struct.Struct("@i")
# Linux' numbers (linux/in.h, linux/in6.h); Python does not name them all.
_IPV4_TELL = ((0, 12), (0, 13), (0, 8))  # IP_RECVTTL, IP_RECVTOS, IP_PKTINFO
_IPV6_TELL = ((41, 51), (41, 66), (41, 49))  # RECVHOPLIMIT, RECVTCLASS, RECVPKTINFO
_TTLS = {(0, 2), (41, 52)}  # IP_TTL, IPV6_HOPLIMIT
_CLASSES = {(0, 1), (41, 67)}  # IP_TOS, IPV6_TCLASS
_IPV4_HERE, _IPV6_HERE = (0, 8), (41, 50)  # IP_PKTINFO, IPV6_PKTINFO
_SOURCES = 10_000
# Below this are servers that answer any packet (echo, chargen, daytime, TFTP, NTP). For
# a loop, a server above would have to answer a reply with 41 octets or more. None is
# known to do so, and providers' shared addresses give laptops any port there.
_FIRST_FREE_PORT = 1024
_AT_ONCE = 64
_BUFFER_BYTES = 4 << 20


class StampStats(msgspec.Struct):
    """Counters since start. `unread`: too short, or without the required key. `looped`:
    from a port that no agent uses, or itself the answer of a reflector."""

    received: int = 0
    reflected: int = 0
    unread: int = 0
    not_allowed: int = 0
    limited: int = 0
    looped: int = 0
    unsent: int = 0


class StampReflector:
    """Answers on one UDP socket per address. `async with` runs it; then `port` is known
    (0 in the settings lets the system choose)."""

    def __init__(
        self, config: ReflectorConfig, addresses: tuple[str, ...], key: bytes = b""
    ) -> None:
        self._config, self._addresses, self._key = config, addresses, key
        self._not_agents = {*config.reflector_ports}
        self._allow = AllowList(config.allow)
        self._sessions: StampSessions[tuple[str, int, int]] = StampSessions(
            config.sessions, config.session_idle_s
        )
        self._by_source: SourceRates[str] = SourceRates(
            config.source_packets_per_s, _SOURCES
        )
        self._all: SourceRates[None] = SourceRates(config.packets_per_s, 1)
        self._channels: list[socket.socket] = []
        self._tasks = BackgroundTasks()
        self.stats = StampStats()

    @property
    def port(self) -> int:
        """The UDP port it answers on."""
        return int(self._channels[0].getsockname()[1])

    async def __aenter__(self) -> StampReflector:
        loop = asyncio.get_running_loop()
        port = self._config.stamp_port
        try:
            for address in self._addresses:
                channel = _open(address, port)
                self._channels.append(channel)
                port = port or self.port
                self._not_agents |= {port}
                loop.add_reader(channel, self._read, channel)
        except OSError:
            await self.__aexit__()
            raise
        self._tasks.start(self._sweep(), "stamp-sweep")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for channel in self._channels:
            asyncio.get_running_loop().remove_reader(channel)
            channel.close()
        self._channels.clear()
        await self._tasks.stop()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(10.0, self._config.session_idle_s))
            self._sessions.expire(time.monotonic())

    def _read(self, channel: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet, ancillary, _flags, source = channel.recvmsg(2048, 256)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error for an earlier reply: its sender has gone.
                continue
            self._answer(channel, packet, ancillary, source)

    def _answer(
        self,
        channel: socket.socket,
        packet: bytes,
        ancillary: list[tuple[int, int, bytes]],
        source: Any,
    ) -> None:
        stats, now_s = self.stats, time.monotonic()
        stats.received += 1
        host = source[0]
        # Two servers that answer each other's answers never stop (CVE-2024-2169), and
        # one packet with a forged sender starts it. No agent uses such a port.
        if (
            source[1] < _FIRST_FREE_PORT
            or source[1] in self._not_agents
            or stamp.is_reflected(packet)
        ):
            stats.looped += 1
            return
        if not self._allow.allows(host):
            stats.not_allowed += 1
            return
        if not self._by_source.allow(_source_key(host), now_s):
            stats.limited += 1
            return
        if not self._all.allow(None, now_s):
            stats.limited += 1
            return
        authentic = bool(self._key) and stamp_auth.is_authentic(packet, self._key)
        try:
            if authentic:
                sent = stamp_auth.read_request(packet, self._key)
            elif self._config.authenticated_only:
                raise stamp.StampError("not authenticated")
            else:
                sent = stamp.read_request(packet)
        except stamp.StampError:
            stats.unread += 1
            return
        t2_ns, ttl, arrived, here = _read_ancillary(ancillary)
        # RFC 8762 section 4.2: a stateless reflector copies the sender's number.
        number, count = sent.sequence, 0
        if self._config.stateful:
            number = self._sessions.count((host, source[1], sent.ssid), now_s)
            count = number + 1
        head = stamp_auth.AUTHENTICATED_BYTES if authentic else stamp.HEAD_BYTES
        tlvs, used = packet[head:], 0
        send = list(here)
        if tlvs and authentic:
            tlvs = stamp.unrecognised_tlvs(tlvs)
        elif tlvs and not sent.light:
            wanted = stamp.requested_dscp(tlvs)
            if _LINUX and wanted > 0:
                used = wanted
                send.append(_dscp_option(channel.family, used))
            tlvs = stamp.reply_tlvs(tlvs, arrived, used, count)
        t3_ns = time.time_ns()
        t2, t3 = stamp.ntp_of(t2_ns or t3_ns), stamp.ntp_of(t3_ns)
        if authentic:
            answer = stamp_auth.reply(sent, number, t2, t3, self._key, ttl) + tlvs
        else:
            answer = stamp.reply(sent, number, t2, t3, ttl, tlvs)[: len(packet)]
        try:
            channel.sendmsg([answer], send, 0, source)
            stats.reflected += 1
        except OSError:
            # A full queue, or no route back: the sender sees a loss.
            stats.unsent += 1


def _open(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    channel = socket.socket(family, socket.SOCK_DGRAM)
    try:
        channel.setblocking(False)
        with contextlib.suppress(OSError):
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        if family == socket.AF_INET6:
            channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if _LINUX:
            _enable_ancillary(channel)
        channel.bind((address, port))
    except OSError as error:
        channel.close()
        why = os.strerror(error.errno or 0)
        raise OSError(
            f"cannot listen on {address} UDP port {port}: {why}; "
            "expected a free port (stamp_port; below 1024 needs the right to it)"
        ) from None
    return channel


def _enable_ancillary(channel: socket.socket) -> None:
    ipv6 = channel.family == socket.AF_INET6
    for level, option in (
        (socket.SOL_SOCKET, _TIMESTAMPNS_NEW),
        *(_IPV6_TELL if ipv6 else _IPV4_TELL),
    ):
        # An old kernel may not support it.
        with contextlib.suppress(OSError):
            channel.setsockopt(level, option, 1)


def _read_ancillary(
    ancillary: list[tuple[int, int, bytes]],
) -> tuple[int, int, int, list[tuple[int, int, bytes]]]:
    """(arrival in unix ns or 0, TTL or 0, DSCP or -1, ancillary data that makes the
    reply leave from the address that received the packet)."""
    t2_ns, ttl, dscp = 0, 0, -1
    here: list[tuple[int, int, bytes]] = []
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET:
            if kind == _TIMESTAMPNS_NEW:
                seconds, rest = _TIMESPEC.unpack_from(value)
                t2_ns = seconds * 1_000_000_000 + rest
        elif (level, kind) in _TTLS:
            ttl = _INT.unpack(value)[0] & 255
        elif (level, kind) in _CLASSES:
            # One octet for IPv4, an int for IPv6.
            dscp = (value[0] if len(value) == 1 else _INT.unpack(value)[0]) >> 2 & 63
        elif (level, kind) == _IPV4_HERE:
            # Interface 0: the route decides; only the source address matters.
            here.append((level, kind, b"\0\0\0\0" + value[4:8] + b"\0\0\0\0"))
        elif (level, kind) == _IPV6_HERE:
            here.append((level, kind, value))
    return t2_ns, ttl, dscp, here


def _dscp_option(family: int, dscp: int) -> tuple[int, int, bytes]:
    if family == socket.AF_INET6:
        return (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _INT.pack(dscp << 2))
    return (socket.IPPROTO_IP, socket.IP_TOS, _INT.pack(dscp << 2))


def _source_key(host: str) -> str:
    """The key of one source: an IPv4 address, or an IPv6 /64."""
    if ":" not in host:
        return host
    address, _, _zone = host.partition("%")
    packed = socket.inet_pton(socket.AF_INET6, address)
    return packed[:8].hex()
