"""A route of the pages: its address, what makes the page, and the right it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.web.visitor_recognition import present_visitor
from dashboards.web.visitors import Right

Handler = Callable[[Request], Awaitable[Response]]

_REFUSALS: Mapping[Right, str] = {
    Right.SEE_FLEET: (
        "Fleet is shown on Towpath's own machine only, and not through a proxy, "
        "because it lists laptops and nobody signs in here yet."
    ),
    Right.ACT_ON_ALERTS: (
        "Only people who have signed on can do this here. Use the link of a message, "
        "or the command line: towpath alerts ack."
    ),
}


class PageRoute(NamedTuple):
    path: str
    handler: Handler
    right: Right
    methods: tuple[str, ...] = ("GET",)


def guarded(route: PageRoute) -> Route:
    """The route for starlette. Its handler runs only for who may."""

    async def endpoint(request: Request) -> Response:
        if not present_visitor().may(route.right):
            raise HTTPException(
                403, _REFUSALS.get(route.right, "You may not see this.")
            )
        return await route.handler(request)

    return Route(route.path, endpoint, methods=list(route.methods))
