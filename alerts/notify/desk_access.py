"""`DeskAccess`: how a service desk knows Towpath: by user and password, a token, or a
token that it gives for client credentials (OAuth2, RFC 6749 section 4.4)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from alerts.notify.delivery_result import RetryLater, UnauthorisedCall
from alerts.notify.desk_product import DeskProduct, DeskRequest, fill
from alerts.notify.desk_settings import ServiceDeskConfig
from alerts.notify.http_caller import HttpAnswer, HttpCaller
from collectors.secret import Secret
from probes.wire.clock import WallClock

# A token is renewed this long before it ends.
_EARLY_MS = 60_000
_SHORTEST_MS = 60_000


class DeskAccess:
    """Sends requests with what the desk wants to see."""

    def __init__(
        self, config: ServiceDeskConfig, product: DeskProduct, now_ms: WallClock
    ) -> None:
        self._config, self._product, self._now_ms = config, product, now_ms
        self._caller = HttpCaller(
            product.title, config.url, config.ca_file, config.timeout_s, now_ms
        )
        self._token, self._token_until_ms = "", 0
        self.where = self._caller.where

    async def send(self, request: DeskRequest, values: dict[str, Any]) -> HttpAnswer:
        """Raises what `HttpCaller.call` does."""
        try:
            answer = await self._send_once(request, values)
        except UnauthorisedCall:
            if not self._token:
                raise
            # It was withdrawn before its time.
            self._token = ""
            answer = await self._send_once(request, values)
        return answer

    async def _send_once(
        self, request: DeskRequest, values: dict[str, Any]
    ) -> HttpAnswer:
        headers = {"Accept": "application/json"}
        basic: tuple[str, str] | None = None
        secrets: list[str] = []
        config, product = self._config, self._product
        if config.client_id:
            token = await self._oauth2_token()
            headers["Authorization"] = f"Bearer {token}"
            secrets = [token]
        elif config.user:
            basic = (config.user, await self._secret(config.password))
        else:
            token = await self._secret(config.token)
            secrets = [token]
            if product.basic_from_token:
                basic = (token, "X")
            else:
                headers["Authorization"] = f"Bearer {token}"
        body = fill(request.body, values) if request.body is not None else None
        return await self._caller.call(
            request.method,
            str(fill(request.path, {k: _in_path(v) for k, v in values.items()})),
            headers=headers,
            query={
                name: text
                for name, value in request.query.items()
                if (text := str(fill(value, values)))
            },
            json_body=body,
            basic=basic,
            secrets=secrets,
        )

    async def _oauth2_token(self) -> str:
        now_ms = self._now_ms()
        if self._token and now_ms < self._token_until_ms:
            return self._token
        config, settings = self._config, self._product.oauth2
        assert settings is not None
        secret = await self._secret(config.client_secret)
        url = config.token_url or settings.url
        if url.startswith("/"):
            caller, path = self._caller, url
        else:
            caller, path = (
                HttpCaller("token server", url, config.ca_file, config.timeout_s),
                "",
            )
        answer = await caller.call(
            "POST",
            path,
            headers={"Accept": "application/json"},
            form={
                "grant_type": "client_credentials",
                "client_id": config.client_id,
                "client_secret": secret,
                **settings.form,
            },
            secrets=[secret],
        )
        data = answer.data if isinstance(answer.data, dict) else {}
        token = data.get("access_token")
        if not isinstance(token, str) or not token:
            raise RetryLater(f"{caller.where}: its answer has no access_token")
        lasts_s = data.get("expires_in")
        lasts_ms = lasts_s * 1000 if isinstance(lasts_s, int | float) else 0
        self._token = token
        self._token_until_ms = now_ms + max(round(lasts_ms) - _EARLY_MS, _SHORTEST_MS)
        return token

    async def _secret(self, place: Secret) -> str:
        try:
            return await asyncio.to_thread(place.value)
        except LookupError as error:
            raise RetryLater(f"{self.where}: {error}") from None


def _in_path(value: Any) -> str:
    return quote(str(value), safe="")
