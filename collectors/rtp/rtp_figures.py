"""Works out the figures of a stream that was watched. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from collectors.rtp.rtp_codecs import UNKNOWN, PayloadFormat, equipment
from collectors.rtp.rtp_stream import VIDEO_HZ, RtpStream
from collectors.rtp.watched_stream import WatchedStream
from probes.wire.bursts import Bursts
from probes.wire.mos import FRAME_MS, estimate

# A stream whose first packet comes this soon after the capture began was there before.
_BEGINNING_NS = 1_000_000_000
# Of fewer packets (a second) a MOS says nothing of a call.
LEAST_FOR_MOS = 50
# This much sound without any from the other side is one-way audio.
_ONE_WAY_MS = 5_000


class StreamFigures(msgspec.Struct, kw_only=True):
    """What is known of one stream. None: not known, or not there to measure.

    `loss_ratio` is of the packets from the first to the last that was seen. `jitter_ms`
    is the mean of RFC 3550's J, `rtt_ms` the round trip from where the capture was
    taken to the receiver and back. `mos_estimated` is by the E-model of ITU-T G.107,
    with the delay that is known; if `mos_by_proxy`, with the values of G.711.
    """

    source: str
    source_port: int
    target: str
    target_port: int
    ssrc: str
    call: int | None
    payload: str
    is_video: bool
    clock_hz: int | None
    clock_estimated: bool
    encrypted: bool | None
    start_ms: int
    duration_ms: int
    packets: int
    received: int
    expected: int
    lost: int
    loss_ratio: float
    duplicates: int
    reordered: int
    restarts: int
    joined_late: bool
    missed_before: int | None
    jitter_ms: float | None
    jitter_max_ms: float | None
    delta_max_ms: float
    late_ratio: float | None
    burst_density_ratio: float
    gap_density_ratio: float
    burst_ms: float
    gap_ms: float
    burst_ratio: float
    mos_estimated: float | None
    mos_by_proxy: bool
    rtt_ms: float | None
    dscp: dict[int, int]
    on_hold_ms: list[tuple[int, int]]
    one_way_ms: int
    one_way: bool
    reported_lost: int | None
    reported_jitter_ms: float | None
    reported_mos: float | None
    reported_loss_ratio: float | None
    reported_discard_ratio: float | None
    reported_rtt_ms: int | None


def figures_of(watched: WatchedStream, capture_began_ns: int) -> StreamFigures:
    """The figures of a stream that has ended."""
    stream, key = watched.stream, watched.stream.key
    expected, received = stream.expected, stream.received
    loss_ratio = (expected - received) / expected if expected else 0.0
    # The simple blocks of pcapng have no time, so all packets seem to come at once.
    timed = stream.jitter_samples if stream.last_ns > stream.first_ns else 0
    jitter_ms = stream.jitter_sum_ms / timed if timed else None
    late_ratio = stream.late / timed if timed else None
    codecs = watched.codecs
    format_ = codecs[0] if codecs else UNKNOWN
    # Nothing but video has this clock; of MPEG sound no MOS is estimated either.
    is_video = format_.is_video or (not format_.name and stream.hz == VIDEO_HZ)
    frame_ms = stream.step * 1000 / stream.hz if stream.hz and stream.step else FRAME_MS
    clusters = _bursts(stream, loss_ratio, frame_ms)
    metrics = watched.metrics
    reported = watched.reported_jitter_ticks
    codec = None if is_video or jitter_ms is None else equipment(format_.name)
    mos = None
    if codec is not None and jitter_ms is not None and received >= LEAST_FOR_MOS:
        # A packet that comes too late to be played is lost to the ear.
        heard_loss = loss_ratio + (1 - loss_ratio) * (late_ratio or 0.0)
        rtt_ms = watched.rtt_ms or (metrics.rtt_ms if metrics else 0.0)
        mos = estimate(rtt_ms, jitter_ms, heard_loss, stream.bursts.ratio(), codec[0])
    missed = watched.missed_before
    # A report that was sent a moment ago may count packets that come a moment later.
    missed = missed if missed is not None and missed > 5 else None
    since_ns = stream.first_ns - capture_began_ns
    there_before = watched.call is None and since_ns < _BEGINNING_NS
    return StreamFigures(
        source=str(ip_address(key.source)),
        source_port=key.source_port,
        target=str(ip_address(key.target)),
        target_port=key.target_port,
        ssrc=f"0x{key.ssrc:08X}",
        call=watched.call,
        payload=_payload_text(codecs) or "/".join(map(str, stream.formats)),
        is_video=is_video,
        clock_hz=stream.hz or None,
        clock_estimated=stream.hz_estimated,
        encrypted=watched.awaited.media.is_secure if watched.awaited else None,
        start_ms=stream.first_ns // 1_000_000,
        duration_ms=(stream.last_ns - stream.first_ns) // 1_000_000,
        packets=stream.packets,
        received=received,
        expected=expected,
        lost=expected - received,
        loss_ratio=round(loss_ratio, 6),
        duplicates=stream.duplicates,
        reordered=stream.reordered,
        restarts=stream.restarts,
        joined_late=missed is not None or there_before,
        missed_before=missed,
        jitter_ms=_rounded(jitter_ms),
        jitter_max_ms=_rounded(stream.jitter_max_ms if timed else None),
        delta_max_ms=round(stream.delta_max_ms, 3),
        late_ratio=_rounded(late_ratio),
        burst_density_ratio=round(clusters.burst_density_ratio, 6),
        gap_density_ratio=round(clusters.gap_density_ratio, 6),
        burst_ms=round(max(0.0, clusters.burst_ms), 3),
        gap_ms=round(clusters.gap_ms, 3),
        burst_ratio=round(stream.bursts.ratio(), 3),
        mos_estimated=_rounded(mos, 3),
        mos_by_proxy=mos is not None and codec is not None and not codec[1],
        rtt_ms=_rounded(watched.rtt_ms, 3),
        dscp=dict(sorted(stream.dscps.items())),
        on_hold_ms=[
            (since_ns // 1_000_000, until_ns // 1_000_000)
            for since_ns, until_ns in watched.holds()
        ],
        one_way_ms=0,
        one_way=False,
        reported_lost=watched.reported_lost,
        reported_jitter_ms=(
            round(reported * 1000 / stream.hz, 3)
            if reported is not None and stream.hz
            else None
        ),
        reported_mos=metrics.mos_conversation if metrics else None,
        reported_loss_ratio=_rounded(metrics.loss_ratio if metrics else None),
        reported_discard_ratio=_rounded(metrics.discard_ratio if metrics else None),
        reported_rtt_ms=metrics.rtt_ms if metrics else None,
    )


def mark_one_way(streams: Sequence[StreamFigures]) -> None:
    """Sets of each audio stream how long nothing came the other way between the same
    two hosts. That is one-way audio only if the capture has both directions of any
    stream: a port may be mirrored in one direction alone."""
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for stream in streams:
        span = (stream.start_ms, stream.start_ms + stream.duration_ms)
        spans.setdefault((stream.source, stream.target), []).append(span)
    merged = {hosts: _merge(parts) for hosts, parts in spans.items()}
    has_both = any((target, source) in spans for source, target in spans)
    for stream in streams:
        if stream.is_video:
            continue
        begin, end = stream.start_ms, stream.start_ms + stream.duration_ms
        # On hold, nothing is to come back (RFC 3264).
        back = _merge(
            [*merged.get((stream.target, stream.source), []), *stream.on_hold_ms]
        )
        covered = sum(
            max(0, min(end, until) - max(begin, since)) for since, until in back
        )
        stream.one_way_ms = max(0, end - begin - covered)
        stream.one_way = has_both and stream.one_way_ms >= _ONE_WAY_MS


def _bursts(stream: RtpStream, loss_ratio: float, frame_ms: float) -> Bursts:
    """Of single losses, far from one another, there is one long gap and no burst."""
    if stream.bursts.has_bursts:
        return stream.bursts.figures(frame_ms)
    return Bursts(0.0, loss_ratio, 0.0, stream.expected * frame_ms)


def _payload_text(codecs: Sequence[PayloadFormat]) -> str:
    """The names of the codecs, the most frequent first: a call may change its own."""
    return "/".join(dict.fromkeys(codec.name for codec in codecs if codec.name))


def _merge(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans without overlaps, in order."""
    merged: list[tuple[int, int]] = []
    for since, until in sorted(spans):
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(until, merged[-1][1]))
        else:
            merged.append((since, until))
    return merged


def _rounded(value: float | None, places: int = 6) -> float | None:
    return None if value is None else round(value, places)
