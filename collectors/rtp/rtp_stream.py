"""Follows one RTP stream packet by packet, in a few hundred bytes. Pure."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import NamedTuple

from collectors.rtp.rtp_codecs import CLOCKS_HZ
from probes.wire.bursts import BurstCounts

# A packet may come this many packets late and is still put in its place.
_WINDOW = 256
_FULL = (1 << _WINDOW) - 1
_OLDEST = _WINDOW - 1
# RFC 3550 appendix A.1: a jump that is larger is a restart, if the next one follows it.
_MOST_DROPOUT, _MOST_MISORDER = 3000, 100
_SAMPLE = 64
_LEAST_FOR_CLOCK, _LEAST_CLOCK_MS = 8, 100
_CLOCK_TOLERANCE = 0.15
_FRAME_MS = 20.0
VIDEO_HZ = 90_000
# Payload types that are counted apart; of speech, tones and noise there are three.
MOST_FORMATS = 16
# No network delays by as much: the timestamps were set anew.
_JUMP_MS = 10_000
# How fast the usual transit follows a drift of the clocks; a packet is late by it.
_TRANSIT_SHARE = 1 / 64


class StreamKey(NamedTuple):
    """What RFC 3550 tells streams apart by: the sender's SSRC and the transport."""

    source: bytes
    source_port: int
    target: bytes
    target_port: int
    ssrc: int


class RtpStream:
    """`add` each packet in order of arrival; then read the counts.

    `received` counts each packet of the stream once, `duplicates` the others. A packet
    that comes after a later one is `reordered`, not lost. Without `hz` the clock is
    estimated from the first packets. `clocks`: those of payload types that are known,
    as the codec may change in a call.
    """

    __slots__ = (
        *("_at_ns", "_bits", "_bits_used", "_expect", "_highest", "_kind"),
        *("_last_at_ns", "_last_stamp", "_sample", "_transit_ms", "bursts", "clocks"),
        *("delta_max_ms", "dscps", "duplicates", "first_ns", "formats", "hz"),
        *("hz_estimated", "jitter_ms", "jitter_max_ms", "jitter_samples"),
        *("jitter_sum_ms", "key", "last_ns", "late", "packets", "reordered"),
        *("restarts", "step"),
    )

    def __init__(self, key: StreamKey, hz: int = 0) -> None:
        self.key, self.hz, self.hz_estimated = key, hz, False
        self.bursts = BurstCounts()
        self.packets = self.duplicates = self.reordered = self.restarts = 0
        self.late = 0
        self.jitter_ms = self.jitter_max_ms = self.jitter_sum_ms = 0.0
        self.jitter_samples = 0
        self.delta_max_ms = 0.0
        self.dscps: dict[int, int] = {}
        self.formats: dict[int, int] = {}
        self.clocks: dict[int, int] = {}
        self._kind = -1
        # Ticks of the clock between two packets; 0 until the sample is full.
        self.step = 0
        self.first_ns = self.last_ns = self._at_ns = 0
        # The last packets, newest first: bit n is 1 if the nth before the newest came.
        self._bits = self._bits_used = 0
        self._highest = 0
        self._expect: int | None = None
        self._last_at_ns = self._last_stamp = 0
        self._transit_ms = 0.0
        # Time, timestamp and sequence number of the first packets, one after the other:
        # tuples would take seven times the memory, and anybody can begin streams.
        self._sample: array[int] | None = array("q")

    @property
    def received(self) -> int:
        """Packets that arrived, each once."""
        settled = self.bursts.packets - self.bursts.losses
        return settled + self._bits.bit_count()

    @property
    def expected(self) -> int:
        """Packets from the first to the last sequence number."""
        return self.bursts.packets + self._bits_used

    def add(
        self, at_ns: int, kind: int, sequence: int, stamp: int, dscp: int, marker: bool
    ) -> None:
        """Counts one packet."""
        self.packets += 1
        self.dscps[dscp] = self.dscps.get(dscp, 0) + 1
        if kind in self.formats:
            self.formats[kind] += 1
        elif len(self.formats) < MOST_FORMATS:
            self.formats[kind] = 1
        if self.packets == 1:
            self.first_ns = self.last_ns = self._at_ns = self._last_at_ns = at_ns
            self._highest, self._last_stamp, self._kind = sequence, stamp, kind
            self._bits = self._bits_used = 1
            self._sample = array("q", (at_ns, stamp, sequence))
            return
        delta_ms = (at_ns - self._at_ns) / 1e6
        if delta_ms > self.delta_max_ms:
            self.delta_max_ms = delta_ms
        self._at_ns = at_ns
        if at_ns > self.last_ns:
            self.last_ns = at_ns
        if self._place(sequence):
            return
        if kind != self._kind:
            self._kind = kind
            if self.clocks.get(kind, self.hz) != self.hz:
                self._change_clock(at_ns, stamp, self.clocks[kind])
                return
        if self._sample is not None:
            self._sample.extend((at_ns, stamp, sequence))
            if len(self._sample) >= 3 * _SAMPLE:
                self.use_sample()
        elif self.hz:
            self._time(at_ns, stamp, marker)

    def _place(self, sequence: int) -> bool:
        """Puts the packet in its place; true if it is a duplicate, or ignored."""
        ahead = sequence - self._highest & 0xFFFF
        if ahead == 1:
            self._highest = sequence
            self._shift(1)
            self._expect = None
            return False
        if ahead == 0:
            self.duplicates += 1
            return True
        if ahead < _MOST_DROPOUT:
            self._highest = sequence
            for _ in range(ahead - 1):
                self._shift(0)
            self._shift(1)
            return False
        behind = 0x10000 - ahead
        if behind < self._bits_used:
            bit = 1 << behind
            if self._bits & bit:
                self.duplicates += 1
                return True
            self._bits |= bit
            self.reordered += 1
            return False
        if behind <= _MOST_MISORDER and not self.bursts.packets:
            # The first packets came out of order: the stream began earlier.
            self._bits_used = behind + 1
            self._bits |= 1 << behind
            self.reordered += 1
            return False
        if self._expect != sequence:
            # Too far away: a stray packet, unless the next one follows it.
            self._expect = sequence + 1 & 0xFFFF
            return True
        self.flush()
        self.restarts += 1
        self._expect = None
        self._highest = sequence
        # With the packet that announced the restart.
        self._bits, self._bits_used = 3, 2
        return False

    def _change_clock(self, at_ns: int, stamp: int, hz: int) -> None:
        """From a codec to one with another clock: RFC 7160."""
        self.use_sample()
        self.hz, self._last_at_ns, self._last_stamp = hz, at_ns, stamp
        self._transit_ms = 0.0

    def _shift(self, came: int) -> None:
        if self._bits_used < _WINDOW:
            self._bits_used += 1
            self._bits = self._bits << 1 | came
            return
        if self._bits >> _OLDEST:
            self.bursts.receive()
        else:
            self.bursts.lose()
        self._bits = (self._bits << 1 | came) & _FULL

    def flush(self) -> None:
        """Settles the packets that might still have come late."""
        for at in range(self._bits_used - 1, -1, -1):
            if self._bits >> at & 1:
                self.bursts.receive()
            else:
                self.bursts.lose()
        self._bits = self._bits_used = 0

    def _time(self, at_ns: int, stamp: int, begins: bool = False) -> None:
        """RFC 3550 section 6.4.1, of each packet. The packets of one tone (RFC 4733)
        all have its first timestamp: when they are sent is not jitter; one counts.
        Speech `begins` with a marked packet (RFC 3551 section 4.1), perhaps from
        another source with other timestamps: the receiver sets its buffer anew."""
        ticks = stamp - self._last_stamp & 0xFFFFFFFF
        if not ticks and self.hz != VIDEO_HZ:
            return
        if ticks >= 1 << 31:
            ticks -= 1 << 32
        passed_ms = (at_ns - self._last_at_ns) / 1e6
        change_ms = passed_ms - ticks * 1000 / self.hz
        self._last_at_ns, self._last_stamp = at_ns, stamp
        if abs(change_ms) > _JUMP_MS:
            return
        # How much later than usual it came: more than the buffer that is assumed for
        # the estimated MOS means that it could not be played.
        transit_ms = self._transit_ms + change_ms
        if begins and self.hz != VIDEO_HZ:
            transit_ms = 0.0
        self.late += transit_ms > 2 * self.jitter_ms + _FRAME_MS
        self._transit_ms = transit_ms * (1 - _TRANSIT_SHARE)
        self.jitter_ms += (abs(change_ms) - self.jitter_ms) / 16
        self.jitter_max_ms = max(self.jitter_max_ms, self.jitter_ms)
        self.jitter_sum_ms += self.jitter_ms
        self.jitter_samples += 1

    def use_sample(self) -> None:
        """Finds frame length and, if not known, clock from the first packets; then
        reckons their jitter. Also when a stream ends before the sample is full."""
        cells, self._sample = self._sample, None
        if not cells:
            return
        sample = list(zip(cells[::3], cells[1::3], cells[2::3], strict=True))
        steps: dict[int, int] = {}
        for before, after in pairwise(sample):
            step = after[1] - before[1] & 0xFFFFFFFF
            if after[2] - before[2] & 0xFFFF == 1 and 0 < step < 1 << 20:
                steps[step] = steps.get(step, 0) + 1
        if steps:
            self.step = max(steps, key=lambda step: (steps[step], -step))
        if not self.hz:
            self.hz = estimate_clock(sample)
            self.hz_estimated = self.hz > 0
        if self.hz:
            for at_ns, stamp, _ in sample[1:]:
                self._time(at_ns, stamp)


def estimate_clock(sample: list[tuple[int, int, int]]) -> int:
    """The clock in Hz of packets (time in ns, timestamp, sequence number); 0 if none
    that is in use fits."""
    passed_ms = (sample[-1][0] - sample[0][0]) / 1e6
    if len(sample) < _LEAST_FOR_CLOCK or passed_ms < _LEAST_CLOCK_MS:
        return 0
    ticks = 0
    for before, after in pairwise(sample):
        step = after[1] - before[1] & 0xFFFFFFFF
        ticks += step - (1 << 32) if step >= 1 << 31 else step
    measured = ticks * 1000 / passed_ms
    nearest = min(CLOCKS_HZ, key=lambda hz: abs(hz - measured))
    return nearest if abs(nearest - measured) <= _CLOCK_TOLERANCE * nearest else 0
