"""Recorded calls: our jitter and loss are what the reference's dissector found."""

import json

import pytest
from captures import Rtp, datagrams, read_rtp
from services import SHARED, corpus

from probes.measure.jitter import running

pytestmark = pytest.mark.corpus
# RFC 3551 section 6: the clock of the static payload types that occur.
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
# Those of which the reference knew the clock.
TIMED = [each for each in STREAMS if each.values[1]["jitter_ms"] is not None]


def of(file: str, stream) -> list[Rtp]:
    found = [
        rtp
        for each in datagrams(corpus("pcap", file))
        if (each.source, each.target) == (stream["src"], stream["dst"])
        and (rtp := read_rtp(each)) is not None
        and rtp.ssrc == int(stream["ssrc"], 16)
    ]
    assert found
    return found


def extended(packets: list[Rtp]) -> list[int]:
    """Sequence numbers without their roll-over: RFC 3550 appendix A.1."""
    numbers, highest = [], packets[0].sequence
    for each in packets:
        number = highest + (each.sequence - highest + 32768) % 65536 - 32768
        numbers.append(number)
        highest = max(highest, number)
    return numbers


@pytest.mark.parametrize(("file", "stream"), STREAMS)
def test_a_recorded_stream_has_the_packets_and_losses_of_the_reference(file, stream):
    packets = of(file, stream)
    numbers = extended(packets)
    assert len(packets) == stream["packets"]
    expected = max(numbers) - min(numbers) + 1
    assert expected - len(set(numbers)) == stream["lost"]


@pytest.mark.parametrize(("file", "stream"), TIMED)
def test_a_recorded_stream_has_the_jitter_of_the_reference(file, stream):
    clock_hz = CLOCK_HZ[stream["payload"]]
    found = list(
        running(
            (each.timestamp / clock_hz * 1e3, each.at_s * 1e3)
            for each in of(file, stream)
        )
    )[1:]
    least, mean, most = stream["jitter_ms"]
    assert max(found) == pytest.approx(most, abs=2e-3)
    if stream["payload"] != "h263":
        # Several packets of one picture count once there, and apart here (RFC 3550).
        assert min(found) == pytest.approx(least, abs=2e-3)
        assert sum(found) / len(found) == pytest.approx(mean, abs=2e-3)
