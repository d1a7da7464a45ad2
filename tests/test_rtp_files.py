"""Captures of every kind are read, also those cut in the middle."""

from __future__ import annotations

import contextlib
import gzip
import random

import pytest
from rtp_captures import (
    STEP_NS,
    call_frames,
    ethernet,
    ipv4,
    pcap,
    pcapng,
    rtp,
    udp,
)

from collectors.rtp.capture_file import CaptureFile, NotACapture
from collectors.rtp.capture_report import report_capture

FRAMES = call_frames(range(10))
KINDS = {
    "pcap": pcap(FRAMES),
    "pcap, big end first": pcap(FRAMES, order=">"),
    "pcap in ns": pcap(FRAMES, nanoseconds=True),
    "pcapng": pcapng(FRAMES),
    "pcapng, big end first": pcapng(FRAMES, order=">"),
    "gzip": gzip.compress(pcap(FRAMES)),
}


def read(path, data):
    path.write_bytes(data)
    file = CaptureFile(path)
    return file, [(frame.at_ns, frame.data) for frame in file]


def test_of_too_many_streams_the_longest_are_listed_and_the_others_counted(tmp_path):
    lengths = [6, 40, 7, 30, 8, 9, 10, 5]
    frames = [
        (n * STEP_NS, ethernet(ipv4(udp(rtp(n, ssrc=ssrc)))))
        for ssrc, length in enumerate(lengths)
        for n in range(length)
    ]
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap(sorted(frames)))
    report = report_capture(path, most_streams=2)
    assert sorted(stream.packets for stream in report.streams) == [30, 40]
    assert report.remarks == [
        "6 streams are not listed: there are too many, and these are the shortest"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_and_their_times_are_read_from(kind, tmp_path):
    file, frames = read(tmp_path / "capture", KINDS[kind])
    assert frames == FRAMES
    assert file.ended_early == ""


@pytest.mark.parametrize("kind", ["pcap", "pcapng", "gzip"])
def test_a_capture_cut_anywhere_gives_the_frames_before_the_cut(kind, tmp_path):
    data = KINDS[kind]
    for cut in range(8, len(data), 41):
        file, frames = read(tmp_path / "capture", data[:cut])
        assert frames == FRAMES[: len(frames)]
        if kind != "gzip" and len(frames) == len(FRAMES):
            pytest.fail("all frames, of a file that was cut")
        # A cut between two frames cannot be seen.
        assert file.ended_early or kind != "gzip"


@pytest.mark.parametrize("kind", ["pcap", "pcapng", "gzip"])
def test_a_damaged_capture_raises_nothing(kind, tmp_path):
    chance = random.Random(5)
    for _ in range(150):
        data = bytearray(KINDS[kind])
        for _ in range(3):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        (tmp_path / "capture").write_bytes(data)
        # The first bytes may no longer be those of a capture.
        with contextlib.suppress(NotACapture):
            report_capture(tmp_path / "capture")


def test_a_frame_of_an_unlikely_length_is_damage_and_is_not_read(tmp_path):
    data = bytearray(pcap(FRAMES))
    data[24 + 8 : 24 + 12] = b"\xff\xff\xff\x7f"
    file, frames = read(tmp_path / "capture", bytes(data))
    assert frames == []
    assert file.ended_early == "the file is damaged: a frame has an unlikely length"


def test_a_frame_of_an_impossible_time_is_left_out_and_counted(tmp_path):
    data = bytearray(pcapng(call_frames(range(20))))
    # The upper half of the last frame's time.
    at = data.rindex(b"\6\0\0\0") + 12
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path = tmp_path / "damaged.pcapng"
    path.write_bytes(data)
    report = report_capture(path)
    assert report.remarks == ["1 frame has an impossible time: left out"]
    assert report.streams[0].received == 19


def test_another_file_is_not_a_capture(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("this is text")
    with pytest.raises(NotACapture, match="is not a capture"):
        list(CaptureFile(path))


def test_the_report_of_a_cut_capture_says_so(tmp_path):
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap(call_frames(range(100)))[:-9])
    report = report_capture(path)
    assert report.remarks == [
        "the file ends in the middle of a frame; what comes before it is reported"
    ]
    assert report.streams[0].received == 99
    assert report.duration_ms == 98 * STEP_NS // 1_000_000


def test_a_clock_that_was_set_back_and_headers_that_are_missing_are_said(tmp_path):
    path = tmp_path / "back.pcap"
    late = call_frames(range(60, 120), FRAMES[0][0] - 3_600_000_000_000)
    short = [(at_ns, frame[:50]) for at_ns, frame in call_frames(range(120, 130))]
    data = pcap([*call_frames(range(60)), *late, *short])
    path.write_bytes(data)
    report = report_capture(path)
    assert report.remarks == [
        "10 packets were captured too short for the header of RTP: capture with a "
        "larger snap length (tcpdump -s 0)",
        "the clock of the capture was set back (1 time in all): durations and jitter "
        "are uncertain",
    ]
    (stream,) = report.streams
    assert (stream.received, stream.lost, stream.duration_ms) == (120, 0, 1180)
    assert stream.jitter_ms == 0


def test_usual_packets_are_read_at_once_with_the_figures_of_all_others(tmp_path):
    chance = random.Random(11)
    plain, tagged = [], []
    for n in range(2000):
        if chance.random() < 0.05:
            continue
        at_ns = FRAMES[0][0] + n * STEP_NS + chance.randrange(30_000_000)
        kind = 13 if n % 300 == 0 else 8
        packet = ipv4(udp(rtp(n, kind=kind)), dscp=46 if n < 1000 else 0)
        plain.append((at_ns, ethernet(packet)))
        tagged.append((at_ns, ethernet(packet, 0, (0x8100, 7))))
    reports = []
    for name, frames in (("plain", plain), ("tagged", tagged)):
        path = tmp_path / name
        path.write_bytes(pcap(sorted(frames)))
        reports.append(report_capture(path))
    at_once, decoded = reports
    assert at_once.streams == decoded.streams
    assert at_once.frames == decoded.frames
    assert at_once.datagrams == decoded.datagrams
