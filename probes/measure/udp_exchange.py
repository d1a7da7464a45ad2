"""One talk by UDP with a host: addresses tried in turn, and why nothing came back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Generic, NamedTuple

from probes.measure.packet_stream import Reply, Stream, StreamResult, set_dscp
from probes.wire.failure import Outcome
from probes.wire.packet_codec import PacketCodec
from probes.wire.socket_errors import outcome_of

HEADERS_BYTES = {socket.AF_INET: 28, socket.AF_INET6: 48}
_LOOKUP_S = 10.0
_TCP_S = 3.0


class UdpExchange(NamedTuple, Generic[Reply]):
    """How it ended; `run` where something came back, whole."""

    outcome: Outcome
    run: StreamResult[Reply] | None
    cost_bytes: int


class StreamPacing(NamedTuple):
    """How a stream is sent. `closing`: see `Stream`."""

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
    """Streams questions to `host` at the first of its addresses that answers, one a
    family. `tcp_port` is one the same host serves by TCP: where UDP gets no answer but
    that port does, the outcome is `udp_blocked`. Never raises for what the network
    does."""
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
        failed.append(_silence(run.error))
    # Where one family is missing here, the other's failure says more.
    known = [each for each in failed if each is not Outcome.NO_NETWORK]
    outcome = (known or failed or [Outcome.NAME_NOT_FOUND])[0]
    # Silence alone does not say whether the far end is gone or UDP is not let
    # through; another door of the same house does.
    silent = outcome in (Outcome.TIMEOUT, Outcome.UNREACHABLE)
    if silent and tcp_port is not None and await _answers_tcp(host, tcp_port):
        outcome = Outcome.UDP_BLOCKED
    return UdpExchange(outcome, None, cost_bytes)


async def resolve_addresses(
    host: str, port: int
) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    """At most one address a family, in the system's order."""
    found: dict[socket.AddressFamily, tuple[object, ...]] = {}
    for (
        family,
        _type,
        _protocol,
        _name,
        address,
    ) in await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_DGRAM
    ):
        if family in HEADERS_BYTES:
            found.setdefault(family, address)
    return list(found.items())


def _silence(error: OSError | None) -> Outcome:
    if error is None:
        return Outcome.TIMEOUT
    if isinstance(error, PermissionError):
        # A firewall on this machine forbids it.
        return Outcome.UDP_BLOCKED
    outcome = outcome_of(error)
    # Windows tells of a closed UDP port by the name of TCP's reset.
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
            return _silence(error)
        run = Stream(
            channel,
            codec,
            pace.packets,
            pace.interval_ms,
            pace.closing,
            pace.kernel_times,
        )
        thread = asyncio.create_task(asyncio.to_thread(run.run), name="udp-stream")
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            run.stop()
            # It looks at `stop` at least every 0.2 s; the socket is its own till then.
            await asyncio.wait({thread}, timeout=2.0)
            raise


async def _answers_tcp(host: str, port: int) -> bool:
    """Whether the host itself answers there, be it with a refusal."""
    try:
        async with asyncio.timeout(_TCP_S):
            _reader, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    writer.close()
    return True
