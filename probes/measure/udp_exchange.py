"""Exchanges a stream of UDP packets with a host, trying its addresses in turn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Generic, NamedTuple

from probes.measure.background import in_background
from probes.measure.packet_stream import Reply, Stream, StreamResult, set_dscp
from probes.measure.tcp_connection import (
    connect_first,
    first_of_each_family,
    listed_addresses,
    look_up,
)
from probes.wire.failure import Outcome
from probes.wire.packet_codec import PacketCodec
from probes.wire.socket_errors import outcome_of, telling

HEADERS_BYTES = {socket.AF_INET: 28, socket.AF_INET6: 48}
_LOOKUP_S = 10.0
_TCP_S = 3.0


class UdpExchange(NamedTuple, Generic[Reply]):
    """How the exchange ended. `run` is None if nothing came back."""

    outcome: Outcome
    run: StreamResult[Reply] | None
    cost_bytes: int


class StreamPacing(NamedTuple):
    """How to send a stream. For `closing`, see `Stream`."""

    packets: int
    interval_ms: float
    dscp: int
    closing: bool = False
    kernel_times: bool = True


async def exchange(
    host: str,
    port: int,
    new_codec: Callable[[], PacketCodec[Reply]],
    pace: StreamPacing,
    tcp_port: int | None = None,
) -> UdpExchange[Reply]:
    """Streams requests to the first address of `host` that answers; tries one address
    per family. `tcp_port` is a TCP port of the same host: if that answers but UDP does
    not, the outcome is `udp_blocked`. Network errors never raise."""
    cost_bytes = 0
    failed: list[Outcome] = []
    try:
        async with asyncio.timeout(_LOOKUP_S):
            addresses = await resolve_addresses(host, port)
    except TimeoutError:
        return UdpExchange(Outcome.NAME_SERVER_FAILED, None, 0)
    except (OSError, UnicodeError) as error:
        return UdpExchange(outcome_of(error), None, 0)
    for family, address in addresses:
        run = await _run(family, address, new_codec(), pace)
        if isinstance(run, Outcome):
            failed.append(run)
            continue
        cost_bytes += run.octets_out + run.octets_in
        cost_bytes += (run.packets_out + run.packets_in) * HEADERS_BYTES[family]
        if run.slept:
            return UdpExchange(Outcome.PAUSED, None, cost_bytes)
        if run.arrivals:
            return UdpExchange(Outcome.OK, run, cost_bytes)
        failed.append(_no_reply_outcome(run.error))
    outcome = max(failed, key=telling, default=Outcome.NAME_NOT_FOUND)
    # A timeout may mean that the host is down or that UDP is blocked; the TCP port
    # shows which.
    silent = outcome in (Outcome.TIMEOUT, Outcome.UNREACHABLE)
    if silent and tcp_port is not None and await _answers_tcp(host, tcp_port):
        outcome = Outcome.UDP_BLOCKED
    return UdpExchange(outcome, None, cost_bytes)


async def resolve_addresses(
    host: str, port: int
) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    """At most one address per family, in the system's order."""
    addresses: dict[socket.AddressFamily, tuple[object, ...]] = {}
    for family, address in await listed_addresses(host, port, socket.SOCK_DGRAM):
        if family in HEADERS_BYTES:
            addresses.setdefault(family, address)
    return list(addresses.items())


def _no_reply_outcome(error: OSError | None) -> Outcome:
    if error is None:
        return Outcome.TIMEOUT
    if isinstance(error, PermissionError):
        # A firewall on this machine blocks it.
        return Outcome.UDP_BLOCKED
    outcome = outcome_of(error)
    # Windows reports a closed UDP port as a connection reset.
    return Outcome.REFUSED if outcome is Outcome.RESET else outcome


async def _run(
    family: socket.AddressFamily,
    address: tuple[object, ...],
    codec: PacketCodec[Reply],
    pace: StreamPacing,
) -> StreamResult[Reply] | Outcome:
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        set_dscp(channel, pace.dscp)
        try:
            channel.connect(address)
        except OSError as error:
            return _no_reply_outcome(error)
        stream = Stream(
            channel,
            codec,
            pace.packets,
            pace.interval_ms,
            pace.closing,
            pace.kernel_times,
        )
        thread = asyncio.create_task(in_background(stream.run), name="udp-stream")
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            stream.stop()
            # The thread notices within 0.2 s and uses the socket until then.
            await asyncio.wait({thread}, timeout=2.0)
            raise


async def _answers_tcp(host: str, port: int) -> bool:
    """True if the host answers on that port, even by refusing the connection."""
    try:
        async with asyncio.timeout(_TCP_S):
            addresses = first_of_each_family(await look_up(host, port))
            _reader, writer = await connect_first(addresses)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    writer.close()
    return True
