"""What the API shows of the estate: sites, devices, ports, lines, rooms, gateways and
groups of laptops. Units are in the names; times are ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

SiteState = Literal[
    "working", "degraded", "problem", "down", "no_data", "not_monitored"
]
DeviceState = Literal[
    "answering",
    "not_readable",
    "not_answering",
    "not_polled",
    "no_data",
    "not_monitored",
]
LineState = Literal["working", "standby", "warning", "bad", "down", "no_data"]
GatewayState = Literal["answering", "not_answering", "certificate", "no_data"]
StreamWord = Literal["not_there", "standing_still", "not_measured", "advancing"]
Severity = Literal["critical", "warning", "info"]


class SiteDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A site, and its state now. `why` is one sentence; empty if all is well."""

    id: str
    name: str
    state: SiteState
    why: str
    criticality: str
    latitude_deg: float | None
    longitude_deg: float | None
    devices: int
    devices_answering: int
    lines: int
    alerts_firing: int
    busiest_line: str | None
    busiest_line_use_ratio: float | None
    newest_poll_at: datetime | None


class DeviceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A device, and its latest poll. `outcome`: `ok`, or why the poll failed."""

    id: str
    name: str
    site: str
    role: str
    address: str
    state: DeviceState
    outcome: str
    polled_at: datetime | None
    ports_up: int | None
    ports_down: int | None
    uptime_s: float | None
    parents: tuple[str, ...]
    powered_by: tuple[str, ...]


class PortDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A port in the last hour: 95th percentiles of its polls. `is_up` is null if it is
    switched off or not known; `expected_why`: why it is expected up, if it is."""

    device: str
    name: str
    description: str
    is_up: bool | None
    expected_why: str
    speed_bps: float | None
    in_bps_p95: float | None
    out_bps_p95: float | None
    in_use_ratio_p95: float | None
    out_use_ratio_p95: float | None
    errors_per_s: float | None
    discards_per_s: float | None


class SensorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor's latest value, in `unit`. `severity`: 0 well, 1 warning, 2 critical."""

    device: str
    name: str
    kind: str
    unit: str
    value: float | None
    state: str
    severity: int | None


class EventDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The latest event of one kind that a device reported in the last day."""

    device: str
    event: str
    port: str
    text: str
    is_active: bool
    count: int
    last_at: datetime


class NeighbourDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen on a port. `remote_device`: its id, if the estate has it."""

    device: str
    port: str
    name: str
    remote_device: str
    remote_port: str
    protocol: str
    address: str


class LineDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A line, its contract and its use now. `text` is its state in words."""

    id: str
    site: str
    supplier: str
    role: str
    state: LineState
    text: str
    contracted_down_bps: float
    contracted_up_bps: float
    down_bps: float | None
    up_bps: float | None
    down_use_ratio: float | None
    up_use_ratio: float | None


class RoomDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A room for live events, and whether it is ready. `stream`: null if the room has
    none, or no event is near."""

    id: str
    name: str
    site: str
    is_up: bool | None
    is_ready: bool | None
    text: str
    stream: StreamWord | None
    event: str
    minutes_to_start: float | None


class GatewayDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A VPN gateway, and the latest check of it."""

    id: str
    name: str
    site: str | None
    state: GatewayState
    text: str
    connect_ms: float | None
    tls_ms: float | None
    certificate_days: float | None


class GroupDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The latest figures of a group of laptops. Groups that are too small are not
    there. Units are in the names; `docs/catalogue.md` has them (`experience`)."""

    by: str
    group: str
    agents: int
    figures: Mapping[str, float]
    mostly: str


class TeamDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A team. `figures` is null if it is too small or has not reported: `why`."""

    id: str
    name: str
    site: str | None
    figures: Mapping[str, float] | None
    why: str


class StatusDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The whole estate now. `blind`: what cannot be seen, `unwell`: what keeps Towpath
    from working, a sentence each."""

    sites: Mapping[SiteState, int]
    devices: Mapping[DeviceState, int]
    lines: Mapping[LineState, int]
    alerts_firing: Mapping[Severity, int]
    blind: tuple[str, ...]
    unwell: tuple[str, ...]
    newest_poll_at: datetime | None


# A time in a request, with its offset from UTC.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Id = Annotated[str, msgspec.Meta(max_length=100)]


def utc(time_ms: int | None) -> datetime | None:
    return None if time_ms is None else utc_time(time_ms)


def utc_time(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def epoch_ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
