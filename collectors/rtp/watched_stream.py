"""A stream with what SDP and RTCP say of it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from collectors.rtp.rtcp_packets import VoipMetrics
from collectors.rtp.rtp_codecs import PayloadFormat, is_event
from collectors.rtp.rtp_stream import RtpStream
from collectors.rtp.sip_messages import SdpMedia, format_of

# A call is not put on hold more often; then the last time on hold goes on.
_MOST_HOLDS = 64
# RFC 3264 section 8.4: a party on hold may send and need not listen, or the reverse.
_SENDS_NOTHING = {"recvonly", "inactive"}
_AWAITS_NOTHING = {"sendonly", "inactive"}


def sends_nothing(media: SdpMedia) -> bool:
    """Whether the party that awaits this medium does not send it."""
    return media.direction in _SENDS_NOTHING


def awaits_nothing(media: SdpMedia) -> bool:
    """Whether the party does not listen for now."""
    return media.direction in _AWAITS_NOTHING


def on_hold(media: SdpMedia) -> SdpMedia:
    """The medium of a party that has just said that it awaits nothing."""
    return media._replace(direction="sendonly")


class AwaitedMedia(NamedTuple):
    """A medium that a party awaits, in which call."""

    call: int
    media: SdpMedia


class WatchedStream:
    """`announce` what the SDP of either end says, `use_format` each payload type."""

    __slots__ = (
        *("_hold_since_ns", "_holds", "_quiet", "awaited", "call"),
        *("formats", "metrics", "middles", "missed_before", "reported_jitter_ticks"),
        *("reported_lost", "rtt_ms", "stream"),
    )

    def __init__(self, stream: RtpStream) -> None:
        self.stream = stream
        self.awaited: AwaitedMedia | None = None
        self.call: int | None = None
        # What payload types have meant in it, by SDP or the static types.
        self.formats: dict[int, PayloadFormat] = {}
        self.metrics: VoipMetrics | None = None
        # When this stream's sender reports passed, by their middle 32 bits.
        self.middles: dict[int, int] = {}
        self.missed_before: int | None = None
        self.reported_lost: int | None = None
        self.reported_jitter_ticks: int | None = None
        self.rtt_ms: float | None = None
        self._holds: list[tuple[int, int]] = []
        self._hold_since_ns = 0
        # Which of its ends has said that nothing will come back.
        self._quiet: set[str] = set()

    @property
    def codecs(self) -> list[PayloadFormat]:
        """What was sent but tones and noise, the most frequent first; if there was
        nothing else, these."""
        counts = self.stream.formats
        kinds = sorted(self.formats, key=lambda kind: -counts.get(kind, 0))
        formats = [self.formats[kind] for kind in kinds]
        return [f for f in formats if not is_event(f.name)] or formats

    def use_format(self, kind: int) -> None:
        """Finds what a payload type means, when its first packet comes: the clock of
        what is no tone or noise is the stream's from then on."""
        format_ = format_of(kind, self.awaited.media if self.awaited else None)
        self.formats[kind] = format_
        if format_.hz and not self.stream.hz_estimated:
            if not is_event(format_.name):
                self.stream.clocks[kind] = format_.hz
            self.stream.hz = self.stream.hz or format_.hz

    def announce(self, awaited: AwaitedMedia, at_ns: int) -> None:
        """What the receiving end says that it awaits, also if packets came before."""
        kinds = self.stream.formats
        if kinds and not any(kind in awaited.media.formats for kind in kinds):
            return
        self.awaited = awaited
        self.call = awaited.call
        for kind in kinds:
            if not self.formats[kind].name:
                self.use_format(kind)
        self._note_quiet("target", sends_nothing(awaited.media), at_ns)

    def announce_sender(self, media: SdpMedia, at_ns: int) -> None:
        """What the sending end says of the other direction."""
        self._note_quiet("source", awaits_nothing(media), at_ns)

    def _note_quiet(self, end: str, is_quiet: bool, at_ns: int) -> None:
        before = bool(self._quiet)
        (self._quiet.add if is_quiet else self._quiet.discard)(end)
        if self._quiet and not before:
            self._hold_since_ns = at_ns
        elif before and not self._quiet and len(self._holds) < _MOST_HOLDS:
            self._holds.append((self._hold_since_ns, at_ns))

    def holds(self) -> list[tuple[int, int]]:
        """When nothing was to come back, in ns."""
        if not self._quiet:
            return self._holds
        return [*self._holds, (self._hold_since_ns, self.stream.last_ns)]
