"""The page of the busiest ports of the estate."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from collectors.estate import Estate
from dashboards.port_descriptions import latest_descriptions
from dashboards.query_cache import rounded
from dashboards.web import busy_ports
from dashboards.web.busy_ports import BusyPort, PortOrder
from dashboards.web.page_queries import MINUTE_MS
from dashboards.web.page_views import Views


class BusyPortsPage:
    """`show` renders a template with values, and returns the answer."""

    def __init__(self, views: Views, show: Callable[..., Response]) -> None:
        self._views, self._show = views, show

    async def page(self, request: Request) -> Response:
        view = await self._views.overview()
        order = busy_ports.chosen_order(request.query_params.get("by", ""))
        to_ms = rounded(view.now_ms, MINUTE_MS)
        ports, described = await self._ports(view.estate, order, to_ms)
        return self._show(
            "busy_ports.html",
            here="sites",
            view=view,
            order=order,
            orders=busy_ports.ORDERS,
            most=busy_ports.MOST_PORTS,
            ports=ports,
            described=described,
        )

    async def _ports(
        self, estate: Estate, order: PortOrder, to_ms: int
    ) -> tuple[list[BusyPort] | None, dict[tuple[str, str], str]]:
        """Returns the ports and their descriptions; None if the store does not
        answer."""
        answers = self._views.answers
        rows = await answers.query(busy_ports.devices_query(to_ms, order))
        if rows is None:
            return None, {}
        ids = [device.id for device in estate.devices]
        if not (devices := busy_ports.highest_devices(rows, order, ids)):
            return [], {}
        rows = await answers.query(busy_ports.ports_query(to_ms, devices))
        if rows is None:
            return None, {}
        ports = busy_ports.busy_ports(rows, order, estate.devices)
        described = await answers.query(busy_ports.descriptions_of(to_ms, ports))
        return ports, latest_descriptions(described)
