"""Where the provider signs people out (OpenID Connect Back-Channel Logout 1.0): its
server sends a signed token, and no browser takes part."""

from __future__ import annotations

import asyncio
import sqlite3

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboards.web.page_forms import read_fields
from dashboards.web.page_routes import PageRoute
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.provider_sign_in import ProviderSignIn
from dashboards.web.sign_in.sign_in_refusal import SignInRefused
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from dashboards.web.visitors import Right, VisitorSource

_log = structlog.get_logger()
LOGOUT_PATH = "/sign-in/provider-logout"
_UNSTORED = {"Cache-Control": "no-store"}


class ProviderLogoutPage:
    def __init__(
        self, provider: ProviderSignIn, sessions: SignInSessions, audit: AccessAudit
    ) -> None:
        self._provider, self._sessions, self._audit = provider, sessions, audit

    @property
    def route(self) -> PageRoute:
        # The sender needs no sign-in: the token is signed.
        return PageRoute(LOGOUT_PATH, self.logout, Right.SEE_PUBLIC, ("POST",))

    async def logout(self, request: Request) -> Response:
        """200 if nobody of that name is signed in any more, else 400."""
        fields = await read_fields(request)
        try:
            logout = await self._provider.logout(fields.get("logout_token", ""))
            ended = await asyncio.to_thread(
                self._sessions.end_provided,
                logout.subject,
                logout.provider_session,
                logout.id,
            )
            if ended is None:
                raise SignInRefused("", "logout token: it was used before", 400)
            for session in ended:
                await asyncio.to_thread(
                    self._audit.record,
                    session.name,
                    session.id,
                    "sign out",
                    VisitorSource.PROVIDER,
                    "done: by the provider",
                )
        except SignInRefused as refusal:
            _log.warning("provider_logout_refused", reason=refusal.detail)
            # Without the exact reason: anybody can send a request here.
            return _refused("invalid_request", 503 if refusal.status == 503 else 400)
        except (sqlite3.Error, OSError) as error:
            _log.error("sign_in_file_not_written", error=repr(error))
            return _refused("server_error", 503)
        return Response(status_code=200, headers=_UNSTORED)


def _refused(error: str, status: int) -> Response:
    return JSONResponse({"error": error}, status, headers=_UNSTORED)
