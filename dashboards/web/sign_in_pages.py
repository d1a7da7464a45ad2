"""The pages of signing in and out.

Everything that is wrong with an answer of the council's sign-in is one page that says
so, and one entry in the audit log.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards.web.page_forms import (
    FORM_TOKEN,
    FormStale,
    read_fields,
    read_form,
    safe_next,
)
from dashboards.web.page_routes import PageRoute
from dashboards.web.provider_logout_page import ProviderLogoutPage
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.local_users import LONGEST_NAME, LocalUser
from dashboards.web.sign_in.password_sign_in import PasswordRefused, PasswordSignIn
from dashboards.web.sign_in.provider_sign_in import (
    ANSWER_PATH,
    SIGNED_OUT_PATH,
)
from dashboards.web.sign_in.refused_entries import RefusedEntries
from dashboards.web.sign_in.sign_in_refusal import START_AGAIN, SignInRefused
from dashboards.web.sign_in.sign_in_sessions import ProviderGrant
from dashboards.web.visitor_recognition import (
    Recognition,
    client_address,
    present_request,
    present_visitor,
)
from dashboards.web.visitors import Right, Role, VisitorSource, ordered_roles
from dashboards.web.web_config import WebConfig

_log = structlog.get_logger()
SIGN_IN, SIGN_OUT = "sign in", "sign out"
_EVERYWHERE = "everywhere"


class SignInPages:
    """`show` renders a template with values, and returns the answer."""

    def __init__(
        self,
        config: WebConfig,
        recognition: Recognition,
        audit: AccessAudit,
        show: Callable[..., Response],
    ) -> None:
        self._config, self._recognition, self._audit = config, recognition, audit
        self._show = show
        self._sign_in = config.sign_in
        self._provider = recognition.provider
        self._passwords = PasswordSignIn(recognition.users)
        self._refusals = RefusedEntries()

    @property
    def routes(self) -> list[PageRoute]:
        public = Right.SEE_PUBLIC
        if not self._sign_in.is_on:
            return []
        routes = [
            PageRoute("/sign-in", self.sign_in, public, ("GET", "POST")),
            PageRoute("/sign-out", self.sign_out, public, ("GET", "POST")),
            PageRoute(SIGNED_OUT_PATH, self.signed_out, public),
        ]
        if self._provider is not None:
            routes += [
                PageRoute("/sign-in/council", self.start, public),
                PageRoute(ANSWER_PATH, self.answer, public),
                ProviderLogoutPage(
                    self._provider, self._recognition.sessions, self._audit
                ).route,
            ]
        return routes

    async def sign_in(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._check_password(request)
        next_path = safe_next(request.query_params.get("next", "/"))
        if present_visitor().is_signed_in:
            return RedirectResponse(next_path, 303)
        return self._form(next_path)

    async def start(self, request: Request) -> Response:
        """Leads to the council's sign-in."""
        assert self._provider is not None
        next_path = safe_next(request.query_params.get("next", "/"))
        try:
            url = await self._provider.start(
                present_request().browser, next_path, self._address(request)
            )
        except SignInRefused as refusal:
            return await self._refused(request, refusal)
        return RedirectResponse(url, 303)

    async def answer(self, request: Request) -> Response:
        """What the browser brings back from the council's sign-in."""
        assert self._provider is not None
        try:
            person = await self._provider.finish(
                request.url.query, present_request().browser
            )
            return await self._begin(
                person.id,
                person.name,
                person.roles,
                VisitorSource.PROVIDER,
                person.next,
                person.grant,
                person.remark,
            )
        except SignInRefused as refusal:
            page = await self._refused(request, refusal)
            # The button Back leads here again, with an answer that was used.
            is_back = str(refusal) == START_AGAIN and present_visitor().is_signed_in
            return RedirectResponse("/", 303) if is_back else page

    async def sign_out(self, request: Request) -> Response:
        """A form of another session signs nobody out: the person is asked."""
        session, sessions = present_request().session, self._recognition.sessions
        if session is None:
            return RedirectResponse(SIGNED_OUT_PATH, 303)
        try:
            if request.method == "GET":
                raise FormStale({})
            fields = await read_form(request)
        except FormStale:
            others = await self._written(sessions.others_of, session)
            return self._show("sign_out.html", others=others or ())
        about = ""
        if _EVERYWHERE in fields:
            try:
                await asyncio.to_thread(sessions.end_of, session.id)
            except (sqlite3.Error, OSError) as error:
                text = f"Your sessions could not be ended, not even this one: {error}."
                raise HTTPException(503, text) from None
            about = _EVERYWHERE
        await self._written(sessions.end, present_request().session_secret)
        await self._record(session.name, session.id, SIGN_OUT, about)
        council_url = ""
        if self._provider is not None and session.id_token:
            council_url = await self._provider.end_session_url(session.id_token)
        page = self._show("signed_out.html", council_url=council_url)
        page.headers.append("set-cookie", self._session_cookie(""))
        return page

    async def signed_out(self, request: Request) -> Response:
        return self._show("signed_out.html", council_url="")

    async def _check_password(self, request: Request) -> Response:
        fields = await read_fields(request)
        name = " ".join(fields.get("name", "").split())[:LONGEST_NAME]
        password = fields.get("password", "")
        next_path = safe_next(fields.get("next", "/"))
        if not self._sign_in.local_users:
            raise HTTPException(404, "Nobody signs in with a password here.")
        if not present_request().is_own_form(fields.get(FORM_TOKEN, "")):
            text = "The page was open for too long. Sign in again."
            return self._form(next_path, name, {"name": text}, 400)
        errors = {}
        if not name:
            errors["name"] = "Enter your name"
        if not password:
            errors["password"] = "Enter your password"
        if errors:
            return self._form(next_path, name, errors, 400)
        try:
            user = await self._passwords.check(name, password, self._address(request))
            return await self._begin(
                user.id,
                user.shown,
                frozenset(user.roles),
                VisitorSource.LOCAL_USER,
                next_path,
            )
        except PasswordRefused as refusal:
            await self._record_tried(request, name, refusal.detail)
            errors = {"name": str(refusal)}
            page = self._form(next_path, name, errors, refusal.status)
            if refusal.wait_s:
                page.headers["retry-after"] = str(refusal.wait_s)
            return page
        except (SignInRefused, sqlite3.Error, OSError) as error:
            failure = _not_recorded(error)
            await self._note_refusal(request, failure)
            return self._form(next_path, name, {"name": str(failure)}, failure.status)

    async def _begin(
        self,
        id: str,
        name: str,
        roles: frozenset[Role],
        source: VisitorSource,
        next_path: str,
        grant: ProviderGrant | None = None,
        remark: str = "",
    ) -> Response:
        """Begins a session, with a secret that nobody had before."""
        ordered = ordered_roles(roles)
        outcome = f"done: {', '.join(ordered)}{f' ({remark})' if remark else ''}"
        try:
            await asyncio.to_thread(
                self._audit.record, name, id, SIGN_IN, source, outcome
            )
            secret = await asyncio.to_thread(
                self._recognition.sessions.begin,
                id,
                name,
                ordered,
                source,
                grant,
                present_request().session_secret,
            )
        except (sqlite3.Error, OSError) as error:
            raise _not_recorded(error) from None
        answer = RedirectResponse(next_path, 303)
        answer.headers.append("set-cookie", self._session_cookie(secret))
        return answer

    def _session_cookie(self, secret: str) -> str:
        cookies = self._recognition.cookies
        return cookies.header(cookies.session, secret)

    def _form(
        self,
        next_path: str,
        name: str = "",
        errors: dict[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        return self._show(
            "sign_in.html",
            status,
            here="sign-in",
            next_path=next_path,
            typed_name=name,
            errors=errors or {},
            sign_in=self._sign_in,
            council_url=f"/sign-in/council?next={quote(next_path, safe='')}",
        )

    async def _note_refusal(self, request: Request, refusal: SignInRefused) -> None:
        _log.warning("sign_in_refused", reason=refusal.detail)
        who = refusal.who or "not known"
        await self._record_refusal(request, who, "", "", refusal.detail)

    async def _refused(self, request: Request, refusal: SignInRefused) -> Response:
        await self._note_refusal(request, refusal)
        return self._show(
            "not_signed_in.html",
            refusal.status,
            explanation=str(refusal),
        )

    async def _record_tried(self, request: Request, name: str, detail: str) -> None:
        """A name that nobody has is not kept: people type passwords there."""
        user = await self._written(self._recognition.users.find, name)
        who = user.shown if isinstance(user, LocalUser) else "not known"
        id = user.id if isinstance(user, LocalUser) else ""
        await self._record_refusal(request, who, id, VisitorSource.LOCAL_USER, detail)

    async def _record_refusal(
        self, request: Request, who: str, id: str, about: str, detail: str
    ) -> None:
        more = self._refusals.admit(self._address(request), time.monotonic())
        if more is not None:
            await self._record(who, id, SIGN_IN, about, f"refused: {detail}{more}")

    def _address(self, request: Request) -> str:
        return client_address(request.scope, self._config.proxies())

    async def _record(
        self, who: str, id: str, action: str, about: str = "", outcome: str = "done"
    ) -> None:
        await self._written(self._audit.record, who, id, action, about, outcome)

    async def _written(self, work: Callable[..., object], *values: object) -> object:
        """What the work returns; logs an error of the file and returns None then."""
        try:
            return await asyncio.to_thread(work, *values)
        except (sqlite3.Error, OSError) as error:
            _log.error("sign_in_file_not_written", error=repr(error))
            return None


def _not_recorded(error: Exception) -> SignInRefused:
    if isinstance(error, SignInRefused):
        return error
    return SignInRefused(
        "Your sign-in could not be recorded, so you were not signed in. Tell the "
        "people who run Towpath.",
        f"the file cannot be written: {error}",
        503,
    )
