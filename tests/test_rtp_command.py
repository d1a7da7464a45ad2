"""`towpath rtp FILE`: a table that fits 80 columns, and JSON."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import subprocess
import sys

import pytest
from rich.console import Console
from rtp_captures import (
    STEP_NS,
    call_frame,
    call_frames,
    ethernet,
    ipv4,
    pcap,
    udp,
    write_capture,
)
from typer.testing import CliRunner

from collectors.rtp import frame_dissector
from collectors.rtp.capture_report import report_capture
from collectors.rtp.rtp_table import stream_remarks, stream_table
from towpath.cli import app

WITHOUT_SCAPY = importlib.util.find_spec("scapy") is None


def run(*arguments):
    return CliRunner().invoke(app, ["rtp", *map(str, arguments)])


@pytest.fixture
def lossy(tmp_path):
    frames = [*range(100), *range(104, 300)]
    return write_capture(tmp_path / "call.pcap", call_frames(frames))


def test_the_table_fits_80_columns_and_names_what_is_wrong(lossy):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(stream_table(report_capture(lossy).streams))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "192.0.2.10:4000" in text
    assert "PCMA" in text
    assert "1.3%" in text
    assert "EF" in text
    assert "losses in bursts of 80 ms (100% lost in them)" in text


def test_single_losses_far_from_one_another_are_no_burst(tmp_path):
    lost = {50, 150, 250}
    path = write_capture(
        tmp_path / "call.pcap", call_frames(n for n in range(300) if n not in lost)
    )
    (stream,) = report_capture(path).streams
    assert (stream.burst_ms, stream.burst_density_ratio, stream.gap_ms) == (0, 0, 6000)
    assert stream.gap_density_ratio == stream.loss_ratio == 0.01
    assert "bursts" not in "".join(stream_remarks(stream))


def test_json_has_all_figures_of_each_stream(lossy):
    result = run(lossy, "--json")
    assert result.exit_code == 0
    (stream,) = json.loads(result.stdout)["streams"]
    assert (stream["received"], stream["lost"], stream["dscp"]) == (296, 4, {"46": 296})
    assert stream["mos_estimated"] < 4.4


def test_a_capture_without_rtp_says_so(tmp_path):
    path = write_capture(tmp_path / "none.pcap", call_frames(range(3)))
    result = run(path)
    assert (result.exit_code, result.stdout) == (0, "no RTP streams in 3 frames\n")


def test_a_file_that_is_no_capture_is_one_sentence(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    result = run(path)
    assert result.exit_code == 1
    assert result.stderr == f"{path} is not a capture (pcap or pcapng)\n"


def test_a_capture_comes_by_the_standard_input(lossy):
    result = CliRunner().invoke(app, ["rtp", "-", "--json"], lossy.read_bytes())
    report = json.loads(result.stdout)
    assert (report["file"], report["streams"][0]["lost"]) == ("standard input", 4)


def test_a_type_of_link_that_nobody_reads_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_dissector, "has_scapy", lambda: False)
    path = tmp_path / "wifi.pcap"
    path.write_bytes(pcap(call_frames(range(3)), link=105))
    assert report_capture(path).remarks[0] == (
        "frames of the link type 105 (105 and 127 are Wi-Fi) are read by scapy only"
    )


def tunnelled(packets: int) -> list[tuple[int, bytes]]:
    """A call in a mobile network's tunnel (GTP-U), which our own decoder does not
    read."""
    frames = []
    for n in range(packets):
        packet = call_frame(n)[14:]
        tunnel = struct.pack("!BBHI", 0x30, 255, len(packet), 7) + packet
        frames.append((n * STEP_NS, ethernet(ipv4(udp(tunnel, 2152, 2152)))))
    return frames


@pytest.mark.skipif(WITHOUT_SCAPY, reason="the extra capture is not installed")
def test_scapy_reads_what_our_own_decoder_does_not(tmp_path, monkeypatch):
    # Modules beside the capture are not run.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base64.py").write_text("raise SystemExit")
    report = report_capture(write_capture(tmp_path / "gtp.pcap", tunnelled(6)))
    (stream,) = report.streams
    assert (stream.source, stream.packets, stream.payload) == ("192.0.2.10", 6, "PCMA")
    assert report.remarks == []


def test_without_scapy_one_sentence_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_dissector, "has_scapy", lambda: False)
    path = tmp_path / "gtp.pcap"
    path.write_bytes(pcap(tunnelled(6)))
    assert report_capture(path).remarks == [
        "6 frames of unknown encapsulation were not read: pip install "
        "'towpath[capture]' installs scapy, which reads more kinds"
    ]


def test_reading_a_capture_imports_neither_scapy_nor_the_package_that_does(lossy):
    code = (
        "import sys; from pathlib import Path\n"
        "from collectors.rtp.capture_report import report_capture\n"
        f"assert report_capture(Path({str(lossy)!r})).streams\n"
        "assert not {'scapy', 'capture'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
