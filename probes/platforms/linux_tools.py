"""Parsers for Linux: /proc/net, `ip -json`, `nmcli -t`.

The tables in /proc come first. `ip` is used if they cannot be read, and for IPv6
neighbours; nmcli for VPNs without an interface.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Literal

from probes.platforms.system_facts import Interface, IpRoute, VpnConnection
from probes.platforms.tool_output import decode, decode_json, integer, records
from probes.wire.failure import Outcome

_GATEWAY = 0x2
_UP = 0x1
_LOCAL_OR_ANYCAST = 0x8010_0000
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)
_NM_TYPES = {
    "vpn",
    "wireguard",
    "802-3-ethernet",
    "802-11-wireless",
    "ethernet",
    "wifi",
    "bridge",
    "bond",
    "vlan",
    "tun",
    "gsm",
    "bluetooth",
    "loopback",
    "dummy",
    "pppoe",
}
_NM_STATES: dict[str, Literal["up", "connecting", "down"]] = {
    "activated": "up",
    "activating": "connecting",
    "deactivating": "down",
    "deactivated": "down",
    "unknown": "down",
}
_TUNNEL_KINDS = {
    "vti",
    "vti6",
    "xfrm",
    "gre",
    "ip6gre",
    "ipip",
    "ip6tnl",
    "sit",
    "l2tp",
}


def parse_ipv4_routes(text: str) -> list[IpRoute]:
    """The routes in `/proc/net/route`; other lines are skipped. Pure."""
    routes = []
    for line in text.splitlines()[1:]:
        columns = line.split()
        try:
            name, destination, gateway, flags, _, _, metric, mask = columns[:8]
            if not int(flags, 16) & _UP:
                continue
            routes.append(
                IpRoute(
                    name,
                    _ipv4(destination),
                    int(mask, 16).bit_count(),
                    _ipv4(gateway) if int(flags, 16) & _GATEWAY else "",
                    int(metric),
                )
            )
        except (ValueError, struct.error):
            continue
    return routes


def parse_ipv6_routes(text: str) -> list[IpRoute]:
    """The routes in `/proc/net/ipv6_route` without multicast and link-local. Pure."""
    routes = []
    for line in text.splitlines():
        columns = line.split()
        try:
            destination, prefix, _, _, gateway, metric, _, _, flags, name = columns
            address = ipaddress.IPv6Address(bytes.fromhex(destination))
            length = int(prefix, 16)
            if not int(flags, 16) & _UP or int(flags, 16) & _LOCAL_OR_ANYCAST:
                continue
            if name == "lo" or address.is_multicast or address.is_link_local:
                continue
            hop = ipaddress.IPv6Address(bytes.fromhex(gateway))
            routes.append(
                IpRoute(
                    name,
                    str(address),
                    length,
                    str(hop) if int(flags, 16) & _GATEWAY else "",
                    int(metric, 16),
                )
            )
        except ValueError:
            continue
    return routes


def parse_ip_addr(output: bytes | str) -> list[Interface] | Outcome:
    """The interfaces in `ip -json -details address` without loopback. Pure."""
    value = decode_json(output)
    if not isinstance(value, list):
        return Outcome.BAD_ANSWER
    interfaces = []
    for entry in records(value):
        name, flags = entry.get("ifname"), entry.get("flags")
        if not isinstance(name, str) or entry.get("link_type") == "loopback":
            continue
        flags = flags if isinstance(flags, list) else []
        addresses = _addresses(entry.get("addr_info"))
        mtu = integer(entry.get("mtu"))
        interfaces.append(
            Interface(
                name=name[:40],
                kind=_info_kind(entry, name),
                physical=isinstance(entry.get("parentdev"), str),
                up="UP" in flags and "NO-CARRIER" not in flags,
                addresses=tuple(address for address, _ in addresses),
                networks=tuple(f"{address}/{prefix}" for address, prefix in addresses),
                mtu_byte=mtu if mtu and 0 < mtu <= 1_000_000 else None,
                index=integer(entry.get("ifindex")) or 0,
            )
        )
    return interfaces


def _addresses(value: object) -> list[tuple[str, int]]:
    addresses = []
    for entry in records(value)[:64] if isinstance(value, list) else []:
        local, prefix = entry.get("local"), integer(entry.get("prefixlen"))
        try:
            address = ipaddress.ip_address(local if isinstance(local, str) else "")
        except ValueError:
            continue
        if prefix is not None and 0 <= prefix <= address.max_prefixlen:
            addresses.append((str(address), prefix))
    return addresses


def _info_kind(entry: dict[str, object], name: str) -> str:
    info = entry.get("linkinfo")
    info = info if isinstance(info, dict) else {}
    kind = info.get("info_kind")
    kind = kind if isinstance(kind, str) else ""
    if info.get("info_slave_kind") == "bridge":
        return "port"
    if kind == "tun":
        data = info.get("info_data")
        tap = isinstance(data, dict) and data.get("type") == "tap"
        return "tap" if tap else "tun"
    if entry.get("link_type") == "ppp":
        return "ppp"
    if kind in _TUNNEL_KINDS:
        return "tunnel"
    if not kind and name.startswith(("wl", "ww")):
        return "wlan" if name.startswith("wl") else "wwan"
    return kind[:20]


def parse_ip_neighbour(output: bytes | str, address: str) -> str:
    """The hardware address of `address` in `ip -json neighbour`; empty if not known.
    Pure."""
    for entry in records(decode_json(output)):
        hardware = entry.get("lladdr")
        if entry.get("dst") == address and isinstance(hardware, str):
            return hardware.lower() if _MAC.fullmatch(hardware) else ""
    return ""


def parse_arp(text: str, address: str) -> str:
    """The hardware address of `address` in `/proc/net/arp`; empty if not known.
    Pure."""
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 4 and columns[0] == address:
            hardware = columns[3].lower()
            if _MAC.fullmatch(hardware) and hardware != "00:00:00:00:00:00":
                return hardware
    return ""


def parse_nmcli(output: bytes | str) -> list[VpnConnection]:
    """The VPNs in `nmcli -t -f TYPE,STATE connection show --active`. The output may
    have more fields; a connection without a state is up. Pure."""
    connections = []
    for line in decode(output).splitlines()[:1_000]:
        # nmcli escapes a colon inside a value.
        words = re.split(r"(?<!\\):", line.strip()[:400])
        kinds = [word for word in words if word in _NM_TYPES]
        # A name may equal the word for a type; then there are two different types.
        kind = next((kind for kind in kinds if kind in {"vpn", "wireguard"}), "")
        if not kind or len(set(kinds)) > 1:
            continue
        states = [_NM_STATES[word] for word in words if word in _NM_STATES]
        connections.append(VpnConnection(kind, states[0] if states else "up"))
    return connections


def _ipv4(hexadecimal: str) -> str:
    # The kernel prints the four octets in the machine's byte order.
    return str(ipaddress.IPv4Address(struct.pack("=I", int(hexadecimal, 16))))
