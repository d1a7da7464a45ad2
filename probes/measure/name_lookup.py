"""One DNS query to the resolver in use: how long it took and how it ended.

Queries the resolver itself (dnspython), so that a hosts file on the laptop cannot
answer instead. Only names from the council's policy are ever queried. A result holds
the kind of the resolver, never its address.
"""

from __future__ import annotations

import ipaddress
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from probes import platforms
from probes.measure.active_interface import (
    Interface,
    interfaces,
    interfaces_with,
    local_address,
)
from probes.measure.background import in_background
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.tunnels import vpn_product
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.service_probes import NAME_LOOKUP
from probes.wire.socket_errors import outcome_of

if TYPE_CHECKING:
    import dns.resolver
    from dns.asyncresolver import Resolver

NAME = NAME_LOOKUP.name
VERSION = 2
LIFETIME_S = 5.0


async def measure(
    name: str,
    *,
    resolver: Resolver | None = None,
    lifetime_s: float = LIFETIME_S,
    among: Sequence[Interface] = (),
    now_ms: WallClock,
) -> Result:
    """Queries the addresses of `name`: A, then AAAA if there is no A record.
    `target` is the name. `among` are the laptop's interfaces, which show where the
    resolver is."""
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    time_ms = now_ms()
    facts: dict[str, Value] = {}

    def result(outcome: Outcome, cost_bytes: int = 0) -> Result:
        values: dict[str, Value] = {**facts}
        if outcome in {Outcome.OK, Outcome.NAME_NOT_FOUND}:
            values["lookup_ms"] = took_s * 1000
        return Result(NAME, VERSION, time_ms, outcome, name, values, cost_bytes)

    # The query as sent, with IP and UDP headers and an EDNS option.
    query_bytes = len(name) + 2 + 16 + 11 + 28
    begun_s = time.perf_counter()
    took_s = 0.0
    try:
        if resolver is None:
            resolver = await in_background(system_resolver, sys.platform)
        servers = [str(server) for server in resolver.nameservers]
        facts |= resolver_facts(servers, among)
        answer = await resolver.resolve(
            name, "A", lifetime=lifetime_s, search=False, raise_on_no_answer=False
        )
        took_s = time.perf_counter() - begun_s
        cost_bytes = query_bytes + len(_wire(answer.response)) + 28
        if not answer.rrset:
            # IPv6 only, as on networks without IPv4.
            left_s = max(lifetime_s - took_s, 0.5)
            answer = await resolver.resolve(
                name, "AAAA", lifetime=left_s, search=False, raise_on_no_answer=False
            )
            cost_bytes += query_bytes + len(_wire(answer.response)) + 28
            if not answer.rrset:
                return result(Outcome.NAME_NOT_FOUND, cost_bytes)
            facts["only_ipv6"] = 1
    except dns.resolver.NXDOMAIN:
        took_s = time.perf_counter() - begun_s
        # The answer is about as long as the query, plus the zone's SOA.
        return result(Outcome.NAME_NOT_FOUND, 2 * query_bytes + 60)
    except dns.resolver.LifetimeTimeout:
        return result(Outcome.TIMEOUT, query_bytes)
    except dns.resolver.NoNameservers as failed:
        return result(no_nameserver_outcome(failed), query_bytes)
    except dns.resolver.YXDOMAIN:
        return result(Outcome.NAME_SERVER_FAILED, query_bytes)
    except dns.resolver.NoResolverConfiguration:
        return result(Outcome.NO_NETWORK)
    except dns.exception.DNSException:
        return result(Outcome.BAD_ANSWER, query_bytes)
    except (OSError, ValueError) as error:
        system = isinstance(error, OSError)
        return result(outcome_of(error) if system else Outcome.BAD_ANSWER, query_bytes)
    return result(Outcome.OK, cost_bytes)


def system_resolver(
    platform: str, resolvers: Callable[[], Sequence[str]] = platforms.resolvers
) -> Resolver:
    """A resolver that asks the name servers in use. dnspython's own list of Windows has
    those of adapters that are not connected. Raises `NoResolverConfiguration`."""
    import dns.asyncresolver
    import dns.resolver

    if platform != "win32":
        return dns.asyncresolver.Resolver()
    servers = list(resolvers())
    if not servers:
        raise dns.resolver.NoResolverConfiguration
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = servers
    return resolver


def no_nameserver_outcome(failed: dns.resolver.NoNameservers) -> Outcome:
    """The outcome if no name server answered: all refused, none could be reached, or
    they failed (SERVFAIL and others)."""
    outcomes: set[Outcome] = set()
    for error in failed.kwargs.get("errors", ()):
        reason = error[3] if len(error) > 3 else None
        if isinstance(reason, OSError):
            outcomes.add(outcome_of(reason))
        elif reason == "REFUSED":
            outcomes.add(Outcome.REFUSED)
        else:
            outcomes.add(Outcome.NAME_SERVER_FAILED)
    # If they differ, at least one answered, and with an error.
    return outcomes.pop() if len(outcomes) == 1 else Outcome.NAME_SERVER_FAILED


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


def _wire(message: object) -> bytes:
    wire = getattr(message, "wire", None)
    return wire if isinstance(wire, bytes) else b""


class NameLookupRunner(ProbeRunner):
    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        names = context.policy.names
        among = interfaces() if names else []
        for name in names:
            yield await measure(name, among=among, now_ms=context.now_ms)
