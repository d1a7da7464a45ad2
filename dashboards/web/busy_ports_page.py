"""The page of the busiest ports of the estate."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from dashboards.port_descriptions import latest_descriptions
from dashboards.query_cache import rounded
from dashboards.web import busy_ports
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
        answers = self._views.answers
        highest = await answers.query(busy_ports.highest_query(to_ms, order))
        ids = [device.id for device in view.estate.devices]
        places = busy_ports.highest_ports(highest or (), order, ids)
        ports: list[busy_ports.BusyPort] | None = None if highest is None else []
        if places:
            rows, described = await answers.all(
                *busy_ports.figures_queries(to_ms, places)
            )
            ports = None
            if rows is not None:
                ports = busy_ports.busy_ports(
                    places, rows, latest_descriptions(described), view.estate.devices
                )
        return self._show(
            "busy_ports.html",
            here="sites",
            view=view,
            order=order,
            orders=busy_ports.ORDERS,
            most=busy_ports.MOST_PORTS,
            ports=ports,
        )
