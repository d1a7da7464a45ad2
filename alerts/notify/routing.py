"""Who is notified: routes from severity, site, rule and hour to channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from pydantic import field_validator

from alerts.alert import Alert, Owner, Severity
from alerts.estate_index import EstateIndex
from collectors.estate.opening_hours import OpeningHours, is_open, next_opening_ms
from collectors.strict_model import StrictModel
from probes.wire.durations import parse_duration_ms

Criticality = Literal["low", "normal", "high"]
FindOnCall = Callable[[str], Sequence[str]]
"""A rota → the channels of who is on call now."""
LEAST_WAIT_MS = 60_000


def nobody_on_call(rota: str) -> Sequence[str]:
    return ()


class Escalation(StrictModel):
    """If nobody has acknowledged an alert `after` its page, these are notified too."""

    after: str
    channels: tuple[str, ...] = ()
    rotas: tuple[str, ...] = ()

    @field_validator("after")
    @classmethod
    def _is_wait(cls, value: str) -> str:
        return checked_wait(value)

    @property
    def after_ms(self) -> int:
        return parse_duration_ms(self.after)


class Route(StrictModel):
    """Alerts of these severities, sites and rules go to these channels, and to who is
    on call by these rotas.

    Empty `sites`, `rules`, `owners` and `criticality` (of the site) mean all.
    `hours`: `always`, `open` or `closed`, by the business hours of the alert's site.
    With `open`, a page outside these hours waits for the next opening, and is dropped
    if all is well by then. With `closed`, pages are sent only outside these hours.
    A rule may have `hours` of its own. `during`: hours of the council, outside of which
    the route is not used. An unacknowledged alert is sent again every `repeat`, and to
    those of `escalate`.
    """

    channels: tuple[str, ...] = ()
    rotas: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ("critical", "warning")
    sites: tuple[str, ...] = ()
    criticality: tuple[Criticality, ...] = ()
    rules: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = ()
    hours: Literal["always", "open", "closed"] = "always"
    during: OpeningHours | None = None
    repeat: str = ""
    escalate: tuple[Escalation, ...] = ()

    @field_validator("repeat")
    @classmethod
    def _is_wait(cls, value: str) -> str:
        return checked_wait(value) if value else value

    @property
    def repeat_ms(self) -> int:
        return parse_duration_ms(self.repeat) if self.repeat else 0


def checked_wait(text: str) -> str:
    if parse_duration_ms(text) < LEAST_WAIT_MS:
        raise ValueError(f"{text!r} is too short, expected at least 1m")
    return text


class RoutingConfig(StrictModel):
    """All routes that match are used. Without any routes, every channel receives
    critical alerts and warnings at once."""

    routes: tuple[Route, ...] = ()


class Destination(NamedTuple):
    """A channel and the earliest time; `deferred` if that is when the site opens."""

    channel: str
    next_ms: int
    deferred: bool


class FollowUp(NamedTuple):
    """What happens to an alert that nobody acknowledges: who is notified now, each
    after a time in ms, and how often it is repeated (0: never)."""

    steps: tuple[tuple[int, str], ...]
    repeat_ms: int


class Router(NamedTuple):
    """Finds the channels of an alert, by the estate and the time as they are now."""

    routing: RoutingConfig
    channels: Sequence[str]
    estate_index: EstateIndex
    now_ms: int
    on_call: FindOnCall = nobody_on_call

    def destinations(self, alert: Alert) -> list[Destination]:
        """The channels for `alert`, each once, at the earliest time of any route."""
        earliest: dict[str, Destination] = {}
        for route in self._matching(alert):
            next_ms = self.now_ms
            if "open" in (route.hours, alert.hours):
                hours = self.estate_index.hours(alert.site)
                opens_ms = next_opening_ms(hours, self.now_ms)
                # A site that never opens must not keep a page for ever.
                next_ms = self.now_ms if opens_ms is None else opens_ms
            for channel in self._channels(route):
                destination = Destination(channel, next_ms, next_ms > self.now_ms)
                if channel in self.channels and (
                    channel not in earliest
                    or destination.next_ms < earliest[channel].next_ms
                ):
                    earliest[channel] = destination
        return list(earliest.values())

    def follow_up(self, alert: Alert) -> FollowUp:
        """Who is notified again while `alert` is not acknowledged."""
        steps: dict[str, int] = {}
        repeats_ms = []
        for route in self._matching(alert):
            if not (route.escalate or route.repeat_ms):
                continue
            waits_for_opening = "open" in (route.hours, alert.hours)
            if waits_for_opening and not self._is_open(alert):
                continue
            if route.repeat_ms:
                repeats_ms.append(route.repeat_ms)
            # Who has come on call since the page is notified too.
            waits = [(0, channel) for channel in self._on_call_channels(route.rotas)]
            waits += [
                (step.after_ms, channel)
                for step in route.escalate
                for channel in self._channels(step)
            ]
            for after_ms, channel in waits:
                if channel in self.channels:
                    steps[channel] = min(after_ms, steps.get(channel, after_ms))
        ordered = sorted((after_ms, channel) for channel, after_ms in steps.items())
        return FollowUp(tuple(ordered), min(repeats_ms, default=0))

    def _matching(self, alert: Alert) -> Iterator[Route]:
        site = self.estate_index.sites.get(alert.site)
        criticality = "normal" if site is None else site.criticality
        for route in self.routing.routes or (Route(channels=tuple(self.channels)),):
            if (
                alert.severity in route.severities
                and (not route.sites or alert.site in route.sites)
                and (not route.rules or alert.rule in route.rules)
                and (not route.owners or alert.owner in route.owners)
                and (not route.criticality or criticality in route.criticality)
                and not (
                    route.hours == "closed"
                    and (alert.hours == "open" or self._is_open(alert))
                )
                and (route.during is None or is_open(route.during, self.now_ms))
            ):
                yield route

    def _is_open(self, alert: Alert) -> bool:
        return self.estate_index.is_open(alert.site, self.now_ms)

    def _channels(self, step: Route | Escalation) -> Iterator[str]:
        yield from step.channels
        yield from self._on_call_channels(step.rotas)

    def _on_call_channels(self, rotas: Sequence[str]) -> Iterator[str]:
        for rota in rotas:
            yield from self.on_call(rota)
