"""Decides whose each hop on the path is, and works out its loss and delay. Pure.

Addresses are used here and then dropped: a result names only the kind of hop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, NamedTuple

from probes.tracing import Echo
from probes.wire.percentiles import median
from probes.wire.sample import Value

Kind = Literal["gateway", "provider", "edge"]
ORDER: tuple[Kind, ...] = ("gateway", "provider", "edge")
# How many of the provider's hops are measured. The first that answers well counts.
PROVIDER_HOPS = 3

_PRIVATE_NETWORKS = [
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]
# RFC 6598: used between a provider and its customers, never inside a home.
_CGN_NETWORK = ip_network("100.64.0.0/10")
_HOME_NETWORK = ip_network("192.168.0.0/16")


class Hop(NamedTuple):
    """One hop to measure, and whose it is. With `ttl` 0 the gateway is probed
    directly."""

    kind: Kind
    ttl: int


def identify_hops(echoes: Iterable[Echo], gateway: str, destination: str) -> list[Hop]:
    """The hops worth measuring, from one survey of the whole path.

    `gateway` is the router of this laptop's own link, empty if not known. It is the
    first hop, unless the path goes through a tunnel; then the path shows nothing about
    the line. Beyond it, Internet addresses and shared ones (RFC 6598) belong to the
    provider. A private address beyond the home's router also belongs to the provider if
    the destination is on the Internet, because many providers number their first
    routers like that. On the path to a private destination it belongs to the council.
    """
    first: dict[int, Echo] = {}
    for echo in sorted(echoes, key=lambda echo: echo.ttl):
        if echo.rtt_ms is not None:
            first.setdefault(echo.ttl, echo)
    reached = [ttl for ttl, echo in first.items() if echo.reached]
    end = min(reached) if reached else 0
    hops: list[Hop] = []
    tunnelled = bool(gateway) and bool(first) and _tunnelled(first, gateway)
    beyond = tunnelled
    providers = 0
    for ttl, echo in first.items():
        address = _address(echo.address)
        if (end and ttl >= end) or address is None:
            break
        at_home = not tunnelled and not beyond
        if at_home and (ttl == 1 or echo.address == gateway):
            if not any(hop.kind == "gateway" for hop in hops):
                hops.append(Hop("gateway", ttl))
        elif at_home and address.version == 4 and address in _HOME_NETWORK:
            # One router behind another: both belong to the home.
            pass
        elif not tunnelled and _is_provider(address, destination):
            beyond = True
            if providers < PROVIDER_HOPS:
                hops.append(Hop("provider", ttl))
            providers += 1
    if tunnelled or (gateway and not any(hop.kind == "gateway" for hop in hops)):
        hops.insert(0, Hop("gateway", 0))
    if end:
        hops.append(Hop("edge", end))
    return hops


def figures(echoes: Mapping[Hop, Sequence[Echo]]) -> dict[str, Value]:
    """For each kind the median round trip and the loss *that continues beyond it*.

    Routers answer probes late and rarely, so loss at a hop counts only as far as every
    later hop that answers has as much. A kind without any answer is left out.
    """
    best: dict[Kind, tuple[float, float]] = {}
    for hop, answers in echoes.items():
        rtts = [echo.rtt_ms for echo in answers if echo.rtt_ms is not None]
        if not rtts:
            continue
        loss = (len(answers) - len(rtts)) / len(answers)
        kept = best.get(hop.kind)
        if kept is None or loss < kept[0]:
            best[hop.kind] = loss, median(rtts)
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
    """True if the path does not start at the gateway. A first hop that does not answer,
    or answers from another address in the same network, is no proof of that."""
    if any(echo.address == gateway for echo in first.values()):
        return False
    hop, own = first.get(1), _address(gateway)
    if hop is None or own is None or hop.reached:
        return False
    address = _address(hop.address)
    # An IPv6 gateway is known by its link-local address but answers from another.
    if address is None or own.is_link_local or address.version != own.version:
        return False
    bits = 8 if isinstance(own, IPv4Address) else 64
    return int(address) >> bits != int(own) >> bits


def _is_provider(address: IPv4Address | IPv6Address, destination: str) -> bool:
    if address in _CGN_NETWORK:
        return True
    if not _is_private(address):
        return True
    end = _address(destination)
    return end is not None and not _is_private(end)


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _PRIVATE_NETWORKS)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
