"""The way to the council's reflector: the gateway, the provider's first routers, the
council's edge, each with its round trip and its loss.

Addresses of what lies on the way never leave this module's call: a result says what
kind of station it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import NamedTuple

from probes import tracing
from probes.measure import active_interface, ndt7_client
from probes.measure.call_path import VOICE_DSCP, AuthenticatedStampCodec, StampCodec
from probes.measure.hops import Hop, figures, identify_hops
from probes.measure.tunnels import physical_interface
from probes.measure.udp_exchange import resolve_addresses
from probes.tracing import Address, Echo, Tracer
from probes.wire import stamp
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.socket_errors import outcome_of

NAME = "path"
VERSION = 1
MOST_HOPS = 20
# Linux routers, most homes' among them, answer once a second at most (icmp_ratelimit).
ROUNDS = 15
EVERY_S = 1.0
_LOOK_EVERY_S = 0.02
_AGAIN_EVERY_S = 0.1
WAIT_S = 1.0
_LOOKUP_S = 10.0
_SIZE = stamp.HEAD_BYTES
_FAR_TTL = 64
# The port of old traceroute: a router that listens to nothing there says so.
_NOBODYS_PORT = 33434


async def measure(
    reflector_id: str,
    host: str,
    port: int = stamp.PORT,
    *,
    now_ms: WallClock,
    tcp_port: int | None = None,
    key: bytes = b"",
    rounds: int = ROUNDS,
    every_s: float = EVERY_S,
    wait_s: float = WAIT_S,
    gateway: str | None = None,
) -> Result:
    """One look at the way to `host`, then `rounds` of questions to what matters on it.

    `tcp_port` is one that the host serves by TCP, for where neither UDP nor ICMP gets
    there. `key`: STAMP's authenticated mode. An answer that takes longer than `wait_s`
    is none. `gateway` is for tests; None: the physical link's own. Takes `rounds *
    every_s` and some 3 s. `timeout` where the host did not answer; what did then still
    has its figures. Never raises for what the network does.
    """
    time_ms = now_ms()
    cost_bytes = 0

    def result(outcome: Outcome, values: dict[str, Value]) -> Result:
        return Result(NAME, VERSION, time_ms, outcome, reflector_id, values, cost_bytes)

    try:
        async with asyncio.timeout(_LOOKUP_S):
            addresses = await resolve_addresses(host, port)
    except TimeoutError:
        return result(Outcome.NAME_SERVER_FAILED, {})
    except (OSError, UnicodeError) as error:
        return result(outcome_of(error), {})
    if gateway is None:
        link = physical_interface(active_interface.interfaces())
        gateway = "" if link is None else link.gateway
    failed = Outcome.NAME_NOT_FOUND
    for family, address in addresses:
        look = await _best_look(
            tracing.tracers(family, address, lambda: _codec(key), tcp_port), wait_s
        )
        if isinstance(look, Outcome):
            # Where one family is missing here, the other may lead there.
            failed = look
            continue
        near = gateway if _family_of(gateway) is family else ""
        chosen = identify_hops(look.echoes, near, str(address[0]))
        heard, more_bytes = await _asked_often(
            look.tracer, chosen, near, rounds, every_s, wait_s
        )
        cost_bytes = look.cost_bytes + more_bytes
        values: dict[str, Value] = figures(heard)
        if any(each.rtt_ms is not None for each in look.echoes):
            values["method"] = look.tracer.method
        for station in chosen:
            if station.kind == "edge":
                values["hops"] = station.ttl
                return result(Outcome.OK, values)
        # No method got there: what a connection takes says at least how far it is.
        with contextlib.suppress(OSError):
            if tcp_port is not None:
                rtts = await ndt7_client.round_trips(host, tcp_port, 3)
                values |= {"edge_rtt_ms": round(min(rtts), 3), "method": "connect"}
                return result(Outcome.OK, values)
        return result(Outcome.TIMEOUT, values)
    return result(failed, {})


class _Look(NamedTuple):
    """One look at every hop, by the method that saw most of them."""

    tracer: Tracer
    echoes: Sequence[Echo]
    cost_bytes: int


async def _best_look(methods: Sequence[Tracer], wait_s: float) -> _Look | Outcome:
    """The first method that gets to the end, or else the one that saw most; why not,
    where none can be used."""
    best: _Look | None = None
    failed = Outcome.NOT_SUPPORTED if not methods else None
    cost_bytes = 0
    for each in methods:
        try:
            echoes = await _look(each, wait_s)
        except OSError as error:
            # This method is not for us here, or there is no network at all.
            failed = failed or outcome_of(error)
            continue
        cost_bytes += len(echoes) * each.cost_bytes
        if best is None or _worth(echoes) > _worth(best.echoes):
            best = _Look(each, echoes, 0)
        if any(echo.reached for echo in echoes):
            break
    if best is None:
        return failed or Outcome.NOT_SUPPORTED
    return best._replace(cost_bytes=cost_bytes)


async def _asked_often(
    tracer: Tracer,
    chosen: Sequence[Hop],
    gateway: str,
    rounds: int,
    every_s: float,
    wait_s: float,
) -> tuple[dict[Hop, list[Echo]], int]:
    """What each station answered, and what that cost: those on the way in turns, a
    gateway beside it at the same time."""
    heard: dict[Hop, list[Echo]] = {station: [] for station in chosen}
    on_the_way = [station for station in chosen if station.ttl]
    turns = [station for _ in range(rounds) for station in on_the_way]
    beside = [station for station in chosen if not station.ttl]
    pace_s = every_s / max(1, len(on_the_way))
    async with asyncio.TaskGroup() as group:
        way = group.create_task(
            _sampled(tracer, [station.ttl for station in turns], pace_s, wait_s)
        )
        own = [
            group.create_task(_gateway(gateway, rounds, every_s, wait_s))
            for _ in beside
        ]
    for station, echo in zip(turns, way.result(), strict=True):
        heard[station].append(echo)
    for station, task in zip(beside, own, strict=True):
        heard[station] += task.result()
    return heard, sum(map(len, heard.values())) * tracer.cost_bytes


async def _look(tracer: Tracer, wait_s: float) -> list[Echo]:
    """Every hop asked once, and those on the way that were silent three times more:
    one lost packet must not hide a station."""
    seen = list(await _traced(tracer, range(1, MOST_HOPS + 1), _LOOK_EVERY_S, wait_s))
    answered = {each.ttl for each in seen if each.rtt_ms is not None}
    reached = [each.ttl for each in seen if each.reached]
    end = min(reached, default=max(answered, default=0) + 3)
    silent = [ttl for ttl in range(1, min(end, MOST_HOPS + 1)) if ttl not in answered]
    if answered and silent:
        seen += await _traced(tracer, silent * 3, _AGAIN_EVERY_S, wait_s)
    return seen


async def _sampled(
    tracer: Tracer, ttls: Sequence[int], every_s: float, wait_s: float
) -> Sequence[Echo]:
    """As `_traced`; a network that is gone since answers nothing."""
    try:
        return await _traced(tracer, ttls, every_s, wait_s)
    except OSError:
        return [Echo(ttl) for ttl in ttls]


async def _traced(
    tracer: Tracer, ttls: Sequence[int], every_s: float, wait_s: float
) -> Sequence[Echo]:
    """`tracer.trace` in a thread, which a cancellation ends."""
    stop = threading.Event()
    work = asyncio.create_task(
        asyncio.to_thread(tracer.trace, ttls, every_s, wait_s, stop), name="trace"
    )
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({work}, timeout=2.0)
        raise


async def _gateway(
    gateway: str, rounds: int, every_s: float, wait_s: float
) -> Sequence[Echo]:
    """The gateway asked for itself: the way to the council goes by a tunnel."""
    family = _family_of(gateway) or socket.AF_INET
    there: Address = (gateway, _NOBODYS_PORT)
    best: Sequence[Echo] = []
    # Echo requests first: routers do not ration their answers to those.
    methods = tracing.tracers(family, there, _codec, 443)
    for each in sorted(methods, key=lambda each: each.method != "icmp"):
        try:
            one = await _traced(each, [_FAR_TTL], 0, wait_s)
            if one[0].rtt_ms is not None:
                return await _traced(each, [_FAR_TTL] * rounds, every_s, wait_s)
            best = best or [one[0]] * rounds
        except OSError:
            continue
    return best


def _codec(key: bytes = b"") -> StampCodec:
    return AuthenticatedStampCodec(key) if key else StampCodec(_SIZE, VOICE_DSCP)


def _worth(echoes: Sequence[Echo]) -> tuple[bool, int]:
    return any(e.reached for e in echoes), sum(e.rtt_ms is not None for e in echoes)


def _family_of(address: str) -> socket.AddressFamily | None:
    if not address:
        return None
    return socket.AF_INET6 if ":" in address else socket.AF_INET
