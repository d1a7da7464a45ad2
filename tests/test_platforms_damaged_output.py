"""Damaged, endless or random output never breaks a parser."""

import json
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from platform_samples import (
    IP_ADDR,
    NC,
    damaged,
    sample,
)

from probes.platforms import iphlpapi
from probes.platforms.__main__ import TOOLS
from probes.platforms.linux_tools import (
    parse_arp,
    parse_ip_neighbour,
    parse_ipv4_routes,
    parse_ipv6_routes,
)
from probes.platforms.proxies import (
    applies,
    proxy_from_environment,
    proxy_from_registry,
)
from probes.platforms.system_facts import (
    ProxySetting,
)

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
@given(broken=damaged(PRINTED))
def test_damaged_output_never_breaks_a_parser(broken: bytes) -> None:
    """For damaged output every parser gives facts or an outcome."""
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
def test_endless_output_is_parsed_in_bounded_time(piece: str) -> None:
    """Half a megabyte of one piece, after a start that the parser accepts."""
    body = (piece * (500_000 // len(piece))).encode()
    heads = [b"", b"<dictionary> {\n", b"Wi-Fi:\nAirPort", b'<?xml version="1.0"?>']
    for name, (_, parse) in TOOLS.items():
        for head in heads if name in {"scutil-proxy", "system-profiler"} else heads[:1]:
            parse(head + body)


@settings(max_examples=60, deadline=None)
@given(octets=st.binary(max_size=400), text=st.text(max_size=60))
def test_random_octets_and_settings_never_raise(octets: bytes, text: str) -> None:
    iphlpapi.parse_routes(octets)
    iphlpapi.parse_routes(struct.pack("<II", 9, 0) + octets)
    iphlpapi.parse_socket_address(octets)
    setting = proxy_from_registry({"ProxyEnable": 1, "ProxyServer": text, "x": octets})
    applies(msgspec.structs.replace(setting, exceptions=(text,)), text)
    applies(ProxySetting("manual", "http://p:1", (text,)), text)
    proxy_from_environment({"https_proxy": text, "no_proxy": text})


def test_the_command_lists_its_tools(capsys: pytest.CaptureFixture[str]) -> None:
    from probes.platforms.__main__ import main

    assert main([]) == 2
    assert "netsh" in capsys.readouterr().out
