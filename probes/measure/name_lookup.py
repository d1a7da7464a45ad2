"""One DNS query to the resolver in use: how long it took and how it ended.

Queries the resolver itself, so that a hosts file on the laptop cannot answer instead.
Only names from the council's policy are ever queried. A result holds the kind of the
resolver, never its address.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Sequence

from probes import platforms
from probes.measure.active_interface import (
    Interface,
    interfaces,
    interfaces_with,
    local_address,
)
from probes.measure.background import in_background
from probes.measure.dns_message import AAAA, A
from probes.measure.dns_query import NameServer, look_up
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.tunnels import vpn_product
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.service_probes import NAME_LOOKUP

NAME = NAME_LOOKUP.name
VERSION = 2
LIFETIME_S = 5.0


async def measure(
    name: str,
    *,
    servers: Sequence[NameServer] | None = None,
    lifetime_s: float = LIFETIME_S,
    among: Sequence[Interface] = (),
    now_ms: WallClock,
) -> Result:
    """Queries the addresses of `name`: A, then AAAA if there is no A record. `target`
    is the name. `servers` are this laptop's unless given. `among` are the laptop's
    interfaces, which show where the resolver is."""
    time_ms = now_ms()
    if servers is None:
        servers = [NameServer(at) for at in await in_background(platforms.name_servers)]
    values = resolver_facts([server.address for server in servers], among)
    begun_s = time.perf_counter()
    outcome, found, cost_bytes = await look_up(name, A, servers, lifetime_s)
    took_s = time.perf_counter() - begun_s
    if outcome is Outcome.OK and not found:
        # IPv6 only, as on networks without IPv4.
        left_s = max(lifetime_s - took_s, 0.5)
        outcome, found, more_bytes = await look_up(name, AAAA, servers, left_s)
        cost_bytes += more_bytes
        if found:
            values["only_ipv6"] = 1
        elif outcome is Outcome.OK:
            outcome = Outcome.NAME_NOT_FOUND
    if outcome in {Outcome.OK, Outcome.NAME_NOT_FOUND}:
        values["lookup_ms"] = took_s * 1000
    return Result(NAME, VERSION, time_ms, outcome, name, values, cost_bytes)


def resolver_facts(
    servers: Sequence[str],
    among: Sequence[Interface],
    upstream: Callable[[], Sequence[str]] = platforms.resolvers,
    towards: Callable[[str], str] = local_address,
) -> dict[str, Value]:
    """The kind of the first name server, and whether it is reached through a VPN. If
    the first is a local stub, the server behind it counts."""
    address = _address(servers[0]) if servers else None
    if address is not None and address.is_loopback:
        behind = [_address(server) for server in upstream()]
        address = next((server for server in behind if server is not None), address)
    if address is None:
        return {}
    values: dict[str, Value] = {"resolver": _kind(address, among)}
    if among and not address.is_loopback:
        owners = interfaces_with(towards(str(address)), among)
        if owners:
            through = any(vpn_product(interface) is not None for interface in owners)
            values["resolver_through_vpn"] = int(through)
    return values


def _kind(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, among: Sequence[Interface]
) -> str:
    if address.is_loopback:
        return "loopback"
    if any(interface.gateway == str(address) for interface in among):
        return "gateway"
    return "public" if address.is_global else "private"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None


class NameLookupRunner(ProbeRunner):
    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        names = context.policy.names
        among = interfaces() if names else []
        for name in names:
            yield await measure(name, among=among, now_ms=context.now_ms)
