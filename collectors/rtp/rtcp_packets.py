"""Reads RTCP: sender and receiver reports (RFC 3550 section 6.4), and the VoIP metrics
of extended reports (RFC 3611 section 4.7). Names of people (SDES) are never read. Pure.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

# Of encrypted RTCP (RFC 3711) only the first header and SSRC are in clear.
CLEAR_BYTES = 8
SENDER, RECEIVER, EXTENDED = 200, 201, 207
_KINDS = range(192, 224)
_VOIP_METRICS, _VOIP_WORDS = 7, 8
# Ten seconds of the fastest clock.
_MOST_JITTER_TICKS = 1_920_000
_MOST_RTT_NS = 30_000_000_000
_BLOCK = struct.Struct("!IIIIII")
# SSRC, losses, discarded; round trip; MOS of the conversation. The rest is skipped.
_VOIP = struct.Struct("!IBB6xH9xB8x")


class SenderReport(NamedTuple):
    """`middle`: the middle 32 bits of its NTP time, which receivers send back."""

    ssrc: int
    middle: int
    packets: int


class ReceptionReport(NamedTuple):
    """What `reporter` says of the stream `ssrc`. `lost` is cumulative, `highest` the
    last sequence number that came, with how often they began anew."""

    reporter: int
    ssrc: int
    lost: int
    highest: int
    jitter_ticks: int
    last_report: int
    delay_s: float

    def rtt_ms(self, at_ns: int, sent_ns: int | None) -> float | None:
        """The round trip, if this came at `at_ns` and the sender's report that it
        answers had passed at `sent_ns`; None if that was not seen, or cannot be."""
        if sent_ns is None:
            return None
        rtt_ns = at_ns - sent_ns - int(self.delay_s * 1e9)
        return rtt_ns / 1e6 if 0 <= rtt_ns < _MOST_RTT_NS else None


class VoipMetrics(NamedTuple):
    """What a phone says of the stream `ssrc`. None: it does not know."""

    ssrc: int
    loss_ratio: float
    discard_ratio: float
    rtt_ms: int
    mos_conversation: float | None


class Rtcp(NamedTuple):
    senders: tuple[SenderReport, ...]
    receptions: tuple[ReceptionReport, ...]
    metrics: tuple[VoipMetrics, ...]


def is_rtcp(payload: bytes) -> bool:
    """Whether a UDP payload begins as RTCP does."""
    return len(payload) >= 8 and payload[0] >> 6 == 2 and payload[1] in _KINDS


def sender_of(payload: bytes) -> int:
    """The SSRC of the sender, which is in clear in encrypted RTCP as well."""
    ssrc: int = struct.unpack_from("!I", payload, 4)[0]
    return ssrc


def is_plausible(rtcp: Rtcp) -> bool:
    """Whether every report can be true: no more is lost than was sent, a delay since
    the last report needs one, and jitter is below ten seconds."""
    return all(
        abs(report.lost) <= report.highest + 1
        and report.jitter_ticks < _MOST_JITTER_TICKS
        and (report.last_report or not report.delay_s)
        for report in rtcp.receptions
    )


def read_rtcp(payload: bytes, size: int) -> Rtcp | None:
    """The reports of a compound packet of `size` bytes; None if its lengths do not add
    up, as if it is encrypted (SRTCP), or not RTCP. Of a packet that was captured in
    part, what is there is read."""
    senders: list[SenderReport] = []
    receptions: list[ReceptionReport] = []
    metrics: list[VoipMetrics] = []
    at = 0
    while at < size:
        if at + 8 > len(payload):
            if len(payload) < size and at >= 8:
                break
            return None
        first, kind, words, ssrc = struct.unpack_from("!BBHI", payload, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or kind not in _KINDS or end > size or words < 1:
            return None
        body = payload[at:end]
        if kind == SENDER and len(body) >= 28:
            (middle,) = struct.unpack_from("!I", body, 10)
            (packets,) = struct.unpack_from("!I", body, 20)
            senders.append(SenderReport(ssrc, middle, packets))
        if kind in (SENDER, RECEIVER):
            start = 28 if kind == SENDER else 8
            for number in range(first & 31):
                place = start + 24 * number
                if place + 24 > len(body):
                    break
                receptions.append(_reception(ssrc, body, place))
        elif kind == EXTENDED:
            metrics += _voip_metrics(body)
        at = end
    return Rtcp(tuple(senders), tuple(receptions), tuple(metrics))


def _reception(reporter: int, body: bytes, at: int) -> ReceptionReport:
    ssrc, losses, highest, jitter, last, delay = _BLOCK.unpack_from(body, at)
    lost = losses & 0xFFFFFF
    if lost >= 1 << 23:
        lost -= 1 << 24
    return ReceptionReport(reporter, ssrc, lost, highest, jitter, last, delay / 65536)


def _voip_metrics(body: bytes) -> list[VoipMetrics]:
    result = []
    at = 8
    while at + 4 <= len(body):
        kind, _, words = struct.unpack_from("!BBH", body, at)
        if kind == _VOIP_METRICS and words == _VOIP_WORDS and at + 36 <= len(body):
            ssrc, loss, discard, rtt_ms, mos = _VOIP.unpack_from(body, at + 4)
            result.append(
                VoipMetrics(ssrc, loss / 256, discard / 256, rtt_ms, _mos(mos))
            )
        at += 4 + 4 * words
    return result


def _mos(tenths: int) -> float | None:
    return tenths / 10 if 10 <= tenths <= 50 else None
