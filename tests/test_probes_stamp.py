"""STAMP packets of RFC 8762 and the TLVs of RFC 8972."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire import stamp

SENDER = "00000000e8fe6f8080000000000100000000000000000000"
NOW_NS = 1_700_000_000_500_000_000
octets = st.binary(max_size=300)


def test_a_senders_packet_has_the_layout_of_rfc_8762_figure_2():
    packet = stamp.request(0, stamp.ntp_of(NOW_NS), error_estimate=1)
    assert len(packet) == 44
    assert packet.hex() == SENDER.ljust(88, "0")


def test_a_reflectors_packet_has_the_layout_of_rfc_8762_figure_5():
    sent = stamp.SenderPacket(sequence=7, t1_ntp=1, error_estimate=0x3FFF, ssid=0xBEEF)
    packet = stamp.reply(sent, sequence=3, t2_ntp=2, t3_ntp=3, sender_ttl=64)
    assert len(packet) == 44
    assert packet[0:4] == b"\0\0\0\3"
    assert struct.unpack_from("!Q", packet, 4) == (3,)
    assert packet[14:16] == b"\xbe\xef"
    assert struct.unpack_from("!Q", packet, 16) == (2,)
    assert packet[24:28] == b"\0\0\0\7"
    assert struct.unpack_from("!Q", packet, 28) == (1,)
    assert packet[36:38] == b"\x3f\xff"
    assert packet[38:40] == b"\0\0"
    assert packet[40] == 64
    assert packet[41:] == b"\0\0\0"


def test_the_error_estimate_has_a_multiplier_above_zero():
    assert stamp.ERROR_ESTIMATE & 0xFF


@pytest.mark.parametrize("size", [44, 48, 49, 52, 53, 56, 172, 1472])
def test_a_packet_has_the_requested_size_and_so_has_its_reply(size):
    packet = stamp.request(1, 2, 3, tlvs=stamp.request_tlvs(size, 46))
    assert len(packet) == size
    tlvs = stamp.reply_tlvs(packet[44:], 46, 46, 1)
    answer = stamp.reply(stamp.read_request(packet), 0, 1, 2, 64, tlvs)
    assert len(answer) == size
    assert stamp.read_reply(answer).sender_sequence == 1


@pytest.mark.parametrize("size", [0, 43, 45, 47, 1473])
def test_an_impossible_size_is_rejected(size):
    with pytest.raises(ValueError, match="octets"):
        stamp.request_tlvs(size)


def test_a_reply_has_the_dscp_on_arrival_and_marks_a_refused_request():
    tlvs = stamp.request_tlvs(172, 46)
    assert stamp.requested_dscp(tlvs) == 46
    answered = stamp.reply_tlvs(tlvs, arrived=8, used=0, count=1)
    assert answered[0] == 0
    assert answered[4] >> 2 == 46
    assert answered[6 - 1] & 0b11 == 1
    sent = stamp.SenderPacket(0, 0, 1, 0)
    assert stamp.read_reply(stamp.reply(sent, 0, 0, 0, 0, answered)).dscp_arrived == 8


def test_a_reflector_without_the_dscp_leaves_it_out():
    tlvs = stamp.reply_tlvs(stamp.request_tlvs(172, 46))
    sent = stamp.SenderPacket(0, 0, 1, 0)
    assert stamp.read_reply(stamp.reply(sent, 0, 0, 0, 0, tlvs)).dscp_arrived == -1


def test_unknown_and_broken_tlvs_are_flagged_and_keep_their_size():
    unknown = bytes([0, 200, 0, 2, 1, 2])
    assert stamp.reply_tlvs(unknown) == bytes([stamp.UNRECOGNISED, 200, 0, 2, 1, 2])
    too_long = bytes([0, 1, 0, 9, 1])
    assert stamp.reply_tlvs(too_long)[0] == stamp.MALFORMED
    counters = bytes([0x80, 5, 0, 12]) + bytes(12)
    assert stamp.reply_tlvs(counters, count=9)[8:] == b"\0\0\0\x09\0\0\0\x09"


@given(st.integers(0, 2**62), st.integers(-(2**40), 2**40))
def test_differences_of_ntp_times_are_exact_to_the_nanosecond(unix_ns, later_ns):
    other_ns = max(0, unix_ns + later_ns)
    elapsed_ns = stamp.elapsed_ns(stamp.ntp_of(other_ns), stamp.ntp_of(unix_ns))
    assert abs(elapsed_ns - (other_ns - unix_ns)) <= 1


def test_ptp_timestamps_are_understood():
    packet = bytearray(stamp.reply(stamp.SenderPacket(1, 2, 3, 4), 5, 0, 0))
    struct.pack_into("!II", packet, 4, 1_700_000_001, 100)
    struct.pack_into("!II", packet, 16, 1_700_000_000, 999_999_900)
    packet[12] |= 0x40
    reply = stamp.read_reply(bytes(packet))
    assert stamp.elapsed_ns(reply.t3_ntp, reply.t2_ntp) in (199, 200, 201)
    assert (reply.t1_ntp, reply.sender_sequence) == (2, 1)


def test_ntp_times_are_correct_across_the_roll_over_of_2036():
    before_ns = (2**32 - 2_208_988_800) * 10**9 - 1_000
    assert stamp.elapsed_ns(
        stamp.ntp_of(before_ns + 5_000), stamp.ntp_of(before_ns)
    ) in (
        4_999,
        5_000,
    )


@given(octets)
def test_random_octets_never_break_the_parsers(packet):
    for read in (stamp.read_request, stamp.read_reply):
        try:
            read(packet)
        except stamp.StampError:
            assert len(packet) < 44


@given(octets, st.integers(-1, 63), st.integers(0, 63), st.integers(0, 2**40))
def test_a_reply_is_never_longer_than_its_request(tlvs, arrived, used, count):
    assert len(stamp.reply_tlvs(tlvs, arrived, used, count)) == len(tlvs)
    assert -1 <= stamp.requested_dscp(tlvs) <= 63


@given(st.data())
def test_a_damaged_reply_is_parsed_or_rejected(data):
    tlvs = stamp.reply_tlvs(stamp.request_tlvs(172, 46), 46, 46, 1)
    packet = bytearray(stamp.reply(stamp.SenderPacket(1, 2, 3, 4), 5, 6, 7, 8, tlvs))
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(0, len(packet) - 1))
        packet[at] = data.draw(st.integers(0, 255))
    cut = bytes(packet[: data.draw(st.integers(0, len(packet)))])
    try:
        reply = stamp.read_reply(cut)
    except stamp.StampError:
        assert len(cut) < 36
    else:
        assert -1 <= reply.dscp_arrived <= 63
