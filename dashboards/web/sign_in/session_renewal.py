"""`SessionRenewal`: asks the provider now and then who has signed in, and which roles
they have, so that a person who was removed there is out within minutes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

import structlog

from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.identity_provider import GrantEnded
from dashboards.web.sign_in.provider_sign_in import NotConfirmed, ProviderSignIn
from dashboards.web.sign_in.sealed_token import unsealed
from dashboards.web.sign_in.sign_in_refusal import SignInRefused
from dashboards.web.sign_in.sign_in_sessions import SignInSession, SignInSessions
from dashboards.web.visitors import VisitorSource, ordered_roles
from probes.wire.clock import WallClock

_log = structlog.get_logger()
_Answer = TypeVar("_Answer")
# A request waits this long for the provider. Then it is answered with what was last
# confirmed, and the renewal continues in the background.
_WAIT_S = 3.0
# If the provider does not answer, one request tries again after this time.
_AWAY_MS = 30_000


class SessionRenewal:
    """Renews a session if it is used and was not confirmed for `renew_s`. If the
    provider does not say, the session stays until `longest_unconfirmed_s`."""

    def __init__(
        self,
        renew_s: int,
        provider: ProviderSignIn,
        sessions: SignInSessions,
        audit: AccessAudit,
        now_ms: WallClock,
    ) -> None:
        self._renew_ms, self._provider = 1000 * renew_s, provider
        self._sessions, self._audit, self._now_ms = sessions, audit, now_ms
        # One at a time for each session: many providers treat a refresh token that is
        # used twice as stolen.
        self._running: dict[str, asyncio.Task[SignInSession | None]] = {}
        self._failed_ms: int | None = None

    async def confirmed(
        self, session: SignInSession, secret: str
    ) -> SignInSession | None:
        """The session as it is now; None if it is over."""
        task = self._running.get(session.reference)
        if task is None:
            if not self._is_due(session):
                return session
            token = unsealed(session.refresh_token, secret)
            if not token:
                return session
            task = asyncio.create_task(
                self._renewed(session, secret, token), name="renew a session"
            )
            self._running[session.reference] = task
            task.add_done_callback(lambda _: self._running.pop(session.reference))
        # The renewal continues if the browser leaves: its refresh token is used up.
        done, _ = await asyncio.wait({task}, timeout=_WAIT_S)
        return task.result() if done else session

    def _is_due(self, session: SignInSession) -> bool:
        now_ms = self._now_ms()
        if now_ms - session.confirmed_ms < self._renew_ms:
            return False
        if self._failed_ms is None:
            return True
        return not self._running and now_ms - self._failed_ms >= _AWAY_MS

    async def _renewed(
        self, session: SignInSession, secret: str, token: str
    ) -> SignInSession | None:
        try:
            person = await self._provider.renew(session.id_token, token)
        except NotConfirmed as error:
            self._failed_ms = self._now_ms()
            _log.warning("session_not_confirmed", error=str(error))
            if new := error.refresh_token:
                await self._filed(lambda: self._sessions.keep_token(secret, new))
            return session
        except (GrantEnded, SignInRefused) as refusal:
            self._failed_ms = None
            why = refusal.detail if isinstance(refusal, SignInRefused) else str(refusal)
            await self._end(session, secret, why)
            return None
        self._failed_ms = None
        if person.id != session.id:
            await self._end(session, secret, "it is another person now")
            return None
        roles = ordered_roles(person.roles)
        if set(roles) != set(session.roles):
            before, after = ", ".join(session.roles), ", ".join(roles)
            await self._noted(session, "change roles", f"{before} -> {after}")
        is_on = await self._filed(
            lambda: self._sessions.confirm(
                secret, person.name, roles, person.grant.refresh_token
            )
        )
        if is_on is None:
            # The refresh token is used up, and the new one could not be kept.
            return session
        return await self._filed(lambda: self._sessions.find(secret, is_use=False))

    async def _end(self, session: SignInSession, secret: str, why: str) -> None:
        await self._filed(lambda: self._sessions.end(secret))
        await self._noted(session, "sign out", f"done: not confirmed: {why}")

    async def _noted(self, session: SignInSession, action: str, outcome: str) -> None:
        about = VisitorSource.PROVIDER
        await self._filed(
            lambda: self._audit.record(session.name, session.id, action, about, outcome)
        )

    async def _filed(self, work: Callable[[], _Answer]) -> _Answer | None:
        try:
            return await asyncio.to_thread(work)
        except (sqlite3.Error, OSError) as error:
            _log.error("sign_in_file_not_written", error=repr(error))
            return None
