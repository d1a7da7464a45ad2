"""The path to the council's reflector: round trip and loss to the gateway, to the
provider's first routers and to the council's edge.

The addresses of hops never leave this module: a result names only the kind of hop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from probes import tracing
from probes.measure import active_interface
from probes.measure.background import in_background
from probes.measure.call_path import VOICE_DSCP, AuthenticatedStampCodec, StampCodec
from probes.measure.connect_times import connect_times_ms
from probes.measure.hops import Hop, figures, identify_hops
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.tunnels import physical_interface
from probes.measure.udp_exchange import resolve_addresses
from probes.tracing import Address, Echo, Tracer
from probes.wire import stamp
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.path_probes import PATH
from probes.wire.policy import ReflectorAt
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.socket_errors import outcome_of

NAME = PATH.name
VERSION = 1
MOST_HOPS = 20
# Linux routers, as in most homes, answer at most once a second (icmp_ratelimit).
ROUNDS = 15
EVERY_S = 1.0
_SURVEY_EVERY_S = 0.02
_RETRY_EVERY_S = 0.1
WAIT_S = 1.0
_LOOKUP_S = 10.0
_SIZE = stamp.HEAD_BYTES
_FAR_TTL = 64
# The port of classic traceroute: a router without a service there reports that.
_UNUSED_PORT = 33434


class TracePacing(NamedTuple):
    """`rounds` of requests, one round every `every_s`; an answer after `wait_s`
    counts as lost."""

    rounds: int = ROUNDS
    every_s: float = EVERY_S
    wait_s: float = WAIT_S


TRACE_PACING = TracePacing()


async def measure(
    reflector: ReflectorAt,
    *,
    now_ms: WallClock,
    pacing: TracePacing = TRACE_PACING,
    gateway: str | None = None,
) -> Result:
    """Surveys the path to `reflector`, then probes its key hops `rounds` times.

    If neither UDP nor ICMP gets there, the reflector's TCP port is used. With a
    `stamp_key` STAMP runs in its authenticated mode. `gateway` is for tests; None means
    the gateway of the physical link. Takes `rounds * every_s` and about 3 s. If the
    reflector does not answer the outcome is `timeout`, with the figures of the hops
    that did. Network errors never raise.
    """
    time_ms = now_ms()
    tcp_port, key = reflector.tcp_port, bytes.fromhex(reflector.stamp_key)
    rounds, every_s, wait_s = pacing.rounds, pacing.every_s, pacing.wait_s
    cost_bytes = 0

    def result(outcome: Outcome, values: dict[str, Value]) -> Result:
        return Result(NAME, VERSION, time_ms, outcome, reflector.id, values, cost_bytes)

    try:
        async with asyncio.timeout(_LOOKUP_S):
            addresses = await resolve_addresses(reflector.host, reflector.stamp_port)
    except TimeoutError:
        return result(Outcome.NAME_SERVER_FAILED, {})
    except (OSError, UnicodeError) as error:
        return result(outcome_of(error), {})
    if gateway is None:
        link = physical_interface(active_interface.interfaces())
        gateway = "" if link is None else link.gateway
    failed = Outcome.NAME_NOT_FOUND
    for family, address in addresses:
        survey = await _best_survey(
            tracing.tracers(family, address, lambda: _codec(key), tcp_port), wait_s
        )
        if isinstance(survey, Outcome):
            # If this network lacks one family, the other may work.
            failed = survey
            continue
        near = gateway if _family_of(gateway) is family else ""
        hops = identify_hops(survey.echoes, near, str(address[0]))
        echoes, probe_bytes = await _probe_hops(
            survey.tracer, hops, near, rounds, every_s, wait_s
        )
        cost_bytes = survey.cost_bytes + probe_bytes
        values: dict[str, Value] = figures(echoes)
        if any(echo.rtt_ms is not None for echo in survey.echoes):
            values["method"] = survey.tracer.method
        for hop in hops:
            if hop.kind == "edge":
                values["hops"] = hop.ttl
                return result(Outcome.OK, values)
        # No method reached the host, but a connection shows how far away it is.
        with contextlib.suppress(OSError):
            if tcp_port is not None:
                rtts = await connect_times_ms(reflector.host, tcp_port, 3)
                values |= {"edge_rtt_ms": round(min(rtts), 3), "method": "connect"}
                return result(Outcome.OK, values)
        return result(Outcome.TIMEOUT, values)
    return result(failed, {})


class _PathSurvey(NamedTuple):
    """One probe of every hop, by the method that reached the most."""

    tracer: Tracer
    echoes: Sequence[Echo]
    cost_bytes: int


async def _best_survey(
    tracers: Sequence[Tracer], wait_s: float
) -> _PathSurvey | Outcome:
    """The survey of the first tracer that reaches the host, or else of the one with the
    most answers; the reason for failure if none can be used."""
    best: _PathSurvey | None = None
    failed = Outcome.NOT_SUPPORTED if not tracers else None
    cost_bytes = 0
    for tracer in tracers:
        try:
            echoes = await _survey(tracer, wait_s)
        except OSError as error:
            # The method is not allowed here, or there is no network at all.
            failed = failed or outcome_of(error)
            continue
        cost_bytes += len(echoes) * tracer.cost_bytes
        if best is None or _rank(echoes) > _rank(best.echoes):
            best = _PathSurvey(tracer, echoes, 0)
        if any(echo.reached for echo in echoes):
            break
    if best is None:
        return failed or Outcome.NOT_SUPPORTED
    return best._replace(cost_bytes=cost_bytes)


async def _probe_hops(
    tracer: Tracer,
    hops: Sequence[Hop],
    gateway: str,
    rounds: int,
    every_s: float,
    wait_s: float,
) -> tuple[dict[Hop, list[Echo]], int]:
    """Returns what each hop answered, and the octets used. Probes the hops on the path
    in turn, and a gateway that is not on it at the same time."""
    echoes: dict[Hop, list[Echo]] = {hop: [] for hop in hops}
    on_path = [hop for hop in hops if hop.ttl]
    schedule = [hop for _ in range(rounds) for hop in on_path]
    off_path = [hop for hop in hops if not hop.ttl]
    pace_s = every_s / max(1, len(on_path))
    async with asyncio.TaskGroup() as group:
        path = group.create_task(
            _trace_or_lost(tracer, [hop.ttl for hop in schedule], pace_s, wait_s)
        )
        gateways = [
            group.create_task(_trace_gateway(gateway, rounds, every_s, wait_s))
            for _ in off_path
        ]
    for hop, echo in zip(schedule, path.result(), strict=True):
        echoes[hop].append(echo)
    for hop, task in zip(off_path, gateways, strict=True):
        echoes[hop] += task.result()
    return echoes, sum(map(len, echoes.values())) * tracer.cost_bytes


async def _survey(tracer: Tracer, wait_s: float) -> list[Echo]:
    """Probes every hop once, and those on the path that did not answer three times
    more, because one lost packet must not hide a hop."""
    ttls = range(1, MOST_HOPS + 1)
    echoes = list(await _trace(tracer, ttls, _SURVEY_EVERY_S, wait_s))
    answered = {echo.ttl for echo in echoes if echo.rtt_ms is not None}
    reached = [echo.ttl for echo in echoes if echo.reached]
    end = min(reached, default=max(answered, default=0) + 3)
    silent = [ttl for ttl in range(1, min(end, MOST_HOPS + 1)) if ttl not in answered]
    if answered and silent:
        echoes += await _trace(tracer, silent * 3, _RETRY_EVERY_S, wait_s)
    return echoes


async def _trace_or_lost(
    tracer: Tracer, ttls: Sequence[int], every_s: float, wait_s: float
) -> Sequence[Echo]:
    """Like `_trace`, but if the network has gone away, all probes count as lost."""
    try:
        return await _trace(tracer, ttls, every_s, wait_s)
    except OSError:
        return [Echo(ttl) for ttl in ttls]


async def _trace(
    tracer: Tracer, ttls: Sequence[int], every_s: float, wait_s: float
) -> Sequence[Echo]:
    """Runs `tracer.trace` in a thread; cancelling the task ends it."""
    stop = threading.Event()
    work = asyncio.create_task(
        in_background(tracer.trace, ttls, every_s, wait_s, stop), name="trace"
    )
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({work}, timeout=2.0)
        raise


async def _trace_gateway(
    gateway: str, rounds: int, every_s: float, wait_s: float
) -> Sequence[Echo]:
    """Probes the gateway directly, because the path to the council uses a tunnel."""
    family = _family_of(gateway) or socket.AF_INET
    destination: Address = (gateway, _UNUSED_PORT)
    best: Sequence[Echo] = []
    # Echo requests first: routers do not limit the rate of their answers to those.
    tracers = tracing.tracers(family, destination, _codec, 443)
    for tracer in sorted(tracers, key=lambda tracer: tracer.method != "icmp"):
        try:
            [echo] = await _trace(tracer, [_FAR_TTL], 0, wait_s)
            if echo.rtt_ms is not None:
                return await _trace(tracer, [_FAR_TTL] * rounds, every_s, wait_s)
            best = best or [echo] * rounds
        except OSError:
            continue
    return best


def _codec(key: bytes = b"") -> StampCodec:
    return AuthenticatedStampCodec(key) if key else StampCodec(_SIZE, VOICE_DSCP)


def _rank(echoes: Sequence[Echo]) -> tuple[bool, int]:
    return (
        any(echo.reached for echo in echoes),
        sum(echo.rtt_ms is not None for echo in echoes),
    )


def _family_of(address: str) -> socket.AddressFamily | None:
    if not address:
        return None
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class PathRunner(ProbeRunner):
    """Traces the path to the nearest reflector, which the policy lists first."""

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        for reflector in context.policy.reflectors[:1]:
            yield await measure(reflector, now_ms=context.now_ms)
