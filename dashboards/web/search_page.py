"""The page that searches sites, devices, ports and what is seen on them."""

from __future__ import annotations

import asyncio
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
        if text and may_see_devices:
            ids = frozenset(device.id for device in view.estate.devices)
            (ports, neighbours), chassis = await asyncio.gather(
                self._ports(text, ids), self._chassis(text)
            )
            found = search.search(
                text, view.sites, view.estate.devices, ports, neighbours, chassis
            )
        elif text:
            found = search.search(text, view.sites, (), ())
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
    ) -> tuple[list[search.FoundPort] | None, list[search.FoundNeighbour] | None]:
        """Returns the ports of today's devices, and what is seen on them; None if the
        store does not answer."""
        to_ms = rounded(self._views.now_ms(), MINUTE_MS)
        heard, *answers = await self._views.answers.all(
            device_queries.all_neighbours(to_ms),
            *device_queries.ports_like(to_ms, text),
        )
        known = [rows for rows in answers if rows is not None]
        neighbours = (
            None if heard is None else search.found_neighbours(heard, text, devices)
        )
        if len(known) < len(answers):
            return None, neighbours
        ports = [port for port in search.found_ports(known) if port.device in devices]
        return ports, neighbours

    async def _chassis(self, text: str) -> dict[str, str]:
        """Returns the chassis id of each device if a MAC address is searched for."""
        if not search.mac_digits(text):
            return {}
        to_ms = rounded(self._views.now_ms(), MINUTE_MS)
        rows = await self._views.answers.query(device_queries.chassis_now(to_ms))
        return search.chassis_ids(rows or ())
