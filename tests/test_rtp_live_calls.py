"""Calls on a mirrored port whose SIP is read: no row is about one person."""

from __future__ import annotations

import random

import pytest
from rtp_captures import (
    STEP_NS,
    ethernet,
    finish,
    ipv4,
    ipv6,
    receiver_report,
    rtp,
    sender_report,
    tcp,
    udp,
)
from test_rtp_filter import run_filter
from test_rtp_minutes import HALL, START_NS, pairs_of, ring_block

from collectors.batch import batch_samples, check_batch
from collectors.rtp.live_streams import LiveStreams
from collectors.rtp.minute_groups import MinuteGroups, SubnetNames
from collectors.rtp.packet_filter import rtp_filter
from collectors.rtp.sip_minutes import SipMinutes
from collectors.server_measurements import CATALOGUE

PROGRAM = rtp_filter(with_sip=True)
NUMBER, NAME, HOST = "07700900123", "ada.lovelace", "pbx.council.example"
MINUTE_NS = 60_000_000_000


def sip(what, call, method="INVITE", sdp="", branch="x"):
    """A request, or the reply with a code, of a caller for each call."""
    start = f"{what} sip:{NUMBER}@{HOST} SIP/2.0"
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    return (
        f"{f'SIP/2.0 {what} X' if isinstance(what, int) else start}\r\n"
        f"Via: SIP/2.0/UDP {HOST};branch=z9hG4bK{branch}{call}\r\n"
        f'From: "{NAME}" <sip:{NUMBER}{call}@{HOST}>;tag=1\r\nTo: <sip:1@{HOST}>\r\n'
        f"Call-ID: {call}@{HOST}\r\nCSeq: 1 {method}\r\n{kind}\r\n{sdp}"
    ).encode()


def description(address, port, formats="8", profile="RTP/AVP", direction="sendrecv"):
    return (
        f"v=0\r\nc=IN IP4 {address}\r\nm=audio {port} {profile} {formats}\r\n"
        f"a=rtpmap:111 opus/48000/2\r\na={direction}\r\n"
    )


class Port:
    """A mirrored port, cut as the kernel does."""

    def __init__(self):
        self.streams = LiveStreams(with_sip=True)
        self.groups = MinuteGroups(SubnetNames([HALL], []), "eth1", 10)
        self.minutes = SipMinutes("eth1", 10)

    def send(self, at_ms, payload, source="10.1.1.1", target="10.2.2.2", ports=None):
        frame = ethernet(ipv4(udp(payload, *(ports or (5060, 5060))), source, target))
        at_ns = START_NS + int(at_ms * 1e6)
        kept = run_filter(PROGRAM, frame)
        if kept:
            memory, block = ring_block([(at_ns, frame)], kept)
            self.streams.read_block(memory, block)
            # What has been read is overwritten in the ring.
            assert frame[42:kept] not in memory

    def send_tcp(self, at_ms, data, sequence, ports=(5060, 5060)):
        packet = ipv4(tcp(data, sequence, *ports), "10.1.1.1", "10.2.2.2", 6)
        frame = ethernet(packet)
        kept = run_filter(PROGRAM, frame)
        if kept:
            at_ns = START_NS + int(at_ms * 1e6)
            memory, block = ring_block([(at_ns, frame)], kept)
            self.streams.read_block(memory, block)
            assert data not in memory

    def call(self, call, code, delay_ms=500):
        self.send(0, sip("INVITE", call))
        self.send(10, sip(100, call))
        if code:
            self.send(delay_ms, sip(code, call))

    def rows(self, minute=1):
        settled = self.streams.calls.calls.take_settled(START_NS + minute * MINUTE_NS)
        return self.minutes.close_minute(settled, 60_000)

    def media(self):
        return finish(
            self.groups.close_minute(
                self.streams.streams.values(),
                60_000,
                self.streams.reports.take_minute(),
                self.streams.calls,
            )
        ).samples


def test_calls_over_tcp_are_read_however_their_messages_are_cut():
    port, chance = Port(), random.Random(3)
    at = {True: 0xFFFFFFF0, False: 7}
    for call in range(12):
        sdp = description("10.2.2.2", 4000 + call)
        invite = sip("INVITE", call, sdp=sdp).replace(
            b"\r\n\r\n", f"\r\nContent-Length: {len(sdp)}\r\n\r\n".encode(), 1
        )
        for at_ms, is_request, data in (
            # It is about no call, so the kernel leaves it out.
            (0, True, sip("REGISTER", call, "REGISTER")),
            (1, True, invite),
            (501, False, sip(486, call)),
        ):
            while data:
                some = data[: chance.randrange(80, 300)]
                ports = (40_000, 5060) if is_request else (5060, 40_000)
                port.send_tcp(at_ms, some, at[is_request], ports)
                at[is_request] += len(some)
                data = data[len(some) :]
    rows, withheld = port.rows()
    fields = {row.tags["group"]: row.fields for row in rows}
    assert (fields["486"]["calls"], withheld) == (12, 0)
    assert fields["all"]["delay_ms"] == 500
    assert port.streams.counts["sip"] == 24
    assert len(port.streams.calls._media) == 12


def test_a_message_over_tcp_that_does_not_go_on_is_forgotten_and_tls_is_counted():
    port = Port()
    port.send_tcp(0, sip("INVITE", 1)[:150], 0)
    port.send_tcp(0, b"\x16\3\1" + NAME.encode(), 9, (40_000, 5061))
    calls, counts = port.streams.calls, port.streams.counts
    assert NUMBER in repr(calls._connections._open)
    calls.drop_unfinished(START_NS + MINUTE_NS)
    assert NUMBER not in repr(calls._connections._open)
    assert (counts["sip"], counts["sip_gaps"], counts["sip_tls"]) == (0, 1, 1)


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(ipv4(udp(sip("INVITE", 1)))),
        ethernet(ipv4(udp(sip(200, 1))), 0, (0x8100, 5)),
        ethernet(ipv6(udp(sip("UPDATE", 1)), "2001:db8::1", "2001:db8::2")),
    ],
)
def test_sip_leaves_the_kernel_only_if_it_was_asked_for(frame):
    assert run_filter(PROGRAM, frame) >= len(frame)
    assert run_filter(rtp_filter(), frame) == 0


@pytest.mark.parametrize(
    "payload",
    [sip("REGISTER", 1), sip("MESSAGE", 1), sip("OPTIONS", 1), b"GET / HTTP/1.1\r\n"],
)
def test_messages_that_set_up_no_call_stay_in_the_kernel(payload):
    assert run_filter(PROGRAM, ethernet(ipv4(udp(payload)))) == 0


def test_speech_is_cut_off_also_if_sip_is_read():
    frame = ethernet(ipv4(udp(rtp(5))))
    assert run_filter(PROGRAM, frame) == 54
    long = ethernet(ipv4(udp(sip("INVITE", 1) + bytes(9000))))
    assert run_filter(PROGRAM, long) == 42 + 4096


def test_a_row_says_how_calls_ended_and_how_long_callers_heard_nothing():
    port = Port()
    for call in range(20):
        port.call(call, 180 if call < 10 else 503, 400 if call < 10 else 800)
    for call in range(10):
        port.send(9000, sip(200, call))
    rows, withheld = port.rows()
    by_group = {row.tags["group"]: row.fields for row in rows}
    assert by_group["all"] == {
        **{"calls": 20, "minutes": 1, "timed": 20, "delay_ms": 600.0},
        **{"answered_ratio": 0.5, "fault_ratio": 0.5, "not_answered_ratio": 0.0},
        **{"wrong_number_ratio": 0.0, "no_reply_ratio": 0.0},
    }
    assert by_group["503"] == {"calls": 10, "minutes": 1}
    assert withheld == 0
    (batch,) = batch_samples(rows, "rtp/eth1", 0)
    assert check_batch(batch, CATALOGUE) is batch
    for planted in (NUMBER, NAME, HOST):
        assert planted not in repr(rows)


def test_a_code_of_fewer_callers_than_a_group_is_in_no_row_of_its_own():
    port = Port()
    for call in range(20):
        port.call(call, 486 if call < 9 else 200)
    rows, _ = port.rows()
    assert [row.tags["group"] for row in rows] == ["all"]


def test_calls_of_fewer_callers_than_a_group_wait_for_more_and_not_for_ever():
    port = Port()
    for call in range(6):
        port.call(call, 200)
    # One caller who calls often is one caller.
    for call in range(30):
        again = sip("INVITE", f"again{call}").replace(
            f"again{call}@".encode(), b"5@", 1
        )
        port.send(20, again.replace(f"{NUMBER}again{call}".encode(), b"5"))
    assert port.rows() == ([], 0)
    assert port.rows(2) == ([], 0)
    for call in range(6, 12):
        port.call(call, 200)
    rows, withheld = port.rows(3)
    assert (rows[0].fields["minutes"], withheld) == (3, 0)
    port.call(99, 200)
    results = [port.rows(4 + minute) for minute in range(61)]
    assert [withheld for _, withheld in results if withheld] == [1]
    assert not any(rows for rows, _ in results)


def test_a_challenge_is_no_failure_and_nobody_who_answers_is_counted():
    port = Port()
    for call in range(10):
        port.call(call, 407)
        port.send(600, sip("INVITE", call, branch="y"))
        port.send(900, sip(200, call, branch="y"))
        port.send(0, sip("INVITE", f"{call}silent"))
    rows, _ = port.rows()
    assert rows[0].fields["calls"] == 20
    assert rows[0].fields["answered_ratio"] == 0.5
    assert rows[0].fields["no_reply_ratio"] == 0.5


def test_a_call_that_rings_waits_until_it_is_answered():
    port = Port()
    for call in range(10):
        port.call(call, 180)
    assert port.rows(2) == ([], 0)
    for call in range(10):
        port.send(130_000, sip(200, call))
    (row,), _ = port.rows(4)
    assert row.fields["answered_ratio"] == 1.0


def speak(port, pairs, packets=600, kind=8, ticks=160):
    for n in range(packets):
        for ssrc, pair in enumerate(pairs):
            frame = ethernet(ipv4(udp(rtp(n, n * ticks, ssrc, kind)), *pair))
            block = ring_block([(START_NS + n * STEP_NS, frame)])
            port.streams.read_block(*block)


def test_sdp_names_the_codec_so_what_is_no_speech_is_not_rated():
    rated = {}
    for name in ("opus", "iLBC"):
        port = Port()
        pairs = pairs_of(10)
        for _, target in pairs:
            sdp = description(target, 5000, "111").replace("opus", name)
            port.send(0, sip("INVITE", target, sdp=sdp))
        speak(port, pairs, kind=111, ticks=960)
        (row,) = port.media()
        assert row.fields["jitter_ms"] == 0
        rated[name] = row.fields["rated"]
        hz = {stream.hz_estimated for stream in port.streams.streams.values()}
        assert hz == {False}
    assert rated == {"opus": 10, "iLBC": 0}


def test_a_call_on_hold_is_not_one_way():
    there = pairs_of(12)
    back = [(target, source) for source, target in there[:11]]
    for direction, one_way in (("sendrecv", 1), ("sendonly", 0)):
        port = Port()
        speak(port, [*there, *back], packets=300)
        sdp = description(there[11][0], 4000, direction=direction)
        port.send(0, sip("INVITE", 1, sdp=sdp), *there[11])
        assert sum(row.fields["one_way"] for row in port.media()) == one_way


def test_reports_of_streams_that_sdp_calls_secure_are_never_believed():
    port = Port()
    port.send(0, sip("INVITE", 1, sdp=description("10.2.2.1", 5000, "8", "RTP/SAVP")))
    speak(port, pairs_of(1), packets=20)
    rtcp = sender_report(0, 9, 9) + receiver_report(0, 5, 0, 0, 0)
    port.send(500, rtcp, "10.1.1.1", "10.2.2.1", (4001, 5001))
    counts = port.streams.take_counts()
    assert (counts["rtcp"], counts["rtcp_unread"]) == (0, 1)


def test_nothing_that_names_anybody_is_held_and_no_message_raises():
    port = Port()
    whole = [
        sip("INVITE", 1, sdp=description("10.2.2.1", 5000)),
        sip(180, 1),
        sip(200, 2, sdp=description("0.0.0.0", 5000)),
        sip("UPDATE", 3, "UPDATE", description("10.2.2.1", 5000)),
    ]
    chance = random.Random(5)
    for _ in range(1500):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        port.send(0, bytes(data[: chance.randrange(1, len(data) + 1)]))
    calls = port.streams.calls
    held = repr([*calls._media.items(), *calls._offers._places.items()])
    held += repr(
        [(call, a.branch, a.caller) for call, a in calls.calls._attempts.items()]
    )
    held += repr(port.rows())
    for planted in (NUMBER, NAME, HOST):
        assert planted not in held


def test_a_message_in_fragments_is_not_held_until_the_rest_comes():
    streams = LiveStreams(with_sip=True)
    whole = ipv4(udp(sip("INVITE", 1)), fragment=0x2000)
    frame = ethernet(whole)
    assert run_filter(PROGRAM, frame) >= len(frame)
    memory, block = ring_block([(START_NS, frame)], len(frame))
    streams.read_block(memory, block)
    assert streams._decoder._waiting == {}
    assert NUMBER.encode() not in memory
