"""Traceroute: sends probes with a limited TTL and records which hop answers.

No method needs privileges. Linux: UDP, ICMP (if the user's group may use it) and TCP,
with the errors that the kernel queues for a socket. Windows: `IcmpSendEcho2`. macOS:
ICMP datagram sockets. The last two have not been run on real machines yet.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from probes.wire.packet_codec import PacketCodec

Address = tuple[object, ...]


class Echo(NamedTuple):
    """The result of one probe. Without an answer `address` is empty and `rtt_ms` None.
    `reached`: the destination itself answered."""

    ttl: int
    address: str = ""
    rtt_ms: float | None = None
    reached: bool = False


class Tracer(Protocol):
    """Traces the path to one destination by one method."""

    method: str
    # Roughly the size of one probe and its answer, in bytes.
    cost_bytes: int

    def trace(
        self, ttls: Sequence[int], every_s: float, wait_s: float, stop: threading.Event
    ) -> list[Echo]:
        """Sends one probe for each of `ttls`, in order, `every_s` apart, and waits
        `wait_s` for the last answers. Blocks. Raises `OSError` if the method cannot be
        used here."""
        ...


def tracers(
    family: int,
    address: Address,
    new_codec: Callable[[], PacketCodec[object]],
    tcp_port: int | None,
) -> list[Tracer]:
    """The tracers of this system for `address` (with its UDP port), best first."""
    if sys.platform == "win32":
        from probes.tracing.windows_tracer import WindowsIcmpTracer

        return [WindowsIcmpTracer(family, str(address[0]))]
    if sys.platform == "darwin":
        from probes.tracing.macos_tracer import MacIcmpTracer

        return [MacIcmpTracer(family, str(address[0]))]
    from probes.tracing.linux_tracer import DatagramTracer, TcpTracer, icmp_codec

    available: list[Tracer] = [
        DatagramTracer("udp", family, address, new_codec),
        DatagramTracer("icmp", family, address, lambda: icmp_codec(family)),
    ]
    if tcp_port is not None:
        available.append(TcpTracer(family, (address[0], tcp_port, *address[2:])))
    return available


def address_text(family: int, packed: bytes) -> str:
    """A packed address as text; empty if its length is wrong."""
    length = 4 if family == socket.AF_INET else 16
    return socket.inet_ntop(family, packed) if len(packed) == length else ""
