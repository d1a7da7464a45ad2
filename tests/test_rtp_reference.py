"""RTP streams of captures have the figures of a reference dissector within 1 %."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rtp_captures import (
    STEP_NS,
    STEP_TICKS,
    call_frame,
    ethernet,
    ipv6,
    rtp,
    udp,
    write_capture,
)
from services import SHARED, corpus, program

from collectors.rtp.capture_report import report_capture

INDEX = SHARED / "corpus" / "pcap" / "index.json"
CAPTURES = json.loads(INDEX.read_text())["captures"] if INDEX.exists() else []
WITHOUT_SCAPY = importlib.util.find_spec("scapy") is None
STREAMS = [capture for capture in CAPTURES if capture["rtp_streams_tshark"]]


def by_key(report):
    return {
        (
            f"{stream.source}:{stream.source_port}",
            f"{stream.target}:{stream.target_port}",
            stream.ssrc,
        ): stream
        for stream in report.streams
    }


def tshark_streams(path):
    """Packets, lost, largest delta, mean and largest jitter by SSRC."""
    heuristics = ["--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtp_stun"]
    command = [program("tshark"), "-r", path, *heuristics, "-q", "-z", "rtp,streams"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    streams = {}
    for line in text.splitlines():
        match = re.search(r"(0x[0-9A-F]{8}) .+? (\d+) +(-?\d+) \(", line)
        if match is not None:
            figures = [float(f) for f in re.findall(r"-?\d+\.\d{3}\b", line[100:])]
            streams[match[1]] = (
                *(int(match[2]), int(match[3]), figures[-4]),
                *figures[-2:],
            )
    return streams


@pytest.mark.corpus
@pytest.mark.parametrize("capture", STREAMS or [None], ids=lambda c: c and c["file"])
def test_a_recorded_capture_has_the_streams_of_the_reference(capture):
    if capture is None:
        corpus("pcap")
    ours = by_key(report_capture(corpus("pcap", capture["file"])))
    theirs = {
        (stream["src"], stream["dst"], stream["ssrc"]): stream
        for stream in capture["rtp_streams_tshark"]
    }
    assert set(ours) <= set(theirs)
    for key, stream in theirs.items():
        # The reference counts repeated sequence numbers of such streams as problems.
        if stream["tshark_problem"]:
            continue
        assert ours[key].packets == stream["packets"]
        assert ours[key].lost == stream["lost"]
        if stream["jitter_ms"] is not None:
            _, mean, most = stream["jitter_ms"]
            assert ours[key].jitter_max_ms == pytest.approx(most, rel=0.01)
            # Of video it leaves packets out of the mean, but not of the jitter.
            if not ours[key].is_video:
                assert ours[key].jitter_ms == pytest.approx(mean, rel=0.01)


@pytest.mark.corpus
def test_captures_without_rtp_have_no_streams():
    if not CAPTURES:
        corpus("pcap")
    for capture in CAPTURES:
        if not capture["rtp_streams_tshark"] and capture["bytes"] < 100_000:
            assert report_capture(corpus("pcap", capture["file"])).streams == []


@pytest.mark.service
def test_a_lossy_reordered_capture_has_the_figures_of_tshark(tmp_path):
    program("tshark")
    chance = random.Random(7)
    frames = []
    for n in range(1500):
        at_ns = 1_700_000_000_000_000_000 + n * STEP_NS + chance.randrange(12_000_000)
        # Across the wrap of the sequence numbers.
        if chance.random() > 0.03:
            frames.append((at_ns, call_frame(65_000 + n, stamp=n * STEP_TICKS)))
        if not 500 < n < 540:
            sound = rtp(n, stamp=n * STEP_TICKS, ssrc=0x99, kind=0, size=160)
            packet = ipv6(udp(sound, 7000, 7002), "2001:db8::1", "2001:db8:1::2")
            frames.append((at_ns + 5000, ethernet(packet, 0, (0x88A8, 5), (0x8100, 9))))
    frames.sort()
    # Every twentieth packet is overtaken.
    for at in range(100, len(frames) - 4, 20):
        frames[at], frames[at + 2] = (
            (frames[at][0], frames[at + 2][1]),
            (frames[at + 2][0], frames[at][1]),
        )
    path = write_capture(tmp_path / "call.pcap", frames)
    ours = {stream.ssrc: stream for stream in report_capture(path).streams}
    theirs = tshark_streams(path)
    for ssrc, (packets, lost, delta_ms, mean_ms, most_ms) in theirs.items():
        stream = ours[ssrc]
        assert stream.packets == packets
        assert stream.lost == lost > 0
        assert stream.delta_max_ms == pytest.approx(delta_ms, rel=0.01)
        assert stream.jitter_ms == pytest.approx(mean_ms, rel=0.01)
        assert stream.jitter_max_ms == pytest.approx(most_ms, rel=0.01)
    assert set(theirs) == set(ours) == {"0x00001234", "0x00000099"}


@pytest.mark.service
@pytest.mark.skipif(WITHOUT_SCAPY, reason="the extra capture is not installed")
def test_every_encapsulation_that_scapy_builds_has_the_figures_of_tshark(tmp_path):
    program("tshark")
    path = tmp_path / "all.pcap"
    build = [sys.executable, Path(__file__).with_name("scapy_captures.py"), path]
    built = subprocess.run(build, capture_output=True, text=True, check=True).stdout
    report = report_capture(path)
    ours = {stream.ssrc: stream for stream in report.streams}
    theirs = tshark_streams(path)
    for ssrc, name in json.loads(built).items():
        packets, lost, delta_ms, mean_ms, most_ms = theirs[ssrc]
        stream = ours[ssrc]
        assert (name, stream.packets, stream.lost) == (name, packets, lost)
        assert stream.delta_max_ms == pytest.approx(delta_ms, rel=0.01), name
        # It knows the clock of static types only.
        if most_ms:
            assert stream.jitter_ms == pytest.approx(mean_ms, rel=0.01), name
            assert stream.jitter_max_ms == pytest.approx(most_ms, rel=0.01), name
    assert len(theirs) == len(ours) == 30
    assert report.remarks == []
