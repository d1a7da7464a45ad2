"""scutil, ifconfig, netstat and networksetup of macOS."""

from platform_samples import (
    NC,
    sample,
)

from probes.measure.tunnels import find_tunnels, physical_interface, vpn_product
from probes.platforms import macos
from probes.platforms.macos_tools import (
    parse_hardware_ports,
    parse_ifconfig,
    parse_netstat_routes,
    parse_scutil_dns,
    parse_scutil_nc_list,
    parse_scutil_proxy,
)
from probes.platforms.system_facts import (
    Interface,
    ProxySetting,
    VpnConnection,
)
from probes.wire.failure import Outcome


def test_vpn_services_of_scutil_are_parsed_without_their_names() -> None:
    assert parse_scutil_nc_list(NC) == [
        VpnConnection("com.wireguard.macos", "up"),
        VpnConnection("ipsec", "down"),
        VpnConnection("ppp:l2tp", "connecting"),
    ]
    assert parse_scutil_nc_list(NC.splitlines()[0]) == parse_scutil_nc_list("") == []
    assert parse_scutil_nc_list("scutil: no such command") is Outcome.BAD_ANSWER


def test_proxies_of_scutil_are_parsed_in_the_precedence_of_macos() -> None:
    manual = (
        "<dictionary> {\n  ExceptionsList : <array> {\n    0 : *.local\n"
        "    1 : 169.254/16\n"
        "  }\n  HTTPEnable : 1\n  HTTPPort : 8080\n  HTTPProxy : proxy.example\n"
        "  HTTPSEnable : 1\n  HTTPSPort : 3128\n  HTTPSProxy : secure.example\n"
        "  ProxyAutoConfigEnable : 0\n}\n"
    )
    setting = parse_scutil_proxy(manual)
    assert setting == ProxySetting(
        "manual", "http://secure.example:3128", ("*.local", "169.254/16")
    )
    pac = manual.replace("ConfigEnable : 0", "ConfigEnable : 1")
    assert parse_scutil_proxy(pac).kind == "pac"  # type: ignore[union-attr]
    wpad = manual.replace("AutoConfigEnable : 0", "AutoDiscoveryEnable : 1")
    assert parse_scutil_proxy(wpad) == ProxySetting(
        "wpad", exceptions=("*.local", "169.254/16"), besides=setting
    )
    off = parse_scutil_proxy("<dictionary> {\n  HTTPEnable : 0\n  HTTPProxy : x\n}\n")
    assert off == ProxySetting("none")
    assert parse_scutil_proxy("nothing") is Outcome.BAD_ANSWER


def test_name_servers_of_scutil_are_grouped_by_interface() -> None:
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


def test_interfaces_and_tunnels_of_a_mac_are_distinguished() -> None:
    interfaces = {interface.name: interface for interface in mac()}
    assert "lo0" not in interfaces
    wifi = interfaces["en0"]
    assert (wifi.kind, wifi.up, wifi.physical, wifi.routed) == (
        "wlan",
        True,
        True,
        True,
    )
    assert (wifi.gateway, wifi.mtu_byte) == ("192.168.1.1", 1500)
    assert wifi.networks[-1] == "192.168.1.20/24"
    # A port without a cable, tunnels of the system, and one of a VPN client.
    assert not interfaces["en4"].up
    up = [client for client in find_tunnels(mac()) if client.state == "up"]
    assert [(client.product, client.interface) for client in up] == [
        ("GlobalProtect", "utun4")
    ]
    assert vpn_product(interfaces["utun0"]) is None
    line = physical_interface(mac())
    assert line is not None
    assert line.name == "en0"


def test_hardware_ports_have_a_kind() -> None:
    assert parse_hardware_ports(sample("hardware_ports_macos")) == {
        "en4": "",
        "en0": "wlan",
        "en6": "wwan",
        "bridge0": "bridge",
    }
