"""Interfaces and routes from Windows' IP Helper API (iphlpapi.dll), by ctypes.

`GetAdaptersAddresses`, `GetIfEntry2` and `GetIpForwardTable2`: documented, unprivileged
and without PowerShell, whose start alone costs a second of the processor. The
structures follow iptypes.h, netioapi.h and ws2ipdef.h.
"""

from __future__ import annotations

import ctypes
import ipaddress
import struct
import sys
from collections.abc import Iterator

import msgspec

from probes.platforms.system_facts import Interface, IpRoute

_AF_INET, _AF_INET6 = 2, 23
_ROUTE_BYTES = 104
# ifType (IANA).
_KINDS = {23: "ppp", 71: "wlan", 131: "tunnel", 243: "wwan", 244: "wwan", 24: "lo"}


class Adapter(msgspec.Struct, frozen=True):
    """One adapter as `GetAdaptersAddresses` and `GetIfEntry2` tell it."""

    name: str
    description: str
    if_type: int
    up: bool
    index: int
    hardware: bool
    networks: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    mtu_byte: int | None = None
    speed_bps: int | None = None
    metric: int = 0


def parse_socket_address(octets: bytes) -> str:
    """The address of a SOCKADDR_IN or SOCKADDR_IN6, empty where it is neither. Pure."""
    if len(octets) < 8:
        return ""
    (family,) = struct.unpack_from("<H", octets)
    if family == _AF_INET:
        return str(ipaddress.IPv4Address(octets[4:8]))
    if family == _AF_INET6 and len(octets) >= 24:
        return str(ipaddress.IPv6Address(octets[8:24]))
    return ""


def parse_routes(octets: bytes) -> list[IpRoute]:
    """The rows of a MIB_IPFORWARD_TABLE2, interfaces by index. Pure."""
    if len(octets) < 8:
        return []
    (count,) = struct.unpack_from("<I", octets)
    routes = []
    for n in range(min(count, 20_000)):
        at = 8 + n * _ROUTE_BYTES
        row = octets[at : at + _ROUTE_BYTES]
        if len(row) < _ROUTE_BYTES:
            break
        (index,) = struct.unpack_from("<I", row, 8)
        destination, gateway = (
            parse_socket_address(row[12:40]),
            parse_socket_address(row[44:72]),
        )
        (metric,) = struct.unpack_from("<I", row, 84)
        if not destination or row[40] > 128:
            continue
        hop = "" if gateway in {"0.0.0.0", "::"} else gateway
        routes.append(IpRoute(str(index), destination, row[40], hop, metric))
    return routes


def to_interfaces(
    adapters: list[Adapter], routes: list[IpRoute], chosen: set[str]
) -> list[Interface]:
    """The interfaces; `chosen`: own addresses the system takes for far ones. Pure.

    Every interface has routes to itself, to broadcast and multicast; only others, with
    a default or a network behind it, make it `routed`.
    """
    found = []
    for each in adapters:
        kind = _KINDS.get(each.if_type, "")
        if kind == "lo":
            continue
        mine = [r for r in routes if r.interface == str(each.index)]
        defaults = sorted(
            each.metric + r.metric for r in mine if r.prefix == 0 and each.up
        )
        gateways = [r.gateway for r in mine if r.prefix == 0 and r.gateway]
        addresses = tuple(network.partition("/")[0] for network in each.networks)
        found.append(
            Interface(
                name=each.name,
                description=each.description,
                kind=kind,
                physical=each.hardware,
                up=each.up,
                addresses=addresses,
                networks=each.networks,
                routed=bool(chosen & set(addresses))
                or any(map(_leads_beyond_host, mine)),
                default_metric=defaults[0] if defaults else None,
                gateway=next(iter([*each.gateways, *gateways]), ""),
                resolvers=each.resolvers,
                mtu_byte=each.mtu_byte,
                speed_bps=each.speed_bps,
                index=each.index,
            )
        )
    return found


def _leads_beyond_host(route: IpRoute) -> bool:
    try:
        network = ipaddress.ip_network(
            f"{route.destination}/{route.prefix}", strict=False
        )
    except ValueError:
        return False
    if network.is_multicast or network.is_link_local or network.is_loopback:
        return False
    return route.prefix < network.max_prefixlen


class _SocketAddress(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("length", ctypes.c_int))


class _Listed(ctypes.Structure):
    """The common beginning of unicast, gateway and DNS server addresses."""


_Listed._fields_ = (
    ("length", ctypes.c_uint32),
    ("flags", ctypes.c_uint32),
    ("next", ctypes.POINTER(_Listed)),
    ("address", _SocketAddress),
)


class _Unicast(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("address", _SocketAddress),
        ("origins", ctypes.c_int * 3),
        ("lifetimes", ctypes.c_uint32 * 3),
        ("prefix", ctypes.c_uint8),
    )


class _Adapter(ctypes.Structure):
    """IP_ADAPTER_ADDRESSES_LH as far as it is needed."""


_Adapter._fields_ = (
    ("length", ctypes.c_uint32),
    ("index", ctypes.c_uint32),
    ("next", ctypes.POINTER(_Adapter)),
    ("guid", ctypes.c_char_p),
    ("unicast", ctypes.POINTER(_Unicast)),
    ("anycast", ctypes.c_void_p),
    ("multicast", ctypes.c_void_p),
    ("dns", ctypes.POINTER(_Listed)),
    ("suffix", ctypes.c_wchar_p),
    ("description", ctypes.c_wchar_p),
    ("name", ctypes.c_wchar_p),
    ("physical", ctypes.c_uint8 * 8),
    ("physical_length", ctypes.c_uint32),
    ("flags", ctypes.c_uint32),
    ("mtu", ctypes.c_uint32),
    ("if_type", ctypes.c_uint32),
    ("status", ctypes.c_int),
    ("index6", ctypes.c_uint32),
    ("zones", ctypes.c_uint32 * 16),
    ("prefixes", ctypes.c_void_p),
    ("tx_bps", ctypes.c_uint64),
    ("rx_bps", ctypes.c_uint64),
    ("wins", ctypes.c_void_p),
    ("gateways", ctypes.POINTER(_Listed)),
    ("metric", ctypes.c_uint32),
    ("metric6", ctypes.c_uint32),
)


class _IfRow(ctypes.Structure):
    """MIB_IF_ROW2 as far as its flags, and room for the rest."""

    _fields_ = (
        ("luid", ctypes.c_uint64),
        ("index", ctypes.c_uint32),
        ("guid", ctypes.c_uint8 * 16),
        ("alias", ctypes.c_uint16 * 257),
        ("description", ctypes.c_uint16 * 257),
        ("physical_length", ctypes.c_uint32),
        ("physical", ctypes.c_uint8 * 64),
        ("mtu", ctypes.c_uint32),
        ("if_type", ctypes.c_uint32),
        ("kinds", ctypes.c_int * 5),
        ("flags", ctypes.c_uint8),
        ("rest", ctypes.c_uint64 * 64),
    )


def _chain(first: object) -> Iterator[object]:
    """The members of a linked list, at most 200."""
    pointer = first
    for _ in range(200):
        if not pointer:
            return
        member = pointer.contents  # type: ignore[attr-defined]
        yield member
        pointer = member.next


if sys.platform == "win32":
    _SKIP_ANYCAST_MULTICAST_INCLUDE_GATEWAYS = 0x2 | 0x4 | 0x80
    _OVERFLOW = 111

    def adapters() -> list[Adapter]:
        """The adapters; `OSError` where Windows does not tell."""
        api = ctypes.WinDLL("iphlpapi.dll")
        size = ctypes.c_uint32(32_768)
        for _ in range(4):
            room = ctypes.create_string_buffer(size.value)
            error = api.GetAdaptersAddresses(
                0,
                _SKIP_ANYCAST_MULTICAST_INCLUDE_GATEWAYS,
                None,
                room,
                ctypes.byref(size),
            )
            if error == 0:
                first = ctypes.cast(room, ctypes.POINTER(_Adapter))
                return [_adapter(api, each) for each in _chain(first)]
            if error != _OVERFLOW or size.value > 4_000_000:
                break
        raise OSError(error, "GetAdaptersAddresses")

    def routes() -> list[IpRoute]:
        """Both families' routes; empty where Windows does not tell."""
        api = ctypes.WinDLL("iphlpapi.dll")
        api.FreeMibTable.argtypes = [ctypes.c_void_p]
        api.FreeMibTable.restype = None
        table = ctypes.c_void_p()
        if api.GetIpForwardTable2(0, ctypes.byref(table)) or not table.value:
            return []
        try:
            count = struct.unpack("<I", ctypes.string_at(table.value, 4))[0]
            size = 8 + min(count, 20_000) * _ROUTE_BYTES
            return parse_routes(ctypes.string_at(table.value, size))
        finally:
            api.FreeMibTable(table)

    def hardware_address(gateway: str) -> str:
        """The neighbour's hardware address, asked by ARP; empty for IPv6."""
        try:
            packed = ipaddress.IPv4Address(gateway).packed
        except ValueError:
            return ""
        api = ctypes.WinDLL("iphlpapi.dll")
        found, size = ctypes.create_string_buffer(8), ctypes.c_uint32(8)
        to = struct.unpack("<I", packed)[0]
        if api.SendARP(ctypes.c_uint32(to), 0, found, ctypes.byref(size)):
            return ""
        return found.raw[:6].hex(":") if size.value == 6 else ""

    def _adapter(api: ctypes.WinDLL, each: object) -> Adapter:
        assert isinstance(each, _Adapter)
        row = _IfRow()
        row.index = each.index or each.index6
        known = api.GetIfEntry2(ctypes.byref(row)) == 0
        networks = []
        pointer = each.unicast
        for _ in range(64):
            if not pointer:
                break
            unicast = pointer.contents
            address = _address(unicast.address)
            if address:
                networks.append(f"{address}/{unicast.prefix}")
            pointer = ctypes.cast(unicast.next, ctypes.POINTER(_Unicast))
        speed = min(each.tx_bps, each.rx_bps)
        return Adapter(
            name=str(each.name or "")[:200],
            description=str(each.description or "")[:200],
            if_type=each.if_type,
            up=each.status == 1,
            index=each.index or each.index6,
            # HardwareInterface is the lowest bit (netioapi.h).
            hardware=bool(known and row.flags & 1),
            networks=tuple(networks),
            gateways=_addresses(each.gateways),
            resolvers=_addresses(each.dns),
            mtu_byte=each.mtu if 0 < each.mtu <= 65_535 else None,
            speed_bps=speed if 0 < speed < 10**13 else None,
            metric=each.metric,
        )

    def _addresses(first: object) -> tuple[str, ...]:
        found = []
        for each in _chain(first):
            assert isinstance(each, _Listed)
            found.append(_address(each.address))
        return tuple(address for address in found if address)

    def _address(given: _SocketAddress) -> str:
        if not given.address or not 8 <= given.length <= 128:
            return ""
        return parse_socket_address(ctypes.string_at(given.address, given.length))
