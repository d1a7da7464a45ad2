"""The kinds of channel: their settings, and the class behind each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Tag

from alerts.notify.alertmanager import Alertmanager, AlertmanagerConfig
from alerts.notify.apprise_channel import Apprise, AppriseConfig
from alerts.notify.channel_settings import ChannelSettings
from alerts.notify.delivery_result import Notifier
from alerts.notify.desk_settings import ServiceDeskConfig
from alerts.notify.email import Email, EmailConfig
from alerts.notify.govuk_notify import GovukNotify, GovukNotifyConfig
from alerts.notify.service_desk import ServiceDesk
from alerts.notify.webhook import Webhook, WebhookConfig
from collectors.secret import Secret
from probes.wire.catalogue import did_you_mean

KINDS = ("email", "webhook", "apprise", "alertmanager", "govuk_notify", "service_desk")


def _kind(value: object) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", "")
    return str(kind or "")


def _check_kind(value: object) -> object:
    kind = _kind(value)
    if kind not in KINDS:
        known = ", ".join(KINDS)
        if not kind:
            raise ValueError(f"a channel needs a kind: one of {known}")
        raise ValueError(
            f"a channel needs a kind that exists, not {kind!r}: one of {known}"
            f"{did_you_mean(kind, KINDS)}"
        )
    return value


ChannelConfig = Annotated[
    Annotated[EmailConfig, Tag("email")]
    | Annotated[WebhookConfig, Tag("webhook")]
    | Annotated[AppriseConfig, Tag("apprise")]
    | Annotated[AlertmanagerConfig, Tag("alertmanager")]
    | Annotated[GovukNotifyConfig, Tag("govuk_notify")]
    | Annotated[ServiceDeskConfig, Tag("service_desk")],
    Discriminator(_kind),
    BeforeValidator(_check_kind),
]


def build_notifiers(channels: Mapping[str, ChannelSettings]) -> dict[str, Notifier]:
    """Returns the channels by name."""
    return {name: _build(settings) for name, settings in channels.items()}


def channel_secrets(
    channels: Mapping[str, ChannelSettings],
) -> Iterator[tuple[str, Secret]]:
    """(dotted name, place) of every secret that a channel needs."""
    for name, settings in channels.items():
        for setting, secret in settings.secrets():
            yield f"alerts.channels.{name}.{setting}", secret


def channel_problems(channels: Mapping[str, ChannelSettings]) -> Iterator[str]:
    """A sentence for each error that only files beside the settings show."""
    for name, settings in channels.items():
        for problem in settings.problems():
            yield f"alerts.channels.{name}: {problem}"


def _build(settings: ChannelSettings) -> Notifier:
    match settings:
        case EmailConfig():
            return Email(settings)
        case WebhookConfig():
            return Webhook(settings)
        case AppriseConfig():
            return Apprise(settings)
        case AlertmanagerConfig():
            return Alertmanager(settings)
        case GovukNotifyConfig():
            return GovukNotify(settings)
        case ServiceDeskConfig():
            return ServiceDesk(settings)
    raise TypeError(f"no channel has settings of type {type(settings).__name__}")
