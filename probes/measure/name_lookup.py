"""One DNS question to the resolver in use: how long, and how it ended.

Asks the resolver itself (dnspython), so that a hosts file on the laptop does not answer
in its place. Only names the council's policy lists are ever asked. Of the resolver its
kind is said, never its address.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from probes import platforms
from probes.measure.active_interface import Interface, interfaces_with, local_address
from probes.measure.tunnels import vpn_product
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.socket_errors import outcome_of

if TYPE_CHECKING:
    import dns.resolver
    from dns.asyncresolver import Resolver

NAME = "name_lookup"
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
    """Asks for the addresses of `name` (A, and AAAA where there are none); `target` is
    the name. `among`: the laptop's interfaces, to say where the resolver stands."""
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    time_ms = now_ms()
    facts: dict[str, Value] = {}

    def ended(outcome: Outcome, cost_bytes: int = 0) -> Result:
        values: dict[str, Value] = {**facts}
        if outcome in {Outcome.OK, Outcome.NAME_NOT_FOUND}:
            values["lookup_ms"] = took_s * 1000
        return Result(NAME, VERSION, time_ms, outcome, name, values, cost_bytes)

    # The question as sent, with IP and UDP headers and an EDNS option.
    asked = len(name) + 2 + 16 + 11 + 28
    begun_s = time.perf_counter()
    took_s = 0.0
    try:
        if resolver is None:
            resolver = dns.asyncresolver.Resolver()
        facts |= resolver_facts([str(each) for each in resolver.nameservers], among)
        answer = await resolver.resolve(
            name, "A", lifetime=lifetime_s, search=False, raise_on_no_answer=False
        )
        took_s = time.perf_counter() - begun_s
        cost_bytes = asked + len(_wire(answer.response)) + 28
        if not answer.rrset:
            # IPv6 alone, as on networks without IPv4 of their own.
            left_s = max(lifetime_s - took_s, 0.5)
            answer = await resolver.resolve(
                name, "AAAA", lifetime=left_s, search=False, raise_on_no_answer=False
            )
            cost_bytes += asked + len(_wire(answer.response)) + 28
            if not answer.rrset:
                return ended(Outcome.NAME_NOT_FOUND, cost_bytes)
            facts["only_ipv6"] = 1
    except dns.resolver.NXDOMAIN:
        took_s = time.perf_counter() - begun_s
        # The answer is about as long as the question, with the zone's SOA.
        return ended(Outcome.NAME_NOT_FOUND, 2 * asked + 60)
    except dns.resolver.LifetimeTimeout:
        return ended(Outcome.TIMEOUT, asked)
    except dns.resolver.NoNameservers as failed:
        return ended(no_nameserver_outcome(failed), asked)
    except dns.resolver.YXDOMAIN:
        return ended(Outcome.NAME_SERVER_FAILED, asked)
    except dns.resolver.NoResolverConfiguration:
        return ended(Outcome.NO_NETWORK)
    except dns.exception.DNSException:
        return ended(Outcome.BAD_ANSWER, asked)
    except (OSError, ValueError) as error:
        known = isinstance(error, OSError)
        return ended(outcome_of(error) if known else Outcome.BAD_ANSWER, asked)
    return ended(Outcome.OK, cost_bytes)


def no_nameserver_outcome(failed: dns.resolver.NoNameservers) -> Outcome:
    """What all name servers did: refused to answer, could not be reached, or failed
    (SERVFAIL and the rest)."""
    found: set[Outcome] = set()
    for error in failed.kwargs.get("errors", ()):
        reason = error[3] if len(error) > 3 else None
        if isinstance(reason, OSError):
            found.add(outcome_of(reason))
        elif reason == "REFUSED":
            found.add(Outcome.REFUSED)
        else:
            found.add(Outcome.NAME_SERVER_FAILED)
    # Where they differ, the one that answered says more than one that did not.
    return found.pop() if len(found) == 1 else Outcome.NAME_SERVER_FAILED


def resolver_facts(
    servers: Sequence[str],
    among: Sequence[Interface],
    upstream: Callable[[], Sequence[str]] = platforms.resolvers,
    towards: Callable[[str], str] = local_address,
) -> dict[str, Value]:
    """The kind of the first name server (of a local stub: of the one behind it), and
    whether it is asked through a VPN."""
    address = _address(servers[0]) if servers else None
    if address is not None and address.is_loopback:
        behind = [_address(each) for each in upstream()]
        address = next((b for b in behind if b is not None), address)
    if address is None:
        return {}
    values: dict[str, Value] = {"resolver": _kind(address, among)}
    if among and not address.is_loopback:
        owners = interfaces_with(towards(str(address)), among)
        if owners:
            through = any(vpn_product(each) is not None for each in owners)
            values["resolver_through_vpn"] = int(through)
    return values


def _kind(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, among: Sequence[Interface]
) -> str:
    if address.is_loopback:
        return "loopback"
    if any(each.gateway == str(address) for each in among):
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
