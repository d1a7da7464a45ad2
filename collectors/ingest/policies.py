"""Makes the agents' policy from the estate and the settings, and checks sites."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import RingPolicyConfig
from collectors.ip_networks import is_in, parse_address
from collectors.reflector.reflector_access import NO_ACCESS, ReflectorAccess
from probes.wire.front_doors import FRONT_DOORS
from probes.wire.policy import (
    MAX_FREEZES,
    CallTargets,
    GatewayAt,
    Incident,
    MeasuringHours,
    MediaEdgeAt,
    Office,
    OnlineCheck,
    Policy,
    ReflectorAt,
    Service,
    SpeedTestFreeze,
    TeamsRelay,
    Workload,
)

# As many as `probes.wire.policy.Policy` takes.
MAX_REFLECTORS = 16
MAX_OFFICES = 1_000
# About 25 octets each; a policy may have 200 kB in all.
MAX_SUBNETS = 3_000


def agent_policy(
    estate: Estate,
    config: RingPolicyConfig,
    home_site: str,
    incidents: Sequence[Incident] = (),
    granted: ReflectorAccess = NO_ACCESS,
    freezes: Sequence[SpeedTestFreeze] = (),
    team: str = "",
) -> Policy:
    """The policy for agents of `home_site`, and of `team` if they are in one.

    Its own reflectors come first, because agents measure against the first that
    answers. `granted` is this agent's access to the reflectors. All get all `freezes`:
    a laptop may be elsewhere by then.
    """
    near_first = sorted(estate.reflectors, key=lambda r: r.site != home_site)
    near_first = near_first[:MAX_REFLECTORS]
    return Policy(
        reflectors=tuple(
            ReflectorAt(
                reflector.id,
                reflector.host,
                reflector.stamp_port,
                reflector.ndt7_url,
                granted.stamp_key if reflector.authenticated else "",
                granted.token if reflector.ndt7_url else "",
            )
            for reflector in near_first
        ),
        teams_relay=TeamsRelay(**config.teams_relay.model_dump()),
        media_edges=tuple(
            MediaEdgeAt(edge.id, edge.host, edge.port, edge.over)
            for own in estate.teams
            if own.id == team
            for edge in own.media_edges
        ),
        targets=CallTargets(**config.targets.model_dump()),
        services=(
            *(Service(service.name, service.url) for service in config.services),
            *(FRONT_DOORS.values() if config.microsoft_365 else ()),
        ),
        online_checks=tuple(
            OnlineCheck(check.name, check.url, check.status, check.text)
            for check in config.online_checks
        ),
        optimize=tuple(
            Workload(load.name, tuple(str(network) for network in load.networks))
            for load in config.optimize
        ),
        names=config.names,
        beacon_url=estate.places.beacon_url,
        vpn_gateways=tuple(
            GatewayAt(gateway.host, gateway.port)
            for gateway in estate.vpn_gateways[:16]
        ),
        offices=_offices(estate),
        cadence_s=config.cadence_s,
        metered_cadence_s=config.metered_cadence_s,
        budget_bytes_per_day=config.budget_bytes_per_day,
        metered_budget_bytes_per_day=config.metered_budget_bytes_per_day,
        budget_bytes_per_month=config.budget_bytes_per_month,
        metered_budget_bytes_per_month=config.metered_budget_bytes_per_month,
        speed_test_bytes_per_month=config.speed_test_bytes_per_month,
        hours=MeasuringHours(config.opens, config.closes, config.days),
        longest_pause_s=config.longest_pause_s,
        hurry=config.hurry,
        incidents=tuple(incidents[:16]),
        no_speed_tests=tuple(freezes[:MAX_FREEZES]),
        report_s=config.report_s,
        credential_days=config.credential_days,
    )


def _offices(estate: Estate) -> tuple[Office, ...]:
    """The sites' networks, up to the size limit of a policy."""
    offices: list[Office] = []
    left = MAX_SUBNETS
    for site in estate.sites:
        subnets = tuple(str(subnet) for subnet in site.subnets[: min(left, 256)])
        left -= len(subnets)
        if subnets and len(offices) < MAX_OFFICES:
            offices.append(Office(site.id, subnets))
    return tuple(offices)


def sites_seen_from(estate: Estate, address: str) -> set[str]:
    """The sites that have `address` in one of their networks."""
    parsed = parse_address(address)
    if parsed is None:
        return set()
    return {site.id for site in estate.sites if is_in(parsed, site.subnets)}


class KnownSites:
    """Returns whether the estate has a site; always asks the current estate."""

    def __init__(self, estate: Callable[[], Estate]) -> None:
        self._estate = estate
        self._ids_from: Estate | None = None
        self._ids: frozenset[str] = frozenset()

    def __call__(self, site: str) -> bool:
        estate = self._estate()
        if estate is not self._ids_from:
            self._ids_from = estate
            self._ids = frozenset(site.id for site in estate.sites)
        return site in self._ids
