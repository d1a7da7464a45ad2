"""The council's beacon: an HTTPS page that answers only inside the council's network.

It proves an office only if its certificate is trusted and it was reached over a
physical interface, not through a tunnel.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from probes.agent.http_connection import HttpConnection, NoAnswer
from probes.measure.active_interface import interfaces_with
from probes.measure.tunnels import Tunnel, routes_hidden, vpn_product
from probes.platforms.system_facts import Interface
from probes.platforms.system_trust import trust
from probes.wire.policy import Beacon

BEACON_S = 5.0
MAX_BEACON_BYTES = 4_096


class PlaceEvidence(msgspec.Struct, frozen=True):
    """What the beacon showed: `inside` with the site, or why the place is not known.

    `hidden`: it answered, but a VPN is at work that the routing table does not show.
    """

    how: Literal[
        "inside",
        "tunnel",
        "hidden",
        "silent",
        "not_configured",
        "not_secure",
        "no_network",
        "not_supported",
    ]
    site: str = ""


class BeaconAnswer(msgspec.Struct, frozen=True):
    """What a beacon answered. `local`: the laptop's own address of that connection;
    `seen`: the address that the beacon saw, empty if it does not report it."""

    site: str
    local: str
    seen: str = ""


async def look_for_beacon(
    url: str,
    ca_file: str,
    interfaces: Sequence[Interface],
    physical: Interface | None,
    tunnels: Sequence[Tunnel],
) -> PlaceEvidence:
    """Queries the beacon at `url` and returns what that shows."""
    if physical is None:
        return PlaceEvidence("no_network")
    if not url:
        return PlaceEvidence("not_configured")
    if not url.lower().startswith("https://"):
        return PlaceEvidence("not_secure")
    answer = await query_beacon(url, ca_file)
    if answer is None:
        return PlaceEvidence("silent")
    return beacon_evidence(answer, interfaces, tunnels)


def beacon_evidence(
    answer: BeaconAnswer, interfaces: Sequence[Interface], tunnels: Sequence[Tunnel]
) -> PlaceEvidence:
    """Returns whether the beacon was reached without a tunnel. Pure.

    The connection's own address must belong to interfaces of no VPN, and to no other.
    Even so, a filter driver or an IPsec policy can take traffic from the physical
    interface. In that case only a beacon that saw this very address proves that none
    did.
    """
    owners = interfaces_with(answer.local, interfaces)
    if not owners or any(vpn_product(owner) is not None for owner in owners):
        return PlaceEvidence("tunnel")
    if answer.seen:
        # A changed address is a tunnel's, or a translator's: that proves nothing.
        if saw_own_address(answer):
            return PlaceEvidence("inside", answer.site)
        return PlaceEvidence("tunnel")
    if routes_hidden(tunnels):
        return PlaceEvidence("hidden")
    return PlaceEvidence("inside", answer.site)


def saw_own_address(answer: BeaconAnswer) -> bool:
    """Returns whether the beacon saw the laptop's own address. Pure."""
    try:
        local, seen = (
            ipaddress.ip_address(address.split("%")[0])
            for address in (answer.local, answer.seen)
        )
    except ValueError:
        return False
    mapped = getattr(seen, "ipv4_mapped", None)
    return local in (seen, mapped)


async def query_beacon(url: str, ca_file: str = "") -> BeaconAnswer | None:
    """Returns the beacon's answer, None if there is none. Never uses a proxy: the proxy
    is inside, the laptop may not be."""
    try:
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        opened = HttpConnection(f"https://{parts.netloc}", trust(ca_file))
        with contextlib.closing(opened) as connection:
            async with asyncio.timeout(BEACON_S):
                answer = await connection.request(
                    "GET", f"{parts.path or '/'}{query}", most_bytes=MAX_BEACON_BYTES
                )
        if answer.status != 200:
            return None
        beacon = msgspec.json.decode(answer.body, type=Beacon)
    except (NoAnswer, OSError, ValueError, RecursionError):
        return None
    return BeaconAnswer(beacon.site, connection.local_address, beacon.seen)
