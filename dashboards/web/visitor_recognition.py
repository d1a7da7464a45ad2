"""Finds out for each request who it comes from, before a page sees it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.web.visitors import WITHOUT_SIGN_IN, Right, Visitor, VisitorSource
from dashboards.web.web_config import WebConfig

_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
_OWN_NAME = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)

_NOBODY = Visitor()
_present: ContextVar[Visitor] = ContextVar("visitor", default=_NOBODY)

Recognise = Callable[[HTTPConnection], Awaitable[Visitor]]


def present_visitor() -> Visitor:
    """Who the present request comes from."""
    return _present.get()


class VisitorRecognition:
    """Notes for each request who it comes from (`present_visitor`)."""

    def __init__(self, app: ASGIApp, recognise: Recognise) -> None:
        self._app, self._recognise = app, recognise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_request = scope["type"] == "http"
        visitor = (
            await self._recognise(HTTPConnection(scope)) if is_request else Visitor()
        )
        _present.set(visitor)
        await self._app(scope, receive, send)


def recognise_without_sign_in(config: WebConfig) -> Recognise:
    """Everybody reads the pages; the page Fleet is for Towpath's own machine, and
    alerts are for those whom the council's proxy names."""

    async def recognise(request: HTTPConnection) -> Visitor:
        header = config.sign_on_header
        name = request.headers.get(header, "").strip() if header else ""
        rights = set(WITHOUT_SIGN_IN)
        if is_local(request.scope):
            rights.add(Right.SEE_FLEET)
        if name:
            rights.add(Right.ACT_ON_ALERTS)
        source = VisitorSource.PROXY if name else VisitorSource.NOBODY
        return Visitor(name, name, (), source, frozenset(rights))

    return recognise


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
