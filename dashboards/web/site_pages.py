"""The first page, with all sites, and the page of each site."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards.web import site_filter
from dashboards.web.alert_places import silences_at
from dashboards.web.fleet_page import FleetSource
from dashboards.web.laptop_groups import groups
from dashboards.web.list_page import list_page
from dashboards.web.page_ranges import RANGES, chosen_range
from dashboards.web.page_views import Views
from dashboards.web.site_views import SiteViews
from dashboards.web.visitor_recognition import present_visitor
from dashboards.web.visitors import Right


class SitePages:
    """`show` renders a template with values, and returns the answer; `fleet` has what
    the council has stopped on laptops."""

    def __init__(
        self,
        views: Views,
        show: Callable[..., Response],
        fleet: FleetSource | None = None,
    ) -> None:
        self._views, self._show, self._fleet = views, show, fleet
        self._site_views = SiteViews(views)

    async def sites(self, request: Request) -> Response:
        view = await self._views.overview()
        wanted = site_filter.read_site_filter(request.query_params)
        found = site_filter.matching(view.sites, wanted)
        listed = list_page(found, wanted.page, site_filter.PAGE_SITES)
        rows, gateways, history = await asyncio.gather(
            self._views.experience(),
            self._views.gateways(),
            self._site_views.history(listed.entries),
        )
        return self._show(
            "sites.html",
            here="sites",
            view=view,
            wanted=wanted,
            tiles=site_filter.grouped(found, wanted.by),
            least_tiles=site_filter.LEAST_TILES,
            listed=listed,
            history=history,
            counts=site_filter.state_counts(view.sites),
            districts=site_filter.group_names(view.sites, "district"),
            kinds=site_filter.group_names(view.sites, "kind"),
            groupings=site_filter.GROUPINGS,
            states=site_filter.STATES,
            stops=() if self._fleet is None else await self._fleet.stops(),
            experience={
                by: groups(rows, by)
                for by in ("all", "site", "place", "connection", "provider")
            },
            experience_known=rows is not None,
            absent=await self._views.absent(rows),
            gateways={
                row.tags.get("gateway", ""): row.values for row in gateways or ()
            },
        )

    async def site(self, request: Request) -> Response:
        wanted = request.path_params["site"]
        shown = chosen_range(request.query_params.get("range", ""))
        view = await self._views.overview()
        site_now = next((s for s in view.sites if s.site.id == wanted), None)
        if site_now is None:
            raise HTTPException(404, f"There is no site called {wanted}.")
        views, site = self._site_views, site_now.site
        lines, calls, rows, days = await asyncio.gather(
            views.line_charts(site, view.estate, shown),
            views.calls_chart(site, shown),
            self._views.experience(),
            views.days(site_now),
        )
        kinds = [
            ("site", site.id, f"In {site_now.name}"),
            (
                "home_site_place",
                f"{site.id}/home",
                f"Staff of {site_now.name}, at home",
            ),
            ("place", "office", "All offices"),
            ("place", "home", "All at home"),
        ]
        absent = await self._views.absent(rows)
        compared = [
            (label, next((g for g in groups(rows, by) if g.group == key), None))
            for by, key, label in kinds
        ]
        devices: dict[str, object] = {}
        if present_visitor().may(Right.SEE_DEVICES):
            presence, ports, health, events = await asyncio.gather(
                views.presence(site, shown),
                views.ports(site),
                views.health(site),
                views.latest_events(site),
            )
            devices = {"presence": presence, "ports": ports, "health": health}
            devices["events"] = events
        return self._show(
            "site.html",
            here="sites",
            view=view,
            site=site_now,
            ranges=RANGES,
            shown=shown,
            range_link=lambda key: f"?range={key}#lines",
            line_charts=lines,
            calls_chart=calls,
            days=days,
            compared=compared,
            absent={label: absent(by, key) for by, key, label in kinds},
            devices=devices,
            silences=silences_at(view.silences, view.estate, site.id),
            causes=[
                cause
                for cause in view.causes
                if cause.alert.site == site.id
                or any(below.site == site.id for below in cause.explains)
            ],
        )
