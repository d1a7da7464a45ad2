"""`IdentityProvider`: the council's provider, by its discovery document (OpenID Connect
Discovery 1.0): where people sign in, and which keys sign what it says about them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec
import structlog
from joserfc.jwk import KeySet

from collectors.checked_client import checked_client
from collectors.limited_body import read_limited
from dashboards.web.sign_in.id_token import (
    TokenRules,
    UnknownKey,
    check_id_token,
    signing_keys,
)
from dashboards.web.sign_in.kept_document import KeptDocument, ProviderUnusable
from dashboards.web.sign_in.logout_token import Logout, check_logout_token
from dashboards.web.sign_in.sign_in_config import OidcConfig, secure_address
from dashboards.web.sign_in.sign_in_refusal import (
    NOT_GENUINE,
    NOT_REACHED,
    START_AGAIN,
    SignInRefused,
)
from probes.wire.clock import WallClock

_log = structlog.get_logger()
_Document = TypeVar("_Document")
_MOST_BYTES = 1 << 20
# The code or refresh token is over, or the person has to be asked again (RFC 6749
# section 5.2, OpenID Connect Core section 3.1.2.6). Everything else is a fault.
_GRANT_ENDED = frozenset(
    {"invalid_grant", "interaction_required", "login_required", "consent_required"}
)


class ProviderMetadata(msgspec.Struct, frozen=True):
    """What Towpath uses of the discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class TokenAnswer(msgspec.Struct, frozen=True):
    """What the token endpoint gave. Towpath uses no access token."""

    id_token: str = ""
    refresh_token: str = ""
    error: str = ""


class GrantEnded(Exception):
    """The provider does not give tokens for this sign-in any more."""


class IdentityProvider:
    """Each document is fetched when it is needed and kept for an hour."""

    def __init__(self, config: OidcConfig, now_ms: WallClock) -> None:
        self.config, self._now_ms = config, now_ms
        self._metadata = KeptDocument[ProviderMetadata](now_ms)
        self._keys = KeptDocument[KeySet](now_ms)
        self._tls: ssl.SSLContext | None = None

    async def metadata(self) -> ProviderMetadata:
        """Raises `SignInRefused` if it cannot be had."""
        return await self._metadata.get(self._discover)

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> TokenAnswer:
        """Exchanges the code for an ID token. Raises `SignInRefused`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        try:
            return await self._tokens(form)
        except GrantEnded:
            text = "the provider refused the code"
            raise SignInRefused(START_AGAIN, text) from None

    async def renew(self, refresh_token: str) -> TokenAnswer:
        """Asks for a new ID token (OpenID Connect Core section 12). Raises
        `GrantEnded`, or `SignInRefused` if the provider did not say."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self._tokens(form)

    async def _tokens(self, form: dict[str, str]) -> TokenAnswer:
        metadata = await self.metadata()
        try:
            form, headers = await asyncio.to_thread(self._identify, form, metadata)
            status, body = await self._fetch(
                "POST", metadata.token_endpoint, form=form, headers=headers
            )
            answer = _decoded(body, TokenAnswer, metadata.token_endpoint)
        except (ProviderUnusable, LookupError) as error:
            _log.warning("identity_provider_unusable", error=str(error))
            raise SignInRefused(NOT_REACHED, str(error), 503) from None
        if answer.error in _GRANT_ENDED:
            raise GrantEnded(answer.error)
        if status != 200 or answer.error:
            word = answer.error if answer.error.isprintable() else ""
            detail = f"the token endpoint answered {status} {word[:60]}".rstrip()
            _log.warning("identity_provider_refused", error=detail)
            raise SignInRefused(NOT_REACHED, detail, 503)
        return answer

    async def claims(self, id_token: str, nonce: str | None) -> dict[str, Any]:
        """What the token says, once it is checked. Raises `SignInRefused`."""
        if not id_token:
            raise SignInRefused(NOT_GENUINE, "the token endpoint gave no ID token")
        return await self._checked(
            lambda keys, rules: check_id_token(id_token, keys, rules, nonce)
        )

    async def logout(self, token: str) -> Logout:
        """Whom the provider signs out. Raises `SignInRefused`."""
        return await self._checked(
            lambda keys, rules: check_logout_token(token, keys, rules)
        )

    async def _checked(
        self, check: Callable[[KeySet, TokenRules], _Document]
    ) -> _Document:
        metadata = await self.metadata()
        rules = TokenRules(
            issuer=metadata.issuer,
            client_id=self.config.client_id,
            algorithms=self.config.algorithms,
            leeway_s=self.config.leeway_s,
            now_s=self._now_ms() // 1000,
        )
        try:
            return check(await self._key_set(metadata, again=False), rules)
        except UnknownKey:
            try:
                return check(await self._key_set(metadata, again=True), rules)
            except UnknownKey:
                raise SignInRefused(
                    NOT_GENUINE, "the token is signed with a key that is not published"
                ) from None

    async def _key_set(self, metadata: ProviderMetadata, again: bool) -> KeySet:
        return await self._keys.get(lambda: self._fetch_keys(metadata.jwks_uri), again)

    async def _discover(self) -> ProviderMetadata:
        issuer = self.config.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        status, body = await self._fetch("GET", url)
        if status != 200:
            raise ProviderUnusable(f"{url} answered {status}")
        metadata = _decoded(body, ProviderMetadata, url)
        if metadata.issuer != issuer:
            shown = metadata.issuer[:200]
            raise ProviderUnusable(
                f"web.sign_in.oidc.issuer is {issuer!r}, but {url} names {shown!r}"
            )
        endpoints = {
            "authorization_endpoint": metadata.authorization_endpoint,
            "token_endpoint": metadata.token_endpoint,
            "jwks_uri": metadata.jwks_uri,
        }
        if metadata.end_session_endpoint:
            endpoints["end_session_endpoint"] = metadata.end_session_endpoint
        for name, address in endpoints.items():
            try:
                secure_address(address.partition("?")[0])
            except ValueError as error:
                raise ProviderUnusable(f"{url}: {name}: {error}") from None
        return metadata

    async def _fetch_keys(self, url: str) -> KeySet:
        status, body = await self._fetch("GET", url)
        if status != 200:
            raise ProviderUnusable(f"{url} answered {status}")
        document = _decoded(body, dict[str, list[dict[str, Any]]], url)
        keys = signing_keys(document.get("keys", []))
        if not keys:
            raise ProviderUnusable(f"{url} has no key that signs and is known here")
        return keys

    def _identify(
        self, form: dict[str, str], metadata: ProviderMetadata
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Adds how Towpath shows who it is. Blocking. Raises `LookupError`."""
        client, secret = self.config.client_id, self.config.client_secret
        if not secret:
            return form | {"client_id": client}, {}
        methods = metadata.token_endpoint_auth_methods_supported
        if "client_secret_basic" not in methods and "client_secret_post" in methods:
            return form | {"client_id": client, "client_secret": secret.value()}, {}
        # Encoded as a form is (RFC 6749 section 2.3.1).
        pair = httpx2.BasicAuth(quote(client, safe=""), quote(secret.value(), safe=""))
        request = next(pair.auth_flow(httpx2.Request("POST", metadata.token_endpoint)))
        return form, {"Authorization": request.headers["Authorization"]}

    async def _fetch(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and body. Redirects are not followed. Raises `ProviderUnusable`."""
        shown = url.partition("?")[0]
        try:
            async with asyncio.timeout(self.config.timeout_s):
                if self._tls is None:
                    self._tls = await asyncio.to_thread(
                        ssl.create_default_context, cafile=self.config.ca_file or None
                    )
                async with (
                    checked_client(
                        url, self._tls, timeout=self.config.timeout_s
                    ) as client,
                    client.stream(
                        method,
                        url,
                        data=form,
                        headers={"Accept": "application/json", **(headers or {})},
                    ) as response,
                ):
                    body = await read_limited(response.aiter_bytes(), _MOST_BYTES)
        except TimeoutError:
            raise ProviderUnusable(
                f"{shown}: no answer in {self.config.timeout_s:g} s"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
            raise ProviderUnusable(f"{shown}: {reason}") from None
        if body is None:
            raise ProviderUnusable(f"{shown} answered too much")
        return response.status_code, body


def _decoded(body: bytes, kind: type[_Document], url: str) -> _Document:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProviderUnusable(
            f"{url.partition('?')[0]} did not answer as expected: {error}"
        ) from None
