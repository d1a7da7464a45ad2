"""UDP packets and RTP streams of recorded captures (pcap and pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

_ETHERNET, _COOKED = 1, 113
_VLANS = {0x8100, 0x88A8}


class Datagram(NamedTuple):
    """`at_s` is the time in the capture; `source` and `target` are `address:port`."""

    at_s: float
    source: str
    target: str
    payload: bytes


class Rtp(NamedTuple):
    """The header fields of RFC 3550 section 5.1 that the statistics need."""

    at_s: float
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int


def datagrams(path: Path) -> Iterator[Datagram]:
    """The UDP packets of a capture in order, without truncated ones."""
    for at_s, link, frame in _frames(path.read_bytes()):
        packet = _udp(link, frame)
        if packet is not None:
            yield Datagram(at_s, *packet)


def read_rtp(datagram: Datagram) -> Rtp | None:
    """The RTP header if the payload looks like RTP (version 2, no RTCP packet type)."""
    head = datagram.payload
    if len(head) < 12 or head[0] >> 6 != 2 or 192 <= head[1] <= 223:
        return None
    _, kind, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", head)
    return Rtp(datagram.at_s, kind & 127, sequence, timestamp, ssrc)


def _frames(raw: bytes) -> Iterator[tuple[float, int, bytes]]:
    magic = raw[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng(raw)
        return
    order = "<" if magic[::-1] in (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d") else ">"
    fine = 1e9 if 0x4D in (magic[0], magic[3]) else 1e6
    (link,) = struct.unpack_from(f"{order}I", raw, 20)
    at = 24
    while at + 16 <= len(raw):
        seconds, rest, kept, _ = struct.unpack_from(f"{order}IIII", raw, at)
        yield seconds + rest / fine, link, raw[at + 16 : at + 16 + kept]
        at += 16 + kept


def _pcapng(raw: bytes) -> Iterator[tuple[float, int, bytes]]:
    order, links = "<", list[tuple[int, float]]()
    at = 0
    while at + 12 <= len(raw):
        if raw[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if raw[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links.clear()
        kind, length = struct.unpack_from(f"{order}II", raw, at)
        if kind == 1:
            (link,) = struct.unpack_from(f"{order}H", raw, at + 8)
            links.append((link, _tick_s(raw[at + 16 : at + length - 4], order)))
        elif kind == 6:
            which, high, low, kept = struct.unpack_from(f"{order}IIII", raw, at + 8)
            link, tick_s = links[which]
            yield (high << 32 | low) * tick_s, link, raw[at + 28 : at + 28 + kept]
        at += max(length, 12)


def _tick_s(options: bytes, order: str) -> float:
    at = 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from(f"{order}HH", options, at)
        if code == 9:
            exponent = options[at + 4]
            return 2.0 ** -(exponent & 127) if exponent & 128 else 10.0**-exponent
        at += 4 + (length + 3) // 4 * 4
    return 1e-6


def _udp(link: int, frame: bytes) -> tuple[str, str, bytes] | None:
    if link == _ETHERNET:
        at = 12
        while int.from_bytes(frame[at : at + 2], "big") in _VLANS:
            at += 4
        packet = frame[at + 2 :]
    elif link == _COOKED:
        packet = frame[16:]
    else:
        packet = frame
    if len(packet) < 28:
        return None
    if packet[0] >> 4 == 4:
        head, protocol = (packet[0] & 15) * 4, packet[9]
        source, target = packet[12:16], packet[16:20]
    elif packet[0] >> 4 == 6:
        head, protocol = 40, packet[6]
        source, target = packet[8:24], packet[24:40]
    else:
        return None
    if protocol != 17 or len(packet) < head + 8:
        return None
    from_port, to_port, length = struct.unpack_from("!HHH", packet, head)
    return (
        f"{ip_address(source)}:{from_port}",
        f"{ip_address(target)}:{to_port}",
        packet[head + 8 : head + length],
    )
