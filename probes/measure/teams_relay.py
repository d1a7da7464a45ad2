"""A few STUN requests to a Teams relay: does UDP media get there, and how fast?

Microsoft does not document sustained probing of its relays, so a run is only 50 packets
and a council may switch it off. Loss may be the relay's own rate limit, so it is shown
but never judged.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Callable

from probes.measure import stun
from probes.measure.call_figures import rounded
from probes.measure.jitter import jitter
from probes.measure.packet_stream import Arrival, StreamResult
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.udp_exchange import StreamPacing, UdpExchange, exchange
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.path_probes import TEAMS_RELAY
from probes.wire.percentiles import percentile
from probes.wire.policy import TEAMS_TARGET, TeamsRelay
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = TEAMS_RELAY.name
VERSION = 1
INTERVAL_MS = 20.0
VOICE_DSCP = 46
# The relays' TCP port, which Teams itself uses if UDP is blocked.
TCP_PORT = 443


class StunCodec:
    """Builds one kind of request. The transaction id is a secret of the run and the
    number. Any response counts, success or error."""

    def __init__(self, request: Callable[[bytes], bytes]) -> None:
        self._request = request
        self._secret = secrets.token_bytes(stun.TRANSACTION_BYTES - 4)

    def build(self, number: int) -> bytes:
        return self._request(self._secret + number.to_bytes(4, "big"))

    def parse(self, packet: bytes) -> tuple[int, stun.StunResponse] | None:
        try:
            answer = stun.read_response(packet)
        except stun.StunError:
            return None
        if answer.transaction[:-4] != self._secret:
            return None
        return int.from_bytes(answer.transaction[-4:], "big"), answer


async def measure(
    relay: TeamsRelay,
    *,
    now_ms: WallClock,
    interval_ms: float = INTERVAL_MS,
    tcp_port: int = TCP_PORT,
) -> Result:
    """Sends `relay.packets` Binding requests. If none is answered and `relay.allocate`
    allows it, tries Allocate requests without credentials. Gives up after 3 s without a
    response. Network errors never raise."""
    time_ms = now_ms()
    ended = await _exchange(relay, stun.binding_request, interval_ms, tcp_port)
    cost_bytes = ended.cost_bytes
    if relay.allocate and ended.outcome in (Outcome.TIMEOUT, Outcome.UDP_BLOCKED):
        ended = await _exchange(relay, stun.allocate_request, interval_ms, tcp_port)
        cost_bytes += ended.cost_bytes
    values = {} if ended.run is None else summarise(ended.run)
    return Result(
        NAME, VERSION, time_ms, ended.outcome, TEAMS_TARGET, values, cost_bytes
    )


async def _exchange(
    relay: TeamsRelay,
    request: Callable[[bytes], bytes],
    interval_ms: float,
    tcp_port: int,
) -> UdpExchange[stun.StunResponse]:
    pace = StreamPacing(relay.packets, interval_ms, VOICE_DSCP)
    return await exchange(
        relay.host, relay.port, lambda: StunCodec(request), pace, tcp_port
    )


def summarise(run: StreamResult[stun.StunResponse]) -> dict[str, Value]:
    """The catalogue's `teams_relay` fields for a run with at least one response. Jitter
    covers both directions together. Pure."""
    sent = len(run.sent_ns)
    first: dict[int, Arrival[stun.StunResponse]] = {}
    for arrival in run.arrivals:
        if arrival.number < sent:
            first.setdefault(arrival.number, arrival)
    received = len(first)
    rtts = [
        (arrival.t4_ns - run.sent_ns[arrival.number]) / 1e6
        for arrival in first.values()
    ]
    values: dict[str, Value] = {
        "sent": sent,
        "received": received,
        "loss_ratio": (sent - received) / sent,
        "rtt_ms": math.fsum(rtts) / received,
        "rtt_min_ms": min(rtts),
        "rtt_p95_ms": percentile(rtts, 95),
        "duplicate_ratio": (len(run.arrivals) - received) / sent,
        "answer_code": next(iter(first.values())).reply.error_code,
    }
    jitter_ms = jitter(
        (run.sent_ns[arrival.number] / 1e6, arrival.t4_ns / 1e6)
        for arrival in first.values()
    )
    if jitter_ms is not None:
        values["jitter_ms"] = jitter_ms
    return rounded(values)


class TeamsRelayRunner(ProbeRunner):
    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        relay = context.policy.teams_relay
        if relay.host:
            yield await measure(relay, now_ms=context.now_ms)
