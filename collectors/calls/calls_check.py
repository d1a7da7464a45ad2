"""What is wrong with the settings of Microsoft's record of calls, without asking
Microsoft."""

from __future__ import annotations

from collections.abc import Iterator

from collectors.calls.building_file import BuildingsRefused, read_buildings
from collectors.calls.call_places import buildings_without_site
from collectors.calls.calls_config import CallsConfig
from collectors.calls.graph_token import GraphRefused, client_credential
from collectors.estate import Estate
from probes.wire.catalogue import did_you_mean

_MOST_NAMES = 10


def call_problems(config: CallsConfig, estate: Estate) -> Iterator[str]:
    """Yields what is wrong in the settings and their files. Blocking."""
    if config.buildings is not None:
        try:
            read_buildings(config.buildings)
        except BuildingsRefused as refused:
            yield f"calls.buildings: {refused}"
    gateways = [gateway.id for gateway in estate.vpn_gateways]
    for gateway in config.gateways:
        if gateway not in gateways:
            hint = did_you_mean(gateway, gateways)
            yield f"calls.gateways.{gateway}: no VPN gateway is called that{hint}"


def call_warnings(config: CallsConfig, estate: Estate) -> Iterator[str]:
    """Yields why calls would not be read, or their figures mislead. Blocking.

    A missing secret is a warning, because other roles may not see that of `calls`.
    """
    try:
        client_credential(config)
    except GraphRefused as refused:
        yield f"{refused}: the role calls reads nothing"
    buildings = []
    if config.buildings is not None:
        try:
            buildings = read_buildings(config.buildings)
        except BuildingsRefused:
            return
    if not buildings and not any(site.subnets for site in estate.sites):
        yield (
            "calls: no site has subnets and calls.buildings is not set, so all calls "
            "count as outside"
        )
    if names := buildings_without_site(buildings, estate.sites):
        more = f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES)
        yield (
            f"calls.buildings: at no site of the estate: "
            f"{', '.join(names[:_MOST_NAMES])}{more}"
        )
    if not config.egress:
        yield (
            "calls.egress is not set: a home that uses the same private network as an "
            "office counts as that office"
        )
