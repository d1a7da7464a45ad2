"""The page that searches sites, devices and ports."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from dashboards.query_cache import rounded
from dashboards.web import device_queries, search
from dashboards.web.page_queries import MINUTE_MS
from dashboards.web.page_views import Views
from dashboards.web.site_filter import MAX_TEXT
from dashboards.web.visitor_recognition import present_visitor
from dashboards.web.visitors import Right


class SearchPage:
    """`show` renders a template with values, and returns the answer. Devices, their
    addresses and ports are found only for visitors who may see devices."""

    def __init__(self, views: Views, show: Callable[..., Response]) -> None:
        self._views, self._show = views, show

    async def page(self, request: Request) -> Response:
        view = await self._views.overview()
        text = search.search_text(request.query_params)
        may_see_devices = present_visitor().may(Right.SEE_DEVICES)
        found = search.Found()
        if text:
            ports = (
                await self._ports(text, frozenset(d.id for d in view.estate.devices))
                if may_see_devices
                else []
            )
            devices = view.estate.devices if may_see_devices else ()
            found = search.search(text, view.sites, devices, ports)
        return self._show(
            "search.html",
            here="",
            view=view,
            text=text,
            typed=request.query_params.get("q", "")[:MAX_TEXT],
            found=found,
            most=search.MOST_FOUND,
            least_text=search.LEAST_TEXT,
            may_see_devices=may_see_devices,
            names={device.id: device.name for device in view.estate.devices},
        )

    async def _ports(
        self, text: str, devices: frozenset[str]
    ) -> list[search.FoundPort] | None:
        """Returns the ports of today's devices; None if the store does not answer."""
        to_ms = rounded(self._views.now_ms(), MINUTE_MS)
        answers = await self._views.answers.all(*device_queries.ports_like(to_ms, text))
        known = [rows for rows in answers if rows is not None]
        if len(known) < len(answers):
            return None
        return [port for port in search.found_ports(known) if port.device in devices]
