"""The page for a fault of Towpath itself, in the design of all others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADING = "This page cannot be shown at the moment"
EXPLANATION = (
    "Towpath has a fault here, and has written it into its log. Other pages may work. "
    "Please tell the people who run it, with the address of this page and the time."
)


class FaultPage:
    """Answers with a page if the application fails before it has answered. The fault
    goes on to the server, which logs it."""

    def __init__(self, app: ASGIApp, show: Callable[[], Response]) -> None:
        self._app, self._show = app, show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception:  # raised again: whatever it is, its reader gets a page
            if scope["type"] == "http" and not has_begun:
                # If the design itself has the fault, the server answers in plain text.
                with contextlib.suppress(Exception):
                    await self._show()(scope, receive, send)
            raise
