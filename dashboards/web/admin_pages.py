"""The pages of administrators: who may sign in, who is signed in, and who did what."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards.web.page_forms import read_form
from dashboards.web.page_routes import PageRoute
from dashboards.web.sign_in.access_audit import KEPT_DAYS, AccessAudit
from dashboards.web.sign_in.local_users import LocalUsers
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from dashboards.web.visitor_recognition import present_request, present_visitor
from dashboards.web.visitors import Right

_log = structlog.get_logger()
_ENTRIES = 100
_LONGEST_WHO = 80


class AdminPages:
    """`show` renders a template with values, and returns the answer."""

    def __init__(
        self,
        users: LocalUsers,
        sessions: SignInSessions,
        audit: AccessAudit,
        show: Callable[..., Response],
    ) -> None:
        self._users, self._sessions, self._audit = users, sessions, audit
        self._show = show

    @property
    def routes(self) -> list[PageRoute]:
        right = Right.ADMINISTER
        return [
            PageRoute("/admin", self.people, right),
            PageRoute("/admin/audit", self.audit, right),
            PageRoute("/admin/end", self.end, right, ("POST",)),
        ]

    async def people(self, request: Request) -> Response:
        try:
            users = await asyncio.to_thread(self._users.list)
            sessions = await asyncio.to_thread(self._sessions.list)
        except (sqlite3.Error, OSError) as error:
            raise _unreadable(error) from None
        own = present_request().session
        return self._show(
            "people.html",
            here="admin",
            users=users,
            sessions=sessions,
            own="" if own is None else own.reference,
        )

    async def end(self, request: Request) -> Response:
        """Ends a session, at once."""
        fields = await read_form(request)
        visitor = present_visitor()
        try:
            ended = await asyncio.to_thread(
                self._sessions.end_listed, fields.get("reference", "")
            )
            if ended is not None:
                await asyncio.to_thread(
                    self._audit.record,
                    visitor.name,
                    visitor.id,
                    "end session",
                    ended.name,
                )
        except (sqlite3.Error, OSError) as error:
            raise _unreadable(error) from None
        return RedirectResponse("/admin#sessions", 303)

    async def audit(self, request: Request) -> Response:
        values = request.query_params
        who = " ".join(values.get("who", "").split())[:_LONGEST_WHO]
        before = values.get("before", "")
        is_number = before.isascii() and before.isdecimal() and len(before) < 19
        try:
            entries, more = await asyncio.to_thread(
                self._audit.entries, _ENTRIES, int(before) if is_number else None, who
            )
        except (sqlite3.Error, OSError) as error:
            raise _unreadable(error) from None
        return self._show(
            "access_audit.html",
            here="admin",
            current=False,
            entries=entries,
            more=more,
            who=who,
            kept_days=KEPT_DAYS,
        )


def _unreadable(error: Exception) -> HTTPException:
    _log.error("sign_in_file_unreadable", error=repr(error))
    return HTTPException(503, f"The file of sessions cannot be used: {error}.")
