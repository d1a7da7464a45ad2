"""Parses networks, address ranges and single addresses. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
# A /16, which takes about an hour at 50 packets a second.
MAX_ADDRESSES = 65_536


class InvalidNetwork(ValueError):
    """An argument is not a network; the text says which, and what was expected."""


def parse_addresses(texts: Sequence[str], most: int = MAX_ADDRESSES) -> list[Address]:
    """Return the addresses, each once. `texts` are networks (`10.1.0.0/24`), ranges
    (`10.1.0.5-10.1.0.9`) and single IPv4 or IPv6 addresses.

    Raises `InvalidNetwork` if a text is none of these, or there are too many addresses.
    """
    ranges = [_parse_range(text.strip()) for text in texts if text.strip()]
    total = sum(int(last) - int(first) + 1 for first, last in ranges)
    if total > most:
        raise InvalidNetwork(
            f"{' '.join(texts)}: {total:,} addresses are more than {most:,}; name the "
            "networks that hold your switches (a management network is often a /24), "
            "or raise --most"
        )
    result: dict[Address, None] = {}
    for first, last in ranges:
        for number in range(int(first), int(last) + 1):
            result[type(first)(number)] = None
    return list(result)


def shuffle(targets: Iterable[Address]) -> list[Address]:
    """Return the addresses in random order, to spread the load over the networks."""
    order = list(targets)
    # A fixed seed gives the same order each time, so two runs can be compared.
    random.Random(len(order)).shuffle(order)
    return order


def _parse_range(text: str) -> tuple[Address, Address]:
    if "-" in text:
        first, _, last = (part.strip() for part in text.partition("-"))
        try:
            begins, ends = ip_address(first), ip_address(last)
        except ValueError:
            raise InvalidNetwork(
                f"{text!r} is not a range such as 10.1.0.5-10.1.0.9"
            ) from None
        if begins.version != ends.version or int(begins) > int(ends):
            raise InvalidNetwork(f"{text!r}: the second address is not after the first")
        return begins, ends
    try:
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    except ValueError:
        raise InvalidNetwork(
            f"{text!r} is not a network or address such as 10.1.0.0/24, 10.1.0.5 or "
            "fd00:1::5"
        ) from None
    if network.version == 6 and network.num_addresses > MAX_ADDRESSES:
        raise InvalidNetwork(
            f"{text}: an IPv6 network cannot be searched address by address; give "
            "the addresses (--list FILE), for instance from the routers' neighbour "
            "tables or from DNS"
        )
    first_at, last_at = network.network_address, network.broadcast_address
    if network.version == 4 and network.prefixlen < 31:
        # The network's own address and its broadcast address are not devices.
        return first_at + 1, last_at - 1
    return first_at, last_at
