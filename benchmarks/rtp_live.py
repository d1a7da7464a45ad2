"""Measures how many packets a second a mirrored port may have: our ring, scapy and
tshark on the same interface.

A process in another network namespace sends G.711 packets of 64 calls into a veth pair
at a steady rate. Each reader runs alone: packets that it counted, that the kernel
dropped, and its processor time. `code` is our reading alone, of blocks in memory: the
most that one core can do. Needs user namespaces or root.

    python -m benchmarks.rtp_live [--rates 20000,80000] [--seconds 4]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.rtp_file import frame_of
from collectors.rtp.live_streams import LiveStreams
from collectors.rtp.packet_ring import PacketRing, RingBlock

_CALLS = 64
_RATES = (20_000, 80_000)
_NEAR, _FAR = "near0", "far0"
_QDISC_BYPASS = 20
_MAKE = f"""set -e
mount -t tmpfs none /run
mount -t sysfs none /sys
ip netns add far
ip link add {_NEAR} type veth peer name {_FAR} netns far
ip link set {_NEAR} up
ip -n far link set {_FAR} up
exec "$@"
"""
_SCAPY = """
import signal, sys
from scapy.layers.inet import IP, UDP
from scapy.layers.rtp import RTP
from scapy.sendrecv import sniff
counts = {}
def count(packet):
    rtp = RTP(bytes(packet[UDP].payload))
    key = packet[IP].src, packet[IP].dst, rtp.sourcesync
    counts[key] = counts.get(key, 0) + 1
seconds = float(sys.argv[2])
print("ready", flush=True)
sniff(iface=sys.argv[1], filter="udp", prn=count, store=False, timeout=seconds)
print(sum(counts.values()), flush=True)
"""


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """The figures by name; names end in their unit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rates", default=",".join(map(str, _RATES)))
    parser.add_argument("--seconds", type=float, default=4.0)
    chosen = parser.parse_args(options)
    figures: dict[str, Any] = {"code_packets_per_cpu_s": _code_rate()}
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c"]
    inner = [sys.executable, "-m", "benchmarks.rtp_live", "inside", chosen.rates]
    finished = subprocess.run(
        [*command, _MAKE, "sh", *inner, str(chosen.seconds)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if finished.returncode:
        figures["live"] = "no network namespaces here"
    else:
        figures |= json.loads(finished.stdout.splitlines()[-1])
    for name, value in figures.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        print(f"{name:44} {shown:>14}")
    return figures


def _code_rate() -> int:
    """Packets in a second of processor time, of blocks that are in memory."""
    blocks = []
    for number in range(0, 2000, 10):
        parts = []
        for n in range(number, number + 10):
            for call in range(_CALLS):
                at_ns = 1_700_000_000_000_000_000 + n * 20_000_000 + call * 1000
                seconds, rest = divmod(at_ns, 1_000_000_000)
                head = struct.pack("=IIIIIIH", 136, seconds, rest, 54, 214, 0, 82)
                parts.append(head.ljust(82, b"\0") + frame_of(call, n, False)[:54])
        blocks.append((bytearray(b"".join(parts)), RingBlock(0, len(parts))))
    streams = LiveStreams()
    before_s = time.process_time()
    for memory, block in blocks:
        streams.read_block(memory, block)
    cpu_s = time.process_time() - before_s
    assert streams.counts["rtp"] > 0.95 * streams.counts["packets"]
    return round(streams.counts["packets"] / cpu_s)


def _inside(rates: str, seconds: float) -> dict[str, Any]:
    """Runs in the namespaces: each reader at each rate."""
    figures: dict[str, Any] = {}
    for rate in map(int, rates.split(",")):
        for name, reader in (("ours", _ours), ("scapy", _scapy), ("tshark", _tshark)):
            sent, seen = reader(rate, seconds)
            figures[f"{name}_{rate}_sent"] = sent
            figures |= {f"{name}_{rate}_{key}": value for key, value in seen.items()}
    return figures


def _sender(rate: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.rtp_live", "send"]
    return subprocess.Popen(
        ["ip", "netns", "exec", "far", *command, str(rate), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def _sent(sender: subprocess.Popen[str]) -> int:
    output, _ = sender.communicate(timeout=120)
    return int(output)


def _send(rate: int, seconds: float) -> None:
    """Sends at a steady rate, in turns of 2 ms, and prints how many."""
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.setsockopt(263, _QDISC_BYPASS, 1)
    link.bind((_FAR, 0))
    frames = [bytearray(frame_of(c, 0, b)) for c in range(_CALLS) for b in (0, 1)]
    sent, began_s = 0, time.monotonic()
    total = int(rate * seconds)
    while sent < total:
        due = min(total, int((time.monotonic() - began_s) * rate) + 1)
        for at in range(sent, due):
            number, call = divmod(at, len(frames))
            frame = frames[call]
            struct.pack_into("!HI", frame, 44, number & 0xFFFF, number * 160)
            try:
                link.send(frame)
            except OSError as error:
                if error.errno != 105:  # ENOBUFS: the other end's queue is full
                    raise
        sent = max(sent, due)
        time.sleep(0.002)
    print(sent)


def _ours(rate: int, seconds: float) -> tuple[int, dict[str, int | float]]:
    async def capture(ring: PacketRing, streams: LiveStreams) -> int:
        loop = asyncio.get_running_loop()

        def read() -> None:
            for block in ring.ready_blocks():
                streams.read_block(ring.memory, block)

        loop.add_reader(ring.fileno(), read)
        sender = _sender(rate, seconds)
        sent = await asyncio.to_thread(_sent, sender)
        await asyncio.sleep(1)
        return sent

    with PacketRing(_NEAR) as ring:
        streams = LiveStreams()
        before_s = time.process_time()
        sent = asyncio.run(capture(ring, streams))
        cpu_s = time.process_time() - before_s
        kernel = ring.take_counts()
    return sent, {
        "counted": streams.counts["rtp"],
        "dropped": kernel.dropped,
        "cpu_s": round(cpu_s, 2),
    }


def _scapy(rate: int, seconds: float) -> tuple[int, dict[str, int | float]]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # It goes on for as long again, so that what waits in its buffer is counted.
    command = [sys.executable, "-c", _SCAPY, _NEAR, str(2 * seconds + 1)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.wait()
        return 0, {}
    time.sleep(0.5)
    sender = _sender(rate, seconds)
    sent = _sent(sender)
    sender_s = _children_s(before)
    counted = int(process.stdout.readline() or 0)
    process.wait()
    return sent, {
        "counted": counted,
        "dropped": sent - counted,
        "cpu_s": round(_children_s(before) - sender_s, 2),
    }


def _tshark(rate: int, seconds: float) -> tuple[int, dict[str, int | float]]:
    program = shutil.which("tshark")
    if program is None:
        return 0, {}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [
                *(program, "-i", _NEAR, "-s", "64", "-q", "-z", "rtp,streams"),
                *("-f", "udp", "--enable-heuristic", "rtp_udp"),
            ],
            stdout=output,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        time.sleep(3)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        sent = _sent(_sender(rate, seconds))
        sender_s = _children_s(before)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.wait(120)
        cpu_s = _children_s(before) - sender_s
        output.seek(0)
        lines = [line for line in output if "0x" in line]
    counted = sum(int(line.split("0x")[1].split()[2]) for line in lines)
    return sent, {
        "counted": counted,
        "dropped": sent - counted,
        "cpu_s": round(cpu_s, 2),
    }


def _children_s(since: resource.struct_rusage) -> float:
    """Processor time of the children that have ended since then."""
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime - since.ru_utime + now.ru_stime - since.ru_stime


if __name__ == "__main__":
    match sys.argv[1:2]:
        case ["inside"]:
            print(json.dumps(_inside(sys.argv[2], float(sys.argv[3]))))
        case ["send"]:
            _send(int(sys.argv[2]), float(sys.argv[3]))
        case _:
            run(sys.argv[1:])
