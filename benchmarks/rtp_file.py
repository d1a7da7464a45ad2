"""Measures how fast captures are read: our decoder, scapy and tshark on the same file.

The capture is made here: G.711 calls in both directions with loss and jitter, 64 at a
time, 214 octets a packet. Every reader counts the packets of every stream; the figures
are in seconds of processor time (user and system) of its own process, so of one core.

    python -m benchmarks.rtp_file [--packets 400000]
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PACKETS = 400_000
# Scapy would take minutes for all.
_SCAPY_PACKETS = 10_000
_CALLS, _STEP_NS = 64, 20_000_000
_START_NS = 1_700_000_000_000_000_000
_SCAPY = """
import sys
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.rtp import RTP
from scapy.utils import RawPcapReader
counts = {}
for raw, _ in RawPcapReader(sys.argv[1]):
    packet = Ether(raw)
    rtp = RTP(bytes(packet[UDP].payload))
    key = packet[IP].src, packet[IP].dst, rtp.sourcesync
    counts[key] = counts.get(key, 0) + 1
print(len(counts), sum(counts.values()))
"""
_OURS = """
import resource, sys
from pathlib import Path
from collectors.rtp.capture_report import report_capture
report = report_capture(Path(sys.argv[1]))
kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(report.streams), sum(s.packets for s in report.streams), kb)
"""


def frame_of(call: int, number: int, back: bool) -> bytes:
    """A packet of one direction of a call."""
    near = struct.pack("!BBBB", 10, 1, call >> 8, call & 255)
    far = struct.pack("!BBBB", 10, 2, call >> 8, call & 255)
    source, target = (far, near) if back else (near, far)
    rtp = struct.pack(
        *("!BBHII", 0x80, 8, number & 0xFFFF, number * 160 & 0xFFFFFFFF),
        call * 2 + back,
    )
    ip = struct.pack("!BBHHHBBH", 0x45, 0xB8, 200, 0, 0, 64, 17, 0) + source + target
    udp = struct.pack("!HHHH", 20_000 + 2 * call, 30_000 + 2 * call, 180, 0)
    return bytes(12) + b"\x08\x00" + ip + udp + rtp + b"\xd5" * 160


def write_calls(path: Path, packets: int) -> None:
    """Writes a capture of calls with 1 % of the packets lost and some jitter."""
    chance = random.Random(1)
    written = number = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        while written < packets:
            for call in range(_CALLS):
                for back in (False, True):
                    if chance.random() < 0.01:
                        continue
                    at_ns = _START_NS + number * _STEP_NS + call * 100_000
                    at_ns += chance.randrange(50_000)
                    frame = frame_of(call, number, back)
                    seconds, rest = divmod(at_ns, 1_000_000_000)
                    sizes = len(frame), len(frame)
                    head = struct.pack("<IIII", seconds, rest // 1000, *sizes)
                    file.write(head + frame)
                    written += 1
            number += 1


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """The figures by name; names end in their unit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--packets", type=int, default=_PACKETS)
    packets = parser.parse_args(options).packets
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path, short = Path(folder, "calls.pcap"), Path(folder, "short.pcap")
        write_calls(path, packets)
        write_calls(short, _SCAPY_PACKETS)
        figures["capture_bytes"] = path.stat().st_size
        python = [sys.executable, "-c"]
        cpu_s, output = _cpu_s([*python, _OURS, str(path)])
        streams, counted, kilobytes = map(int, output.split())
        figures |= {"ours_streams": streams, "ours_packets": counted}
        figures["ours_packets_per_cpu_s"] = round(counted / cpu_s)
        figures["ours_rss_mb"] = round(kilobytes / 1024, 1)
        try:
            cpu_s, output = _cpu_s([*python, _SCAPY, str(short)])
        except subprocess.CalledProcessError:
            figures["scapy"] = "not installed"
        else:
            counted = int(output.split()[1])
            figures["scapy_packets_per_cpu_s"] = round(counted / cpu_s)
        figures |= _tshark(path)
    for name, value in figures.items():
        print(
            f"{name:32} {value:>14,}" if isinstance(value, int) else f"{name} {value}"
        )
    return figures


def _tshark(path: Path) -> dict[str, Any]:
    """The peer, if it is installed."""
    program = shutil.which("tshark")
    if program is None:
        return {"tshark": "not installed"}
    arguments = ["-r", str(path), "-q", "-z", "rtp,streams"]
    heuristic = ["--enable-heuristic", "rtp_udp"]
    cpu_s, output = _cpu_s([program, *heuristic, *arguments])
    lines = [line for line in output.splitlines() if "0x" in line]
    counted = sum(int(line.split("0x")[1].split()[2]) for line in lines)
    return {
        "tshark_streams": len(lines),
        "tshark_packets": counted,
        "tshark_packets_per_cpu_s": round(counted / cpu_s),
    }


def _cpu_s(command: Sequence[str]) -> tuple[float, str]:
    """The processor time of a process, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user_s = after.ru_utime - before.ru_utime
    return user_s + after.ru_stime - before.ru_stime, output


if __name__ == "__main__":
    run(sys.argv[1:])
