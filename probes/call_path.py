"""A short media-like stream to the council's reflector and back: could a call work?

The stream is 50 packets a second of the size of voice, marked as voice. What comes
back is turned into figures by `summarise`, which is pure.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from typing import NamedTuple

from probes import bursts, emodel, stamp, stream
from probes.failure import Outcome
from probes.faults import outcome_of
from probes.jitter import jitter, percentile
from probes.report import Result
from probes.sample import Value

NAME = "call_path"
VERSION = 1

# 160 octets of G.711 and RTP's 12: what 20 ms of voice weigh.
VOICE_BYTES = 172
VOICE_DSCP = 46
_HEADERS_BYTES = {socket.AF_INET: 28, socket.AF_INET6: 48}
_LOOKUP_S = 10.0
_TCP_S = 3.0


class Targets(NamedTuple):
    """Microsoft's media-quality targets (2018 table, client to Microsoft's edge). A
    target is met where the value is *below* it.

    At 50 packets/s a window of 200 ms holds ten packets: one lost packet is 10 % of
    it, but no burst. So a burst needs `burst_packets` as well. Reordering is judged
    over at least `reorder_least` packets only: 0.05 % of fewer is less than one.
    """

    rtt_ms: float = 100.0
    burst_loss_ratio: float = 0.10
    burst_packets: int = 2
    burst_ms: float = 200.0
    loss_ratio: float = 0.01
    loss_ms: float = 15_000.0
    jitter_ms: float = 30.0
    reorder_ratio: float = 0.0005
    reorder_least: int = 2000


CLIENT_TO_EDGE = Targets()


async def measure(
    reflector_id: str,
    host: str,
    port: int = stamp.PORT,
    *,
    now_ms: Callable[[], int],
    packets: int = 500,
    interval_ms: float = 20.0,
    payload_bytes: int = VOICE_BYTES,
    dscp: int = VOICE_DSCP,
    tcp_port: int | None = None,
    targets: Targets = CLIENT_TO_EDGE,
    kernel_times: bool = True,
) -> Result:
    """One run against the STAMP reflector (RFC 8762) at `host`.

    `payload_bytes` is the UDP payload: 44, or 48 to 1472. `tcp_port` is one the same
    host serves by TCP: where UDP gets no answer but that port does, the outcome is
    `udp_blocked`. Takes `packets * interval_ms` and up to 3 s; gives up after 3 s of
    complete silence. Never raises for what the network does.
    """
    time_ms = now_ms()
    cost_bytes = 0
    outcome, values = Outcome.NAME_NOT_FOUND, dict[str, Value]()
    failed: list[Outcome] = []
    try:
        async with asyncio.timeout(_LOOKUP_S):
            addresses = await _addresses(host, port)
    except TimeoutError:
        addresses, outcome = [], Outcome.NAME_SERVER_FAILED
    except (OSError, UnicodeError) as error:
        addresses, outcome = [], outcome_of(error)
    for family, address in addresses:
        run = await _run(
            family, address, packets, interval_ms, payload_bytes, dscp, kernel_times
        )
        if isinstance(run, Outcome):
            failed.append(run)
            continue
        each_bytes = _HEADERS_BYTES[family]
        cost_bytes += run.octets_out + run.octets_in
        cost_bytes += (run.packets_out + run.packets_in) * each_bytes
        if run.slept:
            outcome = Outcome.PAUSED
            break
        if run.arrivals:
            outcome, values = Outcome.OK, summarise(run, interval_ms, targets)
            break
        failed.append(_silence(run.error))
    else:
        # Where one family is missing here, the other's failure says more.
        known = [each for each in failed if each is not Outcome.NO_NETWORK]
        outcome = (known or failed or [outcome])[0]
    # Silence alone does not say whether the far end is gone or UDP is not let
    # through; another door of the same house does.
    silent = outcome is Outcome.TIMEOUT and tcp_port is not None
    if silent and await _answers_tcp(host, tcp_port or 0):
        outcome = Outcome.UDP_BLOCKED
    return Result(
        probe=NAME,
        version=VERSION,
        time_ms=time_ms,
        outcome=outcome,
        target=reflector_id,
        values=values,
        cost_bytes=cost_bytes,
    )


def summarise(
    run: stream.Observed, interval_ms: float, targets: Targets = CLIENT_TO_EDGE
) -> dict[str, Value]:
    """The fields of the catalogue's `call_path` for a run in which something came
    back. Both directions' jitter and loss are kept apart where that is known; MOS is
    that of the worse direction."""
    sent = len(run.sent_ns)
    first: dict[int, stream.Arrival] = {}
    repeats, reordered, highest = 0, 0, -1
    copied_out: set[int] = set()
    for each in run.arrivals:
        asked = each.reply.sender_sequence
        if asked in first:
            repeats += 1
            # Another count of the reflector: it was doubled on the way there.
            if each.reply.sequence != first[asked].reply.sequence:
                copied_out.add(each.reply.sequence)
            continue
        first[asked] = each
        reordered += asked < highest
        highest = max(highest, asked)
    received = len(first)
    lost = [sequence not in first for sequence in range(sent)]
    loss_ratio = (sent - received) / sent

    rtts = [_rtt_ms(each, run.sent_ns) for each in first.values()]
    values: dict[str, Value] = {
        "sent": sent,
        "received": received,
        "loss_ratio": loss_ratio,
        "rtt_ms": math.fsum(rtts) / received,
        "rtt_min_ms": min(rtts),
        "rtt_p95_ms": percentile(rtts, 0.95),
        "reorder_ratio": reordered / received,
        "duplicate_ratio": repeats / sent,
    }

    out, back = _jitters(run)
    jitter_ms = None if out is None or back is None else max(out, back)
    if out is not None and back is not None and jitter_ms is not None:
        values |= {"jitter_ms": jitter_ms, "jitter_out_ms": out, "jitter_in_ms": back}

    window = round(targets.burst_ms / interval_ms)
    worst = bursts.worst_window(lost, window)
    values["burst_loss_ratio"] = worst / min(max(1, window), sent)
    gathered = bursts.bursts(lost, interval_ms)
    values["burst_density_ratio"] = gathered.burst_density_ratio

    ways = [(loss_ratio, jitter_ms)]
    lost_out = _lost_out(run, sent - received, len(copied_out))
    if lost_out is not None:
        loss_out = lost_out / sent
        # What never arrived there cannot be lost on the way back.
        came = sent - lost_out
        loss_in = (came - received) / came if came else 0.0
        values |= {"loss_out_ratio": loss_out, "loss_in_ratio": loss_in}
        ways = [(loss_out, out), (loss_in, back)]
    rtt_ms = math.fsum(rtts) / received
    ratio = bursts.burst_ratio(lost)
    values["mos_estimated"] = min(
        emodel.estimate(rtt_ms, shake or 0.0, loss, ratio) for loss, shake in ways
    )

    in_window = bursts.worst_window(lost, round(targets.loss_ms / interval_ms))
    window_packets = min(sent, max(1, round(targets.loss_ms / interval_ms)))
    burst = worst / min(max(1, window), sent)
    values["poor"] = int(
        rtt_ms >= targets.rtt_ms
        or (jitter_ms is not None and jitter_ms >= targets.jitter_ms)
        or in_window / window_packets >= targets.loss_ratio
        or (burst >= targets.burst_loss_ratio and worst >= targets.burst_packets)
        or (
            received >= targets.reorder_least
            and reordered / received >= targets.reorder_ratio
        )
    )
    dscps = {each.reply.dscp_arrived for each in run.arrivals} - {-1}
    if len(dscps) == 1:
        values["dscp_arrived"] = dscps.pop()
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in values.items()
    }


def _rtt_ms(arrival: stream.Arrival, sent_ns: list[int]) -> float:
    """(T4 - T1) - (T3 - T2), in ms."""
    reply = arrival.reply
    whole = arrival.t4_ns - sent_ns[reply.sender_sequence]
    inside = stamp.elapsed_ns(reply.t3_ntp, reply.t2_ntp)
    # A reflector whose clock was stepped in between is not believed.
    if 0 <= inside <= whole:
        whole -= inside
    return max(whole, 0) / 1e6


def _jitters(run: stream.Observed) -> tuple[float | None, float | None]:
    """RFC 3550 jitter in ms on the way out (our clock to the reflector's) and back
    (its to ours), each in its own order of arrival. The clocks need not agree."""
    zero = run.arrivals[0].reply.t2_ntp
    there = sorted(
        run.arrivals, key=lambda each: stamp.elapsed_ns(each.reply.t2_ntp, zero)
    )
    out = jitter(
        (
            run.sent_ns[each.reply.sender_sequence] / 1e6,
            stamp.elapsed_ns(each.reply.t2_ntp, zero) / 1e6,
        )
        for each in there
    )
    back = jitter(
        (stamp.elapsed_ns(each.reply.t3_ntp, zero) / 1e6, each.t4_ns / 1e6)
        for each in run.arrivals
    )
    return out, back


def _lost_out(run: stream.Observed, lost: int, copied: int) -> int | None:
    """How many of `lost` were lost on the way out, by the reflector's own count; None
    where it does not count or did not say. `copied` were doubled on the way out."""
    if lost == 0:
        return 0
    if run.reflected is None:
        return None
    missing = len(run.sent_ns) - (run.reflected - copied)
    # One too few or many: a packet doubled or counted from 1. More: another count.
    if not -1 <= missing <= lost + 1:
        return None
    return min(max(missing, 0), lost)


def _silence(error: OSError | None) -> Outcome:
    if error is None:
        return Outcome.TIMEOUT
    if isinstance(error, PermissionError):
        # A firewall on this machine forbids it.
        return Outcome.UDP_BLOCKED
    outcome = outcome_of(error)
    # Windows tells of a closed UDP port by the name of TCP's reset.
    return Outcome.REFUSED if outcome is Outcome.RESET else outcome


async def _addresses(
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
        if family in _HEADERS_BYTES:
            found.setdefault(family, address)
    return list(found.items())


async def _run(
    family: socket.AddressFamily,
    address: tuple[object, ...],
    packets: int,
    interval_ms: float,
    payload_bytes: int,
    dscp: int,
    kernel_times: bool,
) -> stream.Observed | Outcome:
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        stream.mark(channel, dscp)
        try:
            channel.connect(address)
        except OSError as error:
            return _silence(error)
        run = stream.Stream(
            channel, packets, interval_ms, payload_bytes, dscp, kernel_times
        )
        thread = asyncio.create_task(asyncio.to_thread(run.run), name="call-path")
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
