"""`ServerNames`: answers only to the names that browsers may call Towpath by, against
DNS rebinding."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.web.api.api_problem import MEDIA_TYPE, ApiProblem
from dashboards.web.api.rest_api import BASE

_WHY = "Towpath does not answer to this name; if it is right, add it to web.hosts"


class ServerNames:
    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app, self._names = app, list(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self._app if await self._is_known(scope, receive) else _refusal(scope)
        await chosen(scope, receive, send)

    async def _is_known(self, scope: Scope, receive: Receive) -> bool:
        is_known = False

        async def known(*_values: object) -> None:
            nonlocal is_known
            is_known = True

        async def unsent(_message: Message) -> None: ...

        check = TrustedHostMiddleware(known, self._names, www_redirect=False)
        await check(scope, receive, unsent)
        return is_known


def _refusal(scope: Scope) -> Response:
    if scope.get("path", "").startswith(f"{BASE}/"):
        return Response(ApiProblem(400, _WHY).body(), 400, media_type=MEDIA_TYPE)
    return PlainTextResponse(f"{_WHY}.", 400)
