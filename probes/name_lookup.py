"""One DNS question to the resolver in use: how long, and how it ended.

Asks the resolver itself (dnspython), so that a cache or a hosts file on the laptop does
not answer in its place. Only names the council's policy lists are ever asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from probes.failure import Outcome
from probes.report import Result
from probes.sample import Value

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

NAME = "name_lookup"
VERSION = 1
LIFETIME_S = 5.0


async def measure(
    name: str,
    *,
    resolver: Resolver | None = None,
    lifetime_s: float = LIFETIME_S,
    now_ms: Callable[[], int],
) -> Result:
    """Asks for the addresses (A) of `name`; `target` is the name."""
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    time_ms = now_ms()

    def ended(outcome: Outcome, cost_bytes: int = 0) -> Result:
        values: dict[str, Value] = {"lookup_ms": (time.perf_counter() - begun_s) * 1000}
        if outcome not in {Outcome.OK, Outcome.NAME_NOT_FOUND}:
            values = {}
        return Result(NAME, VERSION, time_ms, outcome, name, values, cost_bytes)

    begun_s = time.perf_counter()
    # The question as sent, with IP and UDP headers and an EDNS option.
    asked = len(name) + 2 + 16 + 11 + 28
    try:
        if resolver is None:
            resolver = dns.asyncresolver.Resolver()
        answer = await resolver.resolve(
            name, "A", lifetime=lifetime_s, search=False, raise_on_no_answer=False
        )
    except dns.resolver.NXDOMAIN:
        # The answer is about as long as the question, with the zone's SOA.
        return ended(Outcome.NAME_NOT_FOUND, 2 * asked + 60)
    except dns.resolver.LifetimeTimeout:
        return ended(Outcome.TIMEOUT, asked)
    except (dns.resolver.NoNameservers, dns.resolver.YXDOMAIN):
        return ended(Outcome.NAME_SERVER_FAILED, asked)
    except dns.resolver.NoResolverConfiguration:
        return ended(Outcome.NO_NETWORK)
    except dns.exception.DNSException:
        return ended(Outcome.BAD_ANSWER, asked)
    except (OSError, ValueError):
        return ended(Outcome.UNREACHABLE, asked)
    return ended(Outcome.OK, asked + len(_wire(answer.response)) + 28)


def _wire(message: object) -> bytes:
    wire = getattr(message, "wire", None)
    return wire if isinstance(wire, bytes) else b""
