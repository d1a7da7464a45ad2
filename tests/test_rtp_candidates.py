"""A stream is known by packets in sequence, also if each came twice or overtaken."""

from __future__ import annotations

import pytest
from rtp_captures import STEP_TICKS

from collectors.rtp.rtp_header import RtpHeader
from collectors.rtp.stream_candidates import EarlyPacket, StreamCandidates


def packets_of(sequences):
    """What has become of the packets: those of the stream, or none."""
    candidates = StreamCandidates[int](10)
    for n in sequences:
        header = RtpHeader(8, False, n & 0xFFFF, n * STEP_TICKS & 0xFFFFFFFF, 1)
        packets = candidates.put(1, EarlyPacket(0, header, 46))
        if packets is not None:
            return [packet.header.sequence for packet in packets]
    assert len(candidates) == 1
    assert all(len(packets) <= 20 for packets in candidates._packets.values())
    return None


@pytest.mark.parametrize(
    "sequences",
    [
        (1, 2, 3, 4, 5),
        # Mirrored on its way in and out.
        (1, 1, 2, 2, 3, 3, 4, 4, 5),
        (2, 1, 3, 5, 4),
        (65_535, 65_536, 65_537, 65_538, 65_539),
    ],
)
def test_all_packets_are_of_the_stream_from_the_first(sequences):
    assert packets_of(sequences) == [n & 0xFFFF for n in sequences]


@pytest.mark.parametrize(
    "sequences", [(1, 2, 3, 4), [7] * 100, range(0, 3000, 100), [1, 2, 3, 4] * 20]
)
def test_what_repeats_itself_or_leaps_is_no_stream(sequences):
    assert packets_of(sequences) is None
