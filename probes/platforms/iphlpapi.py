"""Interfaces and routes from the Windows IP Helper API (iphlpapi.dll), with ctypes.

`GetAdaptersAddresses`, `GetIfEntry2` and `GetIpForwardTable2` are documented, need no
privileges and avoid PowerShell, which takes a second of processor time just to start.
The structures follow iptypes.h, netioapi.h and ws2ipdef.h.
"""

from __future__ import annotations

import ctypes
import ipaddress
import math
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from probes.platforms.system_facts import Interface, IpRoute, LinkCounters

_Result = TypeVar("_Result")
_AF_INET, _AF_INET6 = 2, 23
_ROUTE_BYTES = 104
# ifType (IANA).
_KINDS = {23: "ppp", 71: "wlan", 131: "tunnel", 243: "wwan", 244: "wwan", 24: "lo"}


class Adapter(msgspec.Struct, frozen=True):
    """One adapter, from `GetAdaptersAddresses` and `GetIfEntry2`."""

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
    """The address in a SOCKADDR_IN or SOCKADDR_IN6; empty if it is neither. Pure."""
    if len(octets) < 8:
        return ""
    (family,) = struct.unpack_from("<H", octets)
    if family == _AF_INET:
        return str(ipaddress.IPv4Address(octets[4:8]))
    if family == _AF_INET6 and len(octets) >= 24:
        return str(ipaddress.IPv6Address(octets[8:24]))
    return ""


def parse_routes(octets: bytes) -> list[IpRoute]:
    """The rows of a MIB_IPFORWARD_TABLE2; the interface is its index. Pure."""
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
    adapters: list[Adapter], routes: list[IpRoute], default_addresses: set[str]
) -> list[Interface]:
    """The interfaces. `default_addresses` are the own addresses that the system uses
    for far destinations. Pure.

    Every interface has routes to itself, to broadcast and to multicast. Only a default
    route or a route to a network behind it makes it `routed`.
    """
    interfaces = []
    for adapter in adapters:
        kind = _KINDS.get(adapter.if_type, "")
        if kind == "lo":
            continue
        own = [route for route in routes if route.interface == str(adapter.index)]
        default_routes = [route for route in own if route.prefix == 0]
        metrics = [adapter.metric + route.metric for route in default_routes]
        gateways = [route.gateway for route in default_routes if route.gateway]
        addresses = tuple(network.partition("/")[0] for network in adapter.networks)
        interfaces.append(
            Interface(
                name=adapter.name,
                description=adapter.description,
                kind=kind,
                physical=adapter.hardware,
                up=adapter.up,
                addresses=addresses,
                networks=adapter.networks,
                routed=bool(default_addresses & set(addresses))
                or any(map(_leads_beyond_host, own)),
                default_metric=min(metrics) if metrics and adapter.up else None,
                gateway=next(iter([*adapter.gateways, *gateways]), ""),
                resolvers=adapter.resolvers,
                mtu_byte=adapter.mtu_byte,
                speed_bps=adapter.speed_bps,
                index=adapter.index,
            )
        )
    return interfaces


def resolvers_of(interfaces: Sequence[Interface]) -> tuple[str, ...]:
    """The name servers of the interfaces that are up, those of the preferred way out
    first. Windows gives an interface without any three that nobody has
    (fec0:0:0:ffff::1 to 3, RFC 3879). Pure."""
    used = [interface for interface in interfaces if interface.up]
    used.sort(key=lambda i: math.inf if i.default_metric is None else i.default_metric)
    found = [
        f"{server}%{interface.index}" if server.lower().startswith("fe80:") else server
        for interface in used
        for server in interface.resolvers
        if not server.lower().startswith("fec0:")
    ]
    return tuple(dict.fromkeys(found))[:8]


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


class _AddressEntry(ctypes.Structure):
    """The fields that unicast, gateway and DNS server addresses share."""


_AddressEntry._fields_ = (
    ("length", ctypes.c_uint32),
    ("flags", ctypes.c_uint32),
    ("next", ctypes.POINTER(_AddressEntry)),
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
    """IP_ADAPTER_ADDRESSES_LH, up to the last field used here."""


_Adapter._fields_ = (
    ("length", ctypes.c_uint32),
    ("index", ctypes.c_uint32),
    ("next", ctypes.POINTER(_Adapter)),
    ("guid", ctypes.c_char_p),
    ("unicast", ctypes.POINTER(_Unicast)),
    ("anycast", ctypes.c_void_p),
    ("multicast", ctypes.c_void_p),
    ("dns", ctypes.POINTER(_AddressEntry)),
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
    ("gateways", ctypes.POINTER(_AddressEntry)),
    ("metric", ctypes.c_uint32),
    ("metric6", ctypes.c_uint32),
)


class _IfRow(ctypes.Structure):
    """MIB_IF_ROW2, and space for what a later Windows may add."""

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
        ("states", ctypes.c_uint32 * 3),
        ("network", ctypes.c_uint8 * 16),
        ("connection", ctypes.c_uint32),
        ("speeds_bps", ctypes.c_uint64 * 2),
        ("in_octets", ctypes.c_uint64),
        ("in_packets", ctypes.c_uint64),
        ("in_other_packets", ctypes.c_uint64),
        ("in_discards", ctypes.c_uint64),
        ("in_errors", ctypes.c_uint64),
        ("in_details", ctypes.c_uint64 * 4),
        ("out_octets", ctypes.c_uint64),
        ("out_packets", ctypes.c_uint64),
        ("out_other_packets", ctypes.c_uint64),
        ("out_discards", ctypes.c_uint64),
        ("out_errors", ctypes.c_uint64),
        ("out_details", ctypes.c_uint64 * 8),
    )


def counters_of(row: _IfRow) -> LinkCounters:
    """Pure."""
    return LinkCounters(
        bytes=row.in_octets + row.out_octets,
        packets_out=row.out_packets + row.out_other_packets,
        packets_in=row.in_packets + row.in_other_packets,
        errors=row.in_errors + row.out_errors,
    )


def _linked_list(first: object) -> Iterator[object]:
    """The entries of a linked list, at most 200."""
    pointer = first
    for _ in range(200):
        if not pointer:
            return
        entry = pointer.contents  # type: ignore[attr-defined]
        yield entry
        pointer = entry.next


if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    _SKIP_ANYCAST_MULTICAST_INCLUDE_GATEWAYS = 0x2 | 0x4 | 0x80
    _OVERFLOW = 111

    def adapters() -> list[Adapter]:
        """Lists the adapters. Raises `OSError` if Windows returns an error."""
        return _for_each_adapter(_adapter)

    def link_counters() -> dict[str, LinkCounters]:
        """Of each adapter, by its name. Raises `OSError` as `adapters` does."""
        rows = _for_each_adapter(lambda api, entry: (entry.name, _row(api, entry)))
        return {
            str(name or "")[:200]: counters_of(row)
            for name, row in rows
            if row is not None
        }

    def _for_each_adapter(
        result: Callable[[ctypes.WinDLL, _Adapter], _Result],
    ) -> list[_Result]:
        api = system_library("iphlpapi.dll")
        size = ctypes.c_uint32(32_768)
        for _ in range(4):
            buffer = ctypes.create_string_buffer(size.value)
            error = api.GetAdaptersAddresses(
                0,
                _SKIP_ANYCAST_MULTICAST_INCLUDE_GATEWAYS,
                None,
                buffer,
                ctypes.byref(size),
            )
            if error == 0:
                first = ctypes.cast(buffer, ctypes.POINTER(_Adapter))
                return [
                    result(api, entry)
                    for entry in _linked_list(first)
                    if isinstance(entry, _Adapter)
                ]
            if error != _OVERFLOW or size.value > 4_000_000:
                break
        raise OSError(error, "GetAdaptersAddresses")

    def routes() -> list[IpRoute]:
        """The routes of both families; empty if Windows returns an error."""
        api = system_library("iphlpapi.dll")
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
        """The neighbour's hardware address, from ARP; empty for IPv6."""
        try:
            packed = ipaddress.IPv4Address(gateway).packed
        except ValueError:
            return ""
        api = system_library("iphlpapi.dll")
        hardware, size = ctypes.create_string_buffer(8), ctypes.c_uint32(8)
        to = struct.unpack("<I", packed)[0]
        if api.SendARP(ctypes.c_uint32(to), 0, hardware, ctypes.byref(size)):
            return ""
        return hardware.raw[:6].hex(":") if size.value == 6 else ""

    def _row(api: ctypes.WinDLL, entry: _Adapter) -> _IfRow | None:
        """None if Windows does not know the adapter any more."""
        row = _IfRow()
        row.index = entry.index or entry.index6
        return None if api.GetIfEntry2(ctypes.byref(row)) else row

    def _adapter(api: ctypes.WinDLL, entry: _Adapter) -> Adapter:
        row = _row(api, entry)
        networks = []
        pointer = entry.unicast
        for _ in range(64):
            if not pointer:
                break
            unicast = pointer.contents
            address = _address(unicast.address)
            if address:
                networks.append(f"{address}/{unicast.prefix}")
            pointer = ctypes.cast(unicast.next, ctypes.POINTER(_Unicast))
        speed = min(entry.tx_bps, entry.rx_bps)
        return Adapter(
            name=str(entry.name or "")[:200],
            description=str(entry.description or "")[:200],
            if_type=entry.if_type,
            up=entry.status == 1,
            index=entry.index or entry.index6,
            # HardwareInterface is the lowest bit (netioapi.h).
            hardware=row is not None and bool(row.flags & 1),
            networks=tuple(networks),
            gateways=_addresses(entry.gateways),
            resolvers=_addresses(entry.dns),
            mtu_byte=entry.mtu if 0 < entry.mtu <= 65_535 else None,
            speed_bps=speed if 0 < speed < 10**13 else None,
            metric=entry.metric,
        )

    def _addresses(first: object) -> tuple[str, ...]:
        addresses = []
        for entry in _linked_list(first):
            assert isinstance(entry, _AddressEntry)
            addresses.append(_address(entry.address))
        return tuple(address for address in addresses if address)

    def _address(socket_address: _SocketAddress) -> str:
        pointer, length = socket_address.address, socket_address.length
        if not pointer or not 8 <= length <= 128:
            return ""
        return parse_socket_address(ctypes.string_at(pointer, length))
