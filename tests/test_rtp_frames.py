"""The datagram in a frame is found through every encapsulation, and in no nonsense."""

from __future__ import annotations

import random
import struct

import pytest
from rtp_captures import EF, MAC, A, B, call_frame, ethernet, ipv4, ipv6, rtp, udp

from collectors.rtp.frame_decoder import FrameDecoder

SOUND = udp(rtp(7))
INNER = ipv4(SOUND)
SIX = ipv6(SOUND, "2001:db8::1", "2001:db8::2")
HOP_BY_HOP = bytes([17, 0]) + bytes(6)


def gre(kind: int, body: bytes, flags: int = 0, extra: bytes = b"") -> bytes:
    packet = struct.pack("!HH", flags, kind) + extra + body
    return ethernet(ipv4(packet, "10.0.0.1", "10.0.0.2", 47, 0))


FRAMES = {
    "ethernet": (1, ethernet(INNER)),
    "padded": (1, ethernet(ipv4(udp(rtp(7)))) + bytes(20)),
    "vlan": (1, ethernet(INNER, 0, (0x8100, 12))),
    "q in q": (1, ethernet(INNER, 0, (0x88A8, 5), (0x8100, 12))),
    "raw": (101, INNER),
    "loopback": (0, b"\2\0\0\0" + INNER),
    "openbsd loopback": (108, b"\0\0\0\2" + INNER),
    "cooked": (113, bytes(14) + b"\x08\0" + INNER),
    "cooked 2": (276, b"\x08\0" + bytes(18) + INNER),
    "ip options": (
        1,
        ethernet(
            b"\x46"
            + INNER[1:3]
            + bytes([INNER[3] + 4])
            + INNER[4:20]
            + b"\1\1\1\0"
            + SOUND
        ),
    ),
    "ip in ip": (1, ethernet(ipv4(INNER, "10.0.0.1", "10.0.0.2", 4, 0))),
    "gre": (1, gre(0x0800, INNER)),
    "gre with key and sequence": (1, gre(0x0800, INNER, 0x3000, bytes(8))),
    "gre bridge": (1, gre(0x6558, ethernet(INNER))),
    "erspan 1": (1, gre(0x88BE, ethernet(INNER))),
    "erspan 2": (1, gre(0x88BE, bytes(8) + ethernet(INNER), 0x1000, bytes(4))),
    "erspan 3": (1, gre(0x22EB, bytes(12) + ethernet(INNER), 0x1000, bytes(4))),
    "vxlan": (
        1,
        ethernet(
            ipv4(udp(b"\x08\0\0\0\0\0\1\0" + ethernet(INNER), 9999, 4789), dscp=0)
        ),
    ),
    "geneve": (
        1,
        ethernet(
            ipv4(udp(b"\1\0\x65\x58" + bytes(8) + ethernet(INNER), 9999, 6081), dscp=0)
        ),
    ),
    "mpls": (1, ethernet(b"\0\1\0\x40\0\1\1\x40" + INNER, 0x8847)),
    "mpls pseudowire": (
        1,
        ethernet(b"\0\1\1\x40" + bytes(4) + ethernet(INNER), 0x8847),
    ),
    "pppoe": (1, ethernet(b"\x11\0\0\1\0\x50\0\x21" + INNER, 0x8864)),
    "ipv6": (1, ethernet(SIX)),
    "ipv6 options": (
        1,
        ethernet(ipv6(HOP_BY_HOP + SOUND, "2001:db8::1", "2001:db8::2", 0)),
    ),
    "6 in 4": (1, ethernet(ipv4(SIX, "10.0.0.1", "10.0.0.2", 41, 0))),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_datagram_is_found_through(name):
    datagram = FrameDecoder().decode(*FRAMES[name])
    assert datagram is not None
    assert datagram.payload == SOUND[8:]
    assert datagram.size == len(SOUND) - 8
    assert (datagram.source_port, datagram.target_port) == (4000, 5000)
    assert datagram.dscp == EF


def fragments(version: int) -> list[bytes]:
    first, rest = SOUND[:64], SOUND[64:]
    if version == 4:
        return [
            ethernet(ipv4(first, fragment=0x2000)),
            ethernet(ipv4(rest, fragment=8)),
        ]
    return [
        ethernet(
            ipv6(
                struct.pack("!BBHI", 17, 0, place, 9) + data,
                *("2001:db8::1", "2001:db8::2", 44),
            )
        )
        for place, data in ((1, first), (64, rest))
    ]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("turned", [False, True])
def test_fragments_are_joined_in_any_order(version, turned):
    decoder = FrameDecoder()
    first, second = fragments(version)[:: -1 if turned else 1]
    assert decoder.decode(1, first) is None
    datagram = decoder.decode(1, second)
    assert datagram is not None
    assert datagram.payload == SOUND[8:]


def test_fragments_that_never_complete_do_not_pile_up():
    decoder = FrameDecoder()
    for number in range(2000):
        decoder.decode(1, ethernet(ipv4(SOUND[:64], number=number, fragment=0x2000)))
    assert len(decoder._waiting) <= 256


def test_fragments_that_overlap_hold_no_more_than_one_datagram():
    decoder = FrameDecoder()
    for at in range(4000):
        piece = ipv4(bytes(20_000), number=1, fragment=0x2000 | at)
        decoder.decode(1, ethernet(piece))
    (pieces,) = decoder._waiting.values()
    assert sum(map(len, pieces._parts.values())) <= 65_535


def test_only_headers_were_captured_and_the_size_is_known_all_the_same():
    datagram = FrameDecoder().decode(1, ethernet(INNER)[: 14 + 20 + 8 + 12])
    assert datagram is not None
    assert (len(datagram.payload), datagram.size) == (12, 172)


@pytest.mark.parametrize("version", [4, 6])
def test_of_fragments_that_were_captured_in_part_the_first_has_the_headers(version):
    decoder = FrameDecoder()
    first, second = fragments(version)
    datagram = decoder.decode(1, first[: -len(SOUND[:64]) + 20])
    assert datagram is not None
    assert datagram.payload == SOUND[8:20]
    assert datagram.size == len(SOUND) - 8
    assert decoder.decode(1, second[:-30]) is None
    assert decoder.counts == {"udp": 1, "fragment": 1}


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(bytes(8) + INNER, 0x894F),
        ethernet(ipv4(udp(bytes(40), 1, 2152))),
    ],
)
def test_an_encapsulation_that_is_not_read_is_counted_as_unknown(frame):
    decoder = FrameDecoder()
    assert decoder.decode(1, frame) is None
    assert decoder.is_unknown
    assert decoder.counts == {"unknown": 1}


def test_what_is_no_udp_is_told_from_what_is_damaged():
    decoder = FrameDecoder()
    assert decoder.decode(1, MAC + b"\x08\x06" + bytes(28)) is None
    assert decoder.decode(1, ethernet(ipv4(bytes(20), A, B, 6))) is None
    assert decoder.decode(1, call_frame(1)[:30]) is None
    assert decoder.counts == {"other": 2, "damaged": 1}


def test_a_tunnel_in_a_tunnel_without_end_is_damage():
    packet = INNER
    for _ in range(40):
        packet = ipv4(packet, "10.0.0.1", "10.0.0.2", 4)
    decoder = FrameDecoder()
    assert decoder.decode(1, ethernet(packet)) is None
    assert decoder.counts == {"damaged": 1}


def test_no_frame_however_damaged_raises():
    chance = random.Random(3)
    decoder = FrameDecoder()
    frames = [*FRAMES.values(), *((1, frame) for frame in fragments(6))]
    for _ in range(4000):
        link, frame = chance.choice(frames)
        data = bytearray(frame[: chance.randrange(len(frame) + 1)])
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(min(len(data), 90))] = chance.randrange(256)
        decoder.decode(link, bytes(data))
    assert sum(decoder.counts.values()) == 4000
