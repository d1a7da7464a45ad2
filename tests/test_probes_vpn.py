"""The VPN probe: through a real tunnel between two network namespaces, and its pure
parts: what was seen between looks, and which way Microsoft 365 goes."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shaped_path import (
    FAR,
    TUNNEL_FAR,
    ShapedPath,
    shaped_path,
)

from probes.measure.optimize import OPTIMIZE, routing_of, sample_addresses
from probes.measure.tunnels import Tunnel
from probes.measure.vpn import Vpn, VpnEndpoint, endpoints
from probes.measure.vpn_watch import VpnWatch
from probes.platforms.system_facts import Interface, VpnConnection
from probes.wire.failure import Outcome
from probes.wire.policy import GatewayAt, Policy, ReflectorAt, Service
from probes.wire.report import Report, Whereabouts
from probes.wire.report import samples as rows

LAPTOP = str(Path(__file__).with_name("laptop_in_namespace.py"))
HOME = Interface(
    "wlan0", kind="wlan", physical=True, up=True, addresses=("192.168.1.20",),
    routed=True, default_metric=600, gateway="192.168.1.1",
)  # fmt: skip
TUN = Interface("tun0", kind="tun", up=True, addresses=("10.9.0.2",), routed=True)


@pytest.fixture
def path() -> Iterator[ShapedPath]:
    with shaped_path() as path:
        yield path


def ask(path: ShapedPath, what: str, *given: str) -> Any:
    return json.loads(path.run(path.near(sys.executable, LAPTOP, what, *given)))


def policy(*reflectors: tuple[str, int]) -> str:
    return json.dumps(
        {
            "reflectors": [
                {"id": f"r{n}", "host": host, "stamp_port": port}
                for n, (host, port) in enumerate(reflectors)
            ],
            "vpn_gateways": [{"host": FAR, "port": 8080}],
            "optimize": [
                {"name": "teams", "networks": ["203.0.113.0/24"]},
                {"name": "exchange", "networks": ["198.51.100.0/24"]},
            ],
        }
    )


@pytest.mark.netns
def test_a_real_tunnel_is_measured_beside_the_direct_way(path: ShapedPath) -> None:
    with path.tunnel(mtu_byte=1400), path.reflector(FAR, TUNNEL_FAR) as ports:
        asked = policy((TUNNEL_FAR, ports["stamp"]), (FAR, ports["stamp"]))
        path.run(path.near("ip", "route", "add", "198.51.100.0/24", "dev", "tun0"))
        path.run(path.near("ip", "route", "add", "203.0.113.0/25", "via", FAR))
        # The second time the path's MTU is remembered, not measured.
        first, second = ask(path, "vpn", asked, "again")
        assert first["outcome"] == "ok"
        found = first["values"]
        assert (found["product"], found["up"], found["mtu_byte"]) == (
            "OpenVPN",
            1,
            1400,
        )
        assert found["tunnel_rtt_ms"] > found["direct_rtt_ms"] > 0
        assert (found["tunnel_loss_ratio"], found["direct_loss_ratio"]) == (0, 0)
        assert (found["path_mtu_byte"], found["direct_path_mtu_byte"]) == (1400, 1500)
        assert (found["path_mtu_black_hole"], found["direct_path_mtu_black_hole"]) == (
            0,
            0,
        )
        # Half of one network goes past the tunnel, all of the other through it.
        assert (found["teams_way"], found["m365_way"]) == ("split_out", "selective")
        assert 0 < second["cost_bytes"] < first["cost_bytes"] < 100_000
        assert second["values"]["path_mtu_byte"] == 1400

        # A full tunnel, whose routes are in a table of their own, as wg-quick makes it.
        for rule in (
            ("route", "add", "default", "dev", "tun0", "table", "51820"),
            ("route", "del", "203.0.113.0/25"),
            ("rule", "add", "not", "fwmark", "51820", "table", "51820"),
            ("rule", "add", "table", "main", "suppress_prefixlength", "0"),
        ):
            path.run(path.near("ip", *rule))
        (full,) = ask(path, "vpn", asked)
        assert (full["values"]["teams_way"], full["values"]["m365_way"]) == (
            "tunnelled", "tunnelled",
        )  # fmt: skip


@pytest.mark.netns
def test_a_black_hole_is_told_from_a_small_mtu_and_from_silence(
    path: ShapedPath,
) -> None:
    with path.tunnel(mtu_byte=1500), path.reflector(FAR, TUNNEL_FAR) as ports:
        asked = policy((TUNNEL_FAR, ports["stamp"]), (FAR, ports["stamp"]))
        # Packets above 1300 vanish inside the tunnel, as behind a firewall that
        # swallows ICMP.
        path.run(
            path.far("nft", "-f", "-"),
            "table ip holes {\nchain input {\ntype filter hook input priority 0\n"
            'iifname "tun0" ip length > 1300 drop\n}\n}\n',
        )
        (first,) = ask(path, "vpn", asked)
        found = first["values"]
        assert (found["path_mtu_byte"], found["path_mtu_black_hole"]) == (1300, 1)
        assert found["direct_path_mtu_byte"] == 1500
        path.lose(out_percent=100)
        (silent,) = ask(path, "vpn", asked)
        assert "path_mtu_byte" not in silent["values"]
        assert silent["values"]["direct_rtt_ms"] > 0


@pytest.mark.netns
def test_no_tunnel_and_a_dead_one_are_two_outcomes(path: ShapedPath) -> None:
    assert ask(path, "vpn", policy())[0]["outcome"] == "not_present"
    path.run(path.near("ip", "tuntap", "add", "dev", "tun9", "mode", "tun"))
    assert ask(path, "vpn", policy())[0]["outcome"] == "not_connected"
    by_name = {each["name"]: each for each in ask(path, "interfaces")}
    assert (by_name["tun9"]["kind"], by_name["tun9"]["up"]) == ("tun", False)
    assert by_name["near0"]["networks"][0] == "10.99.0.1/24"


def fits_the_catalogue(values: dict[str, Any]) -> None:
    from probes.wire.catalogue import check_sample
    from probes.wire.measurements import CATALOGUE
    from probes.wire.report import Result

    result = Result("vpn", 2, 1, Outcome.OK, values=values)
    for sample in rows(Report(1, "r", "a", 1, "s", Whereabouts(), (result,)), "", ""):
        check_sample(sample, CATALOGUE)


async def test_what_is_not_known_is_left_out() -> None:
    async def measure(*among: Interface, managed: bool = False) -> Any:
        connections = [VpnConnection("vpn", "up")] if managed else []
        vpn = Vpn(lambda: list(among), lambda: connections, lambda: 0.0)
        result = await vpn.measure(Policy(), frugal=True, now_ms=lambda: 1)
        fits_the_catalogue(result.values)
        return result

    quiet = Interface("zcctun0", kind="tun")
    hidden = await measure(HOME, quiet)
    assert hidden.outcome is Outcome.NOT_SUPPORTED
    assert hidden.values == {
        "product": "Zscaler", "teams_way": "unknown", "m365_way": "unknown",
    }  # fmt: skip
    policy_based = await measure(HOME, managed=True)
    assert policy_based.outcome is Outcome.OK
    assert policy_based.values["teams_way"] == "unknown"
    down = await measure(HOME, Interface("tun0", kind="tun"))
    assert down.outcome is Outcome.NOT_CONNECTED
    assert "teams_way" not in down.values


def test_ends_are_gateways_reflectors_and_services_each_once() -> None:
    found = endpoints(
        Policy(
            vpn_gateways=(GatewayAt("vpn.example"),),
            reflectors=(
                ReflectorAt("a", "r.example", 862, "wss://r.example:8443/ndt/v7"),
                ReflectorAt("b", "s.example"),
            ),
            services=(
                Service("x", "https://x.example/a"),
                Service("y", "https://x.example/b"),
                Service("z", "http://[/"),
            ),
        )
    )
    assert found == [
        VpnEndpoint("vpn.example", 443),
        VpnEndpoint("r.example", 8443, 862),
        VpnEndpoint("s.example", 862, 862),
        VpnEndpoint("x.example", 443),
    ]


@pytest.mark.parametrize(
    ("chosen", "way"),
    [
        ({"203.0.113": "192.168.1.20", "198.51.100": "192.168.1.20"}, "split_out"),
        ({"203.0.113": "10.9.0.2", "198.51.100": "10.9.0.2"}, "tunnelled"),
        ({"203.0.113": "10.9.0.2", "198.51.100": "192.168.1.20"}, "selective"),
        # No way to one of them at all: the other one counts.
        ({"203.0.113": "10.9.0.2"}, "tunnelled"),
        ({}, "unknown"),
        # An address that no interface has.
        ({"203.0.113": "10.77.0.1"}, "unknown"),
    ],
)
def test_the_way_of_a_workload_is_one_of_microsofts_three_or_unknown(
    chosen: dict[str, str], way: str
) -> None:
    networks = ("203.0.113.0/24", "198.51.100.0/24")

    def towards(remote: str) -> str:
        return chosen.get(remote.rpartition(".")[0], "")

    assert routing_of(networks, [HOME, TUN], False, towards) == way
    assert routing_of(networks, [HOME, TUN], True, towards) == "unknown"


def test_a_part_of_a_network_that_goes_elsewhere_is_seen() -> None:
    def towards(remote: str) -> str:
        return "10.9.0.2" if remote.startswith("203.0.113.2") else "192.168.1.20"

    assert routing_of(["203.0.113.0/24"], [HOME, TUN], False, towards) == "selective"
    assert sample_addresses(["192.0.2.1/32", "nonsense"]) == ["192.0.2.1"]
    assert {each.name for each in OPTIMIZE} == {"teams", "exchange", "sharepoint"}
    assert all(sample_addresses(each.networks) for each in OPTIMIZE)


def up(index: int = 5) -> list[Tunnel]:
    return [Tunnel("OpenVPN", "tun0", "up", index=index)]


DOWN = [Tunnel("OpenVPN", "tun0", "down")]


def test_a_tunnel_that_breaks_and_comes_back_is_a_reconnect() -> None:
    watch = VpnWatch()
    now_s = 0.0
    for found in [up()] * 41:
        watch.observe(found, True, now_s)
        now_s += 15
    assert watch.reconnects(now_s) == 0
    watch.observe(DOWN, True, now_s)
    watch.observe(up(), True, now_s + 15)
    assert watch.reconnects(now_s + 15) == 1
    assert watch.pop_connect_s() == 15
    assert watch.pop_connect_s() is None
    # Made anew between two looks: another interface of the same name.
    watch.observe(up(6), True, now_s + 30)
    assert watch.reconnects(now_s + 30) == 2
    assert watch.reconnects(now_s + 30 + 3_601) == 0


def test_a_night_asleep_is_no_break_and_a_new_line_begins_the_clock() -> None:
    watch = VpnWatch()
    watch.observe(up(), True, 0)
    watch.observe(up(9), True, 30_000)
    assert watch.reconnects(30_000) == 0
    watch.observe([], False, 30_015)
    watch.observe([], True, 30_030)
    watch.observe([], True, 30_045)
    watch.observe(up(10), True, 30_060)
    assert watch.pop_connect_s() == 30
    assert watch.reconnects(30_060) == 1
    # Somebody connects by hand, much later: that says nothing of the client.
    watch.observe([], False, 30_075)
    watch.observe([], True, 30_090)
    for more in range(20):
        watch.observe([], True, 30_105 + 15 * more)
    watch.observe(up(11), True, 30_405)
    assert watch.pop_connect_s() is None


@settings(max_examples=80, deadline=None)
@given(
    looks=st.lists(
        st.tuples(st.integers(-20, 200), st.integers(0, 3), st.booleans()), max_size=60
    )
)
def test_whatever_is_seen_the_watch_stays_within_reason(
    looks: list[tuple[int, int, bool]],
) -> None:
    watch = VpnWatch()
    now_s = 0.0
    for passed_s, which, has_line in looks:
        now_s += passed_s
        watch.observe([[], DOWN, up(1), up(2)][which], has_line, now_s)
        reconnects = watch.reconnects(now_s)
        assert reconnects is None or 0 <= reconnects <= len(looks)
        took_s = watch.pop_connect_s()
        assert took_s is None or 0 <= took_s <= 180
