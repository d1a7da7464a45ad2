"""The path to the council: whose each hop is, and at which hop packets are lost."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from probe_runs import reflector_at, run_path
from routed_path import COUNCIL, COUNCIL6, GATEWAY, RoutedPath, routed_path

from probes import tracing
from probes.measure.hops import Hop, figures, identify_hops
from probes.tracing import Echo, windows_tracer
from probes.tracing.linux_tracer import TcpTracer, parse_error
from probes.wire import icmp
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.report import Report, Result, Whereabouts, samples

FAMILIES = (socket.AF_INET, socket.AF_INET6)


def path_echoes(*addresses: str, reached: bool = True) -> list[Echo]:
    """One echo for each hop, "" if it does not answer; the last is the destination."""
    return [
        Echo(
            ttl,
            address,
            float(ttl) if address else None,
            reached and ttl == len(addresses),
        )
        for ttl, address in enumerate(addresses, 1)
    ]


def kinds(echoes: list[Echo], gateway: str = "192.168.1.254") -> list[tuple[str, int]]:
    hops = identify_hops(echoes, gateway, echoes[-1].address or "81.2.69.142")
    return [(hop.kind, hop.ttl) for hop in hops]


HOME, FAR = "192.168.1.254", "81.2.69.142"


@pytest.mark.parametrize(
    ("echoes", "expected"),
    [
        (
            path_echoes(HOME, "81.139.1.1", "62.6.1.1", FAR),
            [("gateway", 1), ("provider", 2), ("provider", 3), ("edge", 4)],
        ),
        # Private addresses in the provider's network; a hop that does not answer.
        (
            path_echoes(HOME, "172.16.17.9", "", "62.6.1.1", FAR),
            [("gateway", 1), ("provider", 2), ("provider", 4), ("edge", 5)],
        ),
        (
            path_echoes(HOME, "100.64.3.1", FAR),
            [("gateway", 1), ("provider", 2), ("edge", 3)],
        ),
        # The household's own router behind that of the provider.
        (
            path_echoes("192.168.8.1", HOME, "81.139.1.1", FAR),
            [("gateway", 1), ("provider", 3), ("edge", 4)],
        ),
        # A gateway that does not answer on the path is probed directly.
        (
            path_echoes("", "81.139.1.1", FAR),
            [("gateway", 0), ("provider", 2), ("edge", 3)],
        ),
        # An office: the reflector is inside, without a provider in between.
        (path_echoes(HOME, "10.20.0.1", "10.1.0.9"), [("gateway", 1), ("edge", 3)]),
        # Through a tunnel the path shows nothing about the line.
        (path_echoes("10.200.0.1", "10.1.0.9"), [("gateway", 0), ("edge", 2)]),
        (path_echoes("10.200.0.1", "81.2.69.1", FAR), [("gateway", 0), ("edge", 3)]),
        # In the same room.
        (path_echoes("192.168.1.9"), [("gateway", 0), ("edge", 1)]),
    ],
)
def test_every_hop_is_assigned_to_its_owner(echoes, expected):
    gateway = "192.168.8.1" if echoes[0].address == "192.168.8.1" else HOME
    assert kinds(echoes, gateway) == expected


def test_only_the_first_hops_of_a_provider_are_measured():
    echoes = path_echoes(HOME, *[f"81.139.1.{n}" for n in range(1, 9)], FAR)
    assert [ttl for kind, ttl in kinds(echoes) if kind == "provider"] == [2, 3, 4]


def test_without_an_answer_from_the_destination_there_is_no_edge():
    echoes = path_echoes(HOME, "81.139.1.1", "", "", reached=False)
    assert kinds(echoes) == [("gateway", 1), ("provider", 2)]


def test_without_a_known_gateway_the_first_hop_is_the_gateway():
    assert kinds(path_echoes(HOME, "81.139.1.1", FAR), gateway="")[0] == ("gateway", 1)


def test_an_ipv6_gateway_may_answer_from_another_address():
    echoes = path_echoes("2a02:8010:1::1", "2a02:8010:9::1", "2a02:3::2")
    assert kinds(echoes, "fe80::1%wlan0")[:2] == [("gateway", 1), ("provider", 2)]


def answers(lost: int, of: int = 10, rtt_ms: float = 5.0) -> list[Echo]:
    return [Echo(1)] * lost + [Echo(1, "x", rtt_ms)] * (of - lost)


def test_loss_counts_only_if_it_continues_beyond_the_hop():
    values = figures(
        {
            Hop("gateway", 1): answers(6),
            Hop("provider", 2): answers(10),
            Hop("provider", 3): answers(2),
            Hop("edge", 9): answers(1, rtt_ms=30),
        }
    )
    # The gateway limits its answers; the provider's first hop does not answer.
    assert values["gateway_loss_ratio"] == values["provider_loss_ratio"] == 0.1
    assert values["edge_loss_ratio"] == 0.1
    assert values["edge_rtt_ms"] == 30


def test_loss_that_starts_on_the_line_is_not_blamed_on_the_gateway():
    values = figures(
        {
            Hop("gateway", 1): answers(0),
            Hop("provider", 2): answers(3),
            Hop("edge", 9): answers(4),
        }
    )
    assert values["gateway_loss_ratio"] == 0
    assert values["provider_loss_ratio"] == 0.3


echoes = st.builds(
    Echo,
    st.integers(1, 30),
    st.sampled_from(["", "x", HOME, FAR, "10.0.0.1", "100.64.0.1", "fe80::1%3", "::1"]),
    st.none() | st.floats(0, 1e4),
    st.booleans(),
)


@given(st.lists(echoes, max_size=30), st.sampled_from(["", HOME, "fe80::1", "x"]))
def test_figures_of_any_echoes_are_consistent_and_hold_no_address(look, gateway):
    hops = identify_hops(look, gateway, FAR)
    assert [hop.kind for hop in hops].count("edge") <= 1
    values = figures(dict.fromkeys(hops, look))
    for name, value in values.items():
        assert isinstance(value, float)
        assert value >= 0
        assert not name.endswith("_loss_ratio") or value <= 1


# Parsing packets.


@pytest.mark.parametrize("family", FAMILIES)
def test_an_echo_request_is_recognised_in_every_answer(family):
    request = icmp.echo_request(family, 7, 9, b"odd")
    assert request[0] == (8 if family == socket.AF_INET else 128)
    reply = bytes([0 if family == socket.AF_INET else 129]) + request[1:]
    assert icmp.parse_icmp(family, reply) == ("reply", 7, 9)
    around = (
        bytes([0x45]) + bytes(19) if family == socket.AF_INET else b"\x60" + bytes(39)
    )
    exceeded = bytes([11 if family == socket.AF_INET else 3]) + bytes(7)
    assert icmp.parse_icmp(family, exceeded + around + request) == ("exceeded", 7, 9)
    assert icmp.parse_icmp(family, exceeded + around + request[:7]) is None
    assert icmp.parse_icmp(family, request) is None


def test_the_checksum_of_a_message_with_its_checksum_is_zero():
    packet = icmp.echo_request(socket.AF_INET, 0x1234, 1, b"abcde") + b"\0"
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


@given(st.binary(max_size=200), st.sampled_from(FAMILIES))
def test_random_octets_never_break_the_parsers(packet, family):
    icmp.parse_icmp(family, packet)
    icmp.without_ip_header(packet)
    windows_tracer.read_reply(family, packet)
    for level, kind in ((0, 11), (41, 25), (1, 2)):
        parse_error(family, [(level, kind, packet)], packet)


def test_windows_replies_have_the_layout_of_the_headers():
    ipv4 = socket.inet_aton("192.0.2.9") + struct.pack("<IIHH", 11013, 12, 0, 0)
    assert windows_tracer.read_reply(socket.AF_INET, ipv4) == (11013, "192.0.2.9")
    packed = socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    ipv6 = bytes(6) + packed + bytes(6) + struct.pack("<II", 0, 3)
    assert windows_tracer.read_reply(socket.AF_INET6, ipv6) == (0, "2001:db8::9")
    assert windows_tracer.echo_from_status(3, 0, "a", "a", 2.0) == Echo(
        3, "a", 2.0, True
    )
    assert windows_tracer.echo_from_status(3, 11013, "b", "a", 2.0) == Echo(
        3, "b", 2.0, False
    )
    assert windows_tracer.echo_from_status(3, 11010, "", "a", 2.0) == Echo(3)


# Real routers.

QUICK = {"rounds": 8, "every_s": 0.05, "gateway": GATEWAY}


@pytest.fixture(scope="module")
def path() -> Iterator[RoutedPath]:
    with routed_path() as path:
        path.ration(False)
        yield path


@pytest.fixture(scope="module")
def ports(path: RoutedPath) -> Iterator[dict[str, int]]:
    with path.reflector(COUNCIL, COUNCIL6) as ports:
        yield ports


@pytest.fixture(autouse=True)
def _no_faults_stay(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "path" in request.fixturenames:
        for name in ("router", "provider", "far"):
            request.getfixturevalue("path").rules(name)


def losses(result):
    names = ("gateway", "provider", "edge")
    return [result["values"].get(f"{name}_loss_ratio") for name in names]


def words(result):
    return [value for value in result["values"].values() if isinstance(value, str)]


@pytest.mark.netns
@pytest.mark.parametrize("host", [COUNCIL, COUNCIL6])
def test_a_clean_path_has_three_hops_and_no_addresses(path, ports, host):
    result = path.measure("path", "r1", host, ports["stamp"], **QUICK)
    assert result["outcome"] == "ok"
    assert result["values"]["hops"] == 3
    assert result["values"]["method"] == "udp"
    assert losses(result) == [0, 0, 0]
    rtts = [v for n, v in result["values"].items() if n.endswith("_rtt_ms")]
    assert len(rtts) == 3
    assert not any("." in str(v) or ":" in str(v) for v in words(result))
    result = Result(**result | {"outcome": Outcome(result["outcome"])})
    report = Report(1, "r", "a", 0, "test", Whereabouts(), (result,))
    check_sample(samples(report, "", "")[0], CATALOGUE)


@pytest.mark.netns
def test_loss_is_reported_at_the_hop_where_it_begins(path, ports):
    more = QUICK | {"rounds": 12}
    third = "meta l4proto udp numgen inc mod 3 == 0 drop"
    path.rules("router", f"forward ip daddr {COUNCIL} {third}")
    line = path.measure("path", "r1", COUNCIL, ports["stamp"], **more)
    path.rules("router")
    path.rules("far", f"input {third}")
    far = path.measure("path", "r1", COUNCIL, ports["stamp"], **more)
    gateway, provider, edge = losses(line)
    assert gateway == 0
    assert provider >= 0.2
    assert edge >= 0.2
    assert losses(far)[:2] == [0, 0]
    assert losses(far)[2] >= 0.2


@pytest.mark.netns
def test_routers_that_limit_their_answers_are_not_blamed(path, ports):
    path.ration(True)
    result = path.measure("path", "r1", COUNCIL, ports["stamp"], **QUICK)
    path.ration(False)
    assert losses(result) == [0, 0, 0]


@pytest.mark.netns
def test_tcp_finds_the_path_if_udp_is_dropped(path, ports):
    path.rules("far", "input meta l4proto { udp, icmp } drop")
    result = path.measure(
        "path", "r1", COUNCIL, ports["stamp"], tcp_port=ports["web"], **QUICK
    )
    assert result["outcome"] == "ok"
    assert result["values"]["method"] == "tcp"
    assert result["values"]["hops"] == 3
    assert losses(result) == [0, 0, 0]


@pytest.mark.netns
def test_with_a_dead_reflector_the_hops_before_it_are_still_measured(path, ports):
    path.rules("far", "input ip daddr 81.2.69.142 drop")
    result = path.measure("path", "r1", COUNCIL, ports["stamp"], **QUICK)
    assert result["outcome"] == "timeout"
    assert losses(result) == [0, 0, None]
    assert "hops" not in result["values"]


@pytest.mark.netns
def test_a_gateway_that_is_not_on_the_path_is_probed_directly(path, ports):
    # As with a tunnel: no hop of this path is in the gateway's network.
    beside = QUICK | {"gateway": "81.2.69.1"}
    result = path.measure("path", "r1", COUNCIL, ports["stamp"], **beside)
    assert result["values"]["gateway_rtt_ms"] > 0
    assert "provider_rtt_ms" not in result["values"]
    assert result["values"]["hops"] == 3


@pytest.mark.netns
def test_without_a_route_there_is_no_network(path):
    path._do(path.near("ip", "route", "del", "default"))
    result = path.measure("path", "r1", COUNCIL, 862, **QUICK)
    path._do(path.near("ip", "route", "add", "default", "via", GATEWAY))
    assert result["outcome"] == "no_network"
    assert result.get("values", {}) == {}


async def test_a_name_that_does_not_exist_is_not_found():
    result = await run_path(reflector_at("no-such-host.invalid"))
    assert result.outcome in (Outcome.NAME_NOT_FOUND, Outcome.NAME_SERVER_FAILED)


def test_a_closed_port_still_reaches_the_destination():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = server.getsockname()
        echoes = TcpTracer(socket.AF_INET, address).trace(
            [5, 5], 0.01, 1.0, threading.Event()
        )
    assert [echo.reached for echo in echoes] == [True, True]


def test_every_system_has_a_tracer():
    tracers = tracing.tracers(socket.AF_INET, ("127.0.0.1", 862), lambda: None, 443)
    assert [tracer.method for tracer in tracers]
