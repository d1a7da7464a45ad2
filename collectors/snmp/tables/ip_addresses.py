"""IP addresses of a device: ipAddrTable and its successor ipAddressTable (RFC 4293).

The index of a row is its address. ipAddrTable's index is four octets; ipAddressTable's
is the address type, the number of octets, and the octets. Some agents add the length in
ipAddrTable, and some omit it in ipAddressTable. An index of another shape is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import as_int
from collectors.snmp.session.session import Value

_OLD_IF_INDEX = "1.3.6.1.2.1.4.20.1.2"
_OLD_MASK = "1.3.6.1.2.1.4.20.1.3"
_IF_INDEX, _TYPE, _PREFIX = (f"1.3.6.1.2.1.4.34.1.{n}" for n in (3, 4, 5))
# ipAddressPrefixTable, whose index ends with the prefix length.
_PREFIX_TABLE = "1.3.6.1.2.1.4.32"
_BROADCAST = 3
# By InetAddressType: octets of the address, octets of the zone after it.
_SHAPES = {1: (4, 0), 2: (16, 0), 3: (4, 4), 4: (16, 4)}


class Address(msgspec.Struct, frozen=True):
    """`prefixlen` and `if_index` are None if the device does not give them."""

    address: str
    prefixlen: int | None
    if_index: int | None

    @property
    def is_ipv4(self) -> bool:
        return ":" not in self.address


async def read_addresses(snmp: DeviceSession) -> dict[str, Value]:
    """Read the rows of both tables, by whole OID. Raises `Failed`."""
    rows: dict[str, Value] = {}
    for first, *others in ((_OLD_IF_INDEX, _OLD_MASK), (_IF_INDEX, _TYPE, _PREFIX)):
        first_rows = await snmp.walk(first)
        if first_rows:
            rows |= first_rows
            for column in others:
                rows |= await snmp.walk(column)
    return rows


def parse_addresses(rows: Mapping[str, Value]) -> list[Address]:
    """Return the addresses, once per interface. Pure."""
    addresses: dict[tuple[str, int | None], Address] = {}
    for address in (*_parse_ip_addr_table(rows), *_parse_ip_address_table(rows)):
        known = addresses.get((address.address, address.if_index))
        if known is None or known.prefixlen is None:
            addresses[(address.address, address.if_index)] = address
    return list(addresses.values())


def _parse_ip_addr_table(rows: Mapping[str, Value]) -> Iterator[Address]:
    for oid, value in rows.items():
        if not oids.under(oid, _OLD_IF_INDEX):
            continue
        index = oids.tail(oid, _OLD_IF_INDEX)
        arcs = oids.parts(index)
        if len(arcs) == 5 and arcs[0] == 4:
            arcs = arcs[1:]
        address = _to_address(arcs) if len(arcs) == 4 else None
        if address is not None:
            mask = rows.get(f"{_OLD_MASK}.{index}")
            yield Address(address, _prefix_length_of_mask(mask), as_int(value))


def _parse_ip_address_table(rows: Mapping[str, Value]) -> Iterator[Address]:
    for oid, value in rows.items():
        if not oids.under(oid, _IF_INDEX):
            continue
        index = oids.tail(oid, _IF_INDEX)
        if rows.get(f"{_TYPE}.{index}") == _BROADCAST:
            continue
        kind, *arcs = oids.parts(index)
        if kind not in _SHAPES:
            continue
        octets, zone = _SHAPES[kind]
        size = octets + zone
        if arcs[:1] == [size]:
            # Taken as the length, because addresses in 4.0.0.0/8 are rare.
            arcs = arcs[1:]
        address = _to_address(arcs[:octets]) if len(arcs) == size else None
        if address is not None:
            prefixlen = _prefix_length_of_pointer(
                rows.get(f"{_PREFIX}.{index}"), octets * 8
            )
            yield Address(address, prefixlen, as_int(value))


def _to_address(arcs: Sequence[int]) -> str | None:
    if max(arcs) > 255:
        return None
    octets = bytes(arcs)
    return str(IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets))


def _prefix_length_of_pointer(pointer: Value | None, max_length: int) -> int | None:
    """Return the length of the prefix whose row `pointer` names; 0.0 means none."""
    if not isinstance(pointer, str) or not oids.under(pointer, _PREFIX_TABLE):
        return None
    length = oids.parts(pointer)[-1]
    return length if length <= max_length else None


def _prefix_length_of_mask(mask: Value | None) -> int | None:
    if not isinstance(mask, str):
        return None
    try:
        bits = int(IPv4Address(mask))
    except ValueError:
        return None
    ones = bits.bit_count()
    # A mask with gaps is invalid.
    return ones if bits == (2**32 - 1) ^ (2 ** (32 - ones) - 1) else None
