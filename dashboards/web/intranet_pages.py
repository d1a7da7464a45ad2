"""The intranet's pages: one view for staff, as a page to embed, as part of another
page, as JSON, RSS and Atom. None needs a script or a file beside it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dashboards.figure_text import hour, iso
from dashboards.templating import environment
from dashboards.web.api.api_exchange import etag_of, is_match
from dashboards.web.intranet.notice_feeds import FeedPlace, atom, rss
from dashboards.web.intranet.notice_source import (
    LANGUAGE,
    NoticeSource,
    notices_document,
)
from dashboards.web.page_routes import PageRoute
from dashboards.web.visitors import Right
from dashboards.web.web_config import WebConfig

_CSS = (Path(__file__).parent / "static" / "intranet.css").read_text("utf-8")
_KEPT = {"cache-control": "private, max-age=15", "content-language": LANGUAGE}


class IntranetPages:
    """`routes` are pages of the website."""

    def __init__(self, config: WebConfig, source: NoticeSource) -> None:
        self._config, self._source = config, source
        self._zone = ZoneInfo(config.timezone)
        self._templates = environment("dashboards.web")
        digest = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
        embedders = " ".join(("'self'", *config.intranet.frame_hosts))
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            f"form-action 'none'; frame-ancestors {embedders}"
        )

    @property
    def routes(self) -> list[PageRoute]:
        pages = {
            "/intranet": self.page,
            "/intranet/part": self.part,
            "/intranet.json": self.json,
            "/intranet.rss": self.rss,
            "/intranet.atom": self.atom,
        }
        see = Right.SEE_SUMMARY
        return [PageRoute(path, handler, see) for path, handler in pages.items()]

    async def page(self, request: Request) -> Response:
        """A whole page, for an iframe."""
        return await self._html(request, "intranet.html")

    async def part(self, request: Request) -> Response:
        """A section, which a server puts into a page of its own."""
        return await self._html(request, "intranet_part.html")

    async def json(self, request: Request) -> Response:
        view, now_ms = await self._source.view()
        body = msgspec.json.encode(notices_document(view, now_ms, self._zone))
        return _answer(request, body, "application/json")

    async def rss(self, request: Request) -> Response:
        view, now_ms = await self._source.view()
        body = rss(view, self._place(request), now_ms)
        return _answer(request, body, "application/rss+xml; charset=utf-8")

    async def atom(self, request: Request) -> Response:
        view, now_ms = await self._source.view()
        body = atom(view, self._place(request), now_ms)
        return _answer(request, body, "application/atom+xml; charset=utf-8")

    async def _html(self, request: Request, template: str) -> Response:
        view, now_ms = await self._source.view()
        values: dict[str, Any] = {
            "view": view,
            "css": Markup(_CSS),
            "title": self._place(request).title,
            "language": LANGUAGE,
            "sentences": lambda notice: notice.sentences(self._zone, now_ms),
            "as_of": hour(now_ms, self._zone),
            "as_of_iso": iso(now_ms),
        }
        text = self._templates.get_template(template).render(**values)
        answer = _answer(request, text.encode(), "text/html; charset=utf-8")
        answer.headers["content-security-policy"] = self._policy
        return answer

    def _place(self, request: Request) -> FeedPlace:
        base = self._config.sign_in.base_url or str(request.base_url)
        return FeedPlace(base.rstrip("/"), self._config.title, self._zone)


def _answer(request: Request, body: bytes, kind: str) -> Response:
    headers = {**_KEPT, "etag": etag_of(body)}
    if is_match(request.headers.get("if-none-match", ""), headers["etag"], weak=True):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, kind)
