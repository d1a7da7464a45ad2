"""A signed webhook: JSON by POST, for a service desk or a chat's own bridge.

`Towpath-Signature: t=<ms>,v1=<hex>`: v1 is the HMAC-SHA256 of `<t>.<body>`, keyed with
the shared secret. A receiver compares in constant time and refuses a `t` that is more
than five minutes off, so that a captured page cannot be replayed later. `Towpath-Id` is
the same however often one page is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from alerts.notify.channel_settings import UNLIMITED, ChannelSettings, MessageLimit
from alerts.notify.delivery_result import RetryLater
from alerts.notify.http_caller import HttpCaller
from alerts.notify.page import Page
from collectors.secret import Secret
from probes.wire.clock import WallClock, wall_ms


class WebhookConfig(ChannelSettings):
    """An address that accepts pages as JSON. `secret` names the place of the key."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    secret: Secret = Secret()
    ca_file: str = ""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    limit: MessageLimit = UNLIMITED

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        if self.secret:
            yield "secret", self.secret


class Webhook:
    """One page is one POST."""

    def __init__(self, config: WebhookConfig, now_ms: WallClock = wall_ms) -> None:
        self._config, self._now_ms = config, now_ms
        self._caller = HttpCaller(
            "webhook", config.url, config.ca_file, config.timeout_s, now_ms
        )

    @property
    def where(self) -> str:
        return self._caller.where

    async def notify(self, page: Page) -> None:
        """Raises what `HttpCaller.call` does."""
        body = msgspec.json.encode(page.data)
        headers = {"Content-Type": "application/json", "Towpath-Id": page.id}
        key = ""
        if self._config.secret:
            try:
                key = await asyncio.to_thread(self._config.secret.value)
            except LookupError as error:
                raise RetryLater(f"{self.where}: {error}") from None
            headers["Towpath-Signature"] = sign(body, key, self._now_ms())
        await self._caller.call(
            "POST", headers=headers, content=body, secrets=[key], want_body=False
        )


def sign(body: bytes, key: str, time_ms: int) -> str:
    """Returns the value of `Towpath-Signature`."""
    mac = hmac.new(key.encode(), f"{time_ms}.".encode() + body, hashlib.sha256)
    return f"t={time_ms},v1={mac.hexdigest()}"


def verify_signature(
    header: str, body: bytes, key: str, now_ms: int, max_age_ms: int = 300_000
) -> bool:
    """Checks a signature as a receiver does: for receivers in Python, and for tests."""
    try:
        parts = dict(part.split("=", 1) for part in header.split(","))
        time_ms = int(parts["t"])
    except (KeyError, ValueError):
        return False
    fresh = abs(now_ms - time_ms) <= max_age_ms
    return fresh and hmac.compare_digest(header, sign(body, key, time_ms))
