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
import ssl
from typing import Annotated, Literal

import httpx2
import msgspec
from pydantic import Field

from alerts.notify.delivery_result import DeliveryRefused, RetryLater
from alerts.notify.page import Page
from alerts.secret import Secret
from collectors.strict_model import StrictModel
from probes.wire.clock import WallClock, wall_ms
from probes.wire.retry_after import retry_after_s

_LONGEST_WAIT_S = 3600.0
_LATER = {408, 409, 421, 423, 425, 429}


class WebhookConfig(StrictModel):
    """An address that accepts pages as JSON. `secret` names the place of the key."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    secret: Secret = Secret()
    ca_file: str = ""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    fallback: str = ""


class Webhook:
    """One page is one POST. Redirects are not followed: a page is for one address."""

    def __init__(
        self,
        config: WebhookConfig,
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._config, self._now_ms = config, now_ms
        self._tls: ssl.SSLContext | None = None

    async def notify(self, page: Page) -> None:
        """Raises `RetryLater` for 5xx, 408, 425, 429 and failed connections, and
        `DeliveryRefused` for any other refusal."""
        config = self._config
        body = msgspec.json.encode(page.data)
        headers = {
            "Content-Type": "application/json",
            "Towpath-Id": page.id,
            "User-Agent": "Towpath",
        }
        where = _where(config.url)
        try:
            if config.secret:
                key = await asyncio.to_thread(config.secret.value)
                headers["Towpath-Signature"] = sign(body, key, self._now_ms())
            async with asyncio.timeout(config.timeout_s):
                if self._tls is None:
                    self._tls = await asyncio.to_thread(
                        ssl.create_default_context, cafile=config.ca_file or None
                    )
                async with httpx2.AsyncClient(
                    verify=self._tls, timeout=config.timeout_s
                ) as client:
                    answer = await client.post(
                        config.url, content=body, headers=headers
                    )
        except TimeoutError:
            raise RetryLater(f"{where}: no answer in {config.timeout_s:g} s") from None
        except httpx2.InvalidURL as error:
            raise DeliveryRefused(f"{where}: {error}") from None
        except (httpx2.HTTPError, OSError, LookupError) as error:
            reason = str(error) or type(error).__name__
            raise RetryLater(f"{where}: {reason}") from None
        if answer.is_success:
            return
        reason = f"{where}: answered {answer.status_code} {answer.text[:200]!r}"
        if answer.status_code >= 500 or answer.status_code in _LATER:
            header = answer.headers.get("Retry-After")
            wait_s = retry_after_s(header, self._now_ms() / 1000)
            if wait_s is not None:
                wait_s = min(wait_s, _LONGEST_WAIT_S)
            raise RetryLater(reason, after_s=wait_s)
        raise DeliveryRefused(reason)


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


def _where(url: str) -> str:
    """Returns the address without path and query, which may hold secrets."""
    parsed = httpx2.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"webhook {parsed.scheme}://{parsed.host}{port}"
