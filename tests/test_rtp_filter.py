"""The kernel's filter keeps the headers of RTP, and not one octet of speech."""

from __future__ import annotations

import random
import struct

import pytest
from rtp_captures import (
    ethernet,
    ipv4,
    ipv6,
    receiver_report,
    rtp,
    sender_report,
    source_description,
    tcp,
    udp,
    voip_metrics,
)
from test_rtp_frames import FRAMES

from collectors.rtp.capture_file import ETHERNET
from collectors.rtp.filter_program import Instruction, packed
from collectors.rtp.frame_decoder import FrameDecoder
from collectors.rtp.packet_filter import rtp_filter

PROGRAM = rtp_filter()
WITH_SIP = rtp_filter(with_sip=True)
TUNNELS = [name for name in FRAMES if "gre" in name or "erspan" in name]
SIX = "2001:db8::1", "2001:db8::2"


def kept(frame: bytes) -> int:
    return run_filter(PROGRAM, frame)


def run_filter(program: list[Instruction], frame: bytes) -> int:
    """Runs the program as the kernel does: a load beyond the packet drops it."""
    accumulator = index = at = 0
    cells = {}
    try:
        while True:
            code, true, false, value = program[at]
            at += 1
            if code in (0x30, 0x50):
                accumulator = frame[value + (index if code == 0x50 else 0)]
            elif code in (0x28, 0x48):
                value += index if code == 0x48 else 0
                accumulator = frame[value] << 8 | frame[value + 1]
            elif code == 0x40:
                word = frame[value + index : value + index + 4]
                accumulator = struct.unpack("!I", word)[0]
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
            elif code == 0x1C:
                accumulator -= index
            elif code == 0x05:
                at += value
            elif code == 0x01:
                index = value
            elif code == 0x61:
                index = cells[value]
            elif code in (0x1D, 0x2D):
                holds = accumulator == index if code == 0x1D else accumulator > index
                at += true if holds else false
            elif code == 0x64:
                accumulator <<= value
            elif code == 0x74:
                accumulator >>= value
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
    except (IndexError, struct.error):
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
        ethernet(ipv4(udp(source_description(1, "ada@pc7")))),  # names alone
        ethernet(ipv4(udp(b"\x81\xcd" + bytes(50)))),  # feedback on single packets
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


NAMES = source_description(2, "ada@pc7.council.example")
REPORT, SENT = receiver_report(2, 1, 0, 0, 0), sender_report(2, 9, 9)


@pytest.mark.parametrize(
    ("rtcp", "headers"),
    [
        (REPORT, 32),
        (REPORT + NAMES, 32),
        (SENT + NAMES, 28),
        (SENT + NAMES + b"\x81\xcb\0\1\0\0\0\2", 28),
        (REPORT + voip_metrics(2, 1) + NAMES, 32 + 44),
        # The names are between two reports, so they are copied, but never read.
        (REPORT + NAMES + voip_metrics(2, 1), 32 + len(NAMES) + 44),
        (voip_metrics(2, 1), 44),
    ],
)
@pytest.mark.parametrize("name", ["plain", "tagged", "ipv6", *TUNNELS, "vxlan"])
def test_of_rtcp_reports_are_kept_and_the_names_behind_them_are_not(
    name, rtcp, headers
):
    """Also in tunnels, whose inner frame is that of RTP with another datagram."""
    datagram = udp(rtcp)
    frame = {
        "plain": ethernet(ipv4(datagram)),
        "tagged": ethernet(ipv4(datagram), 0, (0x8100, 5)),
        "ipv6": ethernet(ipv6(datagram, *SIX)),
    }.get(name)
    if frame is None:
        sound = FRAMES[name][1]
        frame = sound[: kept(sound) - 20] + datagram
    before = len(frame) - len(rtcp)
    assert kept(frame) == before + headers
    # The last octets of a short frame are padding.
    assert kept(frame + bytes(6)) == before + headers


SECRET = random.Random(4).randbytes(200)


@pytest.mark.parametrize(
    "rtcp",
    [
        # SRTCP: the E flag and an index, and a tag of ten octets, are behind it.
        REPORT[:8] + SECRET[:24] + b"\x80\0\0\1" + SECRET[:10],
        REPORT + b"\0\0\0\1" + SECRET[:10],
        SENT[:8] + SECRET[: 20 + len(NAMES)] + b"\x80\0\0\7" + SECRET[:10],
        SENT + NAMES + b"\x80\xc8\0\3" + SECRET[:10],
        REPORT[:-4],
        REPORT + NAMES[:-4],
        REPORT + b"\0" * 8,
        REPORT * 9,
    ],
)
def test_of_rtcp_that_is_encrypted_or_damaged_eight_octets_are_kept(rtcp):
    frame = ethernet(ipv4(udp(rtcp)))
    assert kept(frame) == 42 + 8


def test_no_report_is_copied_without_bound():
    long = struct.pack("!BBHI", 0x80, 207, 2000, 2) + bytes(4 * 1999)
    assert kept(ethernet(ipv4(udp(long)))) == 42 + 1024


def in_tunnel(name: str, packet: bytes) -> bytes:
    """A packet instead of that which the tunnel of that name has in it."""
    sound = FRAMES[name][1]
    return sound[: kept(sound) - 40] + packet


@pytest.mark.parametrize(
    ("data", "ports", "octets"),
    [
        (b"INVITE sip:ada@pbx SIP/2.0", (9000, 9000), 26),
        (b"a=sendrecv", (5060, 40_000), 10),
        (b"m=audio 9", (40_000, 5060), 9),
        (b"\r\n\r\n", (5060, 5060), 4),
        (bytes([22, 3, 1]) + b"secret", (40_000, 5061), 2),
        (bytes([23, 3, 3]) + b"secret", (5061, 40_000), 2),
        # They begin no message about a call, and cannot be the rest of one.
        (b"REGISTER sip:ada@pbx", (5060, 5060), 0),
        (b"MESSAGE sip:ada@pbx", (5060, 5060), 0),
        (b"GET / HTTP/1.1", (9000, 80), 0),
        (b"", (5060, 5060), 0),
        (bytes(6), (5060, 5060), 0),
        (b"nothing", (5061, 5061), 0),
    ],
)
def test_of_tcp_sip_about_calls_is_kept_only_if_it_is_asked_for(data, ports, octets):
    segment = tcp(data, 7, *ports)
    options = bytearray(tcp(bytes(12) + data, 7, *ports))
    options[12] = 0x80
    inner = ipv4(segment, protocol=6)
    for frame in (
        ethernet(inner),
        ethernet(ipv4(bytes(options), protocol=6)),
        ethernet(inner, 0, (0x8100, 5)),
        ethernet(ipv6(segment, *SIX, 6)),
        ethernet(ipv6(segment, *SIX, 6), 0, (0x8100, 5)),
        *(in_tunnel(name, inner) for name in (*TUNNELS, "vxlan")),
    ):
        copied = min(run_filter(WITH_SIP, frame), len(frame))
        assert copied == (len(frame) - len(data) + octets if octets else 0)
        assert kept(frame) == 0


@pytest.mark.parametrize("program", [PROGRAM, WITH_SIP])
def test_the_program_has_no_jump_out_of_it(program):
    assert len(packed(program)) == 8 * len(program)
    for at, (code, true, false, value) in enumerate(program):
        furthest = value if code == 0x05 else max(true, false)
        assert at + 1 + furthest < len(program) or not furthest
    chance = random.Random(8)
    for _ in range(2000):
        frame = bytearray(ethernet(ipv4(SOUND)))
        frame[chance.randrange(60)] = chance.randrange(256)
        kept(bytes(frame[: chance.randrange(90)]))
