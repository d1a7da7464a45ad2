"""Whether the physical link stands in one of the council's own networks, and whether
that proves an office. Pure.

A network that is unique in the world proves it. A private one does not: hotels, homes
and other councils number theirs alike. It counts only where it is none that home
routers use, and where the name servers the network gave are the council's own and stand
outside it: a home router names itself, or a server of its provider.
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


class Stands(msgspec.Struct, frozen=True):
    """The office whose network this looks like, whether that is proved, and why (for
    the person at the laptop)."""

    site: str = ""
    proved: bool = False
    reason: str = ""


def stands_in(
    line: Interface | None, offices: Sequence[Office], resolvers: Sequence[str]
) -> Stands:
    """Where `line` stands. `resolvers`: the name servers this network gave; empty where
    they may be a tunnel's. Pure."""
    if line is None or not offices:
        return Stands()
    known = [
        (office.site, subnet)
        for office in offices
        for subnet in _networks(office.subnets)
    ]
    servers = _addresses(resolvers)
    doubt = ""
    for here in _networks(line.networks):
        if here.is_link_local or here.is_loopback:
            continue
        around = [
            (subnet.prefixlen, site)
            for site, subnet in known
            if subnet.version == here.version and here.subnet_of(subnet)  # type: ignore[arg-type]
        ]
        if not around:
            continue
        # The narrowest network is the office's own.
        narrowest = max(length for length, _ in around)
        sites = {site for length, site in around if length == narrowest}
        site = min(sites)
        if len(sites) > 1:
            doubt = "this network is listed for several offices"
        elif here.is_global:
            return Stands(site, True, f"this network is the council's at {site}")
        elif common_at_home(here) is not None:
            doubt = f"this network is numbered like {site}, and like many homes"
        elif _councils(servers, here, [subnet for _, subnet in known]):
            return Stands(
                site,
                True,
                f"this network is numbered like {site}, and has its name servers",
            )
        else:
            doubt = f"this network is numbered like {site}, which is no proof"
    return Stands(reason=doubt)


def _councils(servers: list[Address], here: Network, known: list[Network]) -> bool:
    """All name servers are in the council's networks, and outside this one."""
    return bool(servers) and all(
        server not in here and any(server in subnet for subnet in known)
        for server in servers
    )


def _networks(texts: Iterable[str]) -> list[Network]:
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return found


def _addresses(texts: Iterable[str]) -> list[Address]:
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_address(text))
        except ValueError:
            continue
    return found
