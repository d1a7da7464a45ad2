"""Alertmanager, through its API v2: for councils whose routes, silences and rotas are
there already.

Alertmanager forgets what is not repeated: every alert is sent with the time at which it
ends unless it is sent again, and sent again long before that. So an alert does not
outlive a Towpath that has died, and comes back after Alertmanager lost its memory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, Field

from alerts.alert import Alert
from alerts.alert_text import describe_affected
from alerts.notify.channel_settings import UNLIMITED, ChannelSettings, MessageLimit
from alerts.notify.delivery_result import DeliveryRefused, MessageTooLarge, RetryLater
from alerts.notify.http_caller import HttpCaller
from alerts.notify.page import Page, PageAlert
from collectors.secret import Secret
from probes.wire.clock import WallClock, wall_ms

_PATH = "/api/v2/alerts"
# An alert lasts for this many repeats that fail.
_REPEATS_MISSED = 5
_LABEL_OTHERS = re.compile(r"[^a-zA-Z0-9_]")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _check_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    for name in labels:
        if not _LABEL.fullmatch(name):
            raise ValueError(
                f"expected label names of letters, digits and underscores, not {name!r}"
            )
    return labels


class AlertmanagerConfig(ChannelSettings):
    """`servers`: every member of the cluster, as Alertmanager requires. `labels` are
    added to each alert, for its routes."""

    kind: Literal["alertmanager"] = "alertmanager"
    servers: Annotated[
        tuple[Annotated[str, Field(pattern=r"^https?://[^\s]+$")], ...],
        Field(min_length=1),
    ]
    labels: Annotated[dict[str, str], AfterValidator(_check_labels)] = Field(
        default_factory=dict
    )
    user: str = ""
    password: Secret = Secret()
    token: Secret = Secret()
    repeat_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    ca_file: str = ""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    limit: MessageLimit = UNLIMITED

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        if self.user:
            yield "password", self.password
        if self.token:
            yield "token", self.token


class Alertmanager:
    """One alert of Towpath is one alert there. Silences there hold back messages, and
    never what Towpath knows."""

    def __init__(self, config: AlertmanagerConfig, now_ms: WallClock = wall_ms) -> None:
        self._config, self._now_ms = config, now_ms
        self._callers = [
            HttpCaller("Alertmanager", url, config.ca_file, config.timeout_s, now_ms)
            for url in config.servers
        ]
        self.refresh_s = config.repeat_s

    @property
    def where(self) -> str:
        return self._callers[0].where

    async def notify(self, page: Page) -> None:
        """Raises what `HttpCaller.call` does if no member accepts it."""
        now_ms = self._now_ms()
        expires_ms = now_ms + round(_REPEATS_MISSED * self._config.repeat_s * 1000)
        alerts = [
            alert_json(item, self._config.labels, expires_ms) for item in page.alerts
        ]
        content = msgspec.json.encode(alerts)
        results = await asyncio.gather(
            *(self._post(caller, content) for caller in self._callers),
            return_exceptions=True,
        )
        if any(result is None for result in results):
            # The others get it with the next repeat.
            return
        failures = [result for result in results if isinstance(result, Exception)]
        reason = "; ".join(str(failure) for failure in failures)
        for kind in (RetryLater, MessageTooLarge, DeliveryRefused):
            if any(isinstance(failure, kind) for failure in failures):
                raise kind(reason)
        raise failures[0]

    async def refresh(self, page: Page, told: Mapping[str, Alert]) -> None:
        await self.notify(page)

    async def _post(self, caller: HttpCaller, content: bytes) -> None:
        config = self._config
        headers = {"Content-Type": "application/json"}
        basic: tuple[str, str] | None = None
        secrets: list[str] = []
        try:
            if config.user:
                password = await asyncio.to_thread(config.password.value)
                basic = (config.user, password)
            if config.token:
                secrets = [await asyncio.to_thread(config.token.value)]
                headers["Authorization"] = f"Bearer {secrets[0]}"
        except LookupError as error:
            raise RetryLater(f"{caller.where}: {error}") from None
        await caller.call(
            "POST",
            _PATH,
            headers=headers,
            content=content,
            basic=basic,
            secrets=secrets,
            want_body=False,
            refusals={404: "is that the address of an Alertmanager, without /api?"},
        )


def alert_json(
    item: PageAlert, labels: Mapping[str, str], expires_ms: int
) -> dict[str, Any]:
    """One alert as Alertmanager's API takes it. Pure. Its labels identify it there, so
    they have nothing that changes while it lasts."""
    alert = item.alert
    ends_ms = expires_ms
    if item.is_over:
        # Not before its beginning: Alertmanager refuses that.
        ends_ms = max(alert.resolved_ms or expires_ms, alert.since_ms + 1)
    subject = {
        _LABEL_OTHERS.sub("_", name): text for name, text in alert.subject.items()
    }
    texts = {
        "summary": alert.summary,
        "description": item.text,
        "cause": alert.cause,
        "runbook": alert.runbook,
        "affected": describe_affected(alert.affected),
        "site_name": item.site_name,
    }
    return {
        "labels": {
            **labels,
            **subject,
            "alertname": alert.rule,
            "severity": alert.severity,
            "owner": alert.owner,
            **({"site": alert.site} if alert.site else {}),
            "source": "towpath",
        },
        "annotations": {name: text for name, text in texts.items() if text},
        "startsAt": _rfc3339(alert.since_ms),
        "endsAt": _rfc3339(ends_ms),
        "generatorURL": item.url,
    }


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
