"""Headers that keep a browser from doing with our pages what we did not mean."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NOWHERE = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
PAGE = {
    "content-security-policy": _NOWHERE
    + "script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'",
    "cache-control": "no-store",
}
# A report carries its style inside, so that it can be sent by e-mail; nothing else.
REPORT = {
    "content-security-policy": _NOWHERE
    + "style-src 'unsafe-inline'; form-action 'none'; sandbox",
    "cache-control": "no-store",
}
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": _NOWHERE.strip(),
    # What may be kept says so itself.
    "cache-control": "no-store",
}
# For this name only: others of the council are not Towpath's to decide.
_HTTPS_ONLY = {"strict-transport-security": "max-age=31536000"}


class SecurityHeaders:
    """Adds what every answer carries; an answer's own headers win. `is_https`: browsers
    use HTTPS, and are to use nothing else for a year."""

    def __init__(self, app: ASGIApp, is_https: bool = False) -> None:
        self._app = app
        self._headers = _ALWAYS | (_HTTPS_ONLY if is_https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with)
