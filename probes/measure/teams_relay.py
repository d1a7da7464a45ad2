"""A few STUN requests to a relay of Teams: does media get there by UDP, how fast?

Gently: sustained probing of Microsoft's relays is not a documented use, so a run is 50
packets and a council may switch it off. Loss seen here may be the relay's own limit on
such requests: it is shown, and never judged.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable

from probes.measure import stun
from probes.measure.call_figures import rounded
from probes.measure.jitter import jitter
from probes.measure.packet_stream import Arrival, StreamResult
from probes.measure.udp_exchange import StreamPacing, UdpExchange, exchange
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.percentiles import percentile
from probes.wire.policy import TEAMS_TARGET, TeamsRelay
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = "teams_relay"
VERSION = 1
INTERVAL_MS = 20.0
VOICE_DSCP = 46
# What the relays serve by TCP: Teams' own way out where UDP is blocked.
TCP_PORT = 443


class StunCodec:
    """One kind of request, each with a transaction id of its own: a secret of the run
    and the number. Any answer to it counts, success or error."""

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
    """One run of `relay.packets` Binding requests; where they are not answered and
    `relay.allocate` allows it, of Allocate requests without credentials. Gives up
    after 3 s of silence. Never raises for what the network does."""
    time_ms = now_ms()
    said = await _ask(relay, stun.binding_request, interval_ms, tcp_port)
    cost_bytes = said.cost_bytes
    if relay.allocate and said.outcome in (Outcome.TIMEOUT, Outcome.UDP_BLOCKED):
        again = await _ask(relay, stun.allocate_request, interval_ms, tcp_port)
        cost_bytes += again.cost_bytes
        said = again
    values = {} if said.run is None else summarise(said.run)
    return Result(
        NAME, VERSION, time_ms, said.outcome, TEAMS_TARGET, values, cost_bytes
    )


async def _ask(
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
    """The fields of the catalogue's `teams_relay` for a run in which something came
    back. Jitter is that of both ways together. Pure."""
    sent = len(run.sent_ns)
    first: dict[int, Arrival[stun.StunResponse]] = {}
    for each in run.arrivals:
        if each.number < sent:
            first.setdefault(each.number, each)
    received = len(first)
    rtts = [(each.t4_ns - run.sent_ns[each.number]) / 1e6 for each in first.values()]
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
    shake = jitter(
        (run.sent_ns[each.number] / 1e6, each.t4_ns / 1e6) for each in first.values()
    )
    if shake is not None:
        values["jitter_ms"] = shake
    return rounded(values)
