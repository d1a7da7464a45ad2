"""What agents are asked to measure, and which sites are believed: from the estate."""

from __future__ import annotations

from collections.abc import Callable

from collectors.estate.model import Estate
from collectors.ingest.config import PolicyConfig
from probes.policy import (
    GatewayAt,
    MeasuringHours,
    Office,
    Policy,
    ReflectorAt,
    Service,
    TeamsRelay,
)
from probes.targets import Targets

# As many as `probes.policy.Policy` takes.
MAX_REFLECTORS = 16


def policy_of(estate: Estate, config: PolicyConfig, home_site: str) -> Policy:
    """The policy for agents that belong to `home_site`: reflectors that stand in it
    come first, as agents measure against the first that answers."""
    near_first = sorted(estate.reflectors, key=lambda each: each.site != home_site)
    near_first = near_first[:MAX_REFLECTORS]
    return Policy(
        reflectors=tuple(
            ReflectorAt(each.id, each.host, each.stamp_port, each.ndt7_url)
            for each in near_first
        ),
        teams_relay=TeamsRelay(**config.teams_relay.model_dump()),
        targets=Targets(**config.targets.model_dump()),
        services=tuple(Service(each.name, each.url) for each in config.services),
        names=config.names,
        beacon_url=estate.places.beacon_url,
        vpn_gateways=tuple(
            GatewayAt(each.host, each.port) for each in estate.vpn_gateways[:16]
        ),
        offices=tuple(
            Office(each.id, tuple(str(subnet) for subnet in each.subnets[:256]))
            for each in estate.sites[:1_000]
            if each.subnets
        ),
        cadence_s=config.cadence_s,
        metered_cadence_s=config.metered_cadence_s,
        budget_bytes_per_month=config.budget_bytes_per_month,
        metered_budget_bytes_per_month=config.metered_budget_bytes_per_month,
        speed_test_bytes_per_month=config.speed_test_bytes_per_month,
        hours=MeasuringHours(config.opens, config.closes, config.days),
        report_s=config.report_s,
    )


class KnownSites:
    """Whether the estate has a site of that id; a re-read estate counts at once."""

    def __init__(self, estate: Callable[[], Estate]) -> None:
        self._estate = estate
        self._of: Estate | None = None
        self._ids: frozenset[str] = frozenset()

    def __call__(self, site: str) -> bool:
        now = self._estate()
        if now is not self._of:
            self._of, self._ids = now, frozenset(each.id for each in now.sites)
        return site in self._ids
