"""Which station on the way is whose, and what it says of loss and delay. Pure.

Addresses are looked at here and let go: what is told is the kind of station.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, NamedTuple

from probes.tracing import Echo
from probes.wire.sample import Value

Kind = Literal["gateway", "provider", "edge"]
ORDER: tuple[Kind, ...] = ("gateway", "provider", "edge")
# How many of the provider's stations are looked at: its first that answers well counts.
PROVIDER_HOPS = 3

_INSIDE = [
    ip_network(each)
    for each in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]
# RFC 6598: between a provider and its customers, never inside a home.
_SHARED = ip_network("100.64.0.0/10")
_HOME = ip_network("192.168.0.0/16")


class Hop(NamedTuple):
    """One hop of the way: which, and whose. `ttl` 0: the gateway, asked directly."""

    kind: Kind
    ttl: int


def identify_hops(echoes: Iterable[Echo], gateway: str, destination: str) -> list[Hop]:
    """The stations worth asking again, from one look at every hop.

    `gateway` is the router that this laptop's own link goes to, empty where not known.
    The first hop is its, unless the way leads through a tunnel: then the way says
    nothing of the line. Beyond it, addresses of the Internet and those that providers
    share (RFC 6598) are the provider's; private ones are where a home's router has
    handed over already and the destination is on the Internet, as many providers number
    their first routers so. On the way to a private destination they are the council's.
    """
    first: dict[int, Echo] = {}
    for each in sorted(echoes, key=lambda each: each.ttl):
        if each.rtt_ms is not None:
            first.setdefault(each.ttl, each)
    reached = [ttl for ttl, each in first.items() if each.reached]
    end = min(reached) if reached else 0
    found: list[Hop] = []
    tunnelled = bool(gateway) and bool(first) and _tunnelled(first, gateway)
    beyond = tunnelled
    providers = 0
    for ttl, each in first.items():
        address = _address(each.address)
        if (end and ttl >= end) or address is None:
            break
        at_home = not tunnelled and not beyond
        if at_home and (ttl == 1 or each.address == gateway):
            if not any(one.kind == "gateway" for one in found):
                found.append(Hop("gateway", ttl))
        elif at_home and address.version == 4 and address in _HOME:
            # A router behind another one: both are the home's.
            pass
        elif not tunnelled and _is_providers(address, destination):
            beyond = True
            if providers < PROVIDER_HOPS:
                found.append(Hop("provider", ttl))
            providers += 1
    if tunnelled or (gateway and not any(one.kind == "gateway" for one in found)):
        found.insert(0, Hop("gateway", 0))
    if end:
        found.append(Hop("edge", end))
    return found


def figures(echoes: Mapping[Hop, Sequence[Echo]]) -> dict[str, Value]:
    """Per kind the median round trip and the loss *that goes on*: routers answer such
    questions late and seldom, so what a station lost counts only as far as every later
    one that answers at all lost as much. A kind none of whose stations answered is
    left out."""
    best: dict[Kind, tuple[float, float]] = {}
    for station, heard in echoes.items():
        rtts = [each.rtt_ms for each in heard if each.rtt_ms is not None]
        if not rtts:
            continue
        loss = (len(heard) - len(rtts)) / len(heard)
        held = best.get(station.kind)
        if held is None or loss < held[0]:
            best[station.kind] = loss, statistics.median(rtts)
    values: dict[str, Value] = {}
    least = 1.0
    for kind in reversed(ORDER):
        if kind in best:
            loss, rtt_ms = best[kind]
            least = min(least, loss)
            values[f"{kind}_rtt_ms"] = round(rtt_ms, 3)
            values[f"{kind}_loss_ratio"] = round(least, 6)
    return values


def _tunnelled(first: Mapping[int, Echo], gateway: str) -> bool:
    """Whether the way leaves by something else than the gateway. A first hop that does
    not answer, or answers by another of its addresses in the same network, does not
    say so."""
    if any(each.address == gateway for each in first.values()):
        return False
    one, own = first.get(1), _address(gateway)
    if one is None or own is None or one.reached:
        return False
    address = _address(one.address)
    # IPv6's gateways are known by link-local addresses, and answer by others.
    if address is None or own.is_link_local or address.version != own.version:
        return False
    bits = 8 if isinstance(own, IPv4Address) else 64
    return int(address) >> bits != int(own) >> bits


def _is_providers(address: IPv4Address | IPv6Address, destination: str) -> bool:
    if address.version == 4 and address in _SHARED:
        return True
    if not _is_inside(address):
        return True
    end = _address(destination)
    return end is not None and not _is_inside(end)


def _is_inside(address: IPv4Address | IPv6Address) -> bool:
    return any(
        address.version == network.version and address in network for network in _INSIDE
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
