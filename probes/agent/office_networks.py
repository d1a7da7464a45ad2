"""Whether the physical link is in one of the council's own networks, and whether that
proves an office. Pure.

A network that is unique in the world proves it. A private one does not: hotels, homes
and other councils use the same numbers. It counts only if home routers do not use it,
and if the name servers that the network gave are the council's own and are outside it:
a home router names itself, or a server of its provider.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import msgspec

from probes.platforms.system_facts import Interface
from probes.wire.home_ranges import common_at_home
from probes.wire.policy import Office

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OfficeMatch(msgspec.Struct, frozen=True):
    """The office whose network this looks like, whether that is proved, and why, for
    the laptop's user."""

    site: str = ""
    proved: bool = False
    reason: str = ""


def match_office(
    physical: Interface | None, offices: Sequence[Office], resolvers: Sequence[str]
) -> OfficeMatch:
    """Returns the office whose network `physical` is in. `resolvers`: the name servers
    that this network gave; empty if they may be a tunnel's. Pure."""
    if physical is None or not offices:
        return OfficeMatch()
    known = [
        (office.site, subnet)
        for office in offices
        for subnet in _networks(office.subnets)
    ]
    servers = _addresses(resolvers)
    doubt = ""
    for network in _networks(physical.networks):
        if network.is_link_local or network.is_loopback:
            continue
        around = [
            (subnet.prefixlen, site)
            for site, subnet in known
            if subnet.version == network.version and network.subnet_of(subnet)  # type: ignore[arg-type]
        ]
        if not around:
            continue
        # The narrowest network is the office's own.
        narrowest = max(length for length, _ in around)
        sites = {site for length, site in around if length == narrowest}
        site = min(sites)
        if len(sites) > 1:
            doubt = "this network is listed for several offices"
        elif network.is_global:
            return OfficeMatch(site, True, f"this network is the council's at {site}")
        elif common_at_home(network) is not None:
            doubt = f"this network has the numbers of {site}, but many homes do too"
        elif _are_councils(servers, network, [subnet for _, subnet in known]):
            return OfficeMatch(
                site,
                True,
                f"this network has the numbers of {site}, and its name servers",
            )
        else:
            doubt = f"this network has the numbers of {site}, which is no proof"
    return OfficeMatch(reason=doubt)


def _are_councils(
    servers: list[Address], network: Network, known: list[Network]
) -> bool:
    """Returns whether all name servers are in the council's networks, and outside this
    one."""
    return bool(servers) and all(
        server not in network and any(server in subnet for subnet in known)
        for server in servers
    )


def _networks(texts: Iterable[str]) -> list[Network]:
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return networks


def _addresses(texts: Iterable[str]) -> list[Address]:
    addresses = []
    for text in texts:
        try:
            addresses.append(ipaddress.ip_address(text))
        except ValueError:
            continue
    return addresses
