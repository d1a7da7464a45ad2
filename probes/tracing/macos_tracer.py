"""macOS: ICMP datagram sockets, which every user may open (icmp(4)).

Written from the documentation and not run on a real Mac yet; the codec is tested on
every system. For IPv4 the kernel includes the IP header.
"""

from __future__ import annotations

import contextlib
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Sequence

from probes.tracing import Echo
from probes.wire.icmp import echo_request, parse_icmp, without_ip_header

_IP_TTL, _IPV6_UNICAST_HOPS = 4, 4
_ICMPV6 = 58
_PAYLOAD_BYTES = 36


class MacIcmpTracer:
    """Traces with one socket; the number matches replies to probes."""

    method = "icmp"
    cost_bytes = 64 + 100

    def __init__(self, family: int, address: str) -> None:
        self._family, self._address = family, address

    def trace(
        self, ttls: Sequence[int], every_s: float, wait_s: float, stop: threading.Event
    ) -> list[Echo]:
        ipv4 = self._family == socket.AF_INET
        protocol = socket.IPPROTO_ICMP if ipv4 else _ICMPV6
        level = socket.IPPROTO_IP if ipv4 else socket.IPPROTO_IPV6
        option = _IP_TTL if ipv4 else _IPV6_UNICAST_HOPS
        identifier = secrets.randbelow(0xFFFF) + 1
        payload = secrets.token_bytes(_PAYLOAD_BYTES)
        sent_ns: dict[int, int] = {}
        echoes: dict[int, Echo] = {}
        with (
            socket.socket(self._family, socket.SOCK_DGRAM, protocol) as channel,
            selectors.DefaultSelector() as selector,
        ):
            channel.setblocking(False)
            selector.register(channel, selectors.EVENT_READ)

            def receive_until(until_s: float) -> None:
                while not stop.is_set() and (left := until_s - time.perf_counter()) > 0:
                    if not selector.select(min(left, 0.2)):
                        continue
                    with contextlib.suppress(OSError):
                        packet, source = channel.recvfrom(2048)
                        record(packet, str(source[0]).partition("%")[0])

            def record(packet: bytes, address: str) -> None:
                now_ns = time.perf_counter_ns()
                inner = without_ip_header(packet) if ipv4 else packet
                reply = parse_icmp(self._family, inner)
                if reply is None or reply.identifier != identifier:
                    return
                number = reply.number
                if number in echoes or number not in sent_ns:
                    return
                rtt_ms = (now_ns - sent_ns[number]) / 1e6
                reached = reply.kind == "reply" or address == self._address
                echoes[number] = Echo(ttls[number], address, rtt_ms, reached)

            due_s = time.perf_counter()
            for number, ttl in enumerate(ttls):
                receive_until(due_s)
                if stop.is_set():
                    break
                channel.setsockopt(level, option, ttl)
                packet = echo_request(self._family, identifier, number, payload)
                sent_ns[number] = time.perf_counter_ns()
                with contextlib.suppress(OSError):
                    channel.sendto(packet, (self._address, 0))
                due_s += every_s
            receive_until(time.perf_counter() + wait_s)
        return [echoes.get(n, Echo(ttl)) for n, ttl in enumerate(ttls)]
