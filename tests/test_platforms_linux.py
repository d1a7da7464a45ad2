"""Interfaces, neighbours, VPNs and name servers of Linux, and running commands."""

import json
from pathlib import Path

import services
from platform_samples import (
    IP_ADDR,
)

from probes.platforms import commands, linux
from probes.platforms.linux_tools import (
    parse_ip_addr,
    parse_ip_neighbour,
    parse_nmcli,
)
from probes.platforms.system_facts import (
    VpnConnection,
)
from probes.wire.failure import Outcome


def test_json_of_ip_is_parsed() -> None:
    parsed = parse_ip_addr(json.dumps(IP_ADDR))
    assert isinstance(parsed, list)
    kinds = {interface.name: interface.kind for interface in parsed}
    assert kinds == {
        "wlp2s0": "wlan", "corp": "wireguard", "vnet0": "port", "tap0": "tap",
        "vti0": "tunnel",
    }  # fmt: skip
    assert parsed[0].networks == ("192.168.1.20/24", "fe80::1/64")
    assert (parsed[0].physical, parsed[1].mtu_byte) == (True, 1420)
    near = json.dumps([{"dst": "fe80::1", "lladdr": "02:00:00:00:00:01", "dev": "e"}])
    assert parse_ip_neighbour(near, "fe80::1") == "02:00:00:00:00:01"
    assert parse_ip_neighbour(near, "fe80::2") == ""
    assert parse_ip_addr("Object") is Outcome.BAD_ANSWER


def test_active_vpns_of_nmcli_are_parsed() -> None:
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


def test_the_resolvers_behind_a_local_stub_are_listed(tmp_path: Path) -> None:
    stub, upstream = tmp_path / "etc", tmp_path / "run"
    stub.write_text("# made by systemd-resolved\nnameserver 127.0.0.53\n")
    upstream.write_text("nameserver 10.1.1.1\nnameserver fe80::1%eth0\n")
    assert linux.resolvers(upstream, stub) == ("10.1.1.1", "fe80::1")
    stub.write_text("nameserver 9.9.9.9\n")
    assert linux.resolvers(upstream, stub) == ("9.9.9.9",)
    assert linux.resolvers(tmp_path / "none", tmp_path / "none") == ()


def test_sysfs_and_ip_list_the_same_interfaces_of_this_machine() -> None:
    from_sysfs = linux.interfaces()
    assert isinstance(from_sysfs, list)
    output = commands.run("ip", "-json", "-details", "address")
    if isinstance(output, Outcome):
        services.absent("ip is not installed (make services)")
        return
    from_ip = parse_ip_addr(output)
    assert isinstance(from_ip, list)
    assert [interface.name for interface in from_sysfs] == sorted(
        interface.name for interface in from_ip
    )
    by_name = {interface.name: interface for interface in from_ip}
    for interface in from_sysfs:
        twin = by_name[interface.name]
        assert set(interface.addresses) == set(twin.addresses)
        assert (interface.index, interface.mtu_byte) == (twin.index, twin.mtu_byte)


def test_a_command_is_limited_in_time_and_may_be_missing() -> None:
    assert commands.run("no-such-program-at-all") is Outcome.NOT_SUPPORTED
    assert commands.run("sleep", "20", timeout_s=0.1) is Outcome.TIMEOUT
    assert commands.run("false") is Outcome.NOT_SUPPORTED
    assert commands.run("echo", "hello") == b"hello\n"
