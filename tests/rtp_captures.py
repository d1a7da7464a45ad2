"""Frames with RTP, and captures of them, for the tests."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

A, B = "192.0.2.10", "198.51.100.20"
MAC = bytes(6) + b"\x02\x00\x00\x00\x00\x01"
EF = 46
# A second's packets of G.711: 20 ms each.
STEP_NS, STEP_TICKS = 20_000_000, 160


def rtp(
    sequence: int, stamp: int = -1, ssrc: int = 0x1234, kind: int = 8, size: int = 160
) -> bytes:
    stamp = sequence * STEP_TICKS if stamp < 0 else stamp
    head = struct.pack(
        "!BBHII", 0x80, kind, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc
    )
    return head + b"\xd5" * size


def sender_report(ssrc: int, packets: int, middle: int) -> bytes:
    return struct.pack(
        *("!BBHIIIIII", 0x80, 200, 6, ssrc, middle >> 16, (middle & 0xFFFF) << 16),
        *(0, packets, 0),
    )


def receiver_report(
    ssrc: int,
    about: int,
    lost: int,
    middle: int,
    delay: float,
    highest: int = 99,
    jitter: int = 80,
) -> bytes:
    return struct.pack(
        *("!BBHIIIIIII", 0x81, 201, 7, ssrc, about, lost & 0xFFFFFF, highest, jitter),
        *(middle, int(delay * 65536)),
    )


def source_description(ssrc: int, name: str) -> bytes:
    item = b"\1" + bytes([len(name)]) + name.encode()
    item += bytes(4 - len(item) % 4)
    return struct.pack("!BBHI", 0x81, 202, 1 + len(item) // 4, ssrc) + item


def voip_metrics(ssrc: int, about: int) -> bytes:
    """An extended report: 26 of 256 lost, 5 discarded, 60 ms, MOS 3.9."""
    return struct.pack(
        *("!BBHIBBHIBBBBHHHHbbBBBBBBBBHHH", 0x80, 207, 10, ssrc, 7, 0, 8, about),
        *(26, 5, 128, 2, 120, 3000, 60, 20),
        *(-20, -60, 127, 16, 85, 127, 41, 39, 0, 0, 40, 80, 80),
    )


def udp(payload: bytes, source_port: int = 4000, target_port: int = 5000) -> bytes:
    return struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload


def tcp(
    data: bytes, sequence: int, source_port: int = 5060, target_port: int = 5060
) -> bytes:
    ports, sequence = (source_port, target_port), sequence & 0xFFFFFFFF
    return struct.pack("!HHIIBBHHH", *ports, sequence, 0, 0x50, 24, 9, 0, 0) + data


def ipv4(
    body: bytes,
    source: str = A,
    target: str = B,
    protocol: int = 17,
    dscp: int = EF,
    number: int = 1,
    fragment: int = 0,
) -> bytes:
    head = struct.pack(
        "!BBHHHBBH", 0x45, dscp << 2, 20 + len(body), number, fragment, 64, protocol, 0
    )
    return head + ip_address(source).packed + ip_address(target).packed + body


def ipv6(
    body: bytes, source: str, target: str, protocol: int = 17, dscp: int = EF
) -> bytes:
    head = struct.pack("!IHBB", 6 << 28 | dscp << 22, len(body), protocol, 64)
    return head + ip_address(source).packed + ip_address(target).packed + body


def ethernet(packet: bytes, kind: int = 0, *vlans: tuple[int, int]) -> bytes:
    kind = kind or (0x86DD if packet[0] >> 4 == 6 else 0x0800)
    tags = b"".join(struct.pack("!HH", tag, number) for tag, number in vlans)
    return MAC + tags + struct.pack("!H", kind) + packet


def call_frame(sequence: int, **rtp_fields: int) -> bytes:
    return ethernet(ipv4(udp(rtp(sequence, **rtp_fields))))


def pcap(
    frames: Iterable[tuple[int, bytes]],
    link: int = 1,
    order: str = "<",
    nanoseconds: bool = False,
) -> bytes:
    """A capture of (time in ns, frame)."""
    magic, tick_ns = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link)]
    for at_ns, frame in frames:
        seconds, rest = divmod(at_ns, 1_000_000_000)
        sizes = len(frame), len(frame)
        parts += [struct.pack(f"{order}IIII", seconds, rest // tick_ns, *sizes), frame]
    return b"".join(parts)


def pcapng(
    frames: Iterable[tuple[int, bytes]], link: int = 1, order: str = "<"
) -> bytes:
    """The same with times in ns (if_tsresol 9)."""
    resolution = struct.pack(f"{order}HHB3xHH", 9, 1, 9, 0, 0)
    parts = [
        _block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(order, 1, struct.pack(f"{order}HHI", link, 0, 0) + resolution),
    ]
    for at_ns, frame in frames:
        sizes = len(frame), len(frame)
        head = struct.pack(f"{order}IIIII", 0, at_ns >> 32, at_ns & 0xFFFFFFFF, *sizes)
        parts.append(_block(order, 6, head + frame + bytes(-len(frame) % 4)))
    return b"".join(parts)


def _block(order: str, kind: int, body: bytes) -> bytes:
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def call_frames(
    sequences: Iterable[int], start_ns: int = 1_700_000_000_000_000_000
) -> list[tuple[int, bytes]]:
    """A call's packets by sequence number, each at its time."""
    return [(start_ns + n * STEP_NS, call_frame(n)) for n in sequences]


def write_capture(path: Path, frames: Iterable[tuple[int, bytes]]) -> Path:
    path.write_bytes(pcap(frames))
    return path


def finish(parts: Generator[None, None, Any]) -> Any:
    """What work that is done in parts makes in the end."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return end.value
