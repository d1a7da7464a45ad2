"""Checks a logout token, with which the provider says that a person has signed out or
may not sign in any more (OpenID Connect Back-Channel Logout 1.0 section 2.6). Pure."""

from __future__ import annotations

import msgspec
from joserfc.jwk import KeySet

from dashboards.web.sign_in.id_token import TokenRules, signed_claims
from dashboards.web.sign_in.sign_in_refusal import NOT_GENUINE, SignInRefused

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
# Providers send it at once. Used tokens are kept for longer, so each works only once.
_LONGEST_AGE_S = 600


class Logout(msgspec.Struct, frozen=True):
    """Who is signed out: a person (`subject`), or one session of the provider; `id` is
    of this token alone."""

    subject: str
    provider_session: str
    id: str


def check_logout_token(token: str, keys: KeySet, rules: TokenRules) -> Logout:
    """Raises `UnknownKey` or `SignInRefused`."""
    claims = signed_claims(token, keys, rules, essential=("jti",))
    subject, session = claims.get("sub", ""), claims.get("sid", "")
    events, id = claims.get("events"), claims["jti"]
    if not all(isinstance(text, str) for text in (subject, session, id)) or not id:
        raise _refused("sub, sid or jti is no text")
    if not subject and not session:
        raise _refused("it names neither a person nor a session")
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise _refused("events does not have that of a logout")
    # An ID token has one, and must not pass for a logout token.
    if "nonce" in claims:
        raise _refused("it has a nonce")
    if rules.now_s - claims["iat"] > _LONGEST_AGE_S + rules.leeway_s:
        raise _refused("it is older than ten minutes")
    return Logout(subject, session, id)


def _refused(detail: str) -> SignInRefused:
    return SignInRefused(NOT_GENUINE, f"logout token: {detail}", 400)
