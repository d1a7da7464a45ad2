"""GOV.UK Notify: e-mails and text messages from the government's own service.

It speaks the documented REST API: the official client brings two libraries for what is
one signature here. Notify does not recognise a message that is sent twice, so every
message has a reference, which is looked up first.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from pydantic import Field, field_validator, model_validator

from alerts.notify.channel_settings import ChannelSettings
from alerts.notify.delivery_result import DeliveryRefused, MessageTooLarge, RetryLater
from alerts.notify.http_caller import HttpCaller
from alerts.notify.page import Page
from alerts.notify.sent_parts import RecipientFailure, SentParts
from collectors.secret import Secret
from probes.wire.clock import WallClock, wall_ms

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# NAME-SERVICE-SECRET; the name may have dashes of its own.
_API_KEY = re.compile(rf"(?:.*-)?({_UUID})-({_UUID})")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE = re.compile(r"\+?[\d ()-]{7,20}")
_TemplateId = Annotated[str, Field(pattern=rf"^({_UUID})?$")]
_FAILED = {
    "permanent-failure": "it does not exist, or it is blocked",
    "temporary-failure": "its inbox is full, or the phone is off",
    "technical-failure": "Notify could not send it",
    "validation-failed": "Notify found it wrong",
}
_FOR_GOOD = {"permanent-failure", "validation-failed"}
_ACCEPTED_AT_LAST = {"delivered", "sent"}
_LOOK_AGAIN_S = (0.5, 1.0, 2.0, 4.0)


class GovukNotifyConfig(ChannelSettings):
    """`to`: mail addresses and phone numbers. The templates are made in Notify; they
    may use ((subject)), ((text)), ((short_text)), ((url)), ((severity)), ((site))."""

    kind: Literal["govuk_notify"] = "govuk_notify"
    api_key: Secret = Secret()
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    email_template: _TemplateId = ""
    sms_template: _TemplateId = ""
    email_reply_to_id: _TemplateId = ""
    sms_sender_id: _TemplateId = ""
    confirm_s: Annotated[float, Field(ge=0, le=60)] = 8.0
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] = (
        "https://api.notifications.service.gov.uk"
    )
    ca_file: str = ""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0

    @field_validator("to")
    @classmethod
    def _check_recipients(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for to in value:
            if not (_MAIL.fullmatch(to) or _PHONE.fullmatch(to)):
                raise ValueError(
                    f"expected mail addresses and phone numbers, not {to!r}"
                )
        return value

    @model_validator(mode="after")
    def _require_parts(self) -> GovukNotifyConfig:
        if not self.api_key:
            raise ValueError('expected api_key = { file = "PATH" }')
        for template, kind, needed in (
            ("email_template", "a mail address", any("@" in to for to in self.to)),
            ("sms_template", "a phone number", any("@" not in to for to in self.to)),
        ):
            if needed and not getattr(self, template):
                raise ValueError(f"expected {template}: `to` has {kind}")
        return self

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        yield "api_key", self.api_key

    def recipients(self) -> tuple[str, ...]:
        return tuple(to.lower().replace(" ", "") for to in self.to)


class GovukNotify:
    """One page is one message to each recipient."""

    def __init__(self, config: GovukNotifyConfig, now_ms: WallClock = wall_ms) -> None:
        self._config, self._now_ms = config, now_ms
        self._caller = HttpCaller(
            "GOV.UK Notify", config.url, config.ca_file, config.timeout_s, now_ms
        )
        self._parts = SentParts()

    @property
    def where(self) -> str:
        return self._caller.where

    async def notify(self, page: Page) -> None:
        """Raises what `SentParts.settle` does."""
        key = await self._api_key()
        for recipient in await self._sent_before(page.id, key):
            self._parts.add(page.id, recipient)
        failures = []
        for to in self._config.to:
            if self._parts.has(page.id, _normal(to)):
                continue
            try:
                await self._send(page, to, key)
            except MessageTooLarge as error:
                failures.append(self._failure(error, to, True, is_too_large=True))
            except DeliveryRefused as error:
                failures.append(self._failure(error, to, True))
            except RetryLater as error:
                failures.append(
                    self._failure(error, to, may_have_arrived=error.may_have_arrived)
                )
            else:
                self._parts.add(page.id, _normal(to))
        self._parts.settle(page.id, page.sent_ms, self.where, failures)

    async def _api_key(self) -> tuple[str, str]:
        """(service, secret) of the key."""
        try:
            text = await asyncio.to_thread(self._config.api_key.value)
        except LookupError as error:
            raise RetryLater(f"{self.where}: {error}") from None
        parts = _API_KEY.fullmatch(text)
        if parts is None:
            raise RetryLater(
                f"{self.where}: the API key is not of the form NAME-UUID-UUID: copy "
                "it again"
            )
        return parts[1], parts[2]

    async def _sent_before(self, id: str, key: tuple[str, str]) -> list[str]:
        """The recipients of an earlier attempt that did not fail."""
        answer = await self._call(
            "GET", f"/v2/notifications?reference={quote(id)}", key
        )
        found = answer.get("notifications", ()) if isinstance(answer, dict) else ()
        return [
            _normal(one.get("email_address") or one.get("phone_number") or "")
            for one in found
            if isinstance(one, dict) and one.get("status") not in _FAILED
        ]

    async def _send(self, page: Page, to: str, key: tuple[str, str]) -> None:
        config = self._config
        is_mail = "@" in to
        body = {
            "email_address" if is_mail else "phone_number": to,
            "template_id": config.email_template if is_mail else config.sms_template,
            "personalisation": personalisation(page),
            "reference": page.id,
        }
        if is_mail and config.email_reply_to_id:
            body["email_reply_to_id"] = config.email_reply_to_id
        if not is_mail and config.sms_sender_id:
            body["sms_sender_id"] = config.sms_sender_id
        path = "/v2/notifications/email" if is_mail else "/v2/notifications/sms"
        answer = await self._call("POST", path, key, msgspec.json.encode(body))
        id = answer.get("id") if isinstance(answer, dict) else None
        if id:
            await self._confirm(str(id), key)

    async def _confirm(self, id: str, key: tuple[str, str]) -> None:
        """Waits a moment for the delivery; a longer one is not waited for."""
        left_s = self._config.confirm_s
        for wait_s in _LOOK_AGAIN_S:
            if left_s < wait_s:
                return
            left_s -= wait_s
            await asyncio.sleep(wait_s)
            try:
                answer = await self._call("GET", f"/v2/notifications/{quote(id)}", key)
            except (RetryLater, DeliveryRefused):
                # Notify has the message; only its state is not known.
                return
            status = answer.get("status") if isinstance(answer, dict) else ""
            if status in _ACCEPTED_AT_LAST:
                return
            if status in _FAILED:
                reason = f"not delivered ({status}): {_FAILED[status]}"
                if status in _FOR_GOOD:
                    raise DeliveryRefused(reason)
                raise RetryLater(reason)

    def _failure(
        self,
        error: Exception,
        to: str,
        is_refused: bool = False,
        may_have_arrived: bool = False,
        is_too_large: bool = False,
    ) -> RecipientFailure:
        reason = f"{to}: {str(error).removeprefix(f'{self.where}: ')}"
        return RecipientFailure(reason, is_refused, may_have_arrived, is_too_large)

    async def _call(
        self, method: str, path: str, key: tuple[str, str], content: bytes | None = None
    ) -> Any:
        service, secret = key
        token = json_web_token(service, secret, self._now_ms() // 1000)
        answer = await self._caller.call(
            method,
            path,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            },
            content=content,
            secrets=[secret, token],
        )
        return answer.data


def json_web_token(service: str, secret: str, now_s: int) -> str:
    """The token of a request: HS256 (RFC 7519), valid for 30 s. Pure."""
    head = _base64url(b'{"typ":"JWT","alg":"HS256"}')
    body = _base64url(json.dumps({"iss": service, "iat": now_s}).encode())
    mac = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{_base64url(mac.digest())}"


def personalisation(page: Page) -> dict[str, str]:
    """What a template may use. Notify refuses a message if one is missing, and ignores
    what a template does not use. Pure."""
    first = page.alerts[0]
    return {
        "subject": page.subject,
        "text": page.text,
        "short_text": page.short_text,
        "url": first.url,
        "severity": page.severity,
        "site": first.site_name,
    }


def _normal(recipient: str) -> str:
    return recipient.lower().replace(" ", "")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
