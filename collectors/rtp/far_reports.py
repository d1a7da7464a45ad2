"""What the far ends of streams report of them in RTCP, minute by minute. Pure, in
bounded memory: some figures for each stream that is followed.

Encrypted RTCP is never read as reports: the kernel has copied only what is in clear.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from collectors.rtp.frame_decoder import Datagram
from collectors.rtp.rtcp_packets import (
    CLEAR_BYTES,
    ReceptionReport,
    Rtcp,
    VoipMetrics,
    is_plausible,
    read_rtcp,
    sender_of,
)
from collectors.rtp.rtp_stream import RtpStream

# Some twenty seconds of reports, as a receiver answers the last one that it had.
_REPORTS_KEPT = 4
# More packets between two reports, and the stream began anew.
_MOST_EXPECTED = 1 << 20


class ReportedCounts(NamedTuple):
    """Of one stream in one minute. `expected` and `lost` between two reports; jitter of
    `timed` reports, round trips of `round_trips`, what phones played of `extended`
    ones, and how they rated `rated`."""

    reports: int = 0
    expected: int = 0
    lost: int = 0
    timed: int = 0
    jitter_sum_ms: float = 0.0
    round_trips: int = 0
    rtt_sum_ms: float = 0.0
    extended: int = 0
    discard_sum: float = 0.0
    rated: int = 0
    mos_sum: float = 0.0


class _HeardStream:
    """What was last said of a stream, and when its sender's reports passed."""

    __slots__ = ("last", "middles")

    def __init__(self) -> None:
        self.last: ReceptionReport | None = None
        self.middles: dict[int, int] = {}


class FarReports:
    """`add` and `drop` streams, `take` each datagram of RTCP, `take_minute` what was
    counted. Counts `rtcp`, and `rtcp_unread`: of known senders, but encrypted, damaged
    or impossible."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        # By SSRC and the address of the receiver, or the sender. An SSRC is on one
        # transport; if a call moves to another, the newest is meant.
        self._received: dict[tuple[int, bytes], RtpStream] = {}
        self._sent: dict[tuple[int, bytes], RtpStream] = {}
        self._heard: dict[RtpStream, _HeardStream] = {}
        self._secure: set[RtpStream] = set()
        self._minute: dict[RtpStream, ReportedCounts] = {}

    def add(self, stream: RtpStream, is_secure: bool = False) -> None:
        """Adds a stream; if SDP says that it is secure (SAVP), so is its RTCP."""
        if is_secure:
            self._secure.add(stream)
        self._received[stream.key.ssrc, stream.key.target] = stream
        self._sent[stream.key.ssrc, stream.key.source] = stream

    def drop(self, stream: RtpStream) -> None:
        """Forgets a stream; its minute is not forgotten."""
        self._heard.pop(stream, None)
        self._secure.discard(stream)
        for index, address in (
            (self._received, stream.key.target),
            (self._sent, stream.key.source),
        ):
            if index.get((stream.key.ssrc, address)) is stream:
                del index[stream.key.ssrc, address]

    def take_minute(self) -> dict[RtpStream, ReportedCounts]:
        """What was counted since the last call."""
        minute, self._minute = self._minute, {}
        return minute

    def take(self, at_ns: int, datagram: Datagram) -> None:
        """Takes one datagram of RTCP."""
        payload, source = datagram.payload, datagram.source
        own = self._sent.get((sender_of(payload), source))
        is_clear = len(payload) == datagram.size or len(payload) > CLEAR_BYTES
        is_clear &= own not in self._secure
        rtcp = read_rtcp(payload, datagram.size) if is_clear else None
        if rtcp is None or not is_plausible(rtcp):
            self.counts["rtcp_unread"] += own is not None
            return
        self.counts["rtcp"] += 1
        self._take_senders(at_ns, source, rtcp)
        for report in rtcp.receptions:
            stream = self._received.get((report.ssrc, source))
            if stream is not None:
                self._take_reception(at_ns, stream, report)
        for metrics in rtcp.metrics:
            stream = self._received.get((metrics.ssrc, source))
            if stream is not None:
                self._take_metrics(stream, metrics)

    def _take_senders(self, at_ns: int, source: bytes, rtcp: Rtcp) -> None:
        for sender in rtcp.senders:
            stream = self._sent.get((sender.ssrc, source))
            if stream is None:
                continue
            middles = self._heard.setdefault(stream, _HeardStream()).middles
            # A port may be mirrored in both directions: the first copy counts.
            middles.setdefault(sender.middle, at_ns)
            if len(middles) > _REPORTS_KEPT:
                del middles[next(iter(middles))]

    def _take_reception(
        self, at_ns: int, stream: RtpStream, report: ReceptionReport
    ) -> None:
        heard = self._heard.setdefault(stream, _HeardStream())
        before, heard.last = heard.last, report
        if before == report:
            return
        counts = self._minute.get(stream, ReportedCounts())
        counts = counts._replace(reports=counts.reports + 1)
        if before is not None:
            expected = report.highest - before.highest
            lost = report.lost - before.lost
            # Duplicates count as received (RFC 3550), so less may be lost than before.
            if 0 <= expected < _MOST_EXPECTED and abs(lost) <= expected:
                counts = counts._replace(
                    expected=counts.expected + expected, lost=counts.lost + lost
                )
        if stream.hz:
            jitter_ms = report.jitter_ticks * 1000 / stream.hz
            counts = counts._replace(
                timed=counts.timed + 1, jitter_sum_ms=counts.jitter_sum_ms + jitter_ms
            )
        rtt_ms = report.rtt_ms(at_ns, heard.middles.get(report.last_report))
        if rtt_ms is not None:
            counts = counts._replace(
                round_trips=counts.round_trips + 1,
                rtt_sum_ms=counts.rtt_sum_ms + rtt_ms,
            )
        self._minute[stream] = counts

    def _take_metrics(self, stream: RtpStream, metrics: VoipMetrics) -> None:
        counts = self._minute.get(stream, ReportedCounts())
        mos = metrics.mos_conversation
        self._minute[stream] = counts._replace(
            extended=counts.extended + 1,
            discard_sum=counts.discard_sum + metrics.discard_ratio,
            rated=counts.rated + (mos is not None),
            mos_sum=counts.mos_sum + (mos or 0.0),
        )
