"""Settings of alerts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from alerts.notify.email import Email, EmailConfig
from alerts.notify.routing import Route, RoutingConfig
from alerts.notify.verdict import Notifier
from alerts.notify.webhook import Webhook, WebhookConfig
from alerts.secret import Secret
from collectors.estate.hours import TimeZone


def _kind(value: object) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", "")
    return str(kind)


ChannelConfig = Annotated[
    Annotated[EmailConfig, Tag("email")] | Annotated[WebhookConfig, Tag("webhook")],
    Discriminator(
        _kind,
        custom_error_type="channel_kind",
        custom_error_message='a channel needs kind = "email" or kind = "webhook"',
    ),
]


class AlertConfig(BaseModel):
    """`[alerts]`. `standing` is the engine's file, `rules` a folder or file of the
    council's own rules and overrides, `base_url` where the status page is.
    `discovered_parents`: where the estate names no parent, the one that neighbours
    tell explains what hangs on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    standing: Path
    rules: Path | None = None
    evaluate_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    group_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    base_url: str = ""
    timezone: TimeZone = "Europe/London"
    council: str = "Towpath"
    discovered_parents: bool = True
    channels: dict[str, ChannelConfig] = {}
    routes: tuple[Route, ...] = ()
    heartbeat_url: str = ""
    heartbeat_s: Annotated[float, Field(ge=1)] = 60.0
    warm_timeout_s: Annotated[float, Field(gt=0)] = 20.0

    @field_validator("routes")
    @classmethod
    def _routes_lead_somewhere(cls, value: tuple[Route, ...]) -> tuple[Route, ...]:
        for route in value:
            if not route.channels:
                raise ValueError("a route without channels tells nobody")
        return value

    @property
    def routing(self) -> RoutingConfig:
        return RoutingConfig(routes=self.routes)

    def unknown_channels(self) -> list[str]:
        """Channels that routes name and nobody made; a page to them would vanish."""
        named = {channel for route in self.routes for channel in route.channels}
        return sorted(named - set(self.channels))

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        """(dotted name, where it is) of every secret that a channel needs."""
        for name, channel in self.channels.items():
            if isinstance(channel, EmailConfig) and channel.user:
                yield f"alerts.channels.{name}.password", channel.password
            elif isinstance(channel, WebhookConfig) and channel.secret:
                yield f"alerts.channels.{name}.secret", channel.secret


def notifiers(config: AlertConfig) -> dict[str, Notifier]:
    """The channels of `config`, by name."""
    found: dict[str, Notifier] = {}
    for name, channel in config.channels.items():
        if isinstance(channel, EmailConfig):
            found[name] = Email(channel)
        else:
            found[name] = Webhook(channel)
    return found
