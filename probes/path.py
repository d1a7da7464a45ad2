"""The way to the council's reflector: the gateway, the provider's first routers, the
council's edge, each with its round trip and its loss.

Addresses of what lies on the way never leave this module's call: a result says what
kind of station it was.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence

from probes import interfaces, stamp, tracing, transfer
from probes.call_path import VOICE_DSCP, StampSpeech
from probes.failure import Outcome
from probes.faults import outcome_of
from probes.hops import Station, figures, stations
from probes.report import Result
from probes.sample import Value
from probes.tracing import Address, Echo, Tracer
from probes.tunnels import physical
from probes.udp import addresses_of

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
    now_ms: Callable[[], int],
    tcp_port: int | None = None,
    rounds: int = ROUNDS,
    every_s: float = EVERY_S,
    wait_s: float = WAIT_S,
    gateway: str | None = None,
) -> Result:
    """One look at the way to `host`, then `rounds` of questions to what matters on it.

    `tcp_port` is one that the host serves by TCP, for where neither UDP nor ICMP gets
    there. An answer that takes longer than `wait_s` is none. `gateway` is for tests;
    None: the physical link's own. Takes `rounds * every_s` and some 3 s. `timeout`
    where the host did not answer; what did then still has its figures. Never raises
    for what the network does.
    """
    time_ms = now_ms()
    cost_bytes = 0

    def result(outcome: Outcome, values: dict[str, Value]) -> Result:
        return Result(NAME, VERSION, time_ms, outcome, reflector_id, values, cost_bytes)

    try:
        async with asyncio.timeout(_LOOKUP_S):
            family, address = (await addresses_of(host, port))[0]
    except TimeoutError:
        return result(Outcome.NAME_SERVER_FAILED, {})
    except (OSError, UnicodeError, IndexError) as error:
        nothing = isinstance(error, IndexError)
        return result(Outcome.NAME_NOT_FOUND if nothing else outcome_of(error), {})
    methods = tracing.tracers(family, address, _speech, tcp_port)
    if not methods:
        return result(Outcome.NOT_SUPPORTED, {})
    if gateway is None:
        link = physical(interfaces.interfaces())
        gateway = "" if link is None else link.gateway
    if _family_of(gateway) not in (family, None):
        gateway = ""

    tracer, failed = methods[0], list[Outcome]()
    look: Sequence[Echo] = ()
    for each in methods:
        try:
            seen = await _look(each, wait_s)
        except OSError as error:
            # This method is not for us here, or there is no network at all.
            failed.append(outcome_of(error))
            continue
        cost_bytes += len(seen) * each.cost_bytes
        if _worth(seen) > _worth(look):
            tracer, look = each, seen
        if any(echo.reached for echo in seen):
            break

    if len(failed) == len(methods):
        return result(failed[0], {})
    chosen = stations(look, gateway, str(address[0]))
    on_the_way = [station for station in chosen if station.ttl]
    heard: dict[Station, list[Echo]] = {station: [] for station in chosen}
    asked = [each for _ in range(rounds) for each in on_the_way]
    pace_s = every_s / max(1, len(on_the_way))
    work = [_traced(tracer, [station.ttl for station in asked], pace_s, wait_s)]
    direct = [station for station in chosen if not station.ttl]
    work += [_gateway(gateway, rounds, every_s, wait_s) for _ in direct]
    done = await asyncio.gather(*work, return_exceptions=True)
    for stations_asked, echoes in zip((asked, direct * rounds), done, strict=False):
        if isinstance(echoes, BaseException):
            continue
        cost_bytes += len(echoes) * tracer.cost_bytes
        for station, echo in zip(stations_asked, echoes, strict=False):
            heard[station].append(echo)

    values = figures(heard)
    edge = next((station.ttl for station in chosen if station.kind == "edge"), None)
    if edge is None and tcp_port is not None:
        # Neither method got there: what a connection takes says at least how far it is.
        try:
            rtts = await transfer.round_trips(host, tcp_port, 3)
            values["edge_rtt_ms"] = round(min(rtts), 3)
            values["method"] = "connect"
            return result(Outcome.OK, values)
        except OSError:
            pass
    if any(each.rtt_ms is not None for each in look):
        values["method"] = tracer.method
    if edge is None:
        return result(Outcome.TIMEOUT, values)
    values["hops"] = edge
    return result(Outcome.OK, values)


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
    methods = tracing.tracers(family, there, _speech, 443)
    for each in sorted(methods, key=lambda each: each.method != "icmp"):
        try:
            one = await _traced(each, [_FAR_TTL], 0, wait_s)
            if one[0].rtt_ms is not None:
                return await _traced(each, [_FAR_TTL] * rounds, every_s, wait_s)
            best = best or [one[0]] * rounds
        except OSError:
            continue
    return best


def _speech() -> StampSpeech:
    return StampSpeech(_SIZE, VOICE_DSCP)


def _worth(echoes: Sequence[Echo]) -> tuple[bool, int]:
    return any(e.reached for e in echoes), sum(e.rtt_ms is not None for e in echoes)


def _family_of(address: str) -> socket.AddressFamily | None:
    if not address:
        return None
    return socket.AF_INET6 if ":" in address else socket.AF_INET
