"""`HttpCaller`: requests of a channel to one HTTP server, and what became of them.

Every failure is one sentence that names the server without path or query, and with all
secrets hidden: the address of a webhook is a secret itself, and servers repeat in their
answers what they were sent.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from alerts.notify.delivery_result import (
    DeliveryRefused,
    MessageTooLarge,
    RetryLater,
    UnauthorisedCall,
)
from collectors.checked_client import checked_client
from probes.wire.clock import WallClock, wall_ms
from probes.wire.display import displayable
from probes.wire.retry_after import retry_after_s

_LONGEST_WAIT_S = 3600.0
LATER_STATUSES = {408, 409, 421, 423, 425, 429}
_UNAUTHORISED, _TOO_LARGE = 401, 413
# What is behind the gateway may have accepted it.
_FROM_GATEWAYS = {502, 504}
_MOST_BYTES = 4 << 20
_QUOTED_BYTES = 4096
_QUOTED_CHARACTERS = 300
# Shorter texts are too likely to be a word of the sentence.
_SHORTEST_SECRET = 4


class HttpAnswer(NamedTuple):
    """A complete answer; `data` is its JSON, or None."""

    status: int
    data: Any
    text: str


class HttpCaller:
    """`name` and the server's address begin every sentence. Redirects are not followed:
    a page, and the key that goes with it, are for one address."""

    def __init__(
        self,
        name: str,
        url: str,
        ca_file: str = "",
        timeout_s: float = 10.0,
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._url, self._ca_file, self._timeout_s = url, ca_file, timeout_s
        self._now_ms = now_ms
        self._tls: ssl.SSLContext | None = None
        self.where = f"{name} {server_of(url)}"

    async def call(
        self,
        method: str,
        path: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        secrets: Sequence[str] = (),
        want_body: bool = True,
        refusals: Mapping[int, str] | None = None,
    ) -> HttpAnswer:
        """Returns the answer if it is 2xx. Raises `RetryLater` for 5xx, 408, 425, 429
        and failed connections, and `DeliveryRefused` for any other.

        Without `want_body`, a 2xx counts once its header has arrived. `refusals`: a
        hint to add for a status.
        """
        hidden = [*secrets, *_secret_parts(self._url)]
        if basic:
            hidden += basic
        sent_headers = {"User-Agent": "Towpath", **(headers or {})}
        if json_body is not None:
            content = json.dumps(json_body).encode()
            sent_headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._tls is None:
                    self._tls = await asyncio.to_thread(
                        ssl.create_default_context, cafile=self._ca_file or None
                    )
                async with (
                    checked_client(
                        self._url, self._tls, timeout=self._timeout_s
                    ) as client,
                    client.stream(
                        method,
                        f"{self._url.rstrip('/')}{path}" if path else self._url,
                        headers=sent_headers,
                        params=query or None,
                        content=content,
                        data=form,
                        auth=basic,
                    ) as response,
                ):
                    if response.is_success and not want_body:
                        return HttpAnswer(response.status_code, None, "")
                    most = _MOST_BYTES if response.is_success else _QUOTED_BYTES
                    text = await _read(response, most)
        except TimeoutError:
            raise RetryLater(
                f"{self.where}: no answer in {self._timeout_s:g} s",
                may_have_arrived=True,
            ) from None
        except httpx2.InvalidURL as error:
            raise DeliveryRefused(
                f"{self.where}: {hide_secrets(str(error), hidden)}"
            ) from None
        except (httpx2.HTTPError, OSError) as error:
            reason = hide_secrets(str(error), hidden) or type(error).__name__
            unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise RetryLater(
                f"{self.where}: {reason}", may_have_arrived=not unsent
            ) from None
        if response.is_success:
            return HttpAnswer(response.status_code, _json(text), text)
        raise self._failure(response, text, hidden, refusals or {})

    def _failure(
        self,
        response: httpx2.Response,
        text: str,
        hidden: Sequence[str],
        refusals: Mapping[int, str],
    ) -> Exception:
        status = response.status_code
        if response.is_redirect:
            to = server_of(response.headers.get("Location", "")) or "another address"
            return DeliveryRefused(
                f"{self.where}: answered {status}, a redirect to {to}, which is not "
                "followed: give the final address"
            )
        quoted = " ".join(displayable(_flat(_json(text)) or text).split())
        reason = f"{self.where}: answered {status}"
        if quoted:
            reason += f" {hide_secrets(quoted, hidden)[:_QUOTED_CHARACTERS]!r}"
        if hint := refusals.get(status):
            reason += f": {hint}"
        if status == _TOO_LARGE:
            return MessageTooLarge(f"{reason}: the message is too large")
        if status == _UNAUTHORISED:
            return UnauthorisedCall(reason)
        if status < 500 and status not in LATER_STATUSES:
            return DeliveryRefused(reason)
        header = response.headers.get("Retry-After")
        wait_s = retry_after_s(header, self._now_ms() / 1000)
        if wait_s is not None:
            wait_s = min(wait_s, _LONGEST_WAIT_S)
        return RetryLater(reason, wait_s, may_have_arrived=status in _FROM_GATEWAYS)


def server_of(url: str) -> str:
    """The scheme, host and port of an address, without anything that may be secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""


def hide_secrets(text: str, secrets: Sequence[str]) -> str:
    """The text without these secrets. Pure."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return text


def _secret_parts(url: str) -> list[str]:
    """What follows the host of an address, whole and in parts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    rest = url.partition(parts.netloc)[2] if parts.netloc else ""
    pieces = [rest, parts.path, parts.query, *parts.path.split("/")]
    pieces += [value.partition("=")[2] for value in parts.query.split("&")]
    return [*pieces, parts.username or "", parts.password or ""]


async def _read(response: httpx2.Response, most_bytes: int) -> str:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= most_bytes:
            break
    return body[:most_bytes].decode(errors="replace")


def _flat(data: Any) -> str:
    """The texts of a JSON answer with their names: `errors: email: is missing`."""
    if isinstance(data, dict):
        parts = [
            f"{name}: {text}" for name, item in data.items() if (text := _flat(item))
        ]
        return "; ".join(parts)
    if isinstance(data, list):
        return "; ".join(text for item in data if (text := _flat(item)))
    return "" if data is None else str(data)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
