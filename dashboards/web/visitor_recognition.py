"""Finds out for each request who it comes from, before a page sees it."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from contextvars import ContextVar

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collectors.ip_networks import Network, is_in, parse_address
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.local_users import LocalUsers
from dashboards.web.sign_in.provider_sign_in import ProviderSignIn
from dashboards.web.sign_in.role_claims import roles_from
from dashboards.web.sign_in.session_renewal import SessionRenewal
from dashboards.web.sign_in.sign_in_sessions import (
    SignInSession,
    SignInSessions,
    form_token,
)
from dashboards.web.visitors import (
    WITHOUT_SIGN_IN,
    Right,
    Visitor,
    VisitorSource,
    signed_in,
)
from dashboards.web.web_config import WebConfig
from probes.wire.clock import WallClock

_log = structlog.get_logger()
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
_OWN_NAME = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([^:]*):\d+")
_LONGEST_NAME = 80


class RequestVisitor:
    """Who the present request comes from, and what its browser holds."""

    def __init__(
        self,
        visitor: Visitor,
        form_secret: str = "",
        session_secret: str = "",
        session: SignInSession | None = None,
    ) -> None:
        self.visitor, self.session = visitor, session
        self.look_again: Callable[[], Awaitable[Visitor]] = self._same
        self.session_secret = session_secret if session is not None else ""
        self._form_secret, self.is_new_browser = form_secret, False

    async def _same(self) -> Visitor:
        return self.visitor

    @property
    def browser(self) -> str:
        """A secret of this browser, signed in or not; it gets one if it has none."""
        if not self._form_secret:
            self._form_secret, self.is_new_browser = secrets.token_urlsafe(32), True
        return self._form_secret

    @property
    def form_token(self) -> str:
        """What a form of this browser and session carries."""
        return form_token(self.session_secret or self.browser)

    def is_own_form(self, token: str) -> bool:
        """Whether a form that carries this token is from a page that it was shown."""
        return secrets.compare_digest(
            token.encode(errors="replace"), self.form_token.encode()
        )


_NOBODY = RequestVisitor(Visitor())
_present: ContextVar[RequestVisitor] = ContextVar("visitor", default=_NOBODY)


def present_visitor() -> Visitor:
    """Who the present request comes from."""
    return _present.get().visitor


def present_request() -> RequestVisitor:
    return _present.get()


class SignInCookies:
    """The names and marks of the cookies. Over HTTPS no other website, no other name of
    the council and no page over HTTP can set them (`__Host-`, RFC 6265bis)."""

    def __init__(self, config: WebConfig) -> None:
        self.is_secure = config.sign_in.base_url.startswith("https://")
        prefix = "__Host-" if self.is_secure else ""
        self.session, self.form = f"{prefix}towpath-session", f"{prefix}towpath-form"

    def header(self, name: str, value: str) -> str:
        """Without a date, so that it ends with the browser; empty: it ends now."""
        marks = "; Path=/; HttpOnly; SameSite=Lax"
        secure = "; Secure" if self.is_secure else ""
        return f"{name}={value}{marks}{secure}{'' if value else '; Max-Age=0'}"


class Recognition:
    """Knows visitors by their session, or by what the council's proxy says."""

    def __init__(self, config: WebConfig, now_ms: WallClock) -> None:
        sign_in = config.sign_in
        self.cookies = SignInCookies(config)
        self.users = LocalUsers(sign_in.file, now_ms)
        oidc = sign_in.oidc
        self.sessions = SignInSessions(
            sign_in.file,
            sign_in.idle_s,
            sign_in.longest_s,
            now_ms,
            oidc.longest_unconfirmed_s if oidc else None,
        )
        self.provider: ProviderSignIn | None = None
        self._renewal: SessionRenewal | None = None
        if oidc is not None:
            self.provider = ProviderSignIn(sign_in, oidc, now_ms)
            self._renewal = SessionRenewal(
                oidc.renew_s,
                self.provider,
                self.sessions,
                AccessAudit(sign_in.file, now_ms),
                now_ms,
            )
        self._config, self._public = config, frozenset(sign_in.public)
        self._proxies = config.proxies()

    async def recognise(
        self, request: HTTPConnection, is_use: bool = True
    ) -> RequestVisitor:
        """`is_use`: a request has come now, not one that goes on."""
        form_secret = request.cookies.get(self.cookies.form, "")
        secret = request.cookies.get(self.cookies.session, "")
        if self._config.sign_in.is_on and secret:
            try:
                session = await asyncio.to_thread(
                    self.sessions.find,
                    secret,
                    is_use and not is_background(request.headers),
                )
                known = await self._of_session(session, secret)
            except (sqlite3.Error, OSError) as error:
                # A visitor who cannot be looked up is not let in.
                _log.warning("sessions_unreadable", error=repr(error))
                known = None
            if known is not None:
                visitor, session = known
                shown = self._with_public(visitor)
                return RequestVisitor(shown, form_secret, secret, session)
        return RequestVisitor(self._without_session(request), form_secret)

    async def _of_session(
        self, session: SignInSession | None, secret: str
    ) -> tuple[Visitor, SignInSession] | None:
        if session is not None and self._renewal is not None:
            session = await self._renewal.confirmed(session, secret)
        if session is None or not self._is_offered(session.source):
            return None
        roles, name = session.roles, session.name
        if session.source is VisitorSource.LOCAL_USER:
            # A user may have been removed or given other roles since.
            user = await asyncio.to_thread(self.users.of_id, session.id)
            if user is None:
                return None
            roles, name = user.roles, user.shown
        return signed_in(name, session.id, roles, session.source), session

    def _is_offered(self, source: VisitorSource) -> bool:
        """Whether people may still sign in like that: the council may have ended it."""
        if source is VisitorSource.LOCAL_USER:
            return self._config.sign_in.local_users
        return self._config.sign_in.oidc is not None

    def _without_session(self, request: HTTPConnection) -> Visitor:
        config = self._config
        name = " ".join(self._proxy_header(request, config.sign_on_header).split())
        name = name[:_LONGEST_NAME]
        if name and config.sign_on_roles_header:
            named = self._proxy_header(request, config.sign_on_roles_header)
            roles = roles_from(re.split("[,;]", named), config.sign_in.roles)
            if not roles and config.sign_in.everybody is not None:
                roles = {config.sign_in.everybody}
            return self._with_public(
                signed_in(name, f"proxy:{name}", roles, VisitorSource.PROXY)
            )
        if config.needs_sign_in:
            return self._with_public(Visitor())
        return _without_sign_in(name, is_local(request.scope))

    def _proxy_header(self, request: HTTPConnection, header: str) -> str:
        """A header that only the proxy may set; empty if another sender set it."""
        if not header or len(request.headers.getlist(header)) > 1:
            return ""
        if self._proxies and not _is_from(request.scope, self._proxies):
            return ""
        return request.headers.get(header, "")

    def _with_public(self, visitor: Visitor) -> Visitor:
        return visitor.with_rights(self._public)


class VisitorRecognition:
    """Notes for each request who it comes from (`present_visitor`)."""

    def __init__(self, app: ASGIApp, recognition: Recognition) -> None:
        self._app, self._recognition = app, recognition

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        known = await self._recognition.recognise(connection)

        async def look_again() -> Visitor:
            found = await self._recognition.recognise(connection, is_use=False)
            return found.visitor

        known.look_again = look_again
        _present.set(known)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and known.is_new_browser:
                cookies = self._recognition.cookies
                MutableHeaders(scope=message).append(
                    "set-cookie", cookies.header(cookies.form, known.browser)
                )
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def _without_sign_in(name: str, is_here: bool) -> Visitor:
    """Everybody reads the pages. The page Fleet is for Towpath's own machine, and
    acting on alerts is for people whom the council's proxy names. Pure."""
    rights = set(WITHOUT_SIGN_IN)
    if is_here:
        rights.add(Right.SEE_FLEET)
    if name:
        rights.add(Right.ACT_ON_ALERTS)
    source = VisitorSource.PROXY if name else VisitorSource.NOBODY
    id = f"proxy:{name}" if name else ""
    return Visitor(name, id, (), source, frozenset(rights))


def is_background(headers: Headers) -> bool:
    """Whether a script of a page sent the request, such as one that renews the page:
    that keeps nobody signed in, and no sign-in page can be shown for it. Pure."""
    return headers.get("sec-fetch-dest", "") == "empty"


def client_address(scope: Scope, proxies: Collection[Network]) -> str:
    """The address of the browser: what the nearest proxy that is not the council's own
    saw. Pure."""
    client = scope.get("client")
    address = client[0] if client else ""
    # Some proxies add a line of their own to what the browser sent (HAProxy).
    lines = Headers(scope=scope).getlist("x-forwarded-for")
    forwarded = ",".join(lines).split(",")
    while proxies and _is_in(address, proxies) and forwarded:
        before = _without_port(forwarded.pop().strip())
        if parse_address(before) is None:
            break
        address = before
    return address


def _without_port(text: str) -> str:
    """An address that some proxies write with a port (Azure's do): `192.0.2.1:80`,
    `[2001:db8::1]:80`."""
    if read := _WITH_PORT.fullmatch(text):
        return read[1] or read[2]
    return text


def _is_from(scope: Scope, networks: Collection[Network]) -> bool:
    client = scope.get("client")
    return _is_in(client[0] if client else "", networks)


def _is_in(address: str, networks: Collection[Network]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and is_in(parsed, networks)


def is_local(scope: Scope) -> bool:
    """Whether a request comes from this machine and through no proxy. Some proxies
    say nothing of themselves, but pass on the name that they were called by, or speak
    HTTP/1.0 (nginx does by default)."""
    client = scope.get("client")
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in scope["headers"]
    }
    try:
        loopback = ipaddress.ip_address(client[0] if client else "").is_loopback
    except ValueError:
        return False
    called_here = bool(_OWN_NAME.fullmatch(headers.get("host", "")))
    through_proxy = headers.keys() & set(_PROXY_HEADERS) or not called_here
    return loopback and not through_proxy and scope["http_version"] != "1.0"
