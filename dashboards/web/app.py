"""The pages as a starlette application. Every page works without JavaScript."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from alerts.alert_text import describe_affected
from collectors.server_measurements import CATALOGUE
from collectors.support_codes import SupportCodes
from dashboards import call_quality, chart, figure_text
from dashboards.state_levels import use_level
from dashboards.templating import environment
from dashboards.web import (
    fault_page,
    fleet_state,
    influx_endpoint,
    site_state,
    status_api,
)
from dashboards.web.action_pages import ActionPages, AlertActions
from dashboards.web.admin_pages import AdminPages
from dashboards.web.alert_places import alert_place
from dashboards.web.alerts_api import AlertsApi
from dashboards.web.api.rest_api import BASE
from dashboards.web.busy_ports_page import BusyPortsPage
from dashboards.web.check_page import CheckPage
from dashboards.web.device_page_lists import NAMELESS
from dashboards.web.device_pages import DevicePages, port_link
from dashboards.web.fault_page import FaultPage
from dashboards.web.fleet_page import FleetPage, FleetSource
from dashboards.web.gzip_coding import coded_response
from dashboards.web.influx_endpoint import InfluxEndpoint
from dashboards.web.intranet.notice_source import NoticeSource
from dashboards.web.intranet_pages import IntranetPages
from dashboards.web.kept_form_page import KeptFormPage
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_routes import PageRoute, RouteGuard
from dashboards.web.page_views import Views
from dashboards.web.report_folder import ReportFolder
from dashboards.web.room_pages import RoomPages
from dashboards.web.search_page import SearchPage
from dashboards.web.security_headers import PAGE, REPORT, SecurityHeaders
from dashboards.web.server_names import ServerNames
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in_pages import SignInPages
from dashboards.web.site_pages import SitePages
from dashboards.web.support_pages import SupportPages
from dashboards.web.team_page import TeamPage
from dashboards.web.visitor_recognition import (
    Recognition,
    VisitorRecognition,
    present_request,
    present_visitor,
)
from dashboards.web.visitors import Right
from dashboards.web.web_config import WebConfig
from probes.wire.number_text import capitalised

_HERE = Path(__file__).parent
_STATIC = {
    "look.css": (_HERE.parent / "look.css", "text/css; charset=utf-8"),
    **{
        name: (_HERE / "static" / name, "text/javascript; charset=utf-8")
        for name in ("refresh.js", "check.js")
    },
}


class StatusPages:
    """One method a page; each gathers and renders."""

    def __init__(
        self,
        config: WebConfig,
        views: Views,
        has_actions: bool = False,
        fleet: FleetSource | None = None,
        has_support: bool = False,
    ) -> None:
        self._views, self._has_actions = views, has_actions
        self._reports = ReportFolder(config.reports)
        self._zone = views.zone
        self._static = {
            name: (path.read_bytes(), kind) for name, (path, kind) in _STATIC.items()
        }
        self._templates = environment("dashboards.web")
        self._templates.globals.update(
            config=config,
            figure_text=figure_text,
            state=site_state,
            use_level=use_level,
            call_quality=call_quality,
            least=views.least,
            describe_affected=describe_affected,
            alert_place=alert_place,
            bar=chart.bar,
            when=lambda time_ms: figure_text.when(time_ms, self._zone),
            day=lambda time_ms: figure_text.short_day(time_ms, self._zone),
            hour_of=lambda time_ms: figure_text.hour(time_ms, self._zone),
            clock=lambda time_ms: figure_text.clock(time_ms, self._zone),
            zone_text=lambda time_ms: figure_text.zone_text(time_ms, self._zone),
            path=lambda text: quote(str(text), safe=""),
            nameless=NAMELESS,
            port_link=port_link,
            has_support=has_support,
            has_fleet=bool(fleet) and config.fleet,
            visitor=present_visitor,
            capitalised=capitalised,
            raw=lambda text: Markup(escape(text)),
            form_token=lambda: present_request().form_token,
            can_sign_out=lambda: present_request().session is not None,
            can_sign_in=config.sign_in.is_on,
            Right=Right,
            stop_text=fleet_state.stop_text,
        )

    async def alerts(self, request: Request) -> Response:
        view = await self._views.overview()
        recent, failing = await self._views.recent()
        return self.page(
            "alerts.html",
            here="alerts",
            view=view,
            recent=recent[:200],
            failing=failing,
            can_act=self._has_actions and present_visitor().may(Right.ACT_ON_ALERTS),
        )

    async def reports(self, request: Request) -> Response:
        listed = await asyncio.to_thread(self._reports.list_files)
        return self.page("reports.html", here="reports", reports=listed)

    async def report(self, request: Request) -> Response:
        report = await asyncio.to_thread(
            self._reports.read, request.path_params["name"]
        )
        if report is None:
            raise HTTPException(404, "There is no such report.")
        body, kind = report
        return Response(body, media_type=kind, headers=dict(REPORT))

    async def catalogue(self, request: Request) -> Response:
        return self.page("catalogue.html", here="catalogue", catalogue=CATALOGUE)

    async def accessibility(self, request: Request) -> Response:
        return self.page("accessibility.html", here="accessibility")

    async def status(self, request: Request) -> Response:
        return JSONResponse(status_api.document(await self._views.overview()))

    async def healthz(self, request: Request) -> Response:
        """200 if Towpath works, 503 with the reasons if it does not. What it cannot see
        at the moment is listed, but is not a failure. Reasons name disks and channels:
        who may not see the status gets none."""
        view = await self._views.overview()
        if not present_visitor().may(Right.SEE_STATUS):
            return JSONResponse({"ok": not view.unwell}, 503 if view.unwell else 200)
        age_ms = None if view.newest_ms is None else view.now_ms - view.newest_ms
        return JSONResponse(
            {
                "ok": not view.unwell,
                "unwell": list(view.unwell),
                "blind": list(view.blind.sentences),
                "newest_poll_age_ms": age_ms,
            },
            503 if view.unwell else 200,
        )

    async def static(self, request: Request) -> Response:
        known = self._static.get(request.path_params["name"])
        if known is None:
            raise HTTPException(404, "There is no such file.")
        body, kind = known
        headers = {"Cache-Control": "public, max-age=300"}
        return await coded_response(request, body, kind, headers)

    async def refused(self, request: Request, error: Exception) -> Response:
        """The page for an unknown address, in the same design."""
        assert isinstance(error, HTTPException)
        explanation = (
            error.detail if error.detail != "Not Found" else "There is no such page."
        )
        page = self.page(
            "refused.html",
            error.status_code,
            heading=_refusal_heading(error.status_code, request.method),
            explanation=explanation,
        )
        # Such as `Allow`, which a refused method must come with.
        page.headers.update(error.headers or {})
        return page

    def fault(self) -> Response:
        """The page for a fault of Towpath, for whoever asked."""
        heading, explanation = fault_page.HEADING, fault_page.EXPLANATION
        return self.page("refused.html", 500, heading=heading, explanation=explanation)

    def page(self, name: str, status_code: int = 200, **values: Any) -> Response:
        """Returns the page of a template. It is of the time of its view, or of now, and
        `here` is its entry in the navigation, if it has one."""
        view = values.get("view")
        now_ms = self._views.now_ms() if view is None else view.now_ms
        usual = {"here": "", "now_ms": now_ms}
        text = self._templates.get_template(name).render(**usual | values)
        return HTMLResponse(text, status_code, headers=dict(PAGE))


def _refusal_heading(status: int, method: str) -> str:
    """Pure."""
    if method == "POST":
        return "This was not done"
    if status >= 500:
        return fault_page.HEADING
    return "Page not found" if status == 404 else "This page is not shown here"


class _ByPath:
    """Gives some paths to an application of their own.

    They are reachable by any host name: an address that a browser was led to
    (DNS rebinding) gains nothing without the token.
    """

    def __init__(self, paths: Collection[str], theirs: ASGIApp, others: ASGIApp):
        self._paths, self._theirs, self._others = frozenset(paths), theirs, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self._theirs if scope.get("path") in self._paths else self._others
        await chosen(scope, receive, send)


class _Below:
    """Gives all that is below a path to an application of its own, whatever characters
    it has (`Mount` leaves out what has a line feed)."""

    def __init__(self, app: ASGIApp, path: str, theirs: ASGIApp) -> None:
        self._others, self._path, self._theirs = app, path, theirs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_theirs = path == self._path or path.startswith(f"{self._path}/")
        await (self._theirs if is_theirs else self._others)(scope, receive, send)


def app(
    config: WebConfig,
    views: Views,
    influx: InfluxEndpoint | None = None,
    actions: AlertActions | None = None,
    api: AlertsApi | None = None,
    fleet: FleetSource | None = None,
    rest: ASGIApp | None = None,
    overviews: OverviewCache | None = None,
    reflector_secret: Path | None = None,
    support: SupportCodes | None = None,
) -> ASGIApp:
    """Returns the application; it starts nothing. `rest` is the API for programs;
    `overviews` is what it shares with the pages; `reflector_secret` the file from which
    the page `/check` has its tokens."""
    overviews = overviews or OverviewCache(views)
    pages = StatusPages(config, views, actions is not None, fleet, support is not None)
    sites = SitePages(views, pages.page, fleet)
    devices = DevicePages(views, pages.page)
    rooms = RoomPages(views, pages.page)
    recognition = Recognition(config, views.now_ms)
    audit = AccessAudit(config.sign_in.file, views.now_ms)
    acts = audit if config.needs_sign_in else None
    kept_forms = KeptFormPage(pages.page, views.now_ms)
    guard = RouteGuard(config.needs_sign_in, config.sign_in.is_on, kept_forms)
    routes = [
        PageRoute("/", sites.sites, Right.SEE_STATUS),
        PageRoute("/sites/{site}", sites.site, Right.SEE_STATUS),
        PageRoute("/rooms", rooms.rooms, Right.SEE_DEVICES),
        PageRoute("/rooms/{room}", rooms.room, Right.SEE_DEVICES),
        PageRoute("/ports", BusyPortsPage(views, pages.page).page, Right.SEE_DEVICES),
        PageRoute("/teams", TeamPage(views, pages.page).page, Right.SEE_STATUS),
        PageRoute("/search", SearchPage(views, pages.page).page, Right.SEE_STATUS),
        PageRoute("/devices/{device}", devices.device, Right.SEE_DEVICES),
        PageRoute("/devices/{device}/port", devices.port, Right.SEE_DEVICES),
        PageRoute("/alerts", pages.alerts, Right.SEE_STATUS),
        PageRoute("/reports", pages.reports, Right.SEE_REPORTS),
        PageRoute("/reports/{name}", pages.report, Right.SEE_REPORTS),
        PageRoute("/catalogue", pages.catalogue, Right.SEE_STATUS),
        PageRoute("/accessibility", pages.accessibility, Right.SEE_PUBLIC),
        PageRoute("/api/status.json", pages.status, Right.SEE_STATUS),
        PageRoute("/form/{reference}", kept_forms.page, Right.SEE_PUBLIC),
        PageRoute("/healthz", pages.healthz, Right.SEE_PUBLIC),
        PageRoute("/static/{name}", pages.static, Right.SEE_PUBLIC),
    ]
    desk = support if config.needs_sign_in else None
    routes += CheckPage(views, pages.page, audit, reflector_secret, desk).routes
    routes += IntranetPages(config, NoticeSource(overviews)).routes
    if actions is not None:
        linked = ActionPages(actions, pages.page, acts)
        act = Right.ACT_ON_ALERTS
        routes += [
            PageRoute("/alerts/{action}/{key:path}", linked.start, act),
            # The link of a message is all that it takes to use it.
            PageRoute("/act/done/{action}", linked.done, Right.SEE_PUBLIC),
            PageRoute("/act/{token}", linked.page, Right.SEE_PUBLIC, ("GET", "POST")),
        ]
    if fleet is not None and config.fleet:
        shown_fleet = FleetPage(fleet, views, pages.page)
        routes.append(PageRoute("/fleet", shown_fleet.page, Right.SEE_FLEET))
    routes += SignInPages(config, recognition, audit, pages.page).routes
    if config.sign_in.is_on:
        routes += AdminPages(
            recognition.users, recognition.sessions, audit, pages.page
        ).routes
    if desk is not None:
        routes += SupportPages(desk, views, audit, pages.page).routes
    listed = [guard.guarded(route) for route in routes]
    if api is not None:
        listed += api.routes
    shown = Starlette(
        routes=listed,
        middleware=[
            Middleware(SecurityHeaders, is_https=recognition.cookies.is_secure),
            Middleware(VisitorRecognition, recognition=recognition),
            Middleware(ServerNames, names=config.names()),
            Middleware(FaultPage, show=pages.fault),
            *([] if rest is None else [Middleware(_Below, path=BASE, theirs=rest)]),
        ],
        exception_handlers={HTTPException: pages.refused},
    )
    if influx is None:
        return shown
    return _ByPath(
        influx_endpoint.PATHS,
        Starlette(routes=influx.routes, middleware=[Middleware(SecurityHeaders)]),
        shown,
    )
