"""One probe's round: what the policy names for it, one after the other.

A list, not a registry: to add a probe, write its file, its measurement in
`probes/wire/measurements.py`, and its branch here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from probes.agent.probe_budget import ProbeConditions, not_now, test_bytes
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome, is_failure
from probes.wire.measurements import MEASUREMENTS
from probes.wire.policy import Policy, ReflectorAt
from probes.wire.report import Result

if TYPE_CHECKING:
    import ssl

    from probes.agent.continuous_probes import ContinuousProbes

log = logging.getLogger(__name__)

PROBES = tuple(each.name for each in MEASUREMENTS)
ROUND_S = 120.0


def _tcp_port(reflector: ReflectorAt) -> int | None:
    """Where the reflector also listens: tells a blocked UDP from a dead far end."""
    if not reflector.ndt7_url:
        return None
    try:
        parts = urlsplit(reflector.ndt7_url)
        port = parts.port or (443 if parts.scheme in {"wss", "https"} else 80)
    except ValueError:
        return None
    return port if parts.hostname == reflector.host.lower() else None


class Round:
    """`await measure(probe, policy, …)`: its results, whatever happens."""

    def __init__(
        self,
        software: str,
        now_ms: WallClock,
        *,
        ca_file: str = "",
        opt_out: tuple[str, ...] = (),
        waiting: Callable[[], int] = lambda: 0,
        dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        self._software, self._now_ms = software, now_ms
        self._ca_file, self._opt_out = ca_file, opt_out
        self._waiting, self._dropped = waiting, dropped
        self._tls: ssl.SSLContext | None = None
        self._watched: ContinuousProbes | None = None

    async def measure(
        self, probe: str, policy: Policy, facts: ProbeConditions
    ) -> list[Result]:
        """A round of `probe`. Never raises for what a network or a probe does."""
        why_not = not_now(probe, probe in self._opt_out, facts)
        if why_not is not None:
            return [self._instead(probe, why_not)]
        found: list[Result] = []
        try:
            async with asyncio.timeout(ROUND_S):
                async for result in self._run(probe, policy, facts):
                    found.append(result)
        except TimeoutError:
            found.append(self._instead(probe, Outcome.TIMEOUT))
        except Exception:  # a fault in one probe must not stop the others
            log.exception("the probe %s failed in itself", probe)
        return found

    async def glance(self) -> None:
        """Looks at what changes between two results: tunnel, Wi-Fi, processor. Free of
        network; what was opted out of is not looked at."""
        if self._watched is not None:
            await self._watched.glance(self._opt_out)

    def _watching(self) -> ContinuousProbes:
        if self._watched is None:
            from probes.agent.continuous_probes import ContinuousProbes

            self._watched = ContinuousProbes()
        return self._watched

    def _instead(self, probe: str, outcome: Outcome) -> Result:
        return Result(probe, 1, self._now_ms(), outcome)

    async def _run(
        self, probe: str, policy: Policy, facts: ProbeConditions
    ) -> AsyncIterator[Result]:
        # Imported where used: an agent that does not run a probe does not carry it.
        now_ms = self._now_ms
        nothing = True
        if probe == "call_path":
            from probes.measure import call_path

            # The nearest is first; the next one is asked where that does not answer.
            for reflector in policy.reflectors:
                nothing = False
                result = await call_path.measure(
                    reflector.id,
                    reflector.host,
                    reflector.stamp_port,
                    tcp_port=_tcp_port(reflector),
                    packets=call_path.SHORT_PACKETS
                    if facts.brief
                    else call_path.PACKETS,
                    targets=policy.targets,
                    key=bytes.fromhex(reflector.stamp_key),
                    now_ms=now_ms,
                )
                yield result
                if not is_failure(result.outcome):
                    break
        elif probe == "path":
            for reflector in policy.reflectors[:1]:
                from probes.measure import path

                nothing = False
                yield await path.measure(
                    reflector.id,
                    reflector.host,
                    reflector.stamp_port,
                    tcp_port=_tcp_port(reflector),
                    key=bytes.fromhex(reflector.stamp_key),
                    now_ms=now_ms,
                )
        elif probe == "teams_relay":
            if policy.teams_relay.host:
                from probes.measure import teams_relay

                nothing = False
                yield await teams_relay.measure(policy.teams_relay, now_ms=now_ms)
        elif probe == "name_lookup":
            from probes.measure import name_lookup
            from probes.measure.active_interface import interfaces

            among = interfaces() if policy.names else []
            for name in policy.names:
                nothing = False
                yield await name_lookup.measure(name, among=among, now_ms=now_ms)
        elif probe == "web":
            from probes.measure.web_round import web_round

            async for result in web_round(policy, self._trust, self._software, now_ms):
                nothing = False
                yield result
        elif probe == "bandwidth":
            for reflector in policy.reflectors:
                if nothing and reflector.ndt7_url:
                    from probes.measure import bandwidth

                    nothing = False
                    yield await bandwidth.measure(
                        reflector.test_url,
                        budget_bytes=test_bytes(facts),
                        reflector_id=reflector.id,
                        ca_file=self._ca_file or None,
                        now_ms=now_ms,
                    )
        elif probe == "vpn":
            nothing = False
            spent = facts.left_bytes is not None and facts.left_bytes <= 0
            yield await self._watching().vpn.measure(
                policy, frugal=facts.metered or spent, now_ms=now_ms
            )
        elif probe == "wifi":
            nothing = False
            yield await self._watching().wifi.measure(now_ms=now_ms)
        elif probe == "laptop":
            nothing = False
            yield await self._watching().laptop.measure(now_ms=now_ms)
        elif probe == "agent":
            from probes.measure import agent_usage

            nothing = False
            yield await agent_usage.measure(
                spool_reports=self._waiting(),
                spool_dropped=self._dropped(),
                software=self._software,
                now_ms=now_ms,
            )
        if nothing:
            yield self._instead(probe, Outcome.NOT_CONFIGURED)

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            from probes.agent.publish_https import trust

            self._tls = trust(self._ca_file)
        return self._tls
