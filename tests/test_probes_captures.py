"""Recorded calls: our jitter and loss equal those of a reference dissector."""

import json

import pytest
from captures import Rtp, datagrams, read_rtp
from services import SHARED, corpus

from probes.measure.jitter import running

pytestmark = pytest.mark.corpus
# RFC 3551 section 6: clocks of the static payload types in the captures.
CLOCK_HZ = {"g711A": 8000, "g711U": 8000, "g729": 8000, "h263": 90_000}


def _streams():
    index = SHARED / "corpus" / "pcap" / "index.json"
    if not index.exists():
        return
    for capture in json.loads(index.read_text())["captures"]:
        for at, stream in enumerate(capture["rtp_streams_tshark"]):
            if not stream["tshark_problem"]:
                yield pytest.param(
                    capture["file"], stream, id=f"{capture['file']}-{at}"
                )


STREAMS = list(_streams())
# Streams whose clock the reference knew.
TIMED = [stream for stream in STREAMS if stream.values[1]["jitter_ms"] is not None]


def rtp_packets(file: str, stream) -> list[Rtp]:
    packets = [
        rtp
        for datagram in datagrams(corpus("pcap", file))
        if (datagram.source, datagram.target) == (stream["src"], stream["dst"])
        and (rtp := read_rtp(datagram)) is not None
        and rtp.ssrc == int(stream["ssrc"], 16)
    ]
    assert packets
    return packets


def extended(packets: list[Rtp]) -> list[int]:
    """Sequence numbers without roll-over: RFC 3550 appendix A.1."""
    numbers, highest = [], packets[0].sequence
    for packet in packets:
        number = highest + (packet.sequence - highest + 32768) % 65536 - 32768
        numbers.append(number)
        highest = max(highest, number)
    return numbers


@pytest.mark.parametrize(("file", "stream"), STREAMS)
def test_a_recorded_stream_has_the_packets_and_losses_of_the_reference(file, stream):
    packets = rtp_packets(file, stream)
    numbers = extended(packets)
    assert len(packets) == stream["packets"]
    expected = max(numbers) - min(numbers) + 1
    assert expected - len(set(numbers)) == stream["lost"]


@pytest.mark.parametrize(("file", "stream"), TIMED)
def test_a_recorded_stream_has_the_jitter_of_the_reference(file, stream):
    clock_hz = CLOCK_HZ[stream["payload"]]
    estimates = list(
        running(
            (packet.timestamp / clock_hz * 1e3, packet.at_s * 1e3)
            for packet in rtp_packets(file, stream)
        )
    )[1:]
    least, mean, most = stream["jitter_ms"]
    assert max(estimates) == pytest.approx(most, abs=2e-3)
    if stream["payload"] != "h263":
        # The reference counts the packets of one picture once; we count each (RFC
        # 3550).
        assert min(estimates) == pytest.approx(least, abs=2e-3)
        assert sum(estimates) / len(estimates) == pytest.approx(mean, abs=2e-3)
