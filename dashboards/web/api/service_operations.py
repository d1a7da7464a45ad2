"""Operations of the API that show the whole estate, and what people use: rooms, VPN
gateways, and figures of groups of laptops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import cast
from zoneinfo import ZoneInfo

from dashboards.query_cache import rounded
from dashboards.web import site_state
from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import known_rows
from dashboards.web.api.api_route import ApiCall, ApiRoute, by_id, get_route
from dashboards.web.api.document_makers import (
    counted,
    device_document,
    flag_of,
    group_document,
    line_document,
    number_of,
    site_document,
    text_of,
)
from dashboards.web.api.estate_documents import (
    GatewayDocument,
    GroupDocument,
    Id,
    RoomDocument,
    Severity,
    StatusDocument,
    TeamDocument,
    utc,
)
from dashboards.web.intranet.notice_source import (
    NoticesDocument,
    NoticeSource,
    notices_document,
)
from dashboards.web.laptop_groups import groups
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_queries import room_now
from dashboards.web.page_views import Views
from dashboards.web.visitors import Right


class GroupQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    by: Id = ""


class ServiceOperations:
    """`routes` are those of the API."""

    def __init__(self, views: Views, overviews: OverviewCache, timezone: str) -> None:
        self._views, self._overviews = views, overviews
        self._notices = NoticeSource(views, overviews)
        self._zone = ZoneInfo(timezone)

    @property
    def routes(self) -> list[ApiRoute]:
        status = Right.SEE_STATUS
        return [
            get_route(
                "/notices",
                "get_notices",
                "What staff read on the intranet",
                Right.SEE_SUMMARY,
                self.notices,
                NoticesDocument,
            ),
            get_route(
                "/status",
                "get_status",
                "The whole estate now",
                status,
                self.status,
                StatusDocument,
            ),
            get_route(
                "/rooms",
                "list_rooms",
                "Rooms for live events",
                status,
                self.rooms,
                RoomDocument,
                query=Paged,
                order=by_id,
            ),
            get_route(
                "/gateways",
                "list_gateways",
                "VPN gateways",
                status,
                self.gateways,
                GatewayDocument,
                query=Paged,
                order=by_id,
            ),
            get_route(
                "/groups",
                "list_groups",
                "Figures of groups of laptops, of ten laptops or more",
                status,
                self.groups,
                GroupDocument,
                query=GroupQuery,
                order=lambda group: (group.by, group.group),
            ),
            get_route(
                "/teams",
                "list_teams",
                "Teams and their figures",
                status,
                self.teams,
                TeamDocument,
                query=Paged,
                order=by_id,
            ),
        ]

    async def notices(self, call: ApiCall) -> NoticesDocument:
        return notices_document(*await self._notices.view(), self._zone)

    async def status(self, call: ApiCall) -> StatusDocument:
        view = await self._overviews.latest()
        sites = [site_document(site) for site in view.sites]
        devices = [device_document(device) for device in view.devices]
        lines = [line_document(line) for line in view.lines]
        firing = Counter(cause.alert.severity for cause in view.causes)
        return StatusDocument(
            sites=counted(site.state for site in sites),
            devices=counted(device.state for device in devices),
            lines=counted(line.state for line in lines),
            alerts_firing=cast("Mapping[Severity, int]", dict(firing)),
            blind=view.blind.sentences,
            unwell=view.unwell,
            newest_poll_at=utc(view.newest_ms),
        )

    async def rooms(self, call: ApiCall) -> list[RoomDocument]:
        view = await self._overviews.latest()
        to_ms = rounded(self._views.now_ms())
        rows = known_rows(await self._views.answers.query(room_now(to_ms)))
        latest = {row.tags.get("room", ""): row for row in rows}
        documents = []
        for room in view.estate.rooms:
            row = latest.get(room.id)
            documents.append(
                RoomDocument(
                    id=room.id,
                    name=room.name,
                    site=room.site,
                    is_up=flag_of(row, "up_last"),
                    is_ready=flag_of(row, "ready_last"),
                    text=text_of(row, "text_last"),
                    event=text_of(row, "event_text_last"),
                    minutes_to_start=number_of(row, "minutes_to_start_last"),
                )
            )
        return documents

    async def gateways(self, call: ApiCall) -> list[GatewayDocument]:
        view = await self._overviews.latest()
        rows = known_rows(await self._views.gateways())
        latest = {row.tags.get("gateway", ""): row for row in rows}
        documents = []
        for gateway in view.estate.vpn_gateways:
            row = latest.get(gateway.id)
            level, text = site_state.gateway_now(None if row is None else row.values)
            answering = level != "none" and text != "Not answering"
            state = "certificate" if level in ("bad", "warn") else "answering"
            documents.append(
                GatewayDocument(
                    id=gateway.id,
                    name=gateway.name,
                    site=gateway.site,
                    state="no_data"
                    if level == "none"
                    else state  # type: ignore[arg-type]
                    if answering
                    else "not_answering",
                    text=text,
                    connect_ms=number_of(row, "connect_ms_last"),
                    tls_ms=number_of(row, "tls_ms_last"),
                    certificate_days=number_of(row, "certificate_days_last"),
                )
            )
        return documents

    async def groups(self, call: ApiCall) -> list[GroupDocument]:
        rows = known_rows(await self._views.experience())
        kinds = sorted({row.tags.get("by", "") for row in rows})
        return [
            group_document(group)
            for by in kinds
            if call.query.by in ("", by)
            for group in groups(rows, by)
            if group.values.get("agents_last", 0) >= self._views.least
        ]

    async def teams(self, call: ApiCall) -> list[TeamDocument]:
        view = await self._overviews.latest()
        rows = await self._views.experience()
        absent = await self._views.absent(rows)
        shown = {
            group.group: group_document(group)
            for group in groups(known_rows(rows), "team")
            if group.values.get("agents_last", 0) >= self._views.least
        }
        return [
            TeamDocument(
                id=team.id,
                name=team.name,
                site=team.site,
                figures=shown[team.id].figures if team.id in shown else None,
                why="" if team.id in shown else absent("team", team.id),
            )
            for team in view.estate.teams
        ]
