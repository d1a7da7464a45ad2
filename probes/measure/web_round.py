"""Measures all services in the policy, one after the other. If one fails as behind a
sign-in page, checks whether there is one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable

import msgspec

from probes import platforms
from probes.measure import web_service
from probes.measure.background import in_background, in_background_within
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.proxy_ways import TriedProxies, choose_way
from probes.platforms.proxies import SCRIPT_S
from probes.platforms.system_facts import ProxySetting
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.policy import Policy
from probes.wire.report import Result


async def web_round(
    policy: Policy,
    trust: Callable[[], ssl.SSLContext],
    software: str,
    now_ms: WallClock,
    proxy: Callable[[], ProxySetting] = platforms.proxy,
) -> AsyncIterator[Result]:
    """Yields one result per service. At most one of them is checked with plain HTTP."""
    if not policy.services:
        return
    setting = await in_background(proxy)
    tried = TriedProxies()
    portal: bool | None = None
    for service in policy.services:
        chosen = await in_background_within(
            SCRIPT_S, setting, platforms.proxy_for, service.url, setting
        )
        chosen = await choose_way(chosen, tried.can_connect)
        result = await web_service.measure(
            service, tls=trust(), software=software, proxy=chosen, now_ms=now_ms
        )
        if result.outcome in web_service.SUSPICIOUS and portal is None:
            portal = False
            async for check in _checks(policy, trust(), software, now_ms):
                portal = portal or check.outcome is Outcome.CAPTIVE_PORTAL
                yield check
            if not portal:
                portal, cost_bytes = await web_service.hides_behind_sign_in(
                    service.url, software=software
                )
                result = msgspec.structs.replace(
                    result, cost_bytes=result.cost_bytes + cost_bytes
                )
        if portal and result.outcome in web_service.SUSPICIOUS:
            result = msgspec.structs.replace(result, outcome=Outcome.CAPTIVE_PORTAL)
        yield result


async def _checks(
    policy: Policy, tls: ssl.SSLContext, software: str, now_ms: WallClock
) -> AsyncIterator[Result]:
    for check in policy.online_checks:
        yield await web_service.check_online(
            check, tls=tls, software=software, now_ms=now_ms
        )


class WebRunner(ProbeRunner):
    def run(self, context: RoundContext) -> AsyncIterator[Result]:
        return web_round(
            context.policy, context.trust, context.software, context.now_ms
        )
