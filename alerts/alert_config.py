"""Settings of alerts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from alerts.action_link import LinkConfig
from alerts.calendar_maintenance import MaintenanceCalendar
from alerts.event_calendar import EventCalendar
from alerts.maintenance_windows import MaintenanceWindow
from alerts.notify.channels import ChannelConfig, build_notifiers, channel_secrets
from alerts.notify.delivery_result import Notifier
from alerts.notify.routing import Route, RoutingConfig
from alerts.rota import Contact, RotaConfig
from alerts.standby.standby_config import StandbyConfig
from collectors.estate.opening_hours import TimeZone
from collectors.secret import Secret
from collectors.strict_model import StrictModel

FeedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$")]


class AlertConfig(StrictModel):
    """`[alerts]`. `standing`: the engine's file. `rules`: a folder or file of the
    council's own rules and overrides. `base_url`: the status page's address.
    `discovered_parents`: if the estate names no parent of a device, use the one found
    through its neighbours to explain its alerts. `baseline_s`: for how long a device is
    new, so that what was so at the first look pages nobody; 0: it pages.
    `maintenance`: planned windows. `calendars`: whose events are planned maintenance.
    `events`: calendars of events in rooms.
    `contacts`: who can be on call, by `rotas`. `links`: of messages, to acknowledge or
    silence an alert. `standby`: a second machine that takes over."""

    standing: Path
    rules: Path | None = None
    evaluate_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    group_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    base_url: str = ""
    timezone: TimeZone = "Europe/London"
    council: str = "Towpath"
    discovered_parents: bool = True
    baseline_s: Annotated[float, Field(ge=0, le=86_400)] = 1800.0
    channels: dict[str, ChannelConfig] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    calendars: dict[FeedName, MaintenanceCalendar] = Field(default_factory=dict)
    events: dict[FeedName, EventCalendar] = Field(default_factory=dict)
    contacts: dict[FeedName, Contact] = Field(default_factory=dict)
    rotas: dict[FeedName, RotaConfig] = Field(default_factory=dict)
    links: LinkConfig = LinkConfig()
    heartbeat_url: str = ""
    heartbeat_s: Annotated[float, Field(ge=1)] = 60.0
    standby: StandbyConfig = StandbyConfig()
    warm_timeout_s: Annotated[float, Field(gt=0)] = 20.0

    @field_validator("routes")
    @classmethod
    def _require_channels(cls, value: tuple[Route, ...]) -> tuple[Route, ...]:
        for route in value:
            if not (route.channels or route.rotas):
                raise ValueError("a route without channels notifies nobody")
        return value

    @field_validator("maintenance")
    @classmethod
    def _require_own_names(
        cls, value: tuple[MaintenanceWindow, ...]
    ) -> tuple[MaintenanceWindow, ...]:
        names = [window.name for window in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two windows are called {name!r}")
        return value

    @property
    def calendar_folder(self) -> Path:
        """Where the last copies of calendars are kept."""
        return self.standing.parent / "calendars"

    @property
    def routing(self) -> RoutingConfig:
        return RoutingConfig(routes=self.routes)

    def unknown_channels(self) -> Iterator[tuple[str, str]]:
        """(dotted name, channel) of each channel that is named but missing: a page to
        it would be lost."""
        for where, channels in self._named_channels():
            for channel in channels:
                if channel not in self.channels:
                    yield where, channel
        for name, settings in self.channels.items():
            others = set(self.channels) - {name}
            if settings.fallback and settings.fallback not in others:
                yield f"alerts.channels.{name}.fallback", settings.fallback

    def _named_channels(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for n, route in enumerate(self.routes, 1):
            yield f"alerts.routes[{n}].channels", route.channels
            for m, step in enumerate(route.escalate, 1):
                yield f"alerts.routes[{n}].escalate[{m}].channels", step.channels
        for name, contact in self.contacts.items():
            yield f"alerts.contacts.{name}.channels", contact.channels
        for name, rota in self.rotas.items():
            yield f"alerts.rotas.{name}.fallback", rota.fallback

    def named_rotas(self) -> Iterator[tuple[str, str]]:
        """(dotted name, rota) of each rota that a route names."""
        for n, route in enumerate(self.routes, 1):
            for rota in route.rotas:
                yield f"alerts.routes[{n}].rotas", rota
            for m, step in enumerate(route.escalate, 1):
                for rota in step.rotas:
                    yield f"alerts.routes[{n}].escalate[{m}].rotas", rota

    def fallbacks(self) -> dict[str, tuple[str, ...]]:
        """Channel → its replacement, for channels with a `fallback`."""
        return {
            name: (settings.fallback,)
            for name, settings in self.channels.items()
            if settings.fallback
        }

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        """(dotted name, place) of every secret that a channel needs."""
        return channel_secrets(self.channels)

    def notifiers(self) -> dict[str, Notifier]:
        """The channels by name."""
        return build_notifiers(self.channels)
