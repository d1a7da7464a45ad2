"""Linux: `IP_RECVERR` of ip(7). The kernel keeps the ICMP errors that a socket's
packets met, with who sent them, and gives them to the socket's owner."""

from __future__ import annotations

import contextlib
import errno
import secrets
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from probes.tracing import Address, Echo, text_of
from probes.tracing.icmp import echo_request, read_answer
from probes.wire.packet_codec import PacketCodec

_MSG_ERRQUEUE = 0x2000
_IP_TTL, _IPV6_UNICAST_HOPS = 2, 16
_IP_RECVERR, _IPV6_RECVERR = 11, 25
# struct sock_extended_err of linux/errqueue.h.
_EXTENDED = struct.Struct("=IBBBBII")
_FROM_ICMP = {2, 3}
_PORT_UNREACHABLE = {(2, 3, 3), (3, 1, 4)}
_ICMPV6 = 58


class Error(NamedTuple):
    """An ICMP error: `far` where it says that the packet got to its destination;
    `quoted` is what it quotes of the payload, often nothing."""

    address: str
    far: bool
    quoted: bytes


def read_error(
    family: int, told: Sequence[tuple[int, int, bytes]], quoted: bytes
) -> Error | None:
    """What an entry of the error queue says; None where it is no ICMP error. Pure."""
    for level, kind, value in told:
        if (level, kind) not in (
            (socket.IPPROTO_IP, _IP_RECVERR),
            (socket.IPPROTO_IPV6, _IPV6_RECVERR),
        ):
            continue
        if len(value) < _EXTENDED.size:
            continue
        _number, origin, icmp, code, *_ = _EXTENDED.unpack_from(value)
        if origin not in _FROM_ICMP:
            continue
        who = value[_EXTENDED.size :]
        packed = who[4:8] if family == socket.AF_INET else who[8:24]
        far = (origin, icmp, code) in _PORT_UNREACHABLE
        return Error(text_of(family, packed), far, quoted)
    return None


class _Asked(NamedTuple):
    ttl: int
    at_ns: int
    channel: socket.socket


class _Tracing:
    """What the tracers share: the pace, the waiting, the answers."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.pending: dict[int, _Asked] = {}
        self.echoes: dict[int, Echo] = {}
        self.watch = selectors.DefaultSelector()

    def answer(self, number: int, address: str, reached: bool) -> None:
        asked = self.pending.pop(number, None)
        if asked is not None:
            rtt_ms = (time.perf_counter_ns() - asked.at_ns) / 1e6
            self.echoes[number] = Echo(asked.ttl, address, rtt_ms, reached)

    def oldest(self, channel: socket.socket) -> int | None:
        """The longest unanswered question of a channel, for errors that quote none."""
        return next((n for n, a in self.pending.items() if a.channel is channel), None)

    def run(
        self,
        ttls: Sequence[int],
        every_s: float,
        wait_s: float,
        stop: threading.Event,
        ask: Callable[[int, int], None],
        hear: Callable[[socket.socket], None],
    ) -> list[Echo]:
        due_s = time.perf_counter()
        for number, ttl in enumerate(ttls):
            self._listen(due_s, stop, hear)
            if stop.is_set():
                break
            ask(number, ttl)
            due_s += every_s
        ended_s = time.perf_counter() + wait_s
        while self.pending and time.perf_counter() < ended_s and not stop.is_set():
            self._listen(min(ended_s, time.perf_counter() + 0.05), stop, hear)
        return [self.echoes.get(n, Echo(ttl)) for n, ttl in enumerate(ttls)]

    def _listen(
        self,
        until_s: float,
        stop: threading.Event,
        hear: Callable[[socket.socket], None],
    ) -> None:
        last = until_s > time.perf_counter()
        while not stop.is_set():
            left_s = until_s - time.perf_counter()
            if left_s <= 0 and not last:
                return
            last = False
            if not self.watch.get_map():
                if left_s > 0:
                    stop.wait(left_s)
                return
            for key, _events in self.watch.select(max(0.0, min(left_s, 0.2))):
                assert isinstance(key.fileobj, socket.socket)
                hear(key.fileobj)


class DatagramTracer:
    """UDP questions that the destination's own service answers, or ICMP echoes. A
    socket for each TTL; what it says is `new_codec`'s."""

    cost_bytes = 72 + 100

    def __init__(
        self,
        method: str,
        family: int,
        address: Address,
        new_codec: Callable[[], PacketCodec[object]],
    ) -> None:
        self.method = method
        self._family, self._address, self._new_codec = family, address, new_codec

    def trace(
        self, ttls: Sequence[int], every_s: float, wait_s: float, stop: threading.Event
    ) -> list[Echo]:
        codec, work = self._new_codec(), _Tracing(self._family)
        there = str(self._address[0])
        said: dict[int, bytes] = {}
        with contextlib.ExitStack() as stack:
            stack.callback(work.watch.close)
            channels: dict[int, socket.socket] = {}
            for ttl in ttls:
                if ttl not in channels:
                    channels[ttl] = stack.enter_context(self._open(ttl))
                    work.watch.register(channels[ttl], selectors.EVENT_READ)

            def ask(number: int, ttl: int) -> None:
                said[number] = codec.build(number)
                work.pending[number] = _Asked(
                    ttl, time.perf_counter_ns(), channels[ttl]
                )
                # The errors of earlier packets are told once on the next send.
                for _ in range(2):
                    with contextlib.suppress(OSError):
                        channels[ttl].send(said[number])
                        return

            def hear(channel: socket.socket) -> None:
                for error in _errors(self._family, channel):
                    number = _quoted(said, error.quoted)
                    if number is None or number not in work.pending:
                        number = work.oldest(channel)
                    if number is not None:
                        far = error.far or error.address == there
                        work.answer(number, error.address, far)
                for packet in _packets(channel):
                    heard = codec.parse(packet)
                    if heard is not None:
                        work.answer(heard[0], there, True)

            return work.run(ttls, every_s, wait_s, stop, ask, hear)

    def _open(self, ttl: int) -> socket.socket:
        protocol = 0
        if self.method == "icmp":
            ipv4 = self._family == socket.AF_INET
            protocol = socket.IPPROTO_ICMP if ipv4 else _ICMPV6
        channel = socket.socket(self._family, socket.SOCK_DGRAM, protocol)
        try:
            channel.setblocking(False)
            _live(channel, ttl)
            channel.connect(self._address)
        except OSError:
            channel.close()
            raise
        return channel


class TcpTracer:
    """TCP connections that are opened and closed at once. Whoever refuses one is there
    as well."""

    method = "tcp"
    cost_bytes = 60 + 100

    def __init__(self, family: int, address: Address) -> None:
        self._family, self._address = family, address

    def trace(
        self, ttls: Sequence[int], every_s: float, wait_s: float, stop: threading.Event
    ) -> list[Echo]:
        work = _Tracing(self._family)
        there = str(self._address[0])
        numbers: dict[socket.socket, int] = {}
        with contextlib.ExitStack() as stack:
            stack.callback(work.watch.close)

            def ask(number: int, ttl: int) -> None:
                channel = stack.enter_context(
                    socket.socket(self._family, socket.SOCK_STREAM)
                )
                channel.setblocking(False)
                _live(channel, ttl)
                numbers[channel] = number
                work.pending[number] = _Asked(ttl, time.perf_counter_ns(), channel)
                if channel.connect_ex(self._address) in (0, errno.EINPROGRESS):
                    work.watch.register(channel, selectors.EVENT_WRITE)

            def hear(channel: socket.socket) -> None:
                work.watch.unregister(channel)
                failed = channel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                number = numbers[channel]
                for error in _errors(self._family, channel):
                    work.answer(number, error.address, error.address == there)
                if failed in (0, errno.ECONNREFUSED):
                    work.answer(number, there, True)
                channel.close()

            return work.run(ttls, every_s, wait_s, stop, ask, hear)


class IcmpCodec:
    """Echo requests; the kernel gives them the socket's own identifier."""

    def __init__(self, family: int) -> None:
        self._family = family
        self._payload = secrets.token_bytes(36)

    def build(self, number: int) -> bytes:
        return echo_request(self._family, 0, number, self._payload)

    def parse(self, packet: bytes) -> tuple[int, object] | None:
        said = read_answer(self._family, packet)
        if said is None or said.kind != "reply" or packet[8:] != self._payload:
            return None
        return said.number, said


def icmp_codec(family: int) -> PacketCodec[object]:
    return IcmpCodec(family)


def _live(channel: socket.socket, ttl: int) -> None:
    """Packets of `channel` pass `ttl` stations; what they meet is kept."""
    if channel.family == socket.AF_INET:
        channel.setsockopt(socket.IPPROTO_IP, _IP_TTL, ttl)
        channel.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        channel.setsockopt(socket.IPPROTO_IPV6, _IPV6_UNICAST_HOPS, ttl)
        channel.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def _errors(family: int, channel: socket.socket) -> list[Error]:
    if sys.platform == "win32":
        raise NotImplementedError("Linux keeps errors for sockets, Windows does not")
    found: list[Error] = []
    for _ in range(64):
        try:
            quoted, told, _flags, _to = channel.recvmsg(512, 512, _MSG_ERRQUEUE)
        except OSError:
            break
        error = read_error(family, told, quoted)
        if error is not None:
            found.append(error)
    return found


def _packets(channel: socket.socket) -> list[bytes]:
    found: list[bytes] = []
    for _ in range(64):
        try:
            found.append(channel.recv(2048))
        except BlockingIOError:
            break
        except OSError:
            # The same error that the queue has told.
            continue
    return found


def _quoted(said: dict[int, bytes], quoted: bytes) -> int | None:
    """The question an error quotes the beginning of; None where it quotes too little.
    The identifier of an echo request and its sum are the kernel's."""
    if len(quoted) < 12:
        return None
    for number, packet in said.items():
        if packet[6:12] == quoted[6:12] and packet[:2] == quoted[:2]:
            return number
    return None
