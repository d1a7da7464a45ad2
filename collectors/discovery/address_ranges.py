"""Which addresses somebody means by networks, ranges and lists of them. Pure."""

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
# A /16: at 50 packets a second that is an hour already.
MOST = 65_536


class WrongNetwork(ValueError):
    """One sentence: which argument, what is wrong, what was expected."""


def addresses(texts: Sequence[str], most: int = MOST) -> list[Address]:
    """The addresses, each once. `texts`: `10.1.0.0/24`, `10.1.0.5-10.1.0.9`, single
    IPv4 and IPv6 addresses. `WrongNetwork` where one is none of these, or there are
    too many."""
    spans = [_span(text.strip()) for text in texts if text.strip()]
    total = sum(int(last) - int(first) + 1 for first, last in spans)
    if total > most:
        raise WrongNetwork(
            f"{' '.join(texts)}: {total:,} addresses are more than {most:,}; name the "
            "networks that hold your switches (a management network is often a /24), "
            "or raise --most"
        )
    found: dict[Address, None] = {}
    for first, last in spans:
        for number in range(int(first), int(last) + 1):
            found[type(first)(number)] = None
    return list(found)


def spread(targets: Iterable[Address]) -> list[Address]:
    """The same addresses in an order that no one network has to bear alone."""
    order = list(targets)
    # The same each time: whoever watches can see that it is the same work.
    random.Random(len(order)).shuffle(order)
    return order


def _span(text: str) -> tuple[Address, Address]:
    if "-" in text:
        first, _, last = (part.strip() for part in text.partition("-"))
        try:
            begins, ends = ip_address(first), ip_address(last)
        except ValueError:
            raise WrongNetwork(
                f"{text!r} is no range, expected such as 10.1.0.5-10.1.0.9"
            ) from None
        if begins.version != ends.version or int(begins) > int(ends):
            raise WrongNetwork(f"{text!r}: the second address is not after the first")
        return begins, ends
    try:
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    except ValueError:
        raise WrongNetwork(
            f"{text!r} is no network or address, expected such as 10.1.0.0/24, "
            "10.1.0.5 or fd00:1::5"
        ) from None
    if network.version == 6 and network.num_addresses > MOST:
        raise WrongNetwork(
            f"{text}: an IPv6 network cannot be searched address by address; give "
            "the addresses (--list FILE), for instance from the routers' neighbour "
            "tables or from DNS"
        )
    first_at, last_at = network.network_address, network.broadcast_address
    if network.version == 4 and network.prefixlen < 31:
        # Neither the network's own address nor its broadcast is a device.
        return first_at + 1, last_at - 1
    return first_at, last_at
