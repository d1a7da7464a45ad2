"""Calls change: early media, another codec, hold; and their SDP comes in many forms."""

from __future__ import annotations

import random

import pytest
from rtp_captures import A, B, ethernet, ipv4, rtp, tcp, write_capture
from test_rtp_calls import ADDRESS, SDP, Wire, invite

from collectors.rtp.capture_report import report_capture
from collectors.rtp.sip_messages import read_sdp, read_sip

ANSWER = "SIP/2.0 {} X\r\ni: 77@pbx\r\nc: application/sdp\r\n\r\n"


def answer(code: int, text: str) -> bytes:
    return (ANSWER.format(code) + text).encode()


def audio(address: str, port: int, direction: str, kinds: str = "8") -> str:
    return f"c=IN IP4 {address}\r\nm=audio {port} RTP/AVP {kinds}\r\na={direction}\r\n"


def test_sdp_that_comes_after_its_packets_names_their_call_and_codec():
    wire = Wire()
    wire.talk("ba", (5000, 4000), 0, 10, 7, kind=111, hz=48_000)
    wire.send(210, "ab", (5060, 5060), invite(A, 4000))
    wire.talk("ba", (5000, 4000), 220, 90, 7, kind=111, hz=48_000)
    stream = wire.figures()["0x00000007"]
    assert (stream.call, stream.payload, stream.clock_hz) == (1, "opus", 48_000)
    assert not stream.clock_estimated


def test_a_codec_that_is_agreed_in_the_middle_of_a_call_is_named():
    wire = Wire()
    wire.send(0, "ab", (5060, 5060), answer(183, audio(A, 4000, "sendrecv")))
    wire.talk("ba", (5000, 4000), 20, 300, 7)
    again = audio(A, 4000, "sendrecv", "98\r\na=rtpmap:98 AMR-WB/16000")
    wire.send(6050, "ab", (5060, 5060), answer(200, again))
    for n in range(300, 400):
        sound = rtp(n, 1_000_000 + n * 320, 7, 98)
        wire.send(100 + n * 20, "ba", (5000, 4000), sound)
    stream = wire.figures()["0x00000007"]
    assert (stream.payload, stream.received, stream.lost) == ("PCMA/AMR-WB", 400, 0)
    assert stream.jitter_max_ms == 0
    # Most of it was G.711.
    assert not stream.mos_by_proxy


@pytest.mark.parametrize(
    ("caller", "called", "is_one_way"),
    [
        ("sendrecv", "sendrecv", True),
        ("sendonly", "recvonly", False),
        ("sendrecv", "inactive", False),
        ("recvonly", "sendonly", True),
    ],
)
def test_music_on_hold_is_no_one_way_audio(caller, called, is_one_way):
    wire = Wire()
    wire.send(0, "ab", (5060, 5060), answer(183, audio(A, 4000, "sendrecv")))
    wire.send(0, "ba", (5060, 5060), answer(200, audio(B, 5000, "sendrecv")))
    for n in range(1000):
        wire.send(20 + n * 20, "ab", (4000, 5000), rtp(n, n * 160, 1))
        if n < 250:
            wire.send(20 + n * 20, "ba", (5000, 4000), rtp(n, n * 160, 2))
        if n == 250:
            wire.send(5025, "ab", (5060, 5060), answer(183, audio(A, 4000, caller)))
            wire.send(5030, "ba", (5060, 5060), answer(200, audio(B, 5000, called)))
    stream = wire.figures()["0x00000001"]
    assert stream.one_way is is_one_way
    assert stream.one_way_ms == pytest.approx(15_000 if is_one_way else 0, abs=60)


def test_a_call_that_is_taken_back_from_hold_is_watched_again():
    wire = Wire()
    wire.talk("ba", (5000, 4000), 0, 20, 2)
    for n in range(1500):
        wire.send(20 + n * 20, "ab", (4000, 5000), rtp(n, n * 160, 1))
        for at, direction in ((500, "sendonly"), (1000, "sendrecv")):
            if n == at:
                wire.send(
                    n * 20, "ab", (5060, 5060), answer(183, audio(A, 4000, direction))
                )
    stream = wire.figures()["0x00000001"]
    assert [until - since for since, until in stream.on_hold_ms] == [10_000]
    assert stream.one_way_ms == pytest.approx(19_600, abs=60)


def test_a_call_is_on_hold_in_the_old_way_too():
    wire = Wire()
    wire.send(0, "ab", (5060, 5060), answer(183, audio(A, 4000, "sendrecv")))
    wire.talk("ba", (5000, 4000), 20, 50, 2)
    for n in range(1000):
        wire.send(20 + n * 20, "ab", (4000, 5000), rtp(n, n * 160, 1))
        for at, address in ((50, "0.0.0.0"), (900, A)):
            if n == at:
                again = answer(183, audio(address, 4000, "sendrecv"))
                wire.send(25 + n * 20, "ab", (5060, 5060), again)
    stream = wire.figures()["0x00000001"]
    assert stream.on_hold_ms[0][1] - stream.on_hold_ms[0][0] == 17_000
    assert (stream.one_way, stream.one_way_ms) == (False, pytest.approx(2000, abs=60))


def test_media_that_share_a_port_have_the_formats_of_all():
    text = SDP.format(A, 4000, "UDP/TLS/RTP/SAVPF") + (
        "a=rtcp-mux\r\na=candidate:1 1 udp 99 198.51.100.99 4999 typ srflx\r\n"
        "a=candidate:1 2 udp 98 198.51.100.99 5001 typ srflx\r\n"
        "a=candidate:2 1 tcp 97 198.51.100.99 9 typ host\r\n"
        "m=video 4000 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
    )
    wire = Wire()
    wire.send(0, "ab", (5060, 5060), answer(200, text))
    wire.talk("ba", (5000, 4000), 20, 60, 7, kind=96, hz=90_000)
    wire.talk("ba", (5000, 4000), 20, 60, 8)
    streams = wire.figures()
    assert streams["0x00000007"].is_video
    assert (streams["0x00000008"].payload, streams["0x00000008"].encrypted) == (
        *("PCMA", True),
    )
    (sound, _) = read_sdp(text)
    assert sound.candidates == ((bytes([198, 51, 100, 99]), 4999),)


def test_a_stream_to_an_address_that_ice_found_is_of_the_call():
    wire = Wire()
    text = audio("10.0.0.1", 9, "sendrecv") + (
        f"a=candidate:1 1 UDP 1 {A} 4000 typ srflx raddr 10.0.0.1 rport 9\r\n"
    )
    wire.send(0, "ab", (5060, 5060), answer(200, text))
    wire.talk("ba", (5000, 4000), 20, 60, 7)
    assert wire.figures()["0x00000007"].call == 1


def test_video_that_nobody_announced_has_no_mos():
    wire = Wire()
    for n in range(200):
        stamp = n // 4 * 3000
        wire.send(n // 4 * 33.4 + n % 4, "ab", (1, 2), rtp(n, stamp, 7, 96))
    stream = wire.figures()["0x00000007"]
    assert (stream.is_video, stream.mos_estimated) == (True, None)


def test_of_a_body_of_several_parts_only_the_session_description_is_read():
    body = (
        'Content-Type: multipart/mixed;\r\n boundary="b1"; x=y\r\n'
        "\r\n--b1\r\nContent-Type: application/isup\r\n\r\nm=audio 1 RTP/AVP 8\r\n"
        "c=IN IP4 192.0.2.99\r\n--b1\r\nContent-Type: application/sdp\r\n"
        "Content-Disposition: session\r\n\r\n"
        + audio(A, 4000, "sendrecv")
        + "--b1--\r\n"
    )
    message = read_sip(f"INVITE sip:1@x SIP/2.0\r\nCall-ID: 1\r\n{body}".encode())
    assert message is not None
    (medium,) = message.media
    assert (medium.address, medium.port) == (ADDRESS["a"], 4000)


def segment(data: bytes, at: int, ports: tuple[int, int] = (5060, 5060)) -> bytes:
    return ethernet(ipv4(tcp(data, at, *ports), A, B, 6))


def message(number: int, text: str = "") -> bytes:
    return (
        f"INVITE sip:1234@x SIP/2.0\r\nv: SIP/2.0/TCP h;branch=b{number}\r\n"
        f"t: <sip:x>\r\ni: {number}\r\nCSeq: 1 INVITE\r\nc: application/sdp\r\n"
        f"l: {len(text)}\r\n\r\n{text}"
    ).encode()


def report_of(tmp_path, frames):
    path = tmp_path / "tcp.pcap"
    return report_capture(write_capture(path, list(enumerate(frames, 10**18))))


@pytest.mark.parametrize("seed", range(3))
def test_sip_over_tcp_is_read_however_it_is_cut_into_segments(tmp_path, seed):
    chance = random.Random(seed)
    stream = b"\r\n\r\n".join(
        message(n, audio(A, 4000 + n, "sendrecv")) for n in range(20)
    )
    first = 0xFFFFFFFF - chance.randrange(3000)
    frames, at = [], 0
    while at < len(stream):
        size = chance.randrange(200, 1400)
        frames.append(segment(stream[at : at + size], first + at))
        if chance.random() < 0.3:
            # It is sent again, with a little of what follows.
            frames.append(segment(stream[at : at + size + 9], first + at))
        at += size
    report = report_of(tmp_path, frames)
    assert report.sip is not None
    assert (report.sip.attempts, report.datagrams["calls"]) == (20, 20)
    assert report.remarks == []


def test_a_segment_that_is_missing_costs_its_message_and_tls_is_said(tmp_path):
    whole = message(1, audio(A, 4000, "sendrecv"))
    frames = [segment(whole[:150], 0), segment(message(2), 500)]
    frames += [segment(b"\x17\3\3", 9, (5061, 9))]
    report = report_of(tmp_path, frames)
    assert report.sip is not None
    assert report.sip.attempts == 1
    assert report.remarks == [
        "1 SIP message over TCP was not whole in the capture",
        "1 TLS record of SIP (port 5061) is encrypted: calls by it are in no table "
        "of calls",
    ]


def test_no_tcp_however_damaged_raises_or_piles_up(tmp_path):
    chance = random.Random(7)
    frames = []
    for n in range(3000):
        frame = bytearray(segment(message(n), chance.randrange(1 << 32), (n, 5060)))
        for _ in range(chance.randrange(3)):
            frame[chance.randrange(len(frame))] = chance.randrange(256)
        frames.append(bytes(frame[: chance.randrange(len(frame) + 1)]))
    assert report_of(tmp_path, frames).frames["all"] == 3000
