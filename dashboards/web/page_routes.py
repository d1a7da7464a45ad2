"""A route of the pages: its address, what makes the page, and the right it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboards.web.kept_form_page import KeptFormPage
from dashboards.web.page_forms import (
    FormStale,
    form_that_was_read,
    is_from_elsewhere,
    read_fields,
)
from dashboards.web.visitor_recognition import is_background, present_visitor
from dashboards.web.visitors import Right

Handler = Callable[[Request], Awaitable[Response]]

_READING = frozenset({"GET", "HEAD"})
_WITHOUT_SIGN_IN: Mapping[Right, str] = {
    Right.SEE_FLEET: (
        "Fleet is shown on Towpath's own machine only, and not through a proxy, "
        "because it lists laptops and nobody signs in here yet."
    ),
    Right.ACT_ON_ALERTS: (
        "Only people who have signed on can do this here. Use the link of a message, "
        "or the command line: towpath alerts ack."
    ),
}
_NOT_IN_ROLE = (
    "You are signed in, but none of your roles lets you do this. Ask the people who "
    "run Towpath if you need it."
)


class PageRoute(NamedTuple):
    path: str
    handler: Handler
    right: Right
    methods: tuple[str, ...] = ("GET",)


class RouteGuard:
    """Runs the handler of a route only for those who may; others are led to the
    sign-in (`needs_sign_in`). What was typed into a form that is not done is kept."""

    def __init__(
        self, needs_sign_in: bool, can_sign_in: bool, kept_forms: KeptFormPage
    ) -> None:
        self._needs_sign_in, self._can_sign_in = needs_sign_in, can_sign_in
        self._kept_forms = kept_forms

    def guarded(self, route: PageRoute) -> Route:
        """The route for starlette."""

        async def endpoint(request: Request) -> Response:
            is_form = request.method not in _READING
            if is_form and is_from_elsewhere(request.headers):
                raise HTTPException(
                    403, "Another website sent this, so Towpath did not do it."
                )
            if not present_visitor().may(route.right):
                return await self._refuse(request, route.right)
            try:
                return await route.handler(request)
            except FormStale as stale:
                return self._kept_forms.keep(request, route.right, stale.fields)
            except HTTPException as failure:
                fields = form_that_was_read(request)
                if failure.status_code < 500 or fields is None:
                    raise
                return self._kept_forms.give_back(request, route.right, fields, failure)

        return Route(route.path, endpoint, methods=list(route.methods))

    async def _refuse(self, request: Request, right: Right) -> Response:
        if not self._needs_sign_in:
            text = _WITHOUT_SIGN_IN.get(right, "Nobody signs in here yet.")
            raise HTTPException(403, text)
        if present_visitor().is_signed_in or not self._can_sign_in:
            raise HTTPException(403, _NOT_IN_ROLE)
        if is_background(request.headers) or request.url.path.startswith("/api/"):
            return JSONResponse({"error": "nobody is signed in"}, 401)
        here = request.url.path
        if request.method not in _READING:
            return self._kept_forms.keep(request, right, await read_fields(request))
        if request.url.query:
            here += f"?{request.url.query}"
        return _to_sign_in(here)


def _to_sign_in(path: str) -> Response:
    return RedirectResponse(f"/sign-in?next={quote(path, safe='')}", 303)
