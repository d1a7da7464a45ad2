"""Makes the documents of the API from the state that the pages show. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from collectors.estate import Room, VpnGateway
from collectors.snmp.tables.quantities import SENSORS
from collectors.store.query import Row
from dashboards.row_values import float_value
from dashboards.web.api.estate_documents import (
    DeviceDocument,
    DeviceState,
    EventDocument,
    GatewayDocument,
    GatewayState,
    GroupDocument,
    LineDocument,
    LineState,
    NeighbourDocument,
    PortDocument,
    RoomDocument,
    SensorDocument,
    SiteDocument,
    SiteState,
    StreamWord,
    utc,
    utc_time,
)
from dashboards.web.device_page_lists import ShownNeighbour
from dashboards.web.laptop_groups import Group
from dashboards.web.latest_events import LatestEvent
from dashboards.web.ports import PortNow
from dashboards.web.site_state import DeviceNow, LineNow, SiteNow, gateway_now

_DEVICE_STATES: Mapping[str, DeviceState] = {
    "Answering": "answering",
    "Answering, not readable": "not_readable",
    "Not answering": "not_answering",
    "Not polled": "not_polled",
    "No data": "no_data",
    "Not monitored": "not_monitored",
}
_LINE_STATES: Mapping[str, LineState] = {
    "Working": "working",
    "Standby": "standby",
    "Down": "down",
    "No data": "no_data",
}
# The field `stream_state` of a room.
_STREAM_WORDS: Mapping[float | None, StreamWord] = {
    0: "not_there",
    1: "standing_still",
    2: "not_measured",
    3: "advancing",
}
# Any other words are about the certificate.
_GATEWAY_STATES: Mapping[str, GatewayState] = {
    "Answering": "answering",
    "Not answering": "not_answering",
    "No data": "no_data",
}


def counted(states: Iterable[Any]) -> dict[Any, int]:
    return dict(sorted(Counter(states).items()))


def site_document(now: SiteNow) -> SiteDocument:
    busiest = now.busiest
    return SiteDocument(
        id=now.site.id,
        name=now.site.name,
        state=cast("SiteState", now.word.lower().replace(" ", "_")),
        why=now.why,
        criticality=now.site.criticality,
        latitude_deg=now.site.latitude,
        longitude_deg=now.site.longitude,
        devices=len(now.devices),
        devices_answering=now.up,
        lines=len(now.lines),
        alerts_firing=sum(not alert.suppressed_by for alert in now.alerts),
        busiest_line=busiest.line.id if busiest else None,
        busiest_line_use_ratio=busiest.use if busiest else None,
        newest_poll_at=utc(now.newest_ms),
    )


def device_document(now: DeviceNow) -> DeviceDocument:
    device = now.device
    return DeviceDocument(
        id=device.id,
        name=device.name,
        site=device.site,
        role=device.role,
        address=str(device.address),
        state=_DEVICE_STATES[now.word],
        outcome=now.outcome,
        polled_at=utc(now.polled_ms),
        ports_up=now.ports_up,
        ports_down=now.ports_down,
        uptime_s=now.uptime_s,
        parents=device.above,
        powered_by=device.powered_by,
    )


def line_document(now: LineNow) -> LineDocument:
    line = now.line
    other: LineState = "bad" if now.level == "bad" else "warning"
    return LineDocument(
        id=line.id,
        site=line.site,
        supplier=line.supplier,
        role=line.role,
        state=_LINE_STATES.get(now.word, other),
        text=now.word,
        contracted_down_bps=line.down_mbps * 1e6,
        contracted_up_bps=line.up_mbps * 1e6,
        down_bps=now.down_bps,
        up_bps=now.up_bps,
        down_use_ratio=now.down_use,
        up_use_ratio=now.up_use,
    )


def port_document(port: PortNow) -> PortDocument:
    return PortDocument(
        device=port.device,
        name=port.port,
        description=port.description,
        is_up=port.up,
        expected_why=port.why,
        speed_bps=port.speed_bps,
        in_bps_p95=port.in_bps,
        out_bps_p95=port.out_bps,
        in_use_ratio_p95=port.in_use,
        out_use_ratio_p95=port.out_use,
        errors_per_s=port.errors_per_s,
        discards_per_s=port.discards_per_s,
    )


def sensor_document(row: Row) -> SensorDocument:
    kind = row.tags.get("class", "")
    severity = float_value(row, "severity_last")
    return SensorDocument(
        device=row.tags.get("device", ""),
        name=row.tags.get("sensor", ""),
        kind=kind,
        unit=(SENSORS[kind].unit or "") if kind in SENSORS else "",
        value=float_value(row, "value_last"),
        state=text_of(row, "state_last"),
        severity=None if severity is None else int(severity),
    )


def room_document(room: Room, row: Row | None) -> RoomDocument:
    return RoomDocument(
        id=room.id,
        name=room.name,
        site=room.site,
        is_up=flag_of(row, "up_last"),
        is_ready=flag_of(row, "ready_last"),
        text=text_of(row, "text_last"),
        stream=_STREAM_WORDS.get(float_value(row, "stream_state_last")),
        event=text_of(row, "event_text_last"),
        minutes_to_start=float_value(row, "minutes_to_start_last"),
    )


def gateway_document(gateway: VpnGateway, row: Row | None) -> GatewayDocument:
    _, text = gateway_now(None if row is None else row.values)
    return GatewayDocument(
        id=gateway.id,
        name=gateway.name,
        site=gateway.site,
        state=_GATEWAY_STATES.get(text, "certificate"),
        text=text,
        connect_ms=float_value(row, "connect_ms_last"),
        tls_ms=float_value(row, "tls_ms_last"),
        certificate_days=float_value(row, "certificate_days_last"),
    )


def group_document(group: Group) -> GroupDocument:
    figures = {
        name.removesuffix("_last"): value for name, value in group.values.items()
    }
    agents = int(figures.pop("agents", 0))
    return GroupDocument(
        by=group.by,
        group=group.group,
        agents=agents,
        figures=dict(sorted(figures.items())),
        mostly=group.mostly,
    )


def flag_of(row: Row | None, name: str) -> bool | None:
    number = float_value(row, name)
    return None if number is None else bool(number)


def text_of(row: Row | None, name: str) -> str:
    return "" if row is None else str(row.values.get(name) or "")


def event_document(event: LatestEvent) -> EventDocument:
    return EventDocument(
        device=event.device,
        event=event.event,
        port=event.port,
        text=event.text,
        is_active=event.word == "Active",
        count=event.count,
        last_at=utc_time(event.last_ms),
    )


def neighbour_document(neighbour: ShownNeighbour, device: str) -> NeighbourDocument:
    return NeighbourDocument(
        device=device,
        port=neighbour.port,
        name=neighbour.name,
        remote_device=neighbour.device,
        remote_port=neighbour.remote_port,
        protocol=neighbour.protocol,
        address=neighbour.address,
    )
