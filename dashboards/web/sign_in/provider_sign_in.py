"""`ProviderSignIn`: a sign-in with the council's provider, from its first step on."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec

from dashboards.web.sign_in.authorization_request import (
    StartedSignIns,
    authorization_url,
    code_of,
    with_query,
)
from dashboards.web.sign_in.id_token import believed_claims
from dashboards.web.sign_in.identity_provider import IdentityProvider, TokenAnswer
from dashboards.web.sign_in.logout_token import Logout
from dashboards.web.sign_in.role_claims import (
    GROUPS_LEFT_OUT,
    claimed_roles,
    display_name,
    groups_left_out,
    stable_id,
)
from dashboards.web.sign_in.sign_in_config import OidcConfig, SignInConfig
from dashboards.web.sign_in.sign_in_refusal import SignInRefused
from dashboards.web.sign_in.sign_in_sessions import ProviderGrant
from dashboards.web.visitors import Role
from probes.wire.clock import WallClock

ANSWER_PATH, SIGNED_OUT_PATH = "/sign-in/answer", "/signed-out"


class ProvidedPerson(msgspec.Struct, frozen=True):
    """Who the provider says that it is. `next`: the page that they wanted; `remark`:
    for the audit log."""

    id: str
    name: str
    roles: frozenset[Role]
    grant: ProviderGrant
    next: str = "/"
    remark: str = ""


class NotConfirmed(Exception):
    """The provider did not say whether a person may still be signed in.
    `refresh_token`: a new one, if it gave one, as the old one may be used up."""

    def __init__(self, why: str, refresh_token: str = "") -> None:
        super().__init__(why)
        self.refresh_token = refresh_token


class ProviderSignIn:
    """Every method raises `SignInRefused` with why it did not work."""

    def __init__(
        self, config: SignInConfig, oidc: OidcConfig, now_ms: WallClock
    ) -> None:
        self._config, self._oidc, self._now_ms = config, oidc, now_ms
        self._provider = IdentityProvider(oidc, now_ms)
        self._started = StartedSignIns()
        self._redirect_uri = config.base_url + ANSWER_PATH

    async def start(self, browser: str, next_path: str, address: str) -> str:
        """Returns the address where the person signs in. `address`: the browser's."""
        metadata = await self._provider.metadata()
        started = self._started.start(browser, next_path, address, self._now_ms())
        return authorization_url(
            metadata.authorization_endpoint,
            self._oidc.client_id,
            self._oidc.scopes,
            self._redirect_uri,
            started,
        )

    async def finish(self, query: str, browser: str) -> ProvidedPerson:
        """Who it is, by what the browser brought back."""
        values = _answer_values(query)
        state = values.get("state", [""])[0]
        started = self._started.finish(state, browser, self._now_ms())
        metadata = await self._provider.metadata()
        code = code_of(
            values,
            metadata.issuer,
            metadata.authorization_response_iss_parameter_supported,
        )
        given = await self._provider.redeem(code, started.verifier, self._redirect_uri)
        claims = await self._provider.claims(given.id_token, started.nonce)
        return self._person(claims, given, started.next)

    async def renew(self, id_token: str, refresh_token: str) -> ProvidedPerson:
        """Who it is now, of a person who signed in with that ID token. Raises
        `GrantEnded` if the provider ends it, and `NotConfirmed` if it does not say."""
        before = believed_claims(id_token)
        new_token = ""
        try:
            given = await self._provider.renew(refresh_token)
            new_token = given.refresh_token
            claims = await self._provider.claims(given.id_token, None)
        except SignInRefused as refusal:
            raise NotConfirmed(refusal.detail, new_token) from None
        if any(claims.get(n, before.get(n)) != before.get(n) for n in ("sub", "nonce")):
            raise NotConfirmed("the new ID token is of another sign-in")
        # If the provider gives no new refresh token, the old one stays valid.
        kept = given.refresh_token or refresh_token
        return self._person(
            claims, msgspec.structs.replace(given, refresh_token=kept), "/"
        )

    async def logout(self, token: str) -> Logout:
        """Whom the provider signs out."""
        return await self._provider.logout(token)

    def _person(
        self, claims: dict[str, Any], given: TokenAnswer, next_path: str
    ) -> ProvidedPerson:
        id = f"council:{stable_id(claims, self._oidc.id_claims)}"
        roles = claimed_roles(
            claims,
            self._oidc.role_claims,
            self._config.roles,
            self._config.everybody,
        )
        name = display_name(claims, self._oidc.name_claims) or id
        remark = GROUPS_LEFT_OUT if groups_left_out(claims) else ""
        session = claims.get("sid")
        grant = ProviderGrant(
            claims["sub"],
            session if isinstance(session, str) else "",
            given.id_token,
            given.refresh_token,
        )
        return ProvidedPerson(id, name, frozenset(roles), grant, next_path, remark)

    async def end_session_url(self, id_token: str) -> str:
        """Where the person signs out of the council's account too (OpenID Connect
        RP-Initiated Logout 1.0); empty if that is nowhere."""
        try:
            metadata = await self._provider.metadata()
        except SignInRefused:
            return ""
        if not metadata.end_session_endpoint:
            return ""
        return with_query(
            metadata.end_session_endpoint,
            {
                "id_token_hint": id_token,
                "client_id": self._oidc.client_id,
                "post_logout_redirect_uri": self._config.base_url + SIGNED_OUT_PATH,
            },
        )


def _answer_values(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(
            query, keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise SignInRefused(
            "The answer of your council's sign-in was not understood. Start again.",
            "the answer cannot be read",
            400,
        ) from None
