"""The page of each device, of each port, and the search.

A port is named in the query of its address, not in the path: names of ports have
slashes and dots, are empty or very long, and browsers change such paths.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from collectors.store.query import Row
from dashboards.chart import strip
from dashboards.port_descriptions import latest_descriptions
from dashboards.query_cache import QueryCache, rounded
from dashboards.web import (
    device_page_lists,
    device_ports,
    device_queries,
    page_queries,
)
from dashboards.web.alert_places import causes_at, silences_at
from dashboards.web.history_marks import answer_marks, unknown_marks
from dashboards.web.latest_events import every_event
from dashboards.web.list_page import list_page, page_number
from dashboards.web.page_queries import DAY_MS, MINUTE_MS, of_device
from dashboards.web.page_ranges import RANGES, PageRange, chosen_range
from dashboards.web.page_views import Overview, Views
from dashboards.web.port_charts import port_capacity, port_charts
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
            (rows, described, up_days),
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
                device_queries.ports_last_up(rounded(to_ms, DAY_MS), device.id),
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
            ports = device_ports.device_ports(
                rows,
                latest_descriptions(described),
                neighbours or (),
                device_ports.port_uses(up_days or (), rounded(to_ms, DAY_MS)),
                is_current=now.level == "ok",
            )
        sensors = None if sensed is None else device_page_lists.device_sensors(sensed)
        poll = _values(polled)
        text = request.query_params.get("q", "").strip()[:MAX_TEXT]
        kind = request.query_params.get("show", "")
        found = device_ports.matching_ports(ports or (), text, kind)
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
            kind=kind,
            port_kinds=device_ports.SHOWN_PORTS,
            port_counts=device_ports.port_counts(ports or ()),
            page_link=lambda page, show=kind, name=text: _ports_link(
                name, show, shown, page
            ),
            neighbours=neighbours,
            sensors=sensors,
            most_sensors=PAGE_SENSORS,
            loads=device_page_lists.device_loads(
                dict(zip(("Processor", "Memory", "Disk"), loads, strict=True))
            ),
            events=None if events is None else every_event(events),
            most_events=PAGE_EVENTS,
            missing=device_page_lists.not_measured(
                now,
                None if ports is None else [port.now for port in ports],
                sensors,
                neighbours,
                poll,
            ),
            ranges=RANGES,
            shown=shown,
            range_link=lambda key: (
                _ports_link(text, kind, chosen_range(key)) + "#about"
            ),
            causes=causes_at(view.causes, view.estate, device.id),
            silences=silences_at(view.silences, view.estate, device.site, device.id),
        )

    async def port(self, request: Request) -> Response:
        view, now = await self._find(request)
        device, name = now.device, request.query_params.get("name", "")
        shown = chosen_range(request.query_params.get("range", ""))
        to_ms = rounded(view.now_ms, MINUTE_MS)
        span = shown.span(view.now_ms)
        known, latest, traffic, sums, sensed = await self._answers.all(
            device_queries.port_known(rounded(to_ms, DAY_MS), device.id, name),
            device_queries.port_now(to_ms, device.id, name),
            device_queries.port_traffic(span, device.id, name, shown.step_ms),
            device_queries.port_sums(span, device.id, name),
            page_queries.sensors_now(to_ms, device_queries.of_port(device.id, name)),
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
        level, word = device_ports.port_state(latest[0] if latest else None)
        line = view.estate.line_at(device.id, name)
        capacity = port_capacity(line, _values(latest), _values(sums))
        charts = port_charts(
            shown, view.now_ms, self._views.zone, traffic or [], capacity
        )
        return self._show(
            "port.html",
            here="sites",
            view=view,
            device=now,
            site=view.estate.site(device.site),
            port=name or device_page_lists.NAMELESS,
            description=descriptions.get((device.id, name), ""),
            line=line,
            capacity=capacity,
            sensors=device_page_lists.device_sensors(sensed or ()),
            known=known is not None and latest is not None,
            level=level,
            word=word,
            latest=_values(latest),
            sums=_values(sums),
            charts=charts,
            neighbours=[one for one in neighbours if one.port == name],
            events=[
                event
                for event in every_event(events or ())
                if event.port == name and name
            ][:PAGE_EVENTS],
            causes=causes_at(view.causes, view.estate, device.id, name),
            silences=silences_at(view.silences, view.estate, device.site, device.id),
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


def _ports_link(text: str, kind: str, shown: PageRange, page: int = 1) -> str:
    """Returns the query of a device's page; without what is as usual."""
    wanted = {"q": text, "show": kind, "range": shown.key, "page": str(page)}
    usual = {"q": "", "show": "", "range": RANGES[0].key, "page": "1"}
    set_ones = {name: text for name, text in wanted.items() if text != usual[name]}
    return f"?{urlencode(set_ones, quote_via=quote)}"


def _values(rows: list[Row] | None) -> dict[str, object]:
    return dict(rows[0].values) if rows else {}
