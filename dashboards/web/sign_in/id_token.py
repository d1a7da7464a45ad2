"""Checks an ID token (OpenID Connect Core section 3.1.3.7). Pure."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet

from dashboards.web.sign_in.sign_in_refusal import NOT_GENUINE, SignInRefused

_LONGEST_TOKEN = 64_000


class UnknownKey(Exception):
    """The token is signed with a key that the set does not have: perhaps a new one."""


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
    token: str,
    keys: KeySet,
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    algorithms: Sequence[str],
    leeway_s: int,
    now_s: int,
) -> dict[str, Any]:
    """Returns the claims. Raises `UnknownKey` or `SignInRefused`."""
    claims = _signed_claims(token, keys, algorithms)
    registry = jwt.JWTClaimsRegistry(
        now=now_s,
        leeway=leeway_s,
        iss={"essential": True, "value": issuer},
        sub={"essential": True},
        aud={"essential": True, "value": client_id},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        registry.validate(claims)
    except JoseError as error:
        raise _refused(f"{error.error}: {error.description}") from None
    subject = claims["sub"]
    if not 0 < len(subject) <= 255:
        raise _refused("sub is empty or too long")
    audience = claims["aud"]
    party = claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise _refused("several audiences, and azp is missing")
    if party is not None and party != client_id:
        raise _refused("azp is another client")
    given = claims.get("nonce")
    if not isinstance(given, str) or not secrets.compare_digest(
        given.encode(errors="replace"), nonce.encode()
    ):
        raise _refused("nonce is not that of this sign-in")
    return claims


def _signed_claims(
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
