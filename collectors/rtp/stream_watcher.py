"""Finds RTP streams among datagrams: by SIP and SDP if they are seen, else by what RTP
looks like. Pure, in bounded memory.

A stream of which no SDP is known counts once five packets came in sequence, from
the first of them; random bytes do not get that far.
"""

from __future__ import annotations

from collections import Counter
from heapq import nsmallest
from typing import NamedTuple

from collectors.rtp.frame_decoder import Datagram
from collectors.rtp.rtcp_packets import Rtcp, VoipMetrics, is_rtcp, read_rtcp
from collectors.rtp.rtp_codecs import STATIC, UNKNOWN, PayloadFormat, is_event
from collectors.rtp.rtp_header import RtpHeader, read_rtp, unwrap_channel
from collectors.rtp.rtp_stream import RtpStream, StreamKey
from collectors.rtp.sip_calls import SipCalls
from collectors.rtp.sip_messages import SdpMedia, call_digest, read_sip
from collectors.rtp.stream_candidates import (
    CONFIRM_PACKETS,
    EarlyPacket,
    StreamCandidates,
)
from collectors.rtp.usual_packet import (
    FRAGMENT_BITS,
    IPV4,
    NO_OPTIONS,
    UDP,
    USUAL,
    USUAL_BYTES,
)

_IDLE_NS, _SWEEP_NS = 60_000_000_000, 10_000_000_000
_REPORTS_KEPT = 8
_MOST_RTT_NS = 30_000_000_000


class WatchLimits(NamedTuple):
    """How much is held at a time; the oldest goes first, and is counted. Of streams,
    those that were silent for longest: else a flood of short ones would cut calls."""

    streams: int = 20_000
    candidates: int = 8_192
    awaited: int = 20_000
    calls: int = 50_000


class WatchedStream:
    """A stream with what SDP and RTCP said of it."""

    __slots__ = (
        *("awaited", "call", "metrics", "middles", "missed_before", "packet_format"),
        *("reported_jitter_ticks", "reported_lost", "rtt_ms", "stream"),
    )

    def __init__(self, stream: RtpStream, awaited: AwaitedMedia | None) -> None:
        self.stream, self.awaited = stream, awaited
        self.call = awaited.call if awaited else None
        self.packet_format = UNKNOWN
        self.metrics: VoipMetrics | None = None
        # When this stream's sender reports passed, by their middle 32 bits.
        self.middles: dict[int, int] = {}
        self.missed_before: int | None = None
        self.reported_lost: int | None = None
        self.reported_jitter_ticks: int | None = None
        self.rtt_ms: float | None = None

    def format_of(self, kind: int) -> PayloadFormat:
        """What a payload type means in this stream."""
        announced = self.awaited.media.formats.get(kind) if self.awaited else None
        return announced or STATIC.get(kind, UNKNOWN)


class AwaitedMedia(NamedTuple):
    """A medium that a party awaits, in which call."""

    call: int
    media: SdpMedia


class StreamWatcher:
    """`feed` each datagram. `live` has the streams; those idle for a minute of capture
    time move to `ended`, which the owner empties. `counts`: `rtp`, `rtcp`, `sip`, and
    `rtcp_unreadable` (encrypted or damaged), `streams_dropped` (over the limit)."""

    def __init__(self, limits: WatchLimits | None = None) -> None:
        self._limits = limits or WatchLimits()
        self.counts: Counter[str] = Counter()
        self.live: dict[StreamKey, WatchedStream] = {}
        self.ended: list[WatchedStream] = []
        self.first_ns = self.last_ns = 0
        self._followed = 0
        self._candidates = StreamCandidates[StreamKey](self._limits.candidates)
        self._awaited: dict[tuple[bytes, int], AwaitedMedia] = {}
        self._calls: dict[bytes, int] = {}
        self.sip_calls = SipCalls(self._limits.calls)
        self._by_ssrc: dict[int, list[WatchedStream]] = {}
        self._swept_ns = 0

    @property
    def calls(self) -> int:
        """Calls of which SIP was seen."""
        return self.counts["calls"]

    def feed(self, at_ns: int, datagram: Datagram) -> None:
        """Takes one datagram, in the order of the capture."""
        self.first_ns = self.first_ns or at_ns
        self.last_ns = max(self.last_ns, at_ns)
        if at_ns - self._swept_ns > _SWEEP_NS:
            self._sweep(at_ns)
        payload, size = datagram.payload, datagram.size
        if size < 12 or not payload:
            return
        first = payload[0]
        if 0x40 <= first <= 0x4F:
            payload, size = unwrap_channel(payload, size)
            first = payload[0] if payload else 0
        if first >> 6 == 2:
            header = read_rtp(payload, size)
            if header is not None:
                self._rtp(at_ns, datagram, header)
            elif is_rtcp(payload):
                self._rtcp(at_ns, datagram, read_rtcp(payload, size))
        elif 65 <= first <= 90:
            self._sip(at_ns, payload)

    def follow(self, at_ns: int, frame: bytes) -> bool:
        """Takes an Ethernet frame if it is the usual packet of a stream that is known;
        else returns false, and the frame has to be decoded and fed."""
        if len(frame) < USUAL_BYTES or at_ns - self._swept_ns > _SWEEP_NS:
            return False
        cells = USUAL.unpack_from(frame)
        kind, head, tos, fragment, protocol = cells[:5]
        if (
            head != NO_OPTIONS
            or kind != IPV4
            or protocol != UDP
            or fragment & FRAGMENT_BITS
        ):
            return False
        source, target, from_port, to_port, second = cells[5:10]
        sequence, stamp, ssrc = cells[10:]
        key = (source, from_port, target, to_port, ssrc)
        watched = self.live.get(key)  # type: ignore[call-overload]
        if watched is None or second & 127 not in watched.stream.formats:
            return False
        self.last_ns = max(self.last_ns, at_ns)
        self._followed += 1
        watched.stream.add(at_ns, second & 127, sequence, stamp, tos >> 2, second > 127)
        return True

    def finish(self) -> list[WatchedStream]:
        """Ends all streams, and returns those that have not been fetched."""
        for watched in list(self.live.values()):
            self._end(watched)
        self.counts["rtp"] += self._followed
        self._followed = 0
        ended, self.ended = self.ended, []
        return ended

    def _rtp(self, at_ns: int, datagram: Datagram, header: RtpHeader) -> None:
        key = StreamKey(
            *(datagram.source, datagram.source_port, datagram.target),
            *(datagram.target_port, header.ssrc),
        )
        watched = self.live.get(key)
        if watched is None:
            self._start(at_ns, key, datagram, header)
        else:
            self._add(watched, at_ns, header, datagram.dscp)

    def _start(
        self, at_ns: int, key: StreamKey, datagram: Datagram, header: RtpHeader
    ) -> None:
        """Starts the stream if it has shown itself to be one."""
        awaited = self._awaited.get((key.target, key.target_port))
        if awaited and header.payload_type not in awaited.media.formats:
            awaited = None
        packet = EarlyPacket(at_ns, header, datagram.dscp)
        needed = CONFIRM_PACKETS if awaited is None else 1
        packets = self._candidates.put(key, packet, needed)
        if packets is None:
            return
        if len(self.live) >= self._limits.streams:
            self._end_silent()
        watched = WatchedStream(RtpStream(key), awaited)
        self.live[key] = watched
        self._by_ssrc.setdefault(key.ssrc, []).append(watched)
        for earlier in packets:
            self._add(watched, *earlier)

    def _add(
        self, watched: WatchedStream, at_ns: int, header: RtpHeader, dscp: int
    ) -> None:
        kind, marker, sequence, stamp, _ = header
        stream = watched.stream
        if kind not in stream.formats:
            self._use_format(watched, kind)
        self.counts["rtp"] += 1
        stream.add(at_ns, kind, sequence, stamp, dscp, marker)

    def _use_format(self, watched: WatchedStream, kind: int) -> None:
        """Of the formats of a stream, the first that is not tones or noise is its
        codec, and has its clock."""
        format_ = watched.format_of(kind)
        stream = watched.stream
        if not watched.packet_format.name or is_event(watched.packet_format.name):
            watched.packet_format = format_
            if format_.hz and not stream.hz_estimated:
                stream.hz = format_.hz

    def _rtcp(self, at_ns: int, datagram: Datagram, rtcp: Rtcp | None) -> None:
        if rtcp is None:
            self.counts["rtcp_unreadable"] += 1
            return
        self.counts["rtcp"] += 1
        for sender in rtcp.senders:
            for watched in self._by_ssrc.get(sender.ssrc, ()):
                if watched.stream.key.source != datagram.source:
                    continue
                watched.middles[sender.middle] = at_ns
                if len(watched.middles) > _REPORTS_KEPT:
                    del watched.middles[next(iter(watched.middles))]
                if watched.missed_before is None:
                    missed = sender.packets - watched.stream.expected
                    # More than a stream can have sent: encrypted after all.
                    watched.missed_before = missed if 0 <= missed < 1 << 31 else 0
        for report in rtcp.receptions:
            for watched in self._by_ssrc.get(report.ssrc, ()):
                if watched.stream.key.target != datagram.source:
                    continue
                watched.reported_lost = report.lost
                watched.reported_jitter_ticks = report.jitter_ticks
                sent_ns = watched.middles.get(report.last_report)
                if sent_ns is not None:
                    rtt_ns = at_ns - sent_ns - int(report.delay_s * 1e9)
                    if 0 <= rtt_ns < _MOST_RTT_NS:
                        watched.rtt_ms = rtt_ns / 1e6
        for metrics in rtcp.metrics:
            for watched in self._by_ssrc.get(metrics.ssrc, ()):
                if watched.stream.key.target == datagram.source:
                    watched.metrics = metrics

    def _sip(self, at_ns: int, payload: bytes) -> None:
        message = read_sip(payload)
        if message is None:
            return
        self.counts["sip"] += 1
        digest = call_digest(message.call_id)
        self.sip_calls.take(at_ns, digest, message)
        if not message.media:
            return
        call = self._calls.get(digest)
        if call is None:
            self.counts["calls"] += 1
            call = self._calls[digest] = self.counts["calls"]
            if len(self._calls) > self._limits.calls:
                del self._calls[next(iter(self._calls))]
        for media in message.media:
            place = (media.address, media.port)
            self._awaited.pop(place, None)
            self._awaited[place] = AwaitedMedia(call, media)
            if len(self._awaited) > self._limits.awaited:
                del self._awaited[next(iter(self._awaited))]

    def _end_silent(self) -> None:
        """Makes room for streams: for some at a time, as all have to be looked at."""
        some = max(1, self._limits.streams // 16)
        live = self.live.values()
        for watched in nsmallest(some, live, key=lambda one: one.stream.last_ns):
            self.counts["streams_dropped"] += 1
            self._end(watched)

    def _sweep(self, at_ns: int) -> None:
        self._swept_ns = at_ns
        for watched in list(self.live.values()):
            if at_ns - watched.stream.last_ns > _IDLE_NS:
                self._end(watched)

    def _end(self, watched: WatchedStream) -> None:
        key = watched.stream.key
        del self.live[key]
        same = self._by_ssrc[key.ssrc]
        same.remove(watched)
        if not same:
            del self._by_ssrc[key.ssrc]
        if watched.stream.hz == 0 and watched.packet_format.hz:
            watched.stream.hz = watched.packet_format.hz
        watched.stream.use_sample()
        watched.stream.flush()
        self.ended.append(watched)
