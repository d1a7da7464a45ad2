"""Who calls the API: a program with a token, or a person who has signed in.

A token is looked up in the file of tokens for each request, so that a revoked one is
refused from the next request on. That costs an eighth of a millisecond.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
import structlog

from alerts.api_tokens import ApiToken, ApiTokens, secret_hash
from dashboards.web.api.api_problem import ApiProblem
from dashboards.web.visitors import Right, Visitor

_USE_NOTED_MS = 60_000
_MOST_KEPT = 1_000
_LONGEST_SECRET = 200
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Towpath"'}
_INVALID = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

_log = structlog.get_logger()


class Caller(msgspec.Struct, frozen=True):
    """`name`: the token's or the person's; `key`: those with the same share one
    rate; `id`: of a person, stays the same if the name changes."""

    name: str
    rights: frozenset[Right]
    key: str
    is_token: bool = False
    id: str = ""

    def need(self, right: Right | None) -> None:
        """Raises `ApiProblem` unless the caller has that right."""
        if right is None or right in self.rights:
            return
        if not self.name:
            raise no_token(f"this needs a token with the scope {right}")
        raise ApiProblem(
            403,
            f"the token {self.name!r} does not have the scope {right}"
            if self.is_token
            else f"you may not do this: it needs the right {right}",
        )


class ApiAccess:
    """Finds out who calls. `tokens` is the file of tokens."""

    def __init__(self, tokens: ApiTokens) -> None:
        self._tokens = tokens
        self._familiar: OrderedDict[bytes, None] = OrderedDict()
        self._noted_ms: dict[str, int] = {}

    def is_familiar(self, secret: str) -> bool:
        """Whether the token was found before, however long ago."""
        return secret_hash(secret) in self._familiar

    async def token(self, secret: str, now_ms: int) -> ApiToken:
        """The token of this secret. Raises `ApiProblem` if it may do nothing."""
        token = await self._look_up(secret)
        if refusal := token.refusal(now_ms):
            _log.warning("api_token_refused", error=refusal)
            raise ApiProblem(401, refusal, _INVALID)
        if now_ms - self._noted_ms.get(token.name, 0) >= _USE_NOTED_MS:
            self._noted_ms[token.name] = now_ms
            await self._note_use(token.name, now_ms)
        return token

    async def _look_up(self, secret: str) -> ApiToken:
        found: ApiToken | None = None
        if len(secret) <= _LONGEST_SECRET:
            try:
                found = await asyncio.to_thread(self._tokens.find, secret_hash(secret))
            except (sqlite3.Error, OSError) as error:
                _log.warning("api_tokens_not_read", error=repr(error))
                raise ApiProblem(
                    503, f"the tokens cannot be read ({error}): try again"
                ) from None
        if found is None:
            raise ApiProblem(401, "this token is not known", _INVALID)
        self._familiar[secret_hash(secret)] = None
        while len(self._familiar) > _MOST_KEPT:
            self._familiar.popitem(last=False)
        return found

    async def _note_use(self, name: str, now_ms: int) -> None:
        try:
            await asyncio.to_thread(self._tokens.note_use, name, now_ms)
        except (sqlite3.Error, OSError) as error:
            # It may be read only: reading still works.
            _log.warning("api_token_use_not_noted", error=repr(error))


def bearer_secret(authorization: Sequence[str]) -> str | None:
    """The secret of the header; None without one. Raises `ApiProblem`, also if there
    are several: a proxy may have checked another one."""
    if not authorization:
        return None
    if len(authorization) > 1:
        raise ApiProblem(400, "expected the header Authorization once")
    scheme, _, secret = authorization[0].partition(" ")
    if scheme.casefold() != "bearer" or not secret.strip():
        raise no_token("expected the header Authorization: Bearer TOKEN")
    return secret.strip()


def no_token(why: str) -> ApiProblem:
    return ApiProblem(401, f"{why}; make one with `towpath api token new`", _CHALLENGE)


def token_caller(token: ApiToken) -> Caller:
    known = {right.value: right for right in Right}
    rights = frozenset(known[scope] for scope in token.scopes if scope in known)
    return Caller(token.name, rights, f"token {token.name}", is_token=True)


def visitor_caller(visitor: Visitor, address: str) -> Caller:
    """A person who has signed in, or a visitor without a name."""
    if not visitor.is_signed_in:
        return Caller("", visitor.rights, f"address {address}")
    key = f"visitor {visitor.id}"
    return Caller(visitor.name, visitor.rights, key, id=visitor.id)
