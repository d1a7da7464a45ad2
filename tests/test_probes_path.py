"""The way to the council: whose station is whose, and which of them loses."""

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


def way(*addresses: str, reached: bool = True) -> list[Echo]:
    """One answer a hop, "" for none; the last is the destination's own."""
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
    found = identify_hops(echoes, gateway, echoes[-1].address or "81.2.69.142")
    return [(each.kind, each.ttl) for each in found]


HOME, FAR = "192.168.1.254", "81.2.69.142"


@pytest.mark.parametrize(
    ("echoes", "expected"),
    [
        (
            way(HOME, "81.139.1.1", "62.6.1.1", FAR),
            [("gateway", 1), ("provider", 2), ("provider", 3), ("edge", 4)],
        ),
        # Private numbers in the provider's own network; a hop that does not answer.
        (
            way(HOME, "172.16.17.9", "", "62.6.1.1", FAR),
            [("gateway", 1), ("provider", 2), ("provider", 4), ("edge", 5)],
        ),
        (way(HOME, "100.64.3.1", FAR), [("gateway", 1), ("provider", 2), ("edge", 3)]),
        # A router of one's own behind the provider's.
        (
            way("192.168.8.1", HOME, "81.139.1.1", FAR),
            [("gateway", 1), ("provider", 3), ("edge", 4)],
        ),
        # A gateway that does not answer such questions is asked for itself.
        (
            way("", "81.139.1.1", FAR),
            [("gateway", 0), ("provider", 2), ("edge", 3)],
        ),
        # An office: the reflector inside, nobody's provider between.
        (way(HOME, "10.20.0.1", "10.1.0.9"), [("gateway", 1), ("edge", 3)]),
        # Through a tunnel the way says nothing of the line.
        (way("10.200.0.1", "10.1.0.9"), [("gateway", 0), ("edge", 2)]),
        (way("10.200.0.1", "81.2.69.1", FAR), [("gateway", 0), ("edge", 3)]),
        # In the same room.
        (way("192.168.1.9"), [("gateway", 0), ("edge", 1)]),
    ],
)
def test_every_station_is_known_by_whose_it_is(echoes, expected):
    gateway = "192.168.8.1" if echoes[0].address == "192.168.8.1" else HOME
    assert kinds(echoes, gateway) == expected


def test_of_a_provider_only_the_first_stations_are_looked_at():
    echoes = way(HOME, *[f"81.139.1.{n}" for n in range(1, 9)], FAR)
    assert [ttl for kind, ttl in kinds(echoes) if kind == "provider"] == [2, 3, 4]


def test_where_the_end_is_not_reached_there_is_no_edge():
    echoes = way(HOME, "81.139.1.1", "", "", reached=False)
    assert kinds(echoes) == [("gateway", 1), ("provider", 2)]


def test_without_a_known_gateway_the_first_hop_is_it():
    assert kinds(way(HOME, "81.139.1.1", FAR), gateway="")[0] == ("gateway", 1)


def test_gateways_of_ipv6_are_known_by_another_address_than_they_answer_by():
    echoes = way("2a02:8010:1::1", "2a02:8010:9::1", "2a02:3::2")
    assert kinds(echoes, "fe80::1%wlan0")[:2] == [("gateway", 1), ("provider", 2)]


def heard(lost: int, of: int = 10, rtt_ms: float = 5.0) -> list[Echo]:
    return [Echo(1)] * lost + [Echo(1, "x", rtt_ms)] * (of - lost)


def test_loss_counts_only_as_far_as_it_goes_on():
    found = figures(
        {
            Hop("gateway", 1): heard(6),
            Hop("provider", 2): heard(10),
            Hop("provider", 3): heard(2),
            Hop("edge", 9): heard(1, rtt_ms=30),
        }
    )
    # The gateway rations its answers; the provider's first station gives none.
    assert found["gateway_loss_ratio"] == found["provider_loss_ratio"] == 0.1
    assert found["edge_loss_ratio"] == 0.1
    assert found["edge_rtt_ms"] == 30


def test_what_begins_at_the_line_is_not_laid_to_the_room():
    found = figures(
        {
            Hop("gateway", 1): heard(0),
            Hop("provider", 2): heard(3),
            Hop("edge", 9): heard(4),
        }
    )
    assert found["gateway_loss_ratio"] == 0
    assert found["provider_loss_ratio"] == 0.3


echoes = st.builds(
    Echo,
    st.integers(1, 30),
    st.sampled_from(["", "x", HOME, FAR, "10.0.0.1", "100.64.0.1", "fe80::1%3", "::1"]),
    st.none() | st.floats(0, 1e4),
    st.booleans(),
)


@given(st.lists(echoes, max_size=30), st.sampled_from(["", HOME, "fe80::1", "x"]))
def test_whatever_answers_the_figures_hold_together_and_name_nobody(look, gateway):
    found = identify_hops(look, gateway, FAR)
    assert [each.kind for each in found].count("edge") <= 1
    values = figures(dict.fromkeys(found, look))
    for name, value in values.items():
        assert isinstance(value, float)
        assert value >= 0
        assert not name.endswith("_loss_ratio") or value <= 1


# What is read from the network.


@pytest.mark.parametrize("family", FAMILIES)
def test_an_echo_request_is_known_again_in_every_answer(family):
    asked = icmp.echo_request(family, 7, 9, b"odd")
    assert asked[0] == (8 if family == socket.AF_INET else 128)
    reply = bytes([0 if family == socket.AF_INET else 129]) + asked[1:]
    assert icmp.parse_icmp(family, reply) == ("reply", 7, 9)
    around = (
        bytes([0x45]) + bytes(19) if family == socket.AF_INET else b"\x60" + bytes(39)
    )
    exceeded = bytes([11 if family == socket.AF_INET else 3]) + bytes(7)
    assert icmp.parse_icmp(family, exceeded + around + asked) == ("exceeded", 7, 9)
    assert icmp.parse_icmp(family, exceeded + around + asked[:7]) is None
    assert icmp.parse_icmp(family, asked) is None


def test_the_sum_over_a_message_with_its_own_sum_is_nothing():
    packet = icmp.echo_request(socket.AF_INET, 0x1234, 1, b"abcde") + b"\0"
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


@given(st.binary(max_size=200), st.sampled_from(FAMILIES))
def test_no_octets_whatever_trouble_the_readers(packet, family):
    icmp.parse_icmp(family, packet)
    icmp.without_ip_header(packet)
    windows_tracer.read_reply(family, packet)
    for level, kind in ((0, 11), (41, 25), (1, 2)):
        parse_error(family, [(level, kind, packet)], packet)


def test_windows_replies_are_read_as_its_headers_lay_them_out():
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


def losses(found):
    names = ("gateway", "provider", "edge")
    return [found["values"].get(f"{name}_loss_ratio") for name in names]


def words(found):
    return [value for value in found["values"].values() if isinstance(value, str)]


@pytest.mark.netns
@pytest.mark.parametrize("host", [COUNCIL, COUNCIL6])
def test_a_clean_way_has_three_stations_and_no_addresses(path, ports, host):
    found = path.measure("path", "r1", host, ports["stamp"], **QUICK)
    assert found["outcome"] == "ok"
    assert found["values"]["hops"] == 3
    assert found["values"]["method"] == "udp"
    assert losses(found) == [0, 0, 0]
    rtts = [v for n, v in found["values"].items() if n.endswith("_rtt_ms")]
    assert len(rtts) == 3
    assert not any("." in str(v) or ":" in str(v) for v in words(found))
    result = Result(**found | {"outcome": Outcome(found["outcome"])})
    report = Report(1, "r", "a", 0, "test", Whereabouts(), (result,))
    check_sample(samples(report, "", "")[0], CATALOGUE)


@pytest.mark.netns
def test_loss_is_laid_where_it_begins(path, ports):
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
def test_routers_that_ration_their_answers_are_not_blamed(path, ports):
    path.ration(True)
    found = path.measure("path", "r1", COUNCIL, ports["stamp"], **QUICK)
    path.ration(False)
    assert losses(found) == [0, 0, 0]


@pytest.mark.netns
def test_where_udp_is_swallowed_tcp_finds_the_way(path, ports):
    path.rules("far", "input meta l4proto { udp, icmp } drop")
    found = path.measure(
        "path", "r1", COUNCIL, ports["stamp"], tcp_port=ports["web"], **QUICK
    )
    assert found["outcome"] == "ok"
    assert found["values"]["method"] == "tcp"
    assert found["values"]["hops"] == 3
    assert losses(found) == [0, 0, 0]


@pytest.mark.netns
def test_a_dead_reflector_leaves_what_lies_before_it(path, ports):
    path.rules("far", "input ip daddr 81.2.69.142 drop")
    found = path.measure("path", "r1", COUNCIL, ports["stamp"], **QUICK)
    assert found["outcome"] == "timeout"
    assert losses(found) == [0, 0, None]
    assert "hops" not in found["values"]


@pytest.mark.netns
def test_a_gateway_beside_the_way_is_asked_for_itself(path, ports):
    # As where a tunnel leads past it: no hop of this way is in its network.
    beside = QUICK | {"gateway": "81.2.69.1"}
    found = path.measure("path", "r1", COUNCIL, ports["stamp"], **beside)
    assert found["values"]["gateway_rtt_ms"] > 0
    assert "provider_rtt_ms" not in found["values"]
    assert found["values"]["hops"] == 3


@pytest.mark.netns
def test_where_no_route_leads_there_is_no_network(path):
    path._do(path.near("ip", "route", "del", "default"))
    found = path.measure("path", "r1", COUNCIL, 862, **QUICK)
    path._do(path.near("ip", "route", "add", "default", "via", GATEWAY))
    assert found["outcome"] == "no_network"
    assert found.get("values", {}) == {}


async def test_a_name_that_does_not_exist_is_not_found():
    found = await run_path(reflector_at("no-such-host.invalid"))
    assert found.outcome in (Outcome.NAME_NOT_FOUND, Outcome.NAME_SERVER_FAILED)


def test_a_closed_port_is_the_destination_all_the_same():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        there = taken.getsockname()
        found = TcpTracer(socket.AF_INET, there).trace(
            [5, 5], 0.01, 1.0, threading.Event()
        )
    assert [each.reached for each in found] == [True, True]


def test_every_system_has_its_methods():
    made = tracing.tracers(socket.AF_INET, ("127.0.0.1", 862), lambda: None, 443)
    assert [each.method for each in made]
