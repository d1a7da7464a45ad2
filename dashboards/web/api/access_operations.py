"""Operations of the API on people: users with a password of Towpath's own, who is
signed in, and who did what, as the pages of administrators show it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import msgspec

from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import ApiProblem, no_such
from dashboards.web.api.api_route import ApiCall, ApiRoute, by_id, get_route
from dashboards.web.api.estate_documents import Id, Moment, epoch_ms, utc_time
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.local_users import LocalUsers
from dashboards.web.sign_in.sign_in_sessions import SignInSession, SignInSessions
from dashboards.web.visitors import Right, Role, VisitorSource

_WEEK_MS = 7 * 86_400_000
_MOST_ENTRIES = 20_000


class UserDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A user with a password of Towpath's own."""

    id: str
    name: str
    roles: tuple[Role, ...]
    added_at: datetime
    changed_at: datetime


class SessionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, and how. `id` ends the session, and is not its secret."""

    id: str
    name: str
    roles: tuple[Role, ...]
    source: VisitorSource
    began_at: datetime
    used_at: datetime
    ends_at: datetime


class AccessQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    who: Annotated[Id, msgspec.Meta(description="part of a name")] = ""
    since: Annotated[
        Moment | None, msgspec.Meta(description="a week ago without it")
    ] = None


class AccessDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a person did, or was refused. `about`: what it was done to. What programs
    did with their tokens is in `towpath api token list --audit`."""

    id: int
    at: datetime
    who: str
    action: str
    about: str
    outcome: str


class AccessOperations:
    def __init__(
        self, users: LocalUsers, sessions: SignInSessions, audit: AccessAudit
    ) -> None:
        self._users, self._sessions, self._audit = users, sessions, audit

    @property
    def routes(self) -> list[ApiRoute]:
        admin = Right.ADMINISTER
        return [
            get_route(
                "/users",
                "list_users",
                "Users with a password of Towpath's own",
                admin,
                self.users,
                UserDocument,
                query=Paged,
                order=by_id,
            ),
            get_route(
                "/sessions",
                "list_sessions",
                "Who is signed in",
                admin,
                self.sessions,
                SessionDocument,
                query=Paged,
                order=by_id,
            ),
            ApiRoute(
                "DELETE",
                "/sessions/{session}",
                "end_session",
                "Sign a person out, at once",
                admin,
                self.end,
                None,
                status=204,
                problems=(404, 412, 503),
            ),
            ApiRoute(
                "GET",
                "/access-audit",
                "list_access",
                "Who did what, newest first",
                admin,
                self.access,
                AccessDocument,
                query=AccessQuery,
                order=lambda entry: (-entry.id,),
                problems=(422, 503),
            ),
        ]

    async def users(self, call: ApiCall) -> list[UserDocument]:
        return [
            UserDocument(
                id=user.id,
                name=user.shown,
                roles=user.roles,
                added_at=utc_time(user.made_ms),
                changed_at=utc_time(user.changed_ms),
            )
            for user in await asyncio.to_thread(self._users.list)
        ]

    async def sessions(self, call: ApiCall) -> list[SessionDocument]:
        return [_session(one) for one in await asyncio.to_thread(self._sessions.list)]

    async def end(self, call: ApiCall) -> None:
        wanted = call.path["session"]
        known = {one.id: one for one in await self.sessions(call)}
        if wanted not in known:
            raise no_such("session", wanted)
        # The person, as the page of administrators notes it, not the session's id.
        call.noted.append(known[wanted].name)
        call.check_match(known[wanted])
        await asyncio.to_thread(self._sessions.end_listed, wanted)

    async def access(self, call: ApiCall) -> list[AccessDocument]:
        since_ms = call.now_ms - _WEEK_MS
        if call.query.since is not None:
            since_ms = epoch_ms(call.query.since)
        entries = await asyncio.to_thread(
            self._audit.since, since_ms, _MOST_ENTRIES + 1, call.query.who
        )
        if len(entries) > _MOST_ENTRIES:
            raise ApiProblem(
                422,
                f"since: there are more than {_MOST_ENTRIES:,} entries: ask for fewer",
            )
        return [
            AccessDocument(
                id=number,
                at=utc_time(entry.at_ms),
                who=entry.who,
                action=entry.action,
                about=entry.about,
                outcome=entry.outcome,
            )
            for number, entry in entries
        ]


def _session(session: SignInSession) -> SessionDocument:
    return SessionDocument(
        id=session.reference,
        name=session.name,
        roles=session.roles,
        source=session.source,
        began_at=utc_time(session.made_ms),
        used_at=utc_time(session.used_ms),
        ends_at=utc_time(session.until_ms),
    )
