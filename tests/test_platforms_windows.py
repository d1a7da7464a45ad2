"""PowerShell output, IP Helper structures and WinHTTP lists of Windows."""

import json
import re
import struct
from urllib.parse import urlsplit

import msgspec
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st

from probes.measure.tunnels import find_tunnels
from probes.platforms import file_owner, iphlpapi, windows_load, winhttp
from probes.platforms.powershell import parse_get_vpnconnection
from probes.platforms.proxies import listed_ways
from probes.platforms.system_facts import (
    BatteryState,
    Interface,
    LinkCounters,
    ProcessorTimes,
    ProxySetting,
    VpnConnection,
)
from probes.wire.failure import Outcome


@pytest.mark.corpus
def test_recorded_get_vpnconnection_output_is_parsed() -> None:
    def read(name: str) -> list[VpnConnection]:
        path = services.corpus("endpoint", f"get-vpnconnection_{name}.txt")
        connections = parse_get_vpnconnection(path.read_bytes())
        assert isinstance(connections, list)
        return connections

    assert read("connected") == [VpnConnection("ikev2", "up", split=True)]
    assert [connection.state for connection in read("msdocs_1")] == ["down"] * 3
    assert [connection.kind for connection in read("msdocs_2")] == ["l2tp"] * 3
    assert [connection.split for connection in read("msdocs_2")] == [True, False, True]


def test_get_vpnconnection_is_the_same_as_a_list_and_as_json() -> None:
    entry = {
        "Name": "Secret",
        "ServerAddress": "vpn.council.example",
        "TunnelType": "Ikev2",
        "ConnectionStatus": "Connected",
        "SplitTunneling": True,
    }
    up = [VpnConnection("ikev2", "up", split=True)]
    listed = "\r\n".join(f"{name} : {value}" for name, value in entry.items())
    assert parse_get_vpnconnection(json.dumps(entry)) == up
    assert parse_get_vpnconnection(json.dumps([entry, entry])) == up * 2
    assert parse_get_vpnconnection(listed.encode("utf-16")) == up
    for word, state in (
        ("Connecting", "connecting"),
        ("Dormant", "down"),
        ("?", "unknown"),
    ):
        (connection,) = parse_get_vpnconnection(
            json.dumps({**entry, "ConnectionStatus": word})
        )  # type: ignore[misc]
        assert connection.state == state
    assert parse_get_vpnconnection("") == parse_get_vpnconnection("[]") == []
    assert parse_get_vpnconnection("Get-VpnConnection : error") is Outcome.BAD_ANSWER


@pytest.mark.parametrize(
    ("line", "flag", "percent", "battery"),
    [
        (1, 128, 255, None),
        (0, 255, 255, None),
        (1, 8, 80, BatteryState(80, True)),
        (0, 4, 3, BatteryState(3, False)),
        (255, 0, 50, BatteryState(50, None)),
    ],
)
def test_a_battery_is_known_if_there_is_one_and_its_charge(
    line: int, flag: int, percent: int, battery: BatteryState | None
) -> None:
    status = windows_load.PowerStatus(line=line, flag=flag, percent=percent)
    assert windows_load.to_battery(status) == battery


@pytest.mark.parametrize(
    ("owner", "decides"),
    [
        ("S-1-5-18", True),
        ("S-1-5-32-544", True),
        ("S-1-5-21-1-2-3-1001", True),
        ("S-1-5-21-1-2-3-1002", False),
        ("S-1-5-32-545", False),
        ("", False),
    ],
)
def test_administrators_the_system_and_the_user_decide_but_no_other_user(
    owner: str, decides: bool
) -> None:
    assert file_owner.may_decide(owner, "S-1-5-21-1-2-3-1001") is decides
    assert not file_owner.may_decide("", "")


def test_the_time_of_an_idle_windows_processor_is_not_busy() -> None:
    # Windows counts it as the kernel's.
    ticks = windows_load.to_processor_times(
        idle=70_000_000, kernel=80_000_000, user=20_000_000
    )
    assert ticks == ProcessorTimes(busy_s=3.0, total_s=10.0)


def test_a_slowed_processor_shows_in_its_clock() -> None:
    for mhz, most, ratio in ((1_200, 2_400, 0.5), (3_000, 2_400, 1.0), (9, 0, None)):
        power = windows_load.ProcessorPower(mhz=mhz, most_mhz=most)
        assert windows_load.to_clock_ratio(power) == ratio


def test_multicast_and_broadcast_are_traffic_of_an_interface_too() -> None:
    row = iphlpapi._IfRow(
        in_octets=1, out_octets=2, in_packets=3, in_other_packets=4,
        out_packets=5, out_other_packets=6, in_errors=7, out_errors=8,
    )  # fmt: skip
    assert iphlpapi.counters_of(row) == LinkCounters(3, 11, 7, 15)


def socket_address(address: str) -> bytes:
    if ":" in address:
        import ipaddress

        packed = ipaddress.IPv6Address(address).packed
        return struct.pack("<HHI", 23, 0, 0) + packed + struct.pack("<I", 0)
    octets = bytes(int(part) for part in address.split("."))
    return struct.pack("<HH", 2, 0) + octets.ljust(24, b"\0")


def windows_route(index: int, to: str, prefix: int, hop: str, metric: int) -> bytes:
    row = struct.pack("<QI", 0, index) + socket_address(to) + bytes([prefix, 0, 0, 0])
    row += socket_address(hop) + struct.pack("<IIIII", 0, 0, 0, metric, 3)
    return row.ljust(104, b"\0")


def test_windows_structures_have_the_layout_of_the_headers() -> None:
    rows = [
        windows_route(12, "0.0.0.0", 0, "192.168.1.1", 0),
        windows_route(21, "10.0.0.0", 8, "0.0.0.0", 1),
        windows_route(21, "255.255.255.255", 32, "0.0.0.0", 256),
        windows_route(30, "224.0.0.0", 4, "0.0.0.0", 256),
        windows_route(12, "2001:db8::", 32, "fe80::1", 16),
    ]
    table = struct.pack("<II", len(rows), 0) + b"".join(rows)
    routes = iphlpapi.parse_routes(table)
    assert [msgspec.structs.astuple(route) for route in routes[:2]] == [
        ("12", "0.0.0.0", 0, "192.168.1.1", 0),
        ("21", "10.0.0.0", 8, "", 1),
    ]
    assert routes[4].gateway == "fe80::1"
    adapters = [
        iphlpapi.Adapter(
            "Wi-Fi", "Intel(R) Wi-Fi 6", 71, True, 12, True, ("192.168.1.20/24",),
            metric=35,
        ),
        iphlpapi.Adapter("Council", "Always On", 23, True, 21, False, ("10.9.0.2/32",)),
        iphlpapi.Adapter("vEthernet", "Hyper-V Virtual Ethernet Adapter", 6, True, 30,
                         False, ("172.29.0.1/20",)),
        iphlpapi.Adapter("Loopback", "Software Loopback", 24, True, 1, False),
    ]  # fmt: skip
    wifi, council, hyper_v = iphlpapi.to_interfaces(adapters, routes, set())
    assert (wifi.kind, wifi.gateway, wifi.default_metric) == ("wlan", "192.168.1.1", 35)
    assert (council.kind, council.routed) == ("ppp", True)
    assert not hyper_v.routed
    (tunnel,) = find_tunnels([wifi, council, hyper_v])
    assert (tunnel.product, tunnel.state) == ("Windows VPN", "up")
    # Offsets in iptypes.h and netioapi.h for 64 bits.
    assert iphlpapi._Adapter.dns.offset == 48
    assert iphlpapi._Adapter.status.offset == 104
    assert iphlpapi._Adapter.gateways.offset == 208
    assert iphlpapi._IfRow.flags.offset == 1152


@pytest.mark.parametrize(
    ("listed", "ways"),
    [
        ("a.example:8080;b:3128", ("http://a.example:8080", "http://b:3128")),
        ("http=a:80 https=b:81", ("http://b:81",)),
        ("http=a:80", ()),
        ("", ()),
        ("[2001:db8::1]:8080", ("http://[2001:db8::1]:8080",)),
        ("a b\r\nHost: x/", ("http://a", "http://b")),
        ("evil/\x00", ()),
        ("a:0; b:65536; c:99999; PROXY; d:65535", ("http://d:65535",)),
        # As a script writes them.
        ("a:1; PROXY b:2; DIRECT", ("http://a:1", "http://b:2", "")),
        ("DIRECT; PROXY a:1", ("", "http://a:1")),
        ("proxy a:1; proxy a:1", ("http://a:1",)),
        ("SOCKS s:1080; HTTPS t:443", ("socks5://s:1080", "https://t:443")),
        ("socks=s:1080", ("socks5://s:1080",)),
    ],
)
def test_all_that_a_list_names_is_read_in_its_order(
    listed: str, ways: tuple[str, ...]
) -> None:
    assert listed_ways(listed) == ways


@given(st.text(alphabet=st.sampled_from("aP:;= \t/.[]19\0é") | st.characters()))
def test_whatever_a_script_answers_is_a_few_ways_or_none(listed: str) -> None:
    for text in (listed, f"PROXY {listed}", listed * 50):
        ways = listed_ways(text)
        assert len(ways) <= 8
        for way in ways:
            assert re.fullmatch(r"|(https?|socks5)://[\w.\[\]:-]+", way)
            assert urlsplit(way).port != 0


def test_only_the_resolvers_of_connected_adapters_are_asked() -> None:
    def adapter(name: str, up: bool, metric: int | None, *servers: str) -> Interface:
        return Interface(
            name=name,
            description="",
            kind="ethernet",
            physical=True,
            up=up,
            default_metric=metric,
            resolvers=servers,
            index=12,
        )

    listed = [
        adapter("dock", False, None, "192.0.2.1"),
        adapter("virtual", True, None, "fec0:0:0:ffff::1", "192.0.2.9"),
        adapter("wi-fi", True, 50, "192.0.2.2", "fe80::1"),
        adapter("vpn", True, 5, "198.51.100.1", "192.0.2.2"),
    ]
    assert iphlpapi.resolvers_of(listed) == (
        "198.51.100.1",
        "192.0.2.2",
        "fe80::1%12",
        "192.0.2.9",
    )
    assert iphlpapi.resolvers_of([]) == ()


def test_a_service_uses_the_proxy_that_an_administrator_has_set() -> None:
    listed = "http=proxy.example:80;https=proxy.example:81"
    assert winhttp.to_setting(3, listed, "<local>;*.council.example") == ProxySetting(
        "manual", "http://proxy.example:81", ("<local>", "*.council.example")
    )
    two = winhttp.to_setting(3, "a:1;b:2", "")
    assert two.ways == ("http://a:1", "http://b:2")
    assert winhttp.to_setting(1, "", "") == ProxySetting("none")
    assert winhttp.to_setting(3, "?;", "") == ProxySetting("none")
