"""Reads addresses, finds them in networks, and reduces them to one network. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Generic, TypeVar

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_Entry = TypeVar("_Entry")


class NetworkTable(Generic[_Entry]):
    """Finds what is known of an address by its longest prefix, as in routing (RFC 4632
    section 5.1). Of two entries for one network the later counts."""

    def __init__(self, entries: Iterable[tuple[Network, _Entry]] = ()) -> None:
        self._tables: dict[int, dict[int, dict[int, _Entry]]] = {4: {}, 6: {}}
        for network, entry in entries:
            bits = network.max_prefixlen - network.prefixlen
            table = self._tables[network.version].setdefault(bits, {})
            table[int(network.network_address) >> bits] = entry
        for version, by_bits in self._tables.items():
            self._tables[version] = dict(sorted(by_bits.items()))

    def look_up(self, address: Address) -> _Entry | None:
        """Returns the entry of the most specific network with that address."""
        number = int(address)
        for bits, table in self._tables[address.version].items():
            if (entry := table.get(number >> bits)) is not None:
                return entry
        return None


def parse_address(text: str) -> Address | None:
    """Returns the address, without a zone; None if the text is none.

    An IPv4-mapped address (RFC 4291 section 2.5.5.2) is the IPv4 address.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_network(text: str) -> Network | None:
    """Returns the network; None if the text is none. An address is a network of one,
    and the bits of a host are dropped."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Returns the networks; texts that are none are left out."""
    parsed = map(parse_network, texts)
    return tuple(network for network in parsed if network is not None)


def peer_texts(networks: Iterable[Network]) -> list[str]:
    """The networks as text, those of IPv4 also as mapped ones: a socket for both
    versions shows an IPv4 peer as `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2)."""
    texts = []
    for network in networks:
        texts.append(str(network))
        if isinstance(network, IPv4Network):
            bits = 96 + network.prefixlen
            texts.append(f"::ffff:{network.network_address}/{bits}")
    return texts


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Returns whether one of the networks has the address."""
    return any(address in network for network in networks)


def network_of(address: str, ipv4_bits: int = 32, ipv6_bits: int = 64) -> str:
    """The network of `address`, as a key for counting.

    By default this is an IPv4 address itself, and the /64 of an IPv6 address, because
    one host may use any address of its /64 (RFC 6177, RFC 8981). An IPv4-mapped address
    counts as IPv4. Text that is not an address is returned unchanged.
    """
    parsed = parse_address(address)
    if parsed is None:
        return address
    kept = ipv4_bits if isinstance(parsed, IPv4Address) else ipv6_bits
    return f"{parsed.version}/{int(parsed) >> (parsed.max_prefixlen - kept):x}"


def is_loopback_name(host: str) -> bool:
    """Whether a host of an address is always this machine."""
    address = parse_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
