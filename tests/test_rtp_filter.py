"""The kernel's filter keeps the headers of RTP, and not one octet of speech."""

from __future__ import annotations

import random

import pytest
from rtp_captures import ethernet, ipv4, ipv6, rtp, udp
from test_rtp_frames import FRAMES

from collectors.rtp.capture_file import ETHERNET
from collectors.rtp.frame_decoder import FrameDecoder
from collectors.rtp.packet_filter import packed, rtp_filter

PROGRAM = rtp_filter()
TUNNELS = [name for name in FRAMES if "gre" in name or "erspan" in name]
SIX = "2001:db8::1", "2001:db8::2"


def kept(frame: bytes) -> int:
    """Runs the program as the kernel does: a load beyond the packet drops it."""
    accumulator = index = at = 0
    cells = {}
    try:
        while True:
            code, true, false, value = PROGRAM[at]
            at += 1
            if code in (0x30, 0x50):
                accumulator = frame[value + (index if code == 0x50 else 0)]
            elif code in (0x28, 0x48):
                value += index if code == 0x48 else 0
                accumulator = frame[value] << 8 | frame[value + 1]
            elif code == 0xB1:
                index = 4 * (frame[value] & 15)
            elif code == 0x54:
                accumulator &= value
            elif code == 0x04:
                accumulator += value
            elif code == 0x0C:
                accumulator += index
            elif code == 0x14:
                accumulator -= value
            elif code == 0x64:
                accumulator <<= value
            elif code == 0x02:
                cells[value] = accumulator
            elif code == 0x60:
                accumulator = cells[value]
            elif code == 0x07:
                index = accumulator
            elif code == 0x87:
                accumulator = index
            elif code in (0x15, 0x35, 0x45):
                holds = {
                    0x15: accumulator == value,
                    0x35: accumulator >= value,
                    0x45: bool(accumulator & value),
                }
                at += true if holds[code] else false
            else:
                return value if code == 0x06 else accumulator
    except IndexError:
        return 0


SOUND = udp(rtp(5))
OPTIONS = ipv4(SOUND)
OPTIONS = b"\x47" + OPTIONS[1:20] + bytes(8) + OPTIONS[20:]


@pytest.mark.parametrize(
    ("frame", "headers"),
    [
        (ethernet(ipv4(SOUND)), 54),
        (ethernet(OPTIONS), 62),
        (ethernet(ipv4(SOUND), 0, (0x8100, 5)), 58),
        (ethernet(ipv6(SOUND, *SIX)), 74),
        (ethernet(ipv6(SOUND, *SIX), 0, (0x88A8, 5)), 78),
    ],
)
def test_the_headers_are_kept_and_nothing_behind_them(frame, headers):
    assert kept(frame) == headers
    assert frame[headers:] == b"\xd5" * 160


@pytest.mark.parametrize("name", [*TUNNELS, "vxlan"])
@pytest.mark.parametrize("tags", [(), ((0x8100, 5),)], ids=["plain", "tagged"])
def test_of_tunnels_the_inner_headers_are_kept_and_can_be_read(name, tags):
    frame = FRAMES[name][1]
    frame = ethernet(frame[14:], 0, *tags)
    headers = kept(frame)
    assert frame[headers:].rstrip(b"\0") == b"\xd5" * 160
    datagram = FrameDecoder().decode(ETHERNET, frame[:headers])
    assert datagram is not None
    assert (len(datagram.payload), datagram.size) == (12, 172)
    for cut in range(len(frame)):
        assert kept(frame[:cut]) in (0, headers)


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(ipv4(udp(b"\x80\xc8" + bytes(50)))),  # RTCP, with names of people
        ethernet(ipv4(udp(rtp(1, kind=70)))),
        ethernet(ipv4(udp(b"INVITE sip:ada@council.example SIP/2.0"))),
        ethernet(ipv4(SOUND, protocol=6)),
        ethernet(ipv4(SOUND, fragment=8)),
        ethernet(ipv6(SOUND, *SIX, 6)),
        ethernet(bytes(40), 0x0806),
    ],
)
def test_anything_else_stays_in_the_kernel(frame):
    assert kept(frame) == 0


def test_the_program_has_no_jump_out_of_it():
    assert len(packed(PROGRAM)) == 8 * len(PROGRAM)
    for at, (_, true, false, _) in enumerate(PROGRAM):
        assert at + 1 + max(true, false) < len(PROGRAM) or not true | false
    chance = random.Random(8)
    for _ in range(2000):
        frame = bytearray(ethernet(ipv4(SOUND)))
        frame[chance.randrange(60)] = chance.randrange(256)
        kept(bytes(frame[: chance.randrange(90)]))
