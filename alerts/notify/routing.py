"""Who is told: small data from severity, site and hour to channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from alerts.alert import Alert, Severity
from alerts.estate_index import Topology
from collectors.estate.opening_hours import next_opening_ms
from collectors.strict_model import StrictModel


class Route(StrictModel):
    """Alerts of these severities, sites and rules go to these channels.

    Empty `sites` and `rules` mean all. `hours`: `always`, `open` or `closed`, by the
    business hours of the alert's site. Outside `open` a page waits until the site
    opens, and is dropped if all is well by then; outside `closed` it is not sent.
    """

    channels: tuple[str, ...]
    severities: tuple[Severity, ...] = ("critical", "warning")
    sites: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    hours: Literal["always", "open", "closed"] = "always"


class RoutingConfig(StrictModel):
    """Every route that fits is used. Without any, every channel is told of critical
    alerts and warnings at once."""

    routes: tuple[Route, ...] = ()


class Way(NamedTuple):
    """A channel, and the earliest time; `deferred` where that is opening time."""

    channel: str
    next_ms: int
    deferred: bool


def ways(
    alert: Alert,
    routing: RoutingConfig,
    channels: Sequence[str],
    topology: Topology,
    now_ms: int,
) -> list[Way]:
    """Where `alert` goes, each channel once, at the earliest time any route gives."""
    routes = routing.routes or (Route(channels=tuple(channels)),)
    found: dict[str, Way] = {}
    for route in routes:
        if (
            alert.severity not in route.severities
            or (route.sites and alert.site not in route.sites)
            or (route.rules and alert.rule not in route.rules)
        ):
            continue
        next_ms = now_ms
        if route.hours == "closed" and topology.is_open(alert.site, now_ms):
            continue
        if route.hours == "open":
            opens_ms = next_opening_ms(topology.hours(alert.site), now_ms)
            # A site that never opens must not keep a page for ever.
            next_ms = now_ms if opens_ms is None else opens_ms
        for channel in route.channels:
            way = Way(channel, next_ms, next_ms > now_ms)
            if channel in channels and (
                channel not in found or way.next_ms < found[channel].next_ms
            ):
                found[channel] = way
    return list(found.values())
