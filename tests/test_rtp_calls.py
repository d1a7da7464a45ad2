"""What SIP, SDP and RTCP say of streams, and audio that goes one way only."""

from __future__ import annotations

import random
import struct

import pytest
from rtp_captures import (
    EF,
    STEP_NS,
    STEP_TICKS,
    A,
    B,
    receiver_report,
    rtp,
    sender_report,
    voip_metrics,
)

from collectors.rtp.frame_decoder import Datagram
from collectors.rtp.rtcp_packets import read_rtcp
from collectors.rtp.rtp_figures import figures_of, mark_one_way
from collectors.rtp.rtp_header import read_rtp, unwrap_relayed
from collectors.rtp.sip_messages import read_sdp, read_sip
from collectors.rtp.stream_watcher import StreamWatcher, WatchLimits

ADDRESS = {"a": bytes([192, 0, 2, 10]), "b": bytes([198, 51, 100, 20])}
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n"
    "m=audio {1} {2} 111 8 101\r\na=rtpmap:111 opus/48000/2\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


def invite(address: str, port: int, profile: str = "RTP/AVP") -> bytes:
    body = SDP.format(address, port, profile)
    return (
        "INVITE sip:1234@council.example SIP/2.0\r\nFrom: <sip:ada@council.example>\r\n"
        "Call-ID: 77@pbx\r\nContent-Type: application/sdp\r\n\r\n" + body
    ).encode()


class Wire:
    """Datagrams between a and b, in ms."""

    def __init__(self, limits: WatchLimits | None = None) -> None:
        self.watcher = StreamWatcher(limits)

    def send(self, at_ms: float, way: str, ports: tuple[int, int], payload: bytes):
        source, target = ADDRESS[way[0]], ADDRESS[way[1]]
        datagram = Datagram(source, target, *ports, EF, payload, len(payload))
        self.watcher.feed(1_700_000_000_000_000_000 + int(at_ms * 1e6), datagram)

    def talk(self, way, ports, since_ms, packets, ssrc, hz=8000, kind=8):
        for n in range(packets):
            stamp = n * hz // 50
            self.send(since_ms + n * 20, way, ports, rtp(n, stamp, ssrc, kind))

    def figures(self):
        watched = self.watcher.finish()
        streams = [figures_of(one, self.watcher.first_ns) for one in watched]
        mark_one_way(streams)
        return {stream.ssrc: stream for stream in streams}


def test_a_stream_belongs_to_the_call_that_awaits_it_with_its_codec_and_clock():
    wire = Wire()
    wire.send(0, "ab", (5060, 5060), invite(A, 4000))
    wire.talk("ba", (5000, 4000), 2000, 100, 7, hz=48_000, kind=111)
    stream = wire.figures()["0x00000007"]
    assert (stream.call, stream.payload, stream.clock_hz) == (1, "opus", 48_000)
    assert not stream.clock_estimated
    assert not stream.joined_late
    assert stream.encrypted is False
    assert stream.jitter_ms == 0
    # No values are published for Opus.
    assert stream.mos_by_proxy
    assert stream.mos_estimated == pytest.approx(4.409, abs=1e-3)


def test_srtp_is_followed_as_its_header_is_readable_and_named_encrypted():
    wire = Wire()
    wire.send(0, "ab", (5060, 5060), invite(A, 4000, "RTP/SAVP"))
    wire.talk("ba", (5000, 4000), 100, 60, 7)
    assert wire.figures()["0x00000007"].encrypted is True


def test_no_number_name_or_call_id_is_held():
    wire = Wire()
    wire.send(0, "ab", (5060, 5060), invite(A, 4000))
    held = repr(vars(wire.watcher))
    for word in ("1234", "ada", "77@pbx"):
        assert word not in held


def test_a_stream_needs_five_packets_in_sequence_if_no_call_awaits_it():
    wire = Wire()
    wire.talk("ab", (4000, 5000), 0, 4, 7)
    chance = random.Random(1)
    for n in range(500):
        wire.send(n, "ab", (1, 2), b"\x80\x08" + chance.randbytes(170))
    assert wire.figures() == {}


def test_what_looks_like_rtp_but_has_an_unassigned_type_or_a_false_length_is_not():
    assert read_rtp(rtp(1, kind=70), 172) is None
    assert read_rtp(b"\x8f" + rtp(1)[1:], 20) is None
    assert read_rtp(rtp(1, kind=72 + 128), 172) is None
    assert read_rtp(rtp(1), 172) is not None


def test_random_bytes_never_fill_the_memory():
    wire = Wire(WatchLimits(streams=50, candidates=100, awaited=10, calls=10))
    chance = random.Random(2)
    for n in range(2000):
        wire.send(n, "ab", (1, 2), b"\x80\x08" + chance.randbytes(20))
        wire.send(
            n, "ab", (5060, 5060), invite(A, 4000 + n).replace(b"77@", b"%d@" % n)
        )
    for ssrc in range(80):
        wire.talk("ab", (4000, 5000), 3000, 6, ssrc)
    watcher = wire.watcher
    assert len(watcher._by_place) <= 2
    assert len(watcher._candidates) <= 100
    assert len(watcher._awaited) <= 10
    assert len(watcher._calls) <= 10
    assert len(watcher._offers._places) <= 10
    assert len(watcher.live) <= 50
    assert watcher.counts["streams_dropped"] == 30


def test_a_flood_of_made_up_senders_neither_cuts_a_call_nor_outgrows_the_limit():
    wire = Wire(WatchLimits(streams=40, candidates=40))
    for second in range(20):
        wire.talk("ab", (4000, 5000), second * 1000, 50, 1)
        for ssrc in range(second * 30 + 2, second * 30 + 32):
            wire.talk("ba", (1, 2), second * 1000 + 990, 6, ssrc)
        assert len(wire.watcher.live) <= 40
        assert len(wire.watcher._by_ssrc) <= 40
    ended = [watched.stream for watched in wire.watcher.finish()]
    (call,) = [stream for stream in ended if stream.key.ssrc == 1]
    assert call.packets == 1000
    assert len(ended) == 1 + 20 * 30


def test_audio_that_goes_one_way_only_is_named():
    wire = Wire()
    wire.talk("ab", (4000, 5000), 0, 500, 1)
    # The other side is heard for the first second only.
    wire.talk("ba", (5000, 4000), 0, 50, 2)
    streams = wire.figures()
    assert streams["0x00000001"].one_way
    assert streams["0x00000001"].one_way_ms == pytest.approx(9000, abs=50)
    assert not streams["0x00000002"].one_way


def test_a_port_that_is_mirrored_in_one_direction_shows_no_one_way_audio():
    wire = Wire()
    wire.talk("ab", (4000, 5000), 0, 500, 1)
    stream = wire.figures()["0x00000001"]
    assert (stream.one_way, stream.one_way_ms) == (False, 9980)


def test_rtcp_gives_the_round_trip_what_was_missed_and_what_the_receiver_lost():
    wire = Wire()
    wire.talk("ab", (4000, 5000), 0, 100, 1)
    wire.send(2000, "ab", (4001, 5001), sender_report(1, 1100, 0x12345678))
    wire.send(2540, "ba", (5001, 4001), receiver_report(2, 1, 17, 0x12345678, 0.5))
    stream = wire.figures()["0x00000001"]
    assert stream.rtt_ms == pytest.approx(40, abs=0.1)
    assert stream.missed_before == 1000
    assert stream.joined_late
    assert stream.reported_lost == 17
    assert stream.reported_jitter_ms == 10


def test_an_extended_report_has_the_phones_own_figures():
    wire = Wire()
    wire.talk("ab", (4000, 5000), 0, 100, 1)
    wire.send(2000, "ba", (5001, 4001), voip_metrics(2, 1))
    stream = wire.figures()["0x00000001"]
    assert stream.reported_mos == 3.9
    assert stream.reported_loss_ratio == pytest.approx(26 / 256, abs=1e-6)
    assert stream.reported_rtt_ms == 60


def test_encrypted_rtcp_is_counted_and_never_believed():
    wire = Wire()
    wire.talk("ab", (4000, 5000), 0, 100, 1)
    secret = sender_report(1, 9, 9)[:8] + random.Random(4).randbytes(20 + 14)
    wire.send(2000, "ab", (4001, 5001), secret)
    assert wire.watcher.counts["rtcp_unreadable"] == 1
    assert wire.figures()["0x00000001"].missed_before is None


def test_a_relay_channel_is_looked_into():
    wire = Wire()
    for n in range(6):
        sound = rtp(n, n * STEP_TICKS, 5)
        channel = struct.pack("!HH", 0x4001, len(sound)) + sound
        wire.send(n * STEP_NS / 1e6, "ab", (50_000, 3478), channel)
    assert wire.figures()["0x00000005"].packets == 6


def test_what_a_relay_sends_before_a_channel_is_bound_is_looked_into():
    wire = Wire()
    for n in range(6):
        sound = rtp(n, n * STEP_TICKS, 5, size=21)
        peer = struct.pack("!HHBBHI", 0x12, 8, 0, 1, 0x1234, 0x01020304)
        data = struct.pack("!HH", 0x13, len(sound)) + sound + bytes(-len(sound) % 4)
        head = struct.pack("!HHI12x", 0x17, len(peer + data), 0x2112A442)
        wire.send(n * STEP_NS / 1e6, "ab", (3478, 50_000), head + peer + data)
    assert wire.figures()["0x00000005"].packets == 6


def test_sdp_of_a_call_on_hold_a_name_or_another_protocol_awaits_nothing():
    assert read_sdp(SDP.format("0.0.0.0", 4000, "RTP/AVP")) == ()
    assert read_sdp(SDP.format("pbx.example", 4000, "RTP/AVP")) == ()
    assert read_sdp(SDP.format(A, 0, "RTP/AVP")) == ()
    assert read_sdp(SDP.format(A, 4000, "UDPTL")) == ()
    (medium,) = read_sdp(SDP.format(B, 4000, "RTP/AVP"))
    assert {kind: format_.name for kind, format_ in medium.formats.items()} == {
        **{111: "opus", 8: "PCMA"},
        101: "telephone-event",
    }


def test_no_message_however_damaged_raises():
    chance = random.Random(6)
    whole = [
        *(
            invite(A, 4000),
            sender_report(1, 2, 3),
            receiver_report(1, 2, 3, 4, 5),
            rtp(1),
            struct.pack("!HHI12xHH", 0x17, 16, 0x2112A442, 0x13, 12) + rtp(1)[:12],
        ),
        b"SIP/2.0 200 OK\nv: a;branch=b, c\nt: <d>;tag=e\nCSeq: 1 INVITE\ni: x\n"
        b"c: application/sdp\n\n"
        b"m=audio 9 RTP/AVP\nc=IN\na=rtpmap:",
    ]
    for _ in range(4000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data) + 1)])
        read_sip(cut)
        read_rtcp(cut, chance.choice((len(cut), len(data), 0)))
        read_rtp(cut, len(cut))
        if cut:
            unwrap_relayed(cut, len(cut))
        read_sdp(cut.decode("latin-1"))
