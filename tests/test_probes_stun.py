"""STUN: the codec with RFC 5769 and recorded calls, the probe with coturn."""

import contextlib
import socket
from ipaddress import ip_address

import pytest
from captures import datagrams
from hypothesis import given
from hypothesis import strategies as st
from services import corpus, coturn, free_port, running
from udp_echo import echo

from probes.measure import stun
from probes.measure.teams_relay import measure
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.policy import TeamsRelay
from probes.wire.report import Report, Whereabouts, samples

QUICK = {"now_ms": lambda: 7, "interval_ms": 2.0}
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
# RFC 5769 sections 2.2 and 2.3.
ANSWER_IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
ANSWER_IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)


def error(code, transaction=TRANSACTION):
    body = b"\0\x09\0\x04" + bytes((0, 0, code // 100, code % 100))
    return b"\x01\x11\0\x08" + stun.COOKIE.to_bytes(4, "big") + transaction + body


def test_a_binding_request_is_only_a_header():
    assert stun.binding_request(TRANSACTION).hex() == (
        "000100002112a442" + TRANSACTION.hex()
    )


def test_an_allocate_request_has_microsofts_cookie_and_udp():
    packet = stun.allocate_request(TRANSACTION)
    assert packet[:4] == b"\0\x03\0\x10"
    assert packet[20:28].hex() == "000f000472c64bc6"
    assert packet[28:].hex() == "0019000411000000"


@pytest.mark.parametrize(
    ("packet", "address"),
    [(ANSWER_IPV4, "192.0.2.1"), (ANSWER_IPV6, "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_the_responses_of_rfc_5769_are_parsed(packet, address):
    answer = stun.read_response(packet)
    assert answer.transaction == TRANSACTION
    assert answer.success
    assert answer.mapped == (ip_address(address), 32853)


@pytest.mark.parametrize("code", [300, 401, 420, 438, 500, 699])
def test_an_error_has_its_code(code):
    answer = stun.read_response(error(code))
    assert (answer.success, answer.error_code) == (False, code)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        ANSWER_IPV4[:19],
        stun.binding_request(TRANSACTION),
        b"\x80" + ANSWER_IPV4[1:],
        ANSWER_IPV4[:4] + bytes(4) + ANSWER_IPV4[8:],
        b"\x00\x11" + ANSWER_IPV4[2:],
    ],
)
def test_a_packet_that_is_not_a_response_is_rejected(packet):
    with pytest.raises(stun.StunError):
        stun.read_response(packet)


def test_a_truncated_response_still_counts():
    answer = stun.read_response(ANSWER_IPV4[:30])
    assert answer.success
    assert answer.mapped is None


@given(st.binary(max_size=400))
def test_random_octets_never_break_the_parser(packet):
    for damaged in (packet, ANSWER_IPV4[:20] + packet, error(401)[:20] + packet):
        try:
            answer = stun.read_response(damaged)
        except stun.StunError:
            continue
        assert 0 <= answer.error_code < 800


@given(st.data())
def test_a_damaged_response_is_parsed_or_rejected(data):
    packet = bytearray(ANSWER_IPV6)
    for _ in range(data.draw(st.integers(1, 20))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(
            st.integers(0, 255)
        )
    with contextlib.suppress(stun.StunError):
        stun.read_response(bytes(packet[: data.draw(st.integers(0, len(packet)))]))


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("file", "answers", "codes"),
    [
        ("ndpi_teams.pcap", 18, {0, 401}),
        ("ndpi_stun_msteams_unidir.pcapng", 4, {0}),
        ("ndpi_stun_google_meet.pcapng", 20, {0}),
        ("zeek_webrtc-stun.pcap", 5, {0}),
    ],
)
def test_responses_of_recorded_calls_are_parsed(file, answers, codes):
    responses = []
    for datagram in datagrams(corpus("pcap", file)):
        try:
            responses.append(stun.read_response(datagram.payload))
        except stun.StunError:
            continue
    assert len(responses) >= answers
    assert {response.error_code for response in responses} == codes


def relay(port, **more):
    return TeamsRelay(host="127.0.0.1", port=port, **more)


@pytest.fixture(scope="module")
def turn(tmp_path_factory):
    with running(coturn(tmp_path_factory.mktemp("coturn"))) as server:
        yield server


@pytest.mark.service
async def test_coturn_answers_binding_requests(turn):
    result = await measure(relay(turn.port), **QUICK)
    assert result.outcome is Outcome.OK
    assert (result.probe, result.target, result.time_ms) == ("teams_relay", "teams", 7)
    values = result.values
    # All of them, unless the machine is busy: what comes too late is lost.
    assert (values["sent"], values["answer_code"]) == (50, 0)
    assert values["received"] > 0
    assert values["loss_ratio"] == pytest.approx(1 - values["received"] / 50)
    assert 0 < values["rtt_min_ms"] <= values["rtt_ms"]
    report = Report(1, "r", "a", 0, "test", Whereabouts(), (result,))
    check_sample(samples(report, "", "")[0], CATALOGUE)


@pytest.mark.service
async def test_an_error_response_counts_as_an_answer(tmp_path):
    with running(coturn(tmp_path, "--secure-stun")) as server:
        # With this option coturn answers Binding requests with an error.
        result = await measure(relay(server.port), **QUICK)
        assert result.outcome is Outcome.OK
        assert result.values["answer_code"] == 401


def silent_to_binding(packet, _count):
    return [error(401, packet[8:20])] if packet[1] == 3 else []


async def test_allocate_is_tried_only_if_the_council_allows_it():
    async with echo(silent_to_binding) as port:
        without = await measure(relay(port), tcp_port=free_port(), **QUICK)
        with_allocate = await measure(relay(port, allocate=True), **QUICK)
    # The host refuses TCP, so it is up: only UDP gets no answer.
    assert without.outcome is Outcome.UDP_BLOCKED
    assert without.values == {}
    assert with_allocate.outcome is Outcome.OK
    assert with_allocate.values["answer_code"] == 401


async def test_responses_to_other_requests_do_not_count():
    def forged(packet, _count):
        head = b"\x01\x01\0\0" + stun.COOKIE.to_bytes(4, "big")
        return [packet, b"", head + bytes(12), head + packet[8:19] + b"\xff"]

    async with echo(forged) as port:
        result = await measure(relay(port, packets=5), **QUICK)
    assert result.outcome is not Outcome.OK


async def test_a_short_run_waits_for_its_first_response():
    held = []

    def late(packet, count):
        held.append(b"\x01\x01\0\0" + packet[4:20])
        return held if count == 9 else []

    async with echo(late) as port:
        result = await measure(relay(port, packets=10), **QUICK)
    assert result.values["received"] == 10


async def test_lost_and_duplicate_responses_are_reported():
    def answer(packet, count):
        response = b"\x01\x01\0\0" + packet[4:20]
        return [[], [response], [response, response]][count % 3]

    async with echo(answer) as port:
        result = await measure(relay(port, packets=30), **QUICK)
    assert result.values["received"] == 20
    assert result.values["loss_ratio"] == pytest.approx(1 / 3, abs=1e-6)
    assert result.values["duplicate_ratio"] == pytest.approx(1 / 3, abs=1e-6)


async def test_an_unknown_relay_or_closed_port_is_an_outcome():
    result = await measure(TeamsRelay(host="no-such-host.invalid"), **QUICK)
    assert result.outcome in (Outcome.NAME_NOT_FOUND, Outcome.NAME_SERVER_FAILED)
    result = await measure(relay(free_port(socket.SOCK_DGRAM)), **QUICK)
    assert result.outcome is Outcome.REFUSED
