"""The servers that take a team's calls: do they answer, and how fast?

The vendor's own network is measured as a call would reach it, with STUN if the vendor
answers that, else by opening connections. No call is made, and nothing is sent in one.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Callable

from probes.measure import stun
from probes.measure.call_figures import rounded
from probes.measure.connect_times import connect_times_ms
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.tcp_connection import connect_first, look_up, start_tls
from probes.measure.teams_relay import (
    INTERVAL_MS,
    VOICE_DSCP,
    StunCodec,
    summarise,
)
from probes.measure.udp_exchange import StreamPacing, exchange
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.path_probes import (
    CONNECT_BYTES,
    MEDIA_CONNECTIONS,
    MEDIA_EDGE,
    MEDIA_PACKETS,
    TLS_BYTES,
)
from probes.wire.percentiles import percentile
from probes.wire.policy import MediaEdgeAt
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.socket_errors import outcome_of

NAME, VERSION = MEDIA_EDGE.name, 1
_FIELDS = frozenset(field.name for field in MEDIA_EDGE.measurement.fields)
_TIMEOUT_S = 10.0


async def measure(
    edge: MediaEdgeAt,
    *,
    trust: Callable[[], ssl.SSLContext],
    now_ms: WallClock,
    interval_ms: float = INTERVAL_MS,
) -> Result:
    """Asks one edge. Network errors never raise."""
    time_ms = now_ms()
    if edge.over == "stun":
        outcome, values, cost_bytes = await _over_stun(edge, interval_ms)
    else:
        outcome, values, cost_bytes = await _over_tcp(edge, trust)
    return Result(NAME, VERSION, time_ms, outcome, edge.name, values, cost_bytes)


async def _over_stun(
    edge: MediaEdgeAt, interval_ms: float
) -> tuple[Outcome, dict[str, Value], int]:
    pace = StreamPacing(MEDIA_PACKETS, interval_ms, VOICE_DSCP)
    ended = await exchange(
        edge.host, edge.port, lambda: StunCodec(stun.binding_request), pace
    )
    figures = {} if ended.run is None else summarise(ended.run)
    values = {name: value for name, value in figures.items() if name in _FIELDS}
    return ended.outcome, values, ended.cost_bytes


async def _over_tcp(
    edge: MediaEdgeAt, trust: Callable[[], ssl.SSLContext]
) -> tuple[Outcome, dict[str, Value], int]:
    values: dict[str, Value] = {}
    cost_bytes = MEDIA_CONNECTIONS * CONNECT_BYTES
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            times_ms = await connect_times_ms(edge.host, edge.port, MEDIA_CONNECTIONS)
            values["rtt_ms"] = math.fsum(times_ms) / len(times_ms)
            values["rtt_p95_ms"] = percentile(times_ms, 95)
            if edge.over == "tls":
                cost_bytes += CONNECT_BYTES + TLS_BYTES
                values["tls_ms"] = await _handshake_ms(edge, trust())
    except (OSError, UnicodeError) as error:
        return outcome_of(error), rounded(values), cost_bytes
    except ValueError:
        # A name that can be looked up, but that no certificate can have.
        return Outcome.TLS_FAILED, rounded(values), cost_bytes
    return Outcome.OK, rounded(values), cost_bytes


async def _handshake_ms(edge: MediaEdgeAt, tls: ssl.SSLContext) -> float:
    _, writer = await connect_first(await look_up(edge.host, edge.port))
    try:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        await start_tls(writer, tls, edge.host)
        return (loop.time() - started_s) * 1000
    finally:
        # Not awaited, because a server may never close its side.
        writer.transport.abort()


class MediaEdgeRunner(ProbeRunner):
    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        for edge in context.policy.media_edges:
            yield await measure(edge, trust=context.trust, now_ms=context.now_ms)
