"""All routes of the API, and the application that serves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from alerts.acknowledgement import Share
from alerts.api_tokens import ApiTokens, tokens_file
from alerts.rule_files import Rules
from collectors.estate import Estate
from collectors.ingest import IngestConfig
from collectors.json_text import json_text
from collectors.store.query import Store
from dashboards.query_cache import QueryCache
from dashboards.web.api.access_operations import AccessOperations
from dashboards.web.api.alert_operations import AlertOperations
from dashboards.web.api.api_route import ApiCall, ApiRoute, RawAnswer
from dashboards.web.api.estate_operations import EstateOperations
from dashboards.web.api.fleet_operations import FleetOperations
from dashboards.web.api.live_updates import LiveUpdates
from dashboards.web.api.openapi_document import TITLE, VERSION, openapi_document
from dashboards.web.api.report_operations import ReportOperations
from dashboards.web.api.rest_api import BASE, RestApi
from dashboards.web.api.series_operations import SeriesOperations
from dashboards.web.api.service_operations import ServiceOperations
from dashboards.web.api.written_requests import WrittenRequests, written_file
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_views import Views
from dashboards.web.report_folder import ReportFolder
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.visitor_recognition import Recognition
from dashboards.web.visitors import Right
from dashboards.web.web_config import WebConfig

_QUERIES_AT_ONCE = 2
_QUERY_S = 20.0


@dataclass(frozen=True)
class ApiSources:
    """What the API needs besides what the pages have. `standing` is the alert engine's
    file; `ingest`: whose registry has the laptops. `share`: if two machines alert."""

    standing: Path
    known: Callable[[], tuple[Rules, Estate]]
    estate: Callable[[], Estate]
    ingest: IngestConfig
    timezone: str
    share: Share | None = None


class CallerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, and what they may do."""

    name: str
    is_token: bool
    scopes: tuple[Right, ...]


class IndexDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program, or a person, goes on from here."""

    title: str
    version: str
    openapi: str


def api_routes(
    sources: ApiSources,
    views: Views,
    store: Store,
    config: WebConfig,
    overviews: OverviewCache,
    updates: LiveUpdates,
) -> list[ApiRoute]:
    recognition = Recognition(config, views.now_ms)
    answers = QueryCache(
        store, views.now_ms, _QUERY_S, keep_ms=0, at_once=_QUERIES_AT_ONCE
    )
    routes = [
        ApiRoute("GET", "/", "get_index", "What this is", None, _index, IndexDocument),
        ApiRoute(
            "GET",
            "/me",
            "get_caller",
            "Who calls, and what they may do",
            Right.SEE_STATUS,
            _caller,
            CallerDocument,
        ),
        updates.route,
        *ServiceOperations(views, overviews, sources.timezone).routes,
        *EstateOperations(views, overviews).routes,
        *SeriesOperations(answers).routes,
        *AlertOperations(
            sources.standing, sources.known, sources.timezone, sources.share
        ).routes,
        *ReportOperations(ReportFolder(config.reports)).routes,
        *FleetOperations(sources.ingest, sources.estate).routes,
        *AccessOperations(
            recognition.users,
            recognition.sessions,
            AccessAudit(config.sign_in.file, views.now_ms),
        ).routes,
    ]
    document = b""

    async def openapi(call: ApiCall) -> RawAnswer:
        return RawAnswer(document, "application/json")

    routes.append(
        ApiRoute(
            "GET", "/openapi.json", "get_openapi", "This document", None, openapi, None
        )
    )
    document = json_text(openapi_document(routes, BASE)).encode()
    return routes


def rest_api(
    sources: ApiSources,
    views: Views,
    store: Store,
    config: WebConfig,
    overviews: OverviewCache,
    updates: LiveUpdates,
) -> RestApi:
    return RestApi(
        api_routes(sources, views, store, config, overviews, updates),
        ApiTokens(tokens_file(sources.standing)),
        WrittenRequests(written_file(sources.standing)),
        config,
        views.now_ms,
        AccessAudit(config.sign_in.file, views.now_ms)
        if config.needs_sign_in
        else None,
    )


async def _index(call: ApiCall) -> IndexDocument:
    return IndexDocument(title=TITLE, version=VERSION, openapi=f"{BASE}/openapi.json")


async def _caller(call: ApiCall) -> CallerDocument:
    caller = call.caller
    return CallerDocument(
        name=caller.name, is_token=caller.is_token, scopes=tuple(sorted(caller.rights))
    )
