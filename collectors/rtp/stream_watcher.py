"""Finds RTP streams among datagrams: by SIP and SDP if they are seen, else by what RTP
looks like. Pure, in bounded memory.

A stream of which no SDP is known counts once five packets came in sequence, from
the first of them; random bytes do not get that far.
"""

from __future__ import annotations

from collections import Counter
from heapq import nsmallest
from typing import NamedTuple, TypeVar

from collectors.rtp.frame_decoder import Datagram
from collectors.rtp.rtcp_packets import Rtcp, is_rtcp, read_rtcp
from collectors.rtp.rtp_header import RtpHeader, read_rtp, unwrap_relayed
from collectors.rtp.rtp_stream import MOST_FORMATS, RtpStream, StreamKey
from collectors.rtp.sdp_offers import Place, SdpOffers
from collectors.rtp.sip_calls import SipCalls
from collectors.rtp.sip_connections import SipConnections
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
from collectors.rtp.watched_stream import AwaitedMedia, WatchedStream, on_hold

# Frames may be a little out of order in a capture; more, and its clock was set.
_CLOCK_STEP_NS = 1_000_000_000
_RTP_HEAD_BYTES = 12
_IDLE_NS, _SWEEP_NS = 60_000_000_000, 10_000_000_000
_REPORTS_KEPT = 8


class WatchLimits(NamedTuple):
    """How much is held at a time; the oldest goes first, and is counted. Of streams,
    those that were silent for longest: else a flood of short ones would cut calls."""

    streams: int = 20_000
    candidates: int = 8_192
    awaited: int = 20_000
    calls: int = 50_000


class StreamWatcher:
    """`feed` each datagram. `live` has the streams; those idle for a minute of capture
    time move to `ended`, which the owner empties. `counts`: `rtp`, `rtcp`, `sip`, and
    `rtcp_unreadable` (encrypted or damaged), `streams_dropped` (over the limit), `cut`
    (RTP whose header was not captured), `clock_back`, and those of `SipConnections`."""

    def __init__(self, limits: WatchLimits | None = None) -> None:
        self._limits = limits or WatchLimits()
        self.counts: Counter[str] = Counter()
        self.live: dict[StreamKey, WatchedStream] = {}
        self.ended: list[WatchedStream] = []
        self.first_ns = self.last_ns = self._clock_ns = 0
        self._followed = 0
        self._candidates = StreamCandidates[StreamKey](self._limits.candidates)
        self._awaited: dict[Place, AwaitedMedia] = {}
        self._calls: dict[bytes, int] = {}
        self._offers = SdpOffers(self._limits.calls)
        self.sip_calls = SipCalls(self._limits.calls)
        self._connections = SipConnections(self.counts)
        # By the address and port of either end, so that SDP finds its streams.
        self._by_place: dict[Place, list[WatchedStream]] = {}
        self._by_ssrc: dict[int, list[WatchedStream]] = {}
        self._swept_ns = 0

    def feed(self, at_ns: int, datagram: Datagram) -> None:
        """Takes one datagram, in the order of the capture."""
        self.first_ns = self.first_ns or at_ns
        self._advance(at_ns)
        if not 0 <= at_ns - self._swept_ns <= _SWEEP_NS:
            self._sweep(at_ns)
        if datagram.tcp_sequence is not None:
            for message in self._connections.take(at_ns, datagram):
                self._sip(at_ns, datagram.source, message)
            return
        payload, size = datagram.payload, datagram.size
        if size < _RTP_HEAD_BYTES or not payload:
            return
        payload, size = unwrap_relayed(payload, size)
        first = payload[0] if payload else 0
        if first >> 6 == 2:
            header = read_rtp(payload, size)
            if header is not None:
                self._rtp(at_ns, datagram, header)
            elif is_rtcp(payload):
                self._rtcp(at_ns, datagram, read_rtcp(payload, size))
            elif len(payload) < _RTP_HEAD_BYTES <= size:
                self.counts["cut"] += 1
        elif 65 <= first <= 90:
            self._sip(at_ns, datagram.source, payload)

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
        self._advance(at_ns)
        self._followed += 1
        watched.stream.add(at_ns, second & 127, sequence, stamp, tos >> 2, second > 127)
        return True

    def _advance(self, at_ns: int) -> None:
        if at_ns > self.last_ns:
            self.last_ns = at_ns
        elif at_ns < self._clock_ns - _CLOCK_STEP_NS:
            self.counts["clock_back"] += 1
        self._clock_ns = at_ns

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
        sender = self._awaited.get((key.source, key.source_port))
        if awaited and header.payload_type not in awaited.media.formats:
            awaited = None
        packet = EarlyPacket(at_ns, header, datagram.dscp)
        needed = CONFIRM_PACKETS if awaited is None else 1
        packets = self._candidates.put(key, packet, needed)
        if packets is None:
            return
        if len(self.live) >= self._limits.streams:
            self._end_silent()
        watched = WatchedStream(RtpStream(key))
        if awaited is not None:
            watched.announce(awaited, at_ns)
        if sender is not None:
            watched.announce_sender(sender.media, at_ns)
        self.live[key] = watched
        self._by_ssrc.setdefault(key.ssrc, []).append(watched)
        for place in _places(key):
            self._by_place.setdefault(place, []).append(watched)
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
        """A payload type that is new to the stream: also one that was agreed since."""
        key = watched.stream.key
        awaited = self._awaited.get((key.target, key.target_port))
        if awaited is not None and kind in awaited.media.formats:
            watched.awaited = awaited
        if kind in watched.formats or len(watched.formats) < MOST_FORMATS:
            watched.use_format(kind)

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
                rtt_ms = report.rtt_ms(at_ns, sent_ns)
                if rtt_ms is not None:
                    watched.rtt_ms = rtt_ms
        for metrics in rtcp.metrics:
            for watched in self._by_ssrc.get(metrics.ssrc, ()):
                if watched.stream.key.target == datagram.source:
                    watched.metrics = metrics

    def _sip(self, at_ns: int, source: bytes, payload: bytes) -> None:
        message = read_sip(payload)
        if message is None:
            return
        self.counts["sip"] += 1
        digest = call_digest(message.call_id)
        self.sip_calls.take(at_ns, digest, message)
        for place in self._offers.held(digest, source, message):
            held = self._awaited.get(place)
            if held is not None:
                self._announce(at_ns, place, held.call, on_hold(held.media))
        if not message.media:
            return
        call = self._calls.get(digest)
        if call is None:
            self.counts["calls"] += 1
            call = self._calls[digest] = self.counts["calls"]
            if len(self._calls) > self._limits.calls:
                del self._calls[next(iter(self._calls))]
        for place, media in self._offers.take(digest, source, message):
            self._announce(at_ns, place, call, media)

    def _announce(self, at_ns: int, place: Place, call: int, media: SdpMedia) -> None:
        """Awaits a medium at a place, for streams to come and those that are there."""
        awaited = AwaitedMedia(call, media)
        self._awaited.pop(place, None)
        self._awaited[place] = awaited
        if len(self._awaited) > self._limits.awaited:
            del self._awaited[next(iter(self._awaited))]
        for watched in self._by_place.get(place, ()):
            key = watched.stream.key
            if (key.target, key.target_port) == place:
                watched.announce(awaited, at_ns)
            else:
                watched.announce_sender(media, at_ns)

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
        _forget(self._by_ssrc, key.ssrc, watched)
        for place in _places(key):
            _forget(self._by_place, place, watched)
        watched.stream.use_sample()
        watched.stream.flush()
        self.ended.append(watched)


def _places(key: StreamKey) -> set[Place]:
    """Both ends of a stream."""
    return {(key.source, key.source_port), (key.target, key.target_port)}


_Key = TypeVar("_Key")


def _forget(
    index: dict[_Key, list[WatchedStream]], key: _Key, watched: WatchedStream
) -> None:
    same = index[key]
    same.remove(watched)
    if not same:
        del index[key]
