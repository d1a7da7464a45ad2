"""Operations of the API that show the estate and its state now."""

from __future__ import annotations

from collectors.natural_order import natural_order
from dashboards.port_descriptions import latest_descriptions
from dashboards.query_cache import rounded
from dashboards.web import device_queries, page_queries
from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import complete, known_rows, no_such
from dashboards.web.api.api_route import ApiCall, ApiRoute, by_id, get_route
from dashboards.web.api.document_makers import (
    device_document,
    event_document,
    line_document,
    neighbour_document,
    port_document,
    sensor_document,
    site_document,
)
from dashboards.web.api.estate_documents import (
    DeviceDocument,
    DeviceState,
    EventDocument,
    Id,
    LineDocument,
    NeighbourDocument,
    PortDocument,
    SensorDocument,
    SiteDocument,
    SiteState,
)
from dashboards.web.device_page_lists import device_neighbours
from dashboards.web.latest_events import every_event
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_queries import DAY_MS, MINUTE_MS, Wheres, of_device, of_site
from dashboards.web.page_views import Views
from dashboards.web.ports import port_now
from dashboards.web.site_state import DeviceNow, SiteNow
from dashboards.web.visitors import Right


class SiteQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    state: SiteState | None = None


class DeviceQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    site: Id = ""
    role: Id = ""
    state: DeviceState | None = None


class LineQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    site: Id = ""


class PortQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Id = ""


class EstateOperations:
    """`routes` are those of the API."""

    def __init__(self, views: Views, overviews: OverviewCache) -> None:
        self._views, self._overviews = views, overviews

    @property
    def routes(self) -> list[ApiRoute]:
        status, devices = Right.SEE_STATUS, Right.SEE_DEVICES

        return [
            get_route(
                "/sites",
                "list_sites",
                "Sites and their state",
                status,
                self.sites,
                SiteDocument,
                query=SiteQuery,
                order=by_id,
            ),
            get_route(
                "/sites/{site}", "get_site", "One site", status, self.site, SiteDocument
            ),
            get_route(
                "/sites/{site}/events",
                "list_site_events",
                "What a site's devices reported in the last day",
                devices,
                self.site_events,
                EventDocument,
                query=Paged,
                order=_event_order,
            ),
            get_route(
                "/devices",
                "list_devices",
                "Devices and their latest polls",
                devices,
                self.devices,
                DeviceDocument,
                query=DeviceQuery,
                order=by_id,
            ),
            get_route(
                "/devices/{device}",
                "get_device",
                "One device",
                devices,
                self.device,
                DeviceDocument,
            ),
            get_route(
                "/devices/{device}/ports",
                "list_ports",
                "The ports of a device in the last hour",
                devices,
                self.ports,
                PortDocument,
                query=PortQuery,
                order=lambda port: (natural_order(port.name),),
            ),
            get_route(
                "/devices/{device}/sensors",
                "list_sensors",
                "The sensors of a device",
                devices,
                self.sensors,
                SensorDocument,
                query=Paged,
                order=lambda sensor: (sensor.kind, natural_order(sensor.name)),
            ),
            get_route(
                "/devices/{device}/neighbours",
                "list_neighbours",
                "What is seen on the ports of a device",
                devices,
                self.neighbours,
                NeighbourDocument,
                query=Paged,
                order=_neighbour_order,
            ),
            get_route(
                "/devices/{device}/events",
                "list_device_events",
                "What a device reported in the last day",
                devices,
                self.device_events,
                EventDocument,
                query=Paged,
                order=_event_order,
            ),
            get_route(
                "/lines",
                "list_lines",
                "Lines, their contracts and their use",
                status,
                self.lines,
                LineDocument,
                query=LineQuery,
                order=by_id,
            ),
            get_route(
                "/lines/{line}", "get_line", "One line", status, self.line, LineDocument
            ),
        ]

    async def sites(self, call: ApiCall) -> list[SiteDocument]:
        view = await complete(self._overviews)
        sites = [site_document(site) for site in view.sites]
        wanted = call.query.state
        return [site for site in sites if wanted in (None, site.state)]

    async def site(self, call: ApiCall) -> SiteDocument:
        return site_document(await self._site_now(call.path["site"]))

    async def site_events(self, call: ApiCall) -> list[EventDocument]:
        site = (await self._site_now(call.path["site"])).site
        return await self._events(of_site(site.id))

    async def device_events(self, call: ApiCall) -> list[EventDocument]:
        device = (await self._device_now(call.path["device"])).device
        return await self._events(of_device(device.id))

    async def _events(self, where: Wheres) -> list[EventDocument]:
        to_ms = self._to_ms()
        query = page_queries.events(to_ms - DAY_MS, to_ms, where)
        rows = known_rows(await self._views.answers.query(query))
        return [event_document(event) for event in every_event(rows)]

    async def devices(self, call: ApiCall) -> list[DeviceDocument]:
        view, wanted = await complete(self._overviews), call.query
        devices = [device_document(device) for device in view.devices]
        return [
            device
            for device in devices
            if wanted.site in ("", device.site)
            and wanted.role in ("", device.role)
            and wanted.state in (None, device.state)
        ]

    async def device(self, call: ApiCall) -> DeviceDocument:
        return device_document(await self._device_now(call.path["device"]))

    async def ports(self, call: ApiCall) -> list[PortDocument]:
        where = of_device((await self._device_now(call.path["device"])).device.id)
        to_ms = self._to_ms()
        rows, described = await self._views.answers.all(
            page_queries.ports_hour(to_ms, where),
            page_queries.port_descriptions(to_ms, where),
        )
        descriptions = latest_descriptions(described)
        ports = [port_now(row, descriptions) for row in known_rows(rows)]
        return [
            port_document(port) for port in ports if call.query.name in ("", port.port)
        ]

    async def sensors(self, call: ApiCall) -> list[SensorDocument]:
        where = of_device((await self._device_now(call.path["device"])).device.id)
        query = page_queries.sensors_now(self._to_ms(), where)
        rows = known_rows(await self._views.answers.query(query))
        return [sensor_document(row) for row in rows]

    async def neighbours(self, call: ApiCall) -> list[NeighbourDocument]:
        device = (await self._device_now(call.path["device"])).device
        query = device_queries.neighbours(self._to_ms(), device.id)
        rows = known_rows(await self._views.answers.query(query))
        known = (await self._overviews.latest()).devices
        found = device_neighbours(rows, (other.device.id for other in known))
        return [neighbour_document(neighbour, device.id) for neighbour in found]

    async def lines(self, call: ApiCall) -> list[LineDocument]:
        lines = [
            line_document(line) for line in (await complete(self._overviews)).lines
        ]
        return [line for line in lines if call.query.site in ("", line.site)]

    async def line(self, call: ApiCall) -> LineDocument:
        wanted = call.path["line"]
        for line in (await complete(self._overviews)).lines:
            if line.line.id == wanted:
                return line_document(line)
        raise no_such("line", wanted)

    def _to_ms(self) -> int:
        return rounded(self._views.now_ms(), MINUTE_MS)

    async def _site_now(self, id: str) -> SiteNow:
        for site in (await complete(self._overviews)).sites:
            if site.site.id == id:
                return site
        raise no_such("site", id)

    async def _device_now(self, id: str) -> DeviceNow:
        for device in (await complete(self._overviews)).devices:
            if device.device.id == id:
                return device
        raise no_such("device", id)


def _neighbour_order(one: NeighbourDocument) -> tuple[str, ...]:
    names = natural_order(one.port), natural_order(one.name)
    return (*names, one.remote_port, one.address)


def _event_order(event: EventDocument) -> tuple[str, ...]:
    """What stays the same if it happens again between two pages."""
    return (event.device, event.event, event.port, event.text)
