"""Apprise: one channel for more than a hundred services, such as Teams Workflows,
Slack, Pushover, ntfy and SMS gateways. Each is an address like `ntfy://host/topic`.

The addresses contain keys, so they are kept where secrets are: one a line. Each service
is sent to on its own, so that one that fails costs the others nothing and gets no
second copy.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import Field, model_validator

from alerts.notify.channel_settings import ChannelSettings
from alerts.notify.delivery_result import RetryLater
from alerts.notify.http_caller import LATER_STATUSES, hide_secrets
from alerts.notify.page import Page
from alerts.notify.sent_parts import RecipientFailure, SentParts
from alerts.notify.thread_call import call_in_thread
from collectors.secret import Secret
from probes.wire.display import displayable, shortened

_STATUS = re.compile(r"\berror=(\d{3})\b")
_SENT_NOTHING = re.compile(
    r"refused|NewConnection|NameResolution|ConnectTimeout|getaddrinfo|CERTIFICATE_VERIFY",
    re.IGNORECASE,
)
# A text message is paid for by its length.
_SHORT_BODY = 1_600
_TOO_LARGE = 413
_LOAD_S = 60.0
_UNKNOWN = "apprise knows no such service, or the address is incomplete"


class AppriseConfig(ChannelSettings):
    """`urls` names the place of the addresses, one a line; `#` begins a comment."""

    kind: Literal["apprise"] = "apprise"
    urls: Secret = Secret()
    timeout_s: Annotated[float, Field(gt=0)] = 20.0

    @model_validator(mode="after")
    def _require_place(self) -> AppriseConfig:
        if not self.urls:
            raise ValueError(
                'expected urls = { file = "PATH" }: the addresses are keys'
            )
        return self

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        yield "urls", self.urls

    def recipients(self) -> tuple[str, ...]:
        return (f"apprise {self.urls.place}",)


class Apprise:
    """One page is one message to each service."""

    def __init__(self, config: AppriseConfig) -> None:
        self._config = config
        self._sent = SentParts()
        self.where = f"apprise (addresses in {config.urls.place})"

    async def notify(self, page: Page) -> None:
        """Raises what `SentParts.settle` does."""
        try:
            text = await asyncio.to_thread(self._config.urls.value)
        except LookupError as error:
            raise RetryLater(f"{self.where}: {error}") from None
        urls = service_urls(text)
        if not urls:
            raise RetryLater(f"{self.where}: there is no address")
        failures = []
        for n, url in enumerate(urls, 1):
            if self._sent.has(page.id, url):
                continue
            failure = await self._send(url, page)
            if failure is None:
                self._sent.add(page.id, url)
            else:
                name = f"address {n} ({_service_name(url)})"
                failures.append(failure._replace(reason=f"{name}: {failure.reason}"))
        self._sent.settle(page.id, page.sent_ms, self.where, failures)

    async def _send(self, url: str, page: Page) -> RecipientFailure | None:
        timeout_s = self._config.timeout_s
        try:
            # A council without this channel does not pay for this.
            await call_in_thread(_load, _LOAD_S, "apprise-load")
            return await call_in_thread(
                lambda: _send_blocking(url, page, timeout_s), timeout_s, "apprise"
            )
        except TimeoutError:
            reason = f"no answer in {timeout_s:g} s"
            return RecipientFailure(reason, may_have_arrived=True)


def service_urls(text: str) -> list[str]:
    """The addresses of a file's text. Pure."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def fitting_text(page: Page, body_maxlen: int, title_maxlen: int) -> str:
    """The text of `page` for a service that takes so many characters: what to do first
    if it is meant for short messages. Pure."""
    room = body_maxlen
    if title_maxlen <= 0:
        # The title goes into the body.
        room -= len(page.subject) + 2
    text = page.text if room > _SHORT_BODY else page.short_text
    return shortened(text, max(2, room))


def _load() -> None:
    import apprise

    # What it logs is read below, for its reasons. It has secrets: it goes nowhere else.
    apprise.logger.propagate = False
    apprise.logger.setLevel(logging.DEBUG)
    # The first address loads all services, which takes seconds on a busy machine.
    apprise.Apprise.instantiate("json://localhost")


def _send_blocking(url: str, page: Page, timeout_s: float) -> RecipientFailure | None:
    import apprise

    asset = apprise.AppriseAsset(
        app_id="Towpath",
        app_desc="Towpath",
        app_url="",
        async_mode=False,
        http_redirects=False,
    )
    parts = secret_parts(url)
    try:
        service = apprise.Apprise.instantiate(
            url, asset=asset, suppress_exceptions=False
        )
    except Exception as error:  # noqa: BLE001 - each service raises its own
        reason = hide_secrets(displayable(str(error)), parts)
        return RecipientFailure(f"{_UNKNOWN}: {reason}", is_refused=True)
    if service is None:
        return RecipientFailure(_UNKNOWN, is_refused=True)
    service.socket_connect_timeout = service.socket_read_timeout = timeout_s
    body = fitting_text(page, service.body_maxlen, service.title_maxlen)
    services = apprise.Apprise(services=service, asset=asset)
    result = services.notify(
        title=page.subject,
        body=body,
        notify_type=_notify_type(page),
        body_format="text",
        timeout=timeout_s,
        log_level=logging.DEBUG,
    )
    return _failure(result, parts)


def _failure(result: Any, parts: Sequence[str]) -> RecipientFailure | None:
    if result:
        return None
    lines = list(result.logs())
    told = [
        line.message for line in lines if line.level in ("WARNING", "ERROR", "CRITICAL")
    ]
    details = [
        line.message for line in lines if line.message.startswith("Socket Exception:")
    ]
    statuses = [int(found[1]) for line in told if (found := _STATUS.search(line))]
    text = " ".join(displayable(" ".join([*told, *details])).split())
    status = statuses[-1] if statuses else 0
    return RecipientFailure(
        hide_secrets(text, parts)[:400] or "it gives no reason",
        is_refused=300 <= status < 500 and status not in LATER_STATUSES,
        may_have_arrived=not status and not _SENT_NOTHING.search(" ".join(details)),
        is_too_large=status == _TOO_LARGE,
    )


def _notify_type(page: Page) -> Literal["success", "failure", "warning", "info"]:
    if page.kind == "resolution":
        return "success"
    types: dict[str, Literal["failure", "warning", "info"]] = {
        "critical": "failure",
        "warning": "warning",
    }
    return types.get(page.severity, "info")


def secret_parts(url: str) -> list[str]:
    """All parts of an address after its service: each may be a key. Pure."""
    rest = url.partition("://")[2]
    pieces = [piece for piece in re.split(r"[/:@?&=#,]+", rest) if piece]
    pieces = [piece for piece in pieces if piece not in ("localhost", "http", "https")]
    return [url, rest, *pieces, *(unquote(piece) for piece in pieces)]


def _service_name(url: str) -> str:
    return displayable(url.partition("://")[0])[:20]
