"""Sample outputs of system tools and structures of system APIs."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from probes.platforms.system_facts import (
    WifiLink,
)
from probes.wire.failure import Outcome

KEY = b"a key of this laptop"


NASTY = "5 GHz"


@st.composite
def damaged(draw: Callable[..., Any], outputs: Sequence[bytes]) -> bytes:
    """One of the outputs, cut, doubled or overwritten in some places."""
    octets = bytearray(draw(st.sampled_from(outputs)))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, max(len(octets) - 1, 0)))
        piece = draw(st.binary(max_size=6))
        end = at + draw(st.integers(0, 40))
        octets[at:end] = piece * draw(st.integers(0, 3))
    return bytes(octets)


def sample(name: str) -> str:
    path = Path(__file__).parent / "data" / "platforms" / f"{name}.txt"
    return path.read_text(encoding="utf-8")


NETSH_11 = sample("netsh_windows_11_english")


NETSH_7 = sample("netsh_windows_7_english")


NETSH_FR = sample("netsh_french")


NETSH_RU = sample("netsh_russian")


NETSH_JA = sample("netsh_japanese")


NETSH_ES_TWO = sample("netsh_spanish_two_adapters")


def only_link(links: list[WifiLink] | Outcome) -> WifiLink:
    assert isinstance(links, list), links
    (link,) = [link for link in links if link.connected]
    return link


IW_6 = sample("iw_6_link")


IW_STATION = sample("iw_station_dump")


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


GUID = bytes(range(16))


def connection_attributes(quality: int = 83, state: int = 1, phy: int = 8) -> bytes:
    ssid = struct.pack("<I", 6) + b"Secret".ljust(32, b"\0")
    head = struct.pack("<II", state, 1) + "Profile".encode("utf-16-le").ljust(
        512, b"\0"
    )
    numbers = struct.pack("<5I", phy, 0, quality, 866_700, 780_000)
    bssid = bytes.fromhex("0200000000aa") + b"\0\0"
    return head + ssid + struct.pack("<I", 1) + bssid + numbers + b"\0" * 16


def interface_list(*states: int) -> bytes:
    adapters = [GUID + "Adapter".encode("utf-16-le").ljust(512, b"\0") for _ in states]
    rows = b"".join(
        adapter + struct.pack("<I", state)
        for adapter, state in zip(adapters, states, strict=True)
    )
    return struct.pack("<II", len(states), 0) + rows


def airport_data(**current: object) -> dict[str, object]:
    """What macOS 10.15 to 15 print for a network without a name."""
    own = {
        "_name": "<redacted>",
        "spairport_network_bssid": "<redacted>",
        "spairport_network_channel": "36 (5GHz, 80MHz)",
        "spairport_network_country_code": "GB",
        "spairport_network_mcs": 9,
        "spairport_network_phymode": "802.11ac",
        "spairport_network_rate": 866,
        "spairport_network_type": "spairport_network_type_station",
        "spairport_security_mode": "spairport_security_mode_wpa2_personal",
        "spairport_signal_noise": "-63 dBm / -89 dBm",
        **current,
    }
    other = {**own, "spairport_signal_noise": "-20 dBm / -80 dBm"}
    return {
        "SPAirPortDataType": [
            {
                "spairport_airport_interfaces": [
                    {
                        "_name": "awdl0",
                        "spairport_current_network_information": other,
                    },
                    {
                        "_name": "en0",
                        "spairport_airport_other_local_wireless_networks": [other],
                        "spairport_current_network_information": own,
                        "spairport_status_information": "spairport_status_connected",
                    },
                ],
                "spairport_software_information": {},
            }
        ]
    }


NC = """Available network connection services in the current set (*=enabled):
* (Connected)      0F1E2D3C-0000-0000-0000-000000000001 VPN (com.wireguard.macos) "My (Disconnected) tunnel [IPSec]" [VPN:com.wireguard.macos]
* (Disconnected)   0F1E2D3C-0000-0000-0000-000000000002 IPSec "Office" [IPSec]
* (Connecting)     0F1E2D3C-0000-0000-0000-000000000003 PPP --> L2TP "Old" [PPP:L2TP]
"""  # noqa: E501


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
