"""Operations of the API that show the whole estate, and what people use: rooms, VPN
gateways, and figures of groups of laptops."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.query_cache import rounded
from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import known_rows
from dashboards.web.api.api_route import ApiCall, ApiRoute, by_id, get_route
from dashboards.web.api.document_makers import (
    counted,
    device_document,
    gateway_document,
    group_document,
    line_document,
    room_document,
    site_document,
)
from dashboards.web.api.estate_documents import (
    GatewayDocument,
    GroupDocument,
    Id,
    RoomDocument,
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
        self._notices = NoticeSource(overviews)
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
                order=lambda group: (group.by, natural_order(group.group)),
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
        return StatusDocument(
            sites=counted(site.state for site in sites),
            devices=counted(device.state for device in devices),
            lines=counted(line.state for line in lines),
            alerts_firing=counted(cause.alert.severity for cause in view.causes),
            blind=view.blind.sentences,
            unwell=view.unwell,
            newest_poll_at=utc(view.newest_ms),
        )

    async def rooms(self, call: ApiCall) -> list[RoomDocument]:
        view = await self._overviews.latest()
        to_ms = rounded(self._views.now_ms())
        rows = known_rows(await self._views.answers.query(room_now(to_ms)))
        latest = {row.tags.get("room", ""): row for row in rows}
        return [room_document(room, latest.get(room.id)) for room in view.estate.rooms]

    async def gateways(self, call: ApiCall) -> list[GatewayDocument]:
        view = await self._overviews.latest()
        rows = known_rows(await self._views.gateways())
        latest = {row.tags.get("gateway", ""): row for row in rows}
        return [
            gateway_document(gateway, latest.get(gateway.id))
            for gateway in view.estate.vpn_gateways
        ]

    async def groups(self, call: ApiCall) -> list[GroupDocument]:
        rows = known_rows(await self._views.experience())
        kinds = sorted({row.tags.get("by", "") for row in rows})
        return [
            document
            for by in kinds
            if call.query.by in ("", by)
            for document in self._shown(rows, by)
        ]

    async def teams(self, call: ApiCall) -> list[TeamDocument]:
        view = await self._overviews.latest()
        rows = await self._views.experience()
        absent = await self._views.absent(rows)
        shown = {team.group: team for team in self._shown(known_rows(rows), "team")}
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

    def _shown(self, rows: list[Row], by: str) -> list[GroupDocument]:
        """The groups of one kind that are large enough."""
        documents = [group_document(group) for group in groups(rows, by)]
        return [group for group in documents if group.agents >= self._views.least]
