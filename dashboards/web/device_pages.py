"""The page of each device, of each port, and the search.

A port is named in the query of its address, not in the path: names of ports have
slashes and dots, are empty or very long, and browsers change such paths.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from collectors.store.query import Row
from dashboards.chart import strip
from dashboards.figure_text import per_second, rate
from dashboards.port_descriptions import latest_descriptions
from dashboards.query_cache import QueryCache, rounded
from dashboards.web import device_page_lists, device_queries, page_queries
from dashboards.web.history_marks import answer_marks, unknown_marks
from dashboards.web.latest_events import every_event
from dashboards.web.list_page import list_page, page_number
from dashboards.web.page_queries import DAY_MS, MINUTE_MS, of_device
from dashboards.web.page_ranges import RANGES, PageRange, chosen_range
from dashboards.web.page_views import Overview, Views
from dashboards.web.range_charts import range_chart, row_series
from dashboards.web.site_filter import MAX_TEXT
from dashboards.web.site_state import DeviceNow

PAGE_PORTS = 100
PAGE_SENSORS = 200
PAGE_EVENTS = 50
EVENTS_MS = 7 * DAY_MS


def port_link(device: str, port: str, shown: str = "") -> str:
    """Returns the address of a port's page."""
    chosen = f"&range={quote(shown, safe='')}" if shown else ""
    name = quote(port, safe="", errors="replace")
    return f"/devices/{quote(device, safe='')}/port?name={name}{chosen}"


class DevicePages:
    """`show` renders a template with values, and returns the answer."""

    def __init__(self, views: Views, show: Callable[..., Response]) -> None:
        self._views, self._show = views, show
        self._answers: QueryCache = views.answers

    async def device(self, request: Request) -> Response:
        view, now = await self._find(request)
        device, to_ms = now.device, rounded(view.now_ms, MINUTE_MS)
        shown = chosen_range(request.query_params.get("range", ""))
        where, marked = of_device(device.id), shown.marked(to_ms)
        (
            (polled, identity, findings),
            (rows, described),
            (heard, sensed, events, answered),
            loads,
            blind,
        ) = await asyncio.gather(
            self._answers.all(
                device_queries.latest_poll(to_ms, device.id),
                device_queries.identity(to_ms, device.id),
                page_queries.findings_now(to_ms, where),
            ),
            self._answers.all(
                device_queries.ports(to_ms, device.id),
                page_queries.port_descriptions(to_ms, where),
            ),
            self._answers.all(
                device_queries.neighbours(to_ms, device.id),
                page_queries.sensors_now(to_ms, where),
                page_queries.events(to_ms - EVENTS_MS, to_ms, where),
                device_queries.answers(marked, where, shown.mark_ms),
            ),
            self._answers.all(*device_queries.loads(to_ms, device.id)),
            self._views.blind_spans(*marked),
        )
        ids = [known.id for known in view.estate.devices]
        neighbours = (
            None if heard is None else device_page_lists.device_neighbours(heard, ids)
        )
        ports = None
        if rows is not None:
            ports = device_page_lists.device_ports(
                rows, latest_descriptions(described), neighbours or ()
            )
        sensors = None if sensed is None else device_page_lists.device_sensors(sensed)
        poll = _values(polled)
        text = request.query_params.get("q", "").strip()[:MAX_TEXT]
        found = device_page_lists.matching_ports(ports or (), text)
        return self._show(
            "device.html",
            here="sites",
            view=view,
            device=now,
            site=view.estate.site(device.site),
            above=device_page_lists.above(device, view.estate.devices),
            identity=_values(identity),
            identity_known=identity is not None,
            poll=poll,
            answered=strip(
                "answered",
                f"Its answers in the last {shown.label}",
                answer_marks(answered or (), marked, shown.mark_ms, blind).get(
                    device.id, unknown_marks(marked, shown.mark_ms)
                ),
            ),
            findings=findings,
            ports=ports,
            text=text,
            listed=list_page(
                found, page_number(request.query_params.get("page", "1")), PAGE_PORTS
            ),
            page_link=lambda page: f"?q={quote(text, safe='')}&page={page}#ports",
            neighbours=neighbours,
            sensors=sensors,
            most_sensors=PAGE_SENSORS,
            loads=device_page_lists.device_loads(
                dict(zip(("Processor", "Memory", "Disk"), loads, strict=True))
            ),
            events=None if events is None else every_event(events),
            most_events=PAGE_EVENTS,
            missing=device_page_lists.not_measured(
                now, ports, sensors, neighbours, poll
            ),
            nameless=device_page_lists.NAMELESS,
            ranges=RANGES,
            shown=shown,
            range_link=lambda key: f"?range={key}#about",
            causes=[
                cause
                for cause in view.causes
                if device.id
                in {
                    alert.subject.get("device")
                    for alert in (cause.alert, *cause.explains)
                }
            ],
        )

    async def port(self, request: Request) -> Response:
        view, now = await self._find(request)
        device, name = now.device, request.query_params.get("name", "")
        shown = chosen_range(request.query_params.get("range", ""))
        to_ms = rounded(view.now_ms, MINUTE_MS)
        span = shown.span(view.now_ms)
        known, latest, traffic, sums = await self._answers.all(
            device_queries.port_known(rounded(to_ms, DAY_MS), device.id, name),
            device_queries.port_now(to_ms, device.id, name),
            device_queries.port_traffic(span, device.id, name, shown.step_ms),
            device_queries.port_sums(span, device.id, name),
        )
        if known == [] and latest == []:
            raise HTTPException(
                404,
                f"{device.name or device.id} has had no port called "
                f"“{name[:MAX_TEXT]}” in the last 30 days.",
            )
        heard, events = await self._answers.all(
            device_queries.neighbours(to_ms, device.id),
            page_queries.events(to_ms - EVENTS_MS, to_ms, of_device(device.id)),
        )
        neighbours = device_page_lists.device_neighbours(
            heard or (), [known.id for known in view.estate.devices]
        )
        descriptions = latest_descriptions(known)
        level, word = device_page_lists.port_state(latest[0] if latest else None)
        return self._show(
            "port.html",
            here="sites",
            view=view,
            device=now,
            site=view.estate.site(device.site),
            port=name or device_page_lists.NAMELESS,
            description=descriptions.get((device.id, name), ""),
            line=view.estate.line_at(device.id, name),
            known=known is not None and latest is not None,
            level=level,
            word=word,
            latest=_values(latest),
            sums=_values(sums),
            charts=_port_charts(shown, view.now_ms, traffic or []),
            neighbours=[one for one in neighbours if one.port == name],
            events=[
                event
                for event in every_event(events or ())
                if event.port == name and name
            ][:PAGE_EVENTS],
            ranges=RANGES,
            shown=shown,
            range_link=lambda key: port_link(device.id, name, key),
        )

    async def _find(self, request: Request) -> tuple[Overview, DeviceNow]:
        wanted = request.path_params["device"]
        view = await self._views.overview()
        for now in view.devices:
            if now.device.id == wanted:
                return view, now
        raise HTTPException(404, f"There is no device called {wanted[:MAX_TEXT]}.")


def _port_charts(shown: PageRange, now_ms: int, rows: list[Row]) -> list[object]:
    kinds = (
        ("traffic", "Traffic", "bps_p95", rate, 1000.0),
        ("errors", "Errors", "errors_per_s_mean", per_second, 0.0),
        ("discards", "Discards", "discards_per_s_mean", per_second, 0.0),
    )
    return [
        range_chart(
            id,
            title,
            shown,
            now_ms,
            (
                row_series("Received", rows, f"in_{column}"),
                row_series("Sent", rows, f"out_{column}"),
            ),
            say,
            least_top=least,
            is_wide=id == "traffic",
        )
        for id, title, column, say, least in kinds
    ]


def _values(rows: list[Row] | None) -> dict[str, object]:
    return dict(rows[0].values) if rows else {}
