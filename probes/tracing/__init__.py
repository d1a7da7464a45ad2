"""Which stations a packet passes: questions that live so many hops, and who answers.

No method here needs rights. Linux: UDP, ICMP where its group allows it, and TCP, with
the errors that the kernel keeps for a socket. Windows: `IcmpSendEcho2`. macOS: ICMP
datagrams. The last two are not yet run on real machines.
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
    """What became of one question. `address` empty and `rtt_ms` None: nobody answered;
    `reached`: the answer is the destination's own."""

    ttl: int
    address: str = ""
    rtt_ms: float | None = None
    reached: bool = False


class Tracer(Protocol):
    """One method towards one destination."""

    method: str
    # About what one question and its answer cost, in bytes.
    cost_bytes: int

    def trace(
        self, ttls: Sequence[int], every_s: float, wait_s: float, stop: threading.Event
    ) -> list[Echo]:
        """Asks once for each of `ttls`, in order, `every_s` apart, and waits `wait_s`
        for the last answers. Blocks. `OSError` where the method cannot be used here."""
        ...


def tracers(
    family: int,
    address: Address,
    new_codec: Callable[[], PacketCodec[object]],
    tcp_port: int | None,
) -> list[Tracer]:
    """The methods of this system towards `address` (with its UDP port), best first."""
    if sys.platform == "win32":
        from probes.tracing.windows_tracer import IcmpTracer

        return [IcmpTracer(family, str(address[0]))]
    if sys.platform == "darwin":
        from probes.tracing.macos_tracer import IcmpTracer as MacTracer

        return [MacTracer(family, str(address[0]))]
    from probes.tracing.linux_tracer import DatagramTracer, TcpTracer, icmp_codec

    found: list[Tracer] = [
        DatagramTracer("udp", family, address, new_codec),
        DatagramTracer("icmp", family, address, lambda: icmp_codec(family)),
    ]
    if tcp_port is not None:
        found.append(TcpTracer(family, (address[0], tcp_port, *address[2:])))
    return found


def text_of(family: int, packed: bytes) -> str:
    """A packed address in words; empty for none."""
    wanted = 4 if family == socket.AF_INET else 16
    return socket.inet_ntop(family, packed) if len(packed) == wanted else ""
