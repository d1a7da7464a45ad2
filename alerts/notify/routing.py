"""Who is notified: routes from severity, site, rule and hour to channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from alerts.alert import Alert, Severity
from alerts.estate_index import EstateIndex
from collectors.estate.opening_hours import next_opening_ms
from collectors.strict_model import StrictModel


class Route(StrictModel):
    """Alerts of these severities, sites and rules go to these channels.

    Empty `sites` and `rules` mean all. `hours`: `always`, `open` or `closed`, by the
    business hours of the alert's site. With `open`, a page outside these hours waits
    for the next opening, and is dropped if all is well by then. With `closed`, pages
    are sent only outside these hours.
    """

    channels: tuple[str, ...]
    severities: tuple[Severity, ...] = ("critical", "warning")
    sites: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    hours: Literal["always", "open", "closed"] = "always"


class RoutingConfig(StrictModel):
    """All routes that match are used. Without any routes, every channel receives
    critical alerts and warnings at once."""

    routes: tuple[Route, ...] = ()


class Destination(NamedTuple):
    """A channel and the earliest time; `deferred` if that is when the site opens."""

    channel: str
    next_ms: int
    deferred: bool


def destinations(
    alert: Alert,
    routing: RoutingConfig,
    channels: Sequence[str],
    estate_index: EstateIndex,
    now_ms: int,
) -> list[Destination]:
    """The channels for `alert`, each once, at the earliest time of any route."""
    routes = routing.routes or (Route(channels=tuple(channels)),)
    earliest: dict[str, Destination] = {}
    for route in routes:
        if (
            alert.severity not in route.severities
            or (route.sites and alert.site not in route.sites)
            or (route.rules and alert.rule not in route.rules)
        ):
            continue
        next_ms = now_ms
        if route.hours == "closed" and estate_index.is_open(alert.site, now_ms):
            continue
        if route.hours == "open":
            opens_ms = next_opening_ms(estate_index.hours(alert.site), now_ms)
            # A site that never opens must not keep a page for ever.
            next_ms = now_ms if opens_ms is None else opens_ms
        for channel in route.channels:
            destination = Destination(channel, next_ms, next_ms > now_ms)
            if channel in channels and (
                channel not in earliest
                or destination.next_ms < earliest[channel].next_ms
            ):
                earliest[channel] = destination
    return list(earliest.values())
