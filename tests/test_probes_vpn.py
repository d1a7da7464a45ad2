"""The VPN probe: a real tunnel between two network namespaces, and its pure parts:
reconnects between observations, and the route of Microsoft 365."""

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


def run_laptop(path: ShapedPath, command: str, *arguments: str) -> Any:
    return json.loads(path.run(path.near(sys.executable, LAPTOP, command, *arguments)))


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
def test_a_real_tunnel_is_measured_and_compared_with_the_direct_path(
    path: ShapedPath,
) -> None:
    with path.tunnel(mtu_byte=1400), path.reflector(FAR, TUNNEL_FAR) as ports:
        policy_json = policy((TUNNEL_FAR, ports["stamp"]), (FAR, ports["stamp"]))
        path.run(path.near("ip", "route", "add", "198.51.100.0/24", "dev", "tun0"))
        path.run(path.near("ip", "route", "add", "203.0.113.0/25", "via", FAR))
        # The second time the path MTU is remembered, not measured.
        first, second = run_laptop(path, "vpn", policy_json, "again")
        assert first["outcome"] == "ok"
        values = first["values"]
        assert (values["product"], values["up"], values["mtu_byte"]) == (
            "OpenVPN",
            1,
            1400,
        )
        assert values["tunnel_rtt_ms"] > values["direct_rtt_ms"] > 0
        assert (values["tunnel_loss_ratio"], values["direct_loss_ratio"]) == (0, 0)
        assert (values["path_mtu_byte"], values["direct_path_mtu_byte"]) == (1400, 1500)
        assert (
            values["path_mtu_black_hole"],
            values["direct_path_mtu_black_hole"],
        ) == (
            0,
            0,
        )
        # Part of one network is routed outside the tunnel, all of the other through it.
        assert (values["teams_way"], values["m365_way"]) == ("split_out", "selective")
        assert 0 < second["cost_bytes"] < first["cost_bytes"] < 100_000
        assert second["values"]["path_mtu_byte"] == 1400

        # A full tunnel with its own routing table, as wg-quick sets it up.
        for rule in (
            ("route", "add", "default", "dev", "tun0", "table", "51820"),
            ("route", "del", "203.0.113.0/25"),
            ("rule", "add", "not", "fwmark", "51820", "table", "51820"),
            ("rule", "add", "table", "main", "suppress_prefixlength", "0"),
        ):
            path.run(path.near("ip", *rule))
        (full,) = run_laptop(path, "vpn", policy_json)
        assert (full["values"]["teams_way"], full["values"]["m365_way"]) == (
            "tunnelled", "tunnelled",
        )  # fmt: skip


@pytest.mark.netns
def test_a_black_hole_differs_from_a_small_mtu_and_from_no_answer(
    path: ShapedPath,
) -> None:
    with path.tunnel(mtu_byte=1500), path.reflector(FAR, TUNNEL_FAR) as ports:
        policy_json = policy((TUNNEL_FAR, ports["stamp"]), (FAR, ports["stamp"]))
        # Packets above 1300 are dropped inside the tunnel, as by a firewall that
        # also drops ICMP.
        path.run(
            path.far("nft", "-f", "-"),
            "table ip holes {\nchain input {\ntype filter hook input priority 0\n"
            'iifname "tun0" ip length > 1300 drop\n}\n}\n',
        )
        (first,) = run_laptop(path, "vpn", policy_json)
        values = first["values"]
        assert (values["path_mtu_byte"], values["path_mtu_black_hole"]) == (1300, 1)
        assert values["direct_path_mtu_byte"] == 1500
        path.lose(out_percent=100)
        (silent,) = run_laptop(path, "vpn", policy_json)
        assert "path_mtu_byte" not in silent["values"]
        assert silent["values"]["direct_rtt_ms"] > 0


@pytest.mark.netns
def test_no_tunnel_and_a_tunnel_that_is_down_are_two_outcomes(path: ShapedPath) -> None:
    assert run_laptop(path, "vpn", policy())[0]["outcome"] == "not_present"
    path.run(path.near("ip", "tuntap", "add", "dev", "tun9", "mode", "tun"))
    assert run_laptop(path, "vpn", policy())[0]["outcome"] == "not_connected"
    by_name = {
        interface["name"]: interface for interface in run_laptop(path, "interfaces")
    }
    assert (by_name["tun9"]["kind"], by_name["tun9"]["up"]) == ("tun", False)
    assert by_name["near0"]["networks"][0] == "10.99.0.1/24"


def fits_the_catalogue(values: dict[str, Any]) -> None:
    from probes.wire.catalogue import check_sample
    from probes.wire.measurements import CATALOGUE
    from probes.wire.report import Result

    result = Result("vpn", 2, 1, Outcome.OK, values=values)
    for sample in rows(Report(1, "r", "a", 1, "s", Whereabouts(), (result,)), "", ""):
        check_sample(sample, CATALOGUE)


async def test_unknown_values_are_left_out() -> None:
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


def test_endpoints_are_gateways_reflectors_and_services_without_duplicates() -> None:
    hosts = endpoints(
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
    assert hosts == [
        VpnEndpoint("vpn.example", 443),
        VpnEndpoint("r.example", 8443, 862),
        VpnEndpoint("s.example", 862, 862),
        VpnEndpoint("x.example", 443),
    ]


@pytest.mark.parametrize(
    ("local_addresses", "routing"),
    [
        ({"203.0.113": "192.168.1.20", "198.51.100": "192.168.1.20"}, "split_out"),
        ({"203.0.113": "10.9.0.2", "198.51.100": "10.9.0.2"}, "tunnelled"),
        ({"203.0.113": "10.9.0.2", "198.51.100": "192.168.1.20"}, "selective"),
        # There is no route to one of them: the other one counts.
        ({"203.0.113": "10.9.0.2"}, "tunnelled"),
        ({}, "unknown"),
        # No interface has this address.
        ({"203.0.113": "10.77.0.1"}, "unknown"),
    ],
)
def test_a_workload_is_split_out_tunnelled_selective_or_unknown(
    local_addresses: dict[str, str], routing: str
) -> None:
    networks = ("203.0.113.0/24", "198.51.100.0/24")

    def towards(remote: str) -> str:
        return local_addresses.get(remote.rpartition(".")[0], "")

    assert routing_of(networks, [HOME, TUN], False, towards) == routing
    assert routing_of(networks, [HOME, TUN], True, towards) == "unknown"


def test_a_different_route_for_part_of_a_network_is_found() -> None:
    def towards(remote: str) -> str:
        return "10.9.0.2" if remote.startswith("203.0.113.2") else "192.168.1.20"

    assert routing_of(["203.0.113.0/24"], [HOME, TUN], False, towards) == "selective"
    assert sample_addresses(["192.0.2.1/32", "nonsense"]) == ["192.0.2.1"]
    assert {workload.name for workload in OPTIMIZE} == {
        "teams",
        "exchange",
        "sharepoint",
    }
    assert all(sample_addresses(workload.networks) for workload in OPTIMIZE)


def up(index: int = 5) -> list[Tunnel]:
    return [Tunnel("OpenVPN", "tun0", "up", index=index)]


DOWN = [Tunnel("OpenVPN", "tun0", "down")]


def test_a_tunnel_that_breaks_and_comes_back_is_a_reconnect() -> None:
    watch = VpnWatch()
    now_s = 0.0
    for clients in [up()] * 41:
        watch.observe(clients, True, now_s)
        now_s += 15
    assert watch.reconnects(now_s) == 0
    watch.observe(DOWN, True, now_s)
    watch.observe(up(), True, now_s + 15)
    assert watch.reconnects(now_s + 15) == 1
    assert watch.pop_connect_s() == 15
    assert watch.pop_connect_s() is None
    # Rebuilt between two observations: another interface of the same name.
    watch.observe(up(6), True, now_s + 30)
    assert watch.reconnects(now_s + 30) == 2
    assert watch.reconnects(now_s + 30 + 3_601) == 0


def test_a_night_asleep_is_no_reconnect_and_a_new_line_starts_the_clock() -> None:
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
    # Somebody connects by hand, much later: that is not the time to connect.
    watch.observe([], False, 30_075)
    watch.observe([], True, 30_090)
    for more in range(20):
        watch.observe([], True, 30_105 + 15 * more)
    watch.observe(up(11), True, 30_405)
    assert watch.pop_connect_s() is None


@settings(max_examples=80, deadline=None)
@given(
    observations=st.lists(
        st.tuples(st.integers(-20, 200), st.integers(0, 3), st.booleans()), max_size=60
    )
)
def test_any_observations_give_plausible_figures(
    observations: list[tuple[int, int, bool]],
) -> None:
    watch = VpnWatch()
    now_s = 0.0
    for elapsed_s, which, has_line in observations:
        now_s += elapsed_s
        watch.observe([[], DOWN, up(1), up(2)][which], has_line, now_s)
        reconnects = watch.reconnects(now_s)
        assert reconnects is None or 0 <= reconnects <= len(observations)
        took_s = watch.pop_connect_s()
        assert took_s is None or 0 <= took_s <= 180
