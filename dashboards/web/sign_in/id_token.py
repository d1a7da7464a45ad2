"""Checks an ID token (OpenID Connect Core section 3.1.3.7). Pure."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet

from dashboards.web.sign_in.sign_in_refusal import NOT_GENUINE, SignInRefused

_LONGEST_TOKEN = 64_000


class UnknownKey(Exception):
    """The token is signed with a key that the set does not have: perhaps a new one."""


class TokenRules(msgspec.Struct, frozen=True, kw_only=True):
    """What every token has to fit: who issues it and for which client, with which
    signature, and the time now, from which clocks may differ by `leeway_s`."""

    issuer: str
    client_id: str
    algorithms: Sequence[str]
    leeway_s: int
    now_s: int


def signing_keys(published: Sequence[dict[str, Any]]) -> KeySet:
    """The keys of a published set that sign. One of a new kind, or that cannot be
    read, is no reason to do without the others (RFC 7517 section 5)."""
    keys: list[Key] = []
    for key in published:
        if key.get("use", "sig") != "sig" or key.get("kty") == "oct":
            continue
        with contextlib.suppress(JoseError, ValueError, TypeError, KeyError):
            keys += KeySet.import_key_set({"keys": [key]}).keys
    return KeySet(keys)


def check_id_token(
    token: str, keys: KeySet, rules: TokenRules, nonce: str | None
) -> dict[str, Any]:
    """Returns the claims. Raises `UnknownKey` or `SignInRefused`. Without `nonce` none
    is expected, and one that is there has to be compared by the caller."""
    claims = signed_claims(token, keys, rules, essential=("sub",))
    subject = claims["sub"]
    if not 0 < len(subject) <= 255:
        raise _refused("sub is empty or too long")
    audience = claims["aud"]
    party = claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise _refused("several audiences, and azp is missing")
    if party is not None and party != rules.client_id:
        raise _refused("azp is another client")
    given = claims.get("nonce")
    if nonce is not None and (
        not isinstance(given, str)
        or not secrets.compare_digest(given.encode(errors="replace"), nonce.encode())
    ):
        raise _refused("nonce is not that of this sign-in")
    return claims


def signed_claims(
    token: str, keys: KeySet, rules: TokenRules, essential: Sequence[str]
) -> dict[str, Any]:
    """The claims of a token that fits the rules and has the `essential` ones. Raises
    `UnknownKey` or `SignInRefused`."""
    claims = _decoded_claims(token, keys, rules.algorithms)
    registry = jwt.JWTClaimsRegistry(
        now=rules.now_s,
        leeway=rules.leeway_s,
        iss={"essential": True, "value": rules.issuer},
        aud={"essential": True, "value": rules.client_id},
        exp={"essential": True},
        iat={"essential": True},
    )
    for name in essential:
        registry.options[name] = {"essential": True}
    try:
        registry.validate(claims)
    except JoseError as error:
        raise _refused(f"{error.error}: {error.description}") from None
    return claims


def believed_claims(token: str) -> dict[str, Any]:
    """The claims of an ID token that was checked before; none if it cannot be read."""
    try:
        body = token.split(".")[1]
        read = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _decoded_claims(
    token: str, keys: KeySet, algorithms: Sequence[str]
) -> dict[str, Any]:
    if len(token) > _LONGEST_TOKEN:
        raise _refused("the token is too long")
    try:
        return dict(jwt.decode(token, keys, algorithms=list(algorithms)).claims)
    except InvalidKeyIdError:
        raise UnknownKey from None
    except JoseError as error:
        raise _refused(f"{error.error}: {error.description}") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused(f"the token cannot be read ({type(error).__name__})") from None


def _refused(detail: str) -> SignInRefused:
    return SignInRefused(NOT_GENUINE, f"ID token: {detail}".rstrip(": "))
