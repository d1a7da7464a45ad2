"""Reduces an address to the network that one party holds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def network_of(address: str, ipv4_bits: int = 32, ipv6_bits: int = 64) -> str:
    """The network of `address`, as a key for counting.

    By default this is an IPv4 address itself, and the /64 of an IPv6 address, because
    one host may use any address of its /64 (RFC 6177, RFC 8981). An IPv4-mapped address
    counts as IPv4. Text that is not an address is returned unchanged.
    """
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    kept = ipv4_bits if isinstance(parsed, IPv4Address) else ipv6_bits
    return f"{parsed.version}/{int(parsed) >> (parsed.max_prefixlen - kept):x}"
