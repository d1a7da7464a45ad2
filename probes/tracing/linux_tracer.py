"""Linux: `IP_RECVERR` of ip(7). The kernel queues the ICMP errors for a socket's
packets, with the sender's address, and the socket's owner may read them."""

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

from probes.tracing import Address, Echo, address_text
from probes.wire.icmp import echo_request, parse_icmp
from probes.wire.packet_codec import PacketCodec

_MSG_ERRQUEUE = 0x2000
_IP_TTL, _IPV6_UNICAST_HOPS = 2, 16
_IP_RECVERR, _IPV6_RECVERR = 11, 25
# struct sock_extended_err of linux/errqueue.h.
_EXTENDED = struct.Struct("=IBBBBII")
_FROM_ICMP = {2, 3}
_PORT_UNREACHABLE = {(2, 3, 3), (3, 1, 4)}
_ICMPV6 = 58


class IcmpError(NamedTuple):
    """An ICMP error. `reached`: it shows that the packet got to its destination.
    `quoted` is the part of the payload that it quotes, often nothing."""

    address: str
    reached: bool
    quoted: bytes


def parse_error(
    family: int, ancillary: Sequence[tuple[int, int, bytes]], quoted: bytes
) -> IcmpError | None:
    """Parses an entry of the error queue; None if it is not an ICMP error. Pure."""
    for level, kind, value in ancillary:
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
        sender = value[_EXTENDED.size :]
        packed = sender[4:8] if family == socket.AF_INET else sender[8:24]
        reached = (origin, icmp, code) in _PORT_UNREACHABLE
        return IcmpError(address_text(family, packed), reached, quoted)
    return None


class _PendingProbe(NamedTuple):
    ttl: int
    sent_ns: int
    channel: socket.socket


class _TraceRun:
    """One trace: the pace, the waiting, the answers. Shared by the tracers."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.pending: dict[int, _PendingProbe] = {}
        self.echoes: dict[int, Echo] = {}
        self.selector = selectors.DefaultSelector()

    def record_answer(self, number: int, address: str, reached: bool) -> None:
        probe = self.pending.pop(number, None)
        if probe is not None:
            rtt_ms = (time.perf_counter_ns() - probe.sent_ns) / 1e6
            self.echoes[number] = Echo(probe.ttl, address, rtt_ms, reached)

    def oldest_pending(self, channel: socket.socket) -> int | None:
        """The oldest unanswered probe of a channel, for errors that quote nothing."""
        for number, probe in self.pending.items():
            if probe.channel is channel:
                return number
        return None

    def run(
        self,
        ttls: Sequence[int],
        every_s: float,
        wait_s: float,
        stop: threading.Event,
        send: Callable[[int, int], None],
        receive: Callable[[socket.socket], None],
    ) -> list[Echo]:
        due_s = time.perf_counter()
        for number, ttl in enumerate(ttls):
            self._receive_until(due_s, stop, receive)
            if stop.is_set():
                break
            send(number, ttl)
            due_s += every_s
        ended_s = time.perf_counter() + wait_s
        while self.pending and time.perf_counter() < ended_s and not stop.is_set():
            soon_s = min(ended_s, time.perf_counter() + 0.05)
            self._receive_until(soon_s, stop, receive)
        return [self.echoes.get(n, Echo(ttl)) for n, ttl in enumerate(ttls)]

    def _receive_until(
        self,
        until_s: float,
        stop: threading.Event,
        receive: Callable[[socket.socket], None],
    ) -> None:
        last = until_s > time.perf_counter()
        while not stop.is_set():
            left_s = until_s - time.perf_counter()
            if left_s <= 0 and not last:
                return
            last = False
            if not self.selector.get_map():
                if left_s > 0:
                    stop.wait(left_s)
                return
            for key, _events in self.selector.select(max(0.0, min(left_s, 0.2))):
                assert isinstance(key.fileobj, socket.socket)
                receive(key.fileobj)


class DatagramTracer:
    """Sends UDP requests that a service of the destination answers, or ICMP echo
    requests. Uses one socket per TTL; `new_codec` builds the packets."""

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
        codec, trace = self._new_codec(), _TraceRun(self._family)
        destination = str(self._address[0])
        sent: dict[int, bytes] = {}
        with contextlib.ExitStack() as stack:
            stack.callback(trace.selector.close)
            channels: dict[int, socket.socket] = {}
            for ttl in ttls:
                if ttl not in channels:
                    channels[ttl] = stack.enter_context(self._open(ttl))
                    trace.selector.register(channels[ttl], selectors.EVENT_READ)

            def send(number: int, ttl: int) -> None:
                sent[number] = codec.build(number)
                trace.pending[number] = _PendingProbe(
                    ttl, time.perf_counter_ns(), channels[ttl]
                )
                # A send reports the errors of earlier packets once, so try again.
                for _ in range(2):
                    with contextlib.suppress(OSError):
                        channels[ttl].send(sent[number])
                        return

            def receive(channel: socket.socket) -> None:
                for error in _errors(self._family, channel):
                    number = _quoted_number(sent, error.quoted)
                    if number is None or number not in trace.pending:
                        number = trace.oldest_pending(channel)
                    if number is not None:
                        reached = error.reached or error.address == destination
                        trace.record_answer(number, error.address, reached)
                for packet in _packets(channel):
                    parsed = codec.parse(packet)
                    if parsed is not None:
                        trace.record_answer(parsed[0], destination, True)

            return trace.run(ttls, every_s, wait_s, stop, send, receive)

    def _open(self, ttl: int) -> socket.socket:
        protocol = 0
        if self.method == "icmp":
            ipv4 = self._family == socket.AF_INET
            protocol = socket.IPPROTO_ICMP if ipv4 else _ICMPV6
        channel = socket.socket(self._family, socket.SOCK_DGRAM, protocol)
        try:
            channel.setblocking(False)
            _set_ttl(channel, ttl)
            channel.connect(self._address)
        except OSError:
            channel.close()
            raise
        return channel


class TcpTracer:
    """Opens TCP connections and closes them at once. A refused connection also reaches
    the destination."""

    method = "tcp"
    cost_bytes = 60 + 100

    def __init__(self, family: int, address: Address) -> None:
        self._family, self._address = family, address

    def trace(
        self, ttls: Sequence[int], every_s: float, wait_s: float, stop: threading.Event
    ) -> list[Echo]:
        trace = _TraceRun(self._family)
        destination = str(self._address[0])
        numbers: dict[socket.socket, int] = {}
        with contextlib.ExitStack() as stack:
            stack.callback(trace.selector.close)

            def send(number: int, ttl: int) -> None:
                channel = stack.enter_context(
                    socket.socket(self._family, socket.SOCK_STREAM)
                )
                channel.setblocking(False)
                _set_ttl(channel, ttl)
                numbers[channel] = number
                trace.pending[number] = _PendingProbe(
                    ttl, time.perf_counter_ns(), channel
                )
                if channel.connect_ex(self._address) in (0, errno.EINPROGRESS):
                    trace.selector.register(channel, selectors.EVENT_WRITE)

            def receive(channel: socket.socket) -> None:
                trace.selector.unregister(channel)
                failed = channel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                number = numbers[channel]
                for error in _errors(self._family, channel):
                    reached = error.address == destination
                    trace.record_answer(number, error.address, reached)
                if failed in (0, errno.ECONNREFUSED):
                    trace.record_answer(number, destination, True)
                channel.close()

            return trace.run(ttls, every_s, wait_s, stop, send, receive)


class IcmpCodec:
    """Echo requests. The kernel sets the socket's own identifier."""

    def __init__(self, family: int) -> None:
        self._family = family
        self._payload = secrets.token_bytes(36)

    def build(self, number: int) -> bytes:
        return echo_request(self._family, 0, number, self._payload)

    def parse(self, packet: bytes) -> tuple[int, object] | None:
        reply = parse_icmp(self._family, packet)
        if reply is None or reply.kind != "reply" or packet[8:] != self._payload:
            return None
        return reply.number, reply


def icmp_codec(family: int) -> PacketCodec[object]:
    return IcmpCodec(family)


def _set_ttl(channel: socket.socket, ttl: int) -> None:
    """Limits packets of `channel` to `ttl` hops and queues the ICMP errors."""
    if channel.family == socket.AF_INET:
        channel.setsockopt(socket.IPPROTO_IP, _IP_TTL, ttl)
        channel.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        channel.setsockopt(socket.IPPROTO_IPV6, _IPV6_UNICAST_HOPS, ttl)
        channel.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def _errors(family: int, channel: socket.socket) -> list[IcmpError]:
    if sys.platform == "win32":
        raise NotImplementedError("only Linux queues the errors of a socket")
    errors: list[IcmpError] = []
    for _ in range(64):
        try:
            quoted, ancillary, _flags, _to = channel.recvmsg(512, 512, _MSG_ERRQUEUE)
        except OSError:
            break
        error = parse_error(family, ancillary, quoted)
        if error is not None:
            errors.append(error)
    return errors


def _packets(channel: socket.socket) -> list[bytes]:
    packets: list[bytes] = []
    for _ in range(64):
        try:
            packets.append(channel.recv(2048))
        except BlockingIOError:
            break
        except OSError:
            # The error is also in the error queue.
            continue
    return packets


def _quoted_number(sent: dict[int, bytes], quoted: bytes) -> int | None:
    """The number of the probe whose beginning an error quotes; None if it quotes too
    little. The kernel sets the identifier and checksum of an echo request, so they are
    not compared."""
    if len(quoted) < 12:
        return None
    for number, packet in sent.items():
        if packet[6:12] == quoted[6:12] and packet[:2] == quoted[:2]:
            return number
    return None
