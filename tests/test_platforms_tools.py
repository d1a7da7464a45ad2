"""What the systems' other tools print, as facts: PowerShell 5.1 and 7, macOS, Linux."""

import json
import struct
from pathlib import Path

import msgspec
import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.measure.tunnels import find_tunnels, physical_interface, vpn_product
from probes.platforms import commands, iphlpapi, linux, macos, winhttp
from probes.platforms.__main__ import TOOLS
from probes.platforms.linux_tools import (
    parse_arp,
    parse_ip_addr,
    parse_ip_neighbour,
    parse_ipv4_routes,
    parse_ipv6_routes,
    parse_nmcli,
)
from probes.platforms.macos_tools import (
    parse_hardware_ports,
    parse_ifconfig,
    parse_netstat_routes,
    parse_scutil_dns,
    parse_scutil_nc_list,
    parse_scutil_proxy,
)
from probes.platforms.powershell import (
    parse_get_vpnconnection,
)
from probes.platforms.proxies import (
    applies,
    proxy_from_environment,
    proxy_from_registry,
)
from probes.platforms.system_facts import Interface, ProxySetting, VpnConnection
from probes.wire.failure import Outcome


def sample(name: str) -> str:
    path = Path(__file__).parent / "data" / "platforms" / f"{name}.txt"
    return path.read_text(encoding="utf-8")


@pytest.mark.corpus
def test_recorded_get_vpnconnection_is_read() -> None:
    def read(name: str) -> list[VpnConnection]:
        path = services.corpus("endpoint", f"get-vpnconnection_{name}.txt")
        found = parse_get_vpnconnection(path.read_bytes())
        assert isinstance(found, list)
        return found

    assert read("connected") == [VpnConnection("ikev2", "up", split=True)]
    assert [each.state for each in read("msdocs_1")] == ["down"] * 3
    assert [each.kind for each in read("msdocs_2")] == ["l2tp"] * 3
    assert [each.split for each in read("msdocs_2")] == [True, False, True]


def test_get_vpnconnection_is_one_thing_as_a_list_and_as_json() -> None:
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
        (found,) = parse_get_vpnconnection(
            json.dumps({**entry, "ConnectionStatus": word})
        )  # type: ignore[misc]
        assert found.state == state
    assert parse_get_vpnconnection("") == parse_get_vpnconnection("[]") == []
    assert parse_get_vpnconnection("Get-VpnConnection : error") is Outcome.BAD_ANSWER


NC = """Available network connection services in the current set (*=enabled):
* (Connected)      0F1E2D3C-0000-0000-0000-000000000001 VPN (com.wireguard.macos) "My (Disconnected) tunnel [IPSec]" [VPN:com.wireguard.macos]
* (Disconnected)   0F1E2D3C-0000-0000-0000-000000000002 IPSec "Office" [IPSec]
* (Connecting)     0F1E2D3C-0000-0000-0000-000000000003 PPP --> L2TP "Old" [PPP:L2TP]
"""  # noqa: E501


def test_scutils_services_are_read_without_their_names() -> None:
    assert parse_scutil_nc_list(NC) == [
        VpnConnection("com.wireguard.macos", "up"),
        VpnConnection("ipsec", "down"),
        VpnConnection("ppp:l2tp", "connecting"),
    ]
    assert parse_scutil_nc_list(NC.splitlines()[0]) == parse_scutil_nc_list("") == []
    assert parse_scutil_nc_list("scutil: no such command") is Outcome.BAD_ANSWER


def test_scutils_proxies_are_read_in_the_order_macos_asks_them() -> None:
    manual = (
        "<dictionary> {\n  ExceptionsList : <array> {\n    0 : *.local\n"
        "    1 : 169.254/16\n"
        "  }\n  HTTPEnable : 1\n  HTTPPort : 8080\n  HTTPProxy : proxy.example\n"
        "  HTTPSEnable : 1\n  HTTPSPort : 3128\n  HTTPSProxy : secure.example\n"
        "  ProxyAutoConfigEnable : 0\n}\n"
    )
    found = parse_scutil_proxy(manual)
    assert found == ProxySetting(
        "manual", "http://secure.example:3128", ("*.local", "169.254/16")
    )
    pac = manual.replace("ConfigEnable : 0", "ConfigEnable : 1")
    assert parse_scutil_proxy(pac).kind == "pac"  # type: ignore[union-attr]
    wpad = manual.replace("AutoConfigEnable : 0", "AutoDiscoveryEnable : 1")
    assert parse_scutil_proxy(wpad).kind == "wpad"  # type: ignore[union-attr]
    off = parse_scutil_proxy("<dictionary> {\n  HTTPEnable : 0\n  HTTPProxy : x\n}\n")
    assert off == ProxySetting("none")
    assert parse_scutil_proxy("nothing") is Outcome.BAD_ANSWER


def test_scutils_name_servers_are_told_by_interface() -> None:
    text = (
        "DNS configuration\n\nresolver #1\n  nameserver[0] : 10.9.0.53\n"
        "  if_index : 18 (utun4)\n\nresolver #2\n  domain : local\n\n"
        "DNS configuration (for scoped queries)\n\nresolver #1\n"
        "  nameserver[0] : 192.168.1.1\n  nameserver[1] : fe80::1%en0\n"
        "  if_index : 6 (en0)\n\nresolver #2\n  nameserver[0] : 10.9.0.53\n"
        "  if_index : 18 (utun4)\n"
    )
    assert parse_scutil_dns(text) == {
        "": ("10.9.0.53",),
        "en0": ("192.168.1.1", "fe80::1"),
        "utun4": ("10.9.0.53",),
    }


def mac(**more: object) -> list[Interface]:
    bare = parse_ifconfig(sample("ifconfig_macos"))
    assert isinstance(bare, list)
    routes = parse_netstat_routes(sample("netstat_macos"))
    kinds = parse_hardware_ports(sample("hardware_ports_macos"))
    return macos.with_routes(bare, routes, kinds, set())


def test_a_macs_interfaces_and_tunnels_are_told_apart() -> None:
    found = {each.name: each for each in mac()}
    assert "lo0" not in found
    wifi = found["en0"]
    assert (wifi.kind, wifi.up, wifi.physical, wifi.routed) == (
        "wlan",
        True,
        True,
        True,
    )
    assert (wifi.gateway, wifi.mtu_byte) == ("192.168.1.1", 1500)
    assert wifi.networks[-1] == "192.168.1.20/24"
    # A port without a cable, the system's own tunnels, and a client's.
    assert not found["en4"].up
    up = [each for each in find_tunnels(mac()) if each.state == "up"]
    assert [(each.product, each.interface) for each in up] == [
        ("GlobalProtect", "utun4")
    ]
    assert vpn_product(found["utun0"]) is None
    line = physical_interface(mac())
    assert line is not None
    assert line.name == "en0"


def test_hardware_ports_are_told_by_kind() -> None:
    assert parse_hardware_ports(sample("hardware_ports_macos")) == {
        "en4": "",
        "en0": "wlan",
        "en6": "wwan",
        "bridge0": "bridge",
    }


IP_ADDR = [
    {"ifindex": 1, "ifname": "lo", "link_type": "loopback", "flags": ["UP"]},
    {
        "ifindex": 2, "ifname": "wlp2s0", "flags": ["BROADCAST", "UP", "LOWER_UP"],
        "mtu": 1500, "link_type": "ether", "parentdev": "0000:02:00.0",
        "addr_info": [
            {"family": "inet", "local": "192.168.1.20", "prefixlen": 24},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
        ],
    },
    {
        "ifindex": 5, "ifname": "corp", "flags": ["POINTOPOINT", "NOARP", "UP"],
        "mtu": 1420, "link_type": "none", "linkinfo": {"info_kind": "wireguard"},
        "addr_info": [{"family": "inet", "local": "10.9.0.2", "prefixlen": 32}],
    },
    {
        "ifindex": 6, "ifname": "vnet0", "flags": [], "link_type": "ether",
        "linkinfo": {
            "info_kind": "tun", "info_data": {"type": "tap"},
            "info_slave_kind": "bridge",
        },
    },
    {"ifindex": 7, "ifname": "tap0", "linkinfo": {"info_kind": "tun",
     "info_data": {"type": "tap"}}},
    {"ifindex": 8, "ifname": "vti0", "linkinfo": {"info_kind": "vti"}},
    {"ifname": 3},
]  # fmt: skip


def test_ips_json_is_read() -> None:
    found = parse_ip_addr(json.dumps(IP_ADDR))
    assert isinstance(found, list)
    kinds = {each.name: each.kind for each in found}
    assert kinds == {
        "wlp2s0": "wlan", "corp": "wireguard", "vnet0": "port", "tap0": "tap",
        "vti0": "tunnel",
    }  # fmt: skip
    assert found[0].networks == ("192.168.1.20/24", "fe80::1/64")
    assert (found[0].physical, found[1].mtu_byte) == (True, 1420)
    near = json.dumps([{"dst": "fe80::1", "lladdr": "02:00:00:00:00:01", "dev": "e"}])
    assert parse_ip_neighbour(near, "fe80::1") == "02:00:00:00:00:01"
    assert parse_ip_neighbour(near, "fe80::2") == ""
    assert parse_ip_addr("Object") is Outcome.BAD_ANSWER


def test_nmclis_active_vpns_are_read() -> None:
    text = "802-11-wireless:activated\nvpn:activated\nwireguard:activating\nvpn\n"
    assert parse_nmcli(text) == [
        VpnConnection("vpn", "up"),
        VpnConnection("wireguard", "connecting"),
        VpnConnection("vpn", "up"),
    ]
    named = (
        "Office\\: main:0f1e:vpn:wlp2s0:activated\n"
        "vpn:0f1e:802-11-wireless:wlp2s0:activated\n"
        "wg0:0f1f:wireguard:wg0:activating\n"
    )
    assert parse_nmcli(named) == [
        VpnConnection("vpn", "up"),
        VpnConnection("wireguard", "connecting"),
    ]


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


def test_windows_structures_are_laid_out_as_its_headers_say() -> None:
    rows = [
        windows_route(12, "0.0.0.0", 0, "192.168.1.1", 0),
        windows_route(21, "10.0.0.0", 8, "0.0.0.0", 1),
        windows_route(21, "255.255.255.255", 32, "0.0.0.0", 256),
        windows_route(30, "224.0.0.0", 4, "0.0.0.0", 256),
        windows_route(12, "2001:db8::", 32, "fe80::1", 16),
    ]
    table = struct.pack("<II", len(rows), 0) + b"".join(rows)
    routes = iphlpapi.parse_routes(table)
    assert [msgspec.structs.astuple(each) for each in routes[:2]] == [
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
    # Offsets of iptypes.h and netioapi.h on 64 bits.
    assert iphlpapi._Adapter.dns.offset == 48
    assert iphlpapi._Adapter.status.offset == 104
    assert iphlpapi._Adapter.gateways.offset == 208
    assert iphlpapi._IfRow.flags.offset == 1152


def test_proxies_are_read_from_the_environment_and_from_the_registry() -> None:
    environment = {
        "https_proxy": "proxy.example:3128",
        "NO_PROXY": "localhost,.council.uk",
    }
    found = proxy_from_environment(environment)
    assert (found.kind, found.url) == ("environment", "http://proxy.example:3128")
    assert proxy_from_environment({}) == ProxySetting("none")
    assert proxy_from_environment({"HTTPS_PROXY": "://"}).kind == "none"
    manual = {
        "ProxyEnable": 1,
        "ProxyServer": "http=a:80;https=b:81",
        "ProxyOverride": "<local>",
    }
    assert proxy_from_registry(manual) == ProxySetting(
        "manual", "http://b:81", ("<local>",)
    )
    assert proxy_from_registry({**manual, "ProxyEnable": 0}) == ProxySetting("none")
    assert proxy_from_registry({**manual, "AutoConfigURL": "http://x/p"}).kind == "pac"
    flags = {"DefaultConnectionSettings": bytes([70, 0, 0, 0, 1, 0, 0, 0, 9, 0])}
    assert proxy_from_registry(flags).kind == "wpad"
    assert (
        proxy_from_registry({"DefaultConnectionSettings": b"", "ProxyEnable": "x"}).kind
        == "none"
    )


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("proxy.example:8080;other:3128", "http://proxy.example:8080"),
        ("http=a:80 https=b:81", "http://b:81"),
        ("http=a:80", ""),
        ("", ""),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
        ("a b\r\nHost: x", "http://a"),
        ("evil/\x00", ""),
    ],
)
def test_a_scripts_answer_is_its_first_proxy(listed: str, url: str) -> None:
    assert winhttp.first_proxy(listed) == url


@pytest.mark.parametrize(
    ("exceptions", "host", "through"),
    [
        ((), "teams.microsoft.com", True),
        ((), "localhost", False),
        ((), "127.0.0.1", False),
        (("<local>",), "intranet", False),
        (("*.council.uk",), "a.council.uk", False),
        ((".council.uk",), "a.council.uk", False),
        (("council.uk",), "a.council.uk", False),
        (("council.uk",), "othercouncil.uk", True),
        (("169.254/16",), "169.254.1.1", False),
        (("10.0.0.0/8",), "10.1.2.3", False),
        (("10.0.0.0/8", "nonsense/x"), "11.1.2.3", True),
        (("*",), "anything.example", False),
    ],
)
def test_a_proxys_exceptions_are_kept(
    exceptions: tuple[str, ...], host: str, through: bool
) -> None:
    assert applies(ProxySetting("manual", "http://p:1", exceptions), host) is through
    assert not applies(ProxySetting("pac", "", exceptions), host)


def test_linux_tells_its_resolvers_past_its_own_stub(tmp_path: Path) -> None:
    stub, upstream = tmp_path / "etc", tmp_path / "run"
    stub.write_text("# made by systemd-resolved\nnameserver 127.0.0.53\n")
    upstream.write_text("nameserver 10.1.1.1\nnameserver fe80::1%eth0\n")
    assert linux.resolvers(upstream, stub) == ("10.1.1.1", "fe80::1")
    stub.write_text("nameserver 9.9.9.9\n")
    assert linux.resolvers(upstream, stub) == ("9.9.9.9",)
    assert linux.resolvers(tmp_path / "none", tmp_path / "none") == ()


def test_this_machine_tells_its_interfaces_by_both_ways() -> None:
    among = linux.interfaces()
    assert isinstance(among, list)
    shown = commands.run("ip", "-json", "-details", "address")
    if isinstance(shown, Outcome):
        services.absent("ip is not installed (make services)")
        return
    other = parse_ip_addr(shown)
    assert isinstance(other, list)
    assert [each.name for each in among] == sorted(each.name for each in other)
    by_name = {each.name: each for each in other}
    for each in among:
        twin = by_name[each.name]
        assert set(each.addresses) == set(twin.addresses)
        assert (each.index, each.mtu_byte) == (twin.index, twin.mtu_byte)


def test_a_command_is_bounded_in_time_and_may_be_missing() -> None:
    assert commands.run("no-such-program-at-all") is Outcome.NOT_SUPPORTED
    assert commands.run("sleep", "20", timeout_s=0.1) is Outcome.TIMEOUT
    assert commands.run("false") is Outcome.NOT_SUPPORTED
    assert commands.run("echo", "hello") == b"hello\n"


PRINTED = [
    NC.encode(),
    sample("ifconfig_macos").encode(),
    sample("netstat_macos").encode(),
    sample("hardware_ports_macos").encode(),
    json.dumps(IP_ADDR).encode(),
    b"ConnectionStatus : Connected\nSplitTunneling : True\n",
    b"802-11-wireless:activated\nvpn:activated\n",
    b"   route to: default\n  interface: en0\n",
]


@settings(max_examples=200, deadline=None)
@given(data=st.data(), whole=st.sampled_from(PRINTED))
def test_no_damage_breaks_any_parser(data: st.DataObject, whole: bytes) -> None:
    """Cut, doubled, overwritten: every tool's parser gives facts or a reason."""
    octets = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, max(len(octets) - 1, 0)))
        piece = data.draw(st.binary(max_size=6))
        octets[at : at + data.draw(st.integers(0, 40))] = piece * data.draw(
            st.integers(0, 3)
        )
    broken = bytes(octets)
    for _, parse in TOOLS.values():
        msgspec.json.encode(parse(broken))
    text = broken.decode("latin-1")
    parse_arp(text, "10.0.0.1")
    parse_ipv4_routes("head\n" + text)
    parse_ipv6_routes(text)
    parse_ip_neighbour(broken, "fe80::1")


@pytest.mark.parametrize(
    "piece",
    [
        " ", "\n", "\t:", "a :", "a : b\n", "Wlan", "WlanA 5 ", "(", "1.", "[", "{",
        '{"a":', "SSID : 5 GHz\n", "-", "- -\n", "\0", "<a>", "x" * 50 + " ", "(Up)[a]",
        "en0: flags=8863<UP> mtu 1\n\tinet 1.1.1.1\n",
        "resolver #1\n if_index : 1 (a)\n",
    ],
)  # fmt: skip
def test_what_never_ends_is_read_to_an_end(piece: str) -> None:
    """Half a megabyte of the same, with what makes a parser begin before it."""
    body = (piece * (500_000 // len(piece))).encode()
    heads = [b"", b"<dictionary> {\n", b"Wi-Fi:\nAirPort", b'<?xml version="1.0"?>']
    for name, (_, parse) in TOOLS.items():
        for head in heads if name in {"scutil-proxy", "system-profiler"} else heads[:1]:
            parse(head + body)


@settings(max_examples=60, deadline=None)
@given(octets=st.binary(max_size=400), text=st.text(max_size=60))
def test_no_octets_or_settings_break_the_rest(octets: bytes, text: str) -> None:
    iphlpapi.parse_routes(octets)
    iphlpapi.parse_routes(struct.pack("<II", 9, 0) + octets)
    iphlpapi.parse_socket_address(octets)
    found = proxy_from_registry({"ProxyEnable": 1, "ProxyServer": text, "x": octets})
    applies(msgspec.structs.replace(found, exceptions=(text,)), text)
    applies(ProxySetting("manual", "http://p:1", (text,)), text)
    proxy_from_environment({"https_proxy": text, "no_proxy": text})


def test_tools_are_listed_and_read_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    from probes.platforms.__main__ import main

    assert main([]) == 2
    assert "netsh" in capsys.readouterr().out
