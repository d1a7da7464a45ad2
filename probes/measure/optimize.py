"""Microsoft 365's Optimize networks by workload, and how traffic to them is routed.

The networks are those that Microsoft publishes in category Optimize
(endpoints.office.com, worldwide, November 2026). The council's policy replaces them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from probes.measure.active_interface import Interface, interfaces_with
from probes.measure.tunnels import vpn_product
from probes.platforms.routing_table import local_address
from probes.wire.policy import Workload

Routing = Literal["split_out", "tunnelled", "selective", "unknown"]

OPTIMIZE = (
    Workload(
        "teams",
        ("52.112.0.0/14", "52.122.0.0/15", "2603:1063::/38"),
    ),
    Workload(
        "exchange",
        (
            "13.107.6.152/31",
            "13.107.18.10/31",
            "13.107.128.0/22",
            "23.103.160.0/20",
            "40.96.0.0/13",
            "40.104.0.0/15",
            "52.96.0.0/14",
            "131.253.33.215/32",
            "132.245.0.0/16",
            "150.171.32.0/22",
            "204.79.197.215/32",
            "2603:1006::/40",
            "2603:1016::/36",
            "2603:1026::/36",
            "2603:1036::/36",
            "2603:1046::/36",
            "2603:1056::/36",
            "2620:1ec:8f0::/46",
        ),
    ),
    Workload(
        "sharepoint",
        (
            "13.107.136.0/22",
            "40.108.128.0/17",
            "52.104.0.0/14",
            "104.146.128.0/17",
            "150.171.40.0/22",
            "2603:1061:1300::/40",
            "2620:1ec:8f8::/46",
            "2a01:111:f402::/48",
        ),
    ),
)


def sample_addresses(networks: Iterable[str]) -> list[str]:
    """The first, middle and last address of each network, because part of a network may
    have a different route. Invalid networks are left out. Pure."""
    addresses: dict[str, None] = {}
    for text in list(networks)[:256]:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        last = network.num_addresses - 1
        for at in (min(1, last), last // 2, max(last - 1, 0)):
            addresses[str(network[at])] = None
    return list(addresses)


def routing_of(
    networks: Iterable[str],
    among: Sequence[Interface],
    hidden: bool,
    towards: Callable[[str], str] = local_address,
) -> Routing:
    """Whether traffic to `networks` goes through a tunnel: none of it, all, or some.

    Looks up the route to each sample address with a connected UDP socket, which sends
    nothing. Returns `unknown` if a VPN hides its routes (`hidden`), or if no interface
    has the local address of a route.
    """
    if hidden:
        return "unknown"
    through: set[bool] = set()
    for sample in sample_addresses(networks):
        local = towards(sample)
        if not local:
            # No route at all, as for IPv6 in most homes.
            continue
        owners = interfaces_with(local, among)
        if not owners:
            return "unknown"
        through.add(any(vpn_product(interface) is not None for interface in owners))
    if not through:
        return "unknown"
    if len(through) == 2:
        return "selective"
    return "tunnelled" if through == {True} else "split_out"
