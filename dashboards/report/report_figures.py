"""The figures of a report, from rows. Pure. None means "not observed", never 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from alerts.alert import Alert
from collectors.estate import Device, Line, Site, VpnGateway
from collectors.estate.opening_hours import OpeningHours
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards import missing_figures
from dashboards.chart import Point
from dashboards.figure_text import day
from dashboards.report.availability import Availability
from dashboards.report.line_hours import LineHours
from dashboards.row_values import float_value
from probes.wire.counted_text import counted

IDLE_RATIO = 0.2
SOON_DAYS = 120
_FAR_DAYS = 2 * 365
# So many of the busiest ports of each site.
PORTS_SHOWN = 10


@dataclass(frozen=True)
class DeviceFigures:
    device: Device
    availability: Availability

    @property
    def name(self) -> str:
        return self.device.name or self.device.id


@dataclass(frozen=True)
class LineFigures:
    """One line's month, compared with its contract. `busy_hours` are hours whose 95th
    percentile was above 85% in either direction. `carrying_at`, `down_at`: the starts
    of hours in which it carried more than keep-alives, and in which its port was down
    for a time. `is_resized`: it had another size for some of the time, so its use is
    not a share of the size that it has now."""

    line: Line
    down_p95: float | None = None
    up_p95: float | None = None
    down_max: float | None = None
    up_max: float | None = None
    before_p95: float | None = None
    busy_hours: int = 0
    observed_hours: int = 0
    up_ratio: float | None = None
    is_resized: bool = False
    carrying_at: Set[int] = frozenset()
    down_at: Set[int] = frozenset()
    hourly: Sequence[Point] = ()

    @property
    def carried_hours(self) -> int:
        return len(self.carrying_at)

    @property
    def use_p95(self) -> float | None:
        return max(
            (u for u in (self.down_p95, self.up_p95) if u is not None), default=None
        )

    @property
    def change(self) -> float | None:
        """The change from the month before, as a share of the contracted speed."""
        if self.use_p95 is None or self.before_p95 is None:
            return None
        return self.use_p95 - self.before_p95

    @property
    def cost_per_mbps(self) -> float | None:
        """Pounds a year for each contracted Mbit/s towards the site."""
        cost = self.line.cost_per_year
        return None if cost is None else cost / self.line.down_mbps


@dataclass(frozen=True)
class Reminder:
    """What the dates of a contract require."""

    level: Literal["ok", "warn", "bad"]
    text: str


@dataclass(frozen=True)
class PortFigures:
    device: str
    port: str
    use_p95: float
    speed_bps: float | None
    faults_per_s: float | None
    description: str = ""


@dataclass(frozen=True)
class GroupFigures:
    """One group's month in `hours`, and its basis: `calls` in `windows` of about a
    quarter of an hour, on `days`, by at most `agents` laptops (both rounded to 5).

    `values` is None if there are no figures; `absent` is the reason.
    """

    by: str
    group: str
    hours: OpeningHours
    values: Mapping[str, float] | None
    before: Mapping[str, float] | None = None
    absent: str = ""
    agents: int = 0
    calls: int = 0
    windows: int = 0
    days: int = 0

    def missing(self, name: str) -> str:
        """Why a group with figures does not have this one."""
        poor = (self.values or {}).get("call_poor_ratio_mean")
        return missing_figures.why_missing(name, self.by, self.group, poor)


@dataclass(frozen=True)
class GatewayFigures:
    gateway: VpnGateway
    availability: Availability
    connect_p50_ms: float | None = None
    connect_p95_ms: float | None = None
    certificate_days: float | None = None


@dataclass(frozen=True)
class SiteIncident:
    """An alert that fired, clipped to the month. `ongoing`: still open at its end."""

    alert: Alert
    from_ms: int
    to_ms: int
    ongoing: bool
    explains: int = 0


@dataclass(frozen=True)
class SiteFigures:
    site: Site
    availability: Availability
    before: Availability
    days: tuple[str, ...]
    devices: tuple[DeviceFigures, ...]
    lines: tuple[LineFigures, ...]
    ports: tuple[PortFigures, ...]
    experience: GroupFigures
    staff_at_home: GroupFigures
    incidents: tuple[SiteIncident, ...]


def line_figures(
    lines: Iterable[Line],
    month: Iterable[Row],
    hours: Mapping[str, LineHours],
    before: Iterable[Row],
    sizes: Iterable[Row] = (),
) -> tuple[LineFigures, ...]:
    """Returns the figures of each line, in the order of `lines`. `hours`: by line."""
    contracts = {row.tags.get("line", ""): row for row in sizes}
    by_line = {row.tags.get("line", ""): row for row in month}
    past = {row.tags.get("line", ""): row for row in before}
    return tuple(
        _line(
            line,
            by_line.get(line.id),
            hours.get(line.id) or LineHours(),
            past.get(line.id),
            _is_resized(line, contracts.get(line.id)),
        )
        for line in lines
    )


def _is_resized(line: Line, contract: Row | None) -> bool:
    """Whether the recorded contract ever differed from the present one."""
    known = (("down", line.down_mbps * 1e6), ("up", line.up_mbps * 1e6))
    return any(
        (value := float_value(contract, f"contract_{way}_bps_{end}")) is not None
        and not math.isclose(value, now, rel_tol=1e-6)
        for way, now in known
        for end in ("min", "max")
    )


def _line(
    line: Line,
    month: Row | None,
    hours: LineHours,
    before: Row | None,
    is_resized: bool,
) -> LineFigures:
    return LineFigures(
        line,
        down_p95=float_value(month, "down_use_ratio_p95"),
        up_p95=float_value(month, "up_use_ratio_p95"),
        down_max=float_value(month, "down_use_ratio_max"),
        up_max=float_value(month, "up_use_ratio_max"),
        before_p95=largest_value(before, "down_use_ratio_p95", "up_use_ratio_p95"),
        busy_hours=hours.busy,
        observed_hours=len(hours.observed),
        up_ratio=hours.up_ratio,
        is_resized=is_resized,
        carrying_at=hours.carrying_at,
        down_at=hours.down_at,
        hourly=hours.points,
    )


def reminder(line: Line, today: date) -> Reminder | None:
    """Returns what the contract's dates require now; None if no date is listed."""
    end = line.contract_end
    if end is None:
        return None
    if end < today:
        return Reminder(
            "warn",
            f"The contract ended on {day(end)}. If it was renewed, its new end is not "
            "listed.",
        )
    ends = f"ends on {day(end)}{_left(end, today)}"
    if line.notice_days is None:
        level: Literal["ok", "warn"] = (
            "warn" if (end - today).days <= SOON_DAYS else "ok"
        )
        return Reminder(level, f"The contract {ends}.")
    notice = notice_day(line)
    if notice is None or notice < today:
        past = (
            f"The last day for notice was {day(notice)}"
            if notice
            else "The time for notice is longer than the contract"
        )
        return Reminder("warn", f"{past}; the contract {ends}.")
    left = (notice - today).days
    text = f"Give notice by {day(notice)}{_left(notice, today)}."
    if left <= 30:
        return Reminder("bad", text)
    return Reminder("warn" if left <= SOON_DAYS else "ok", text)


def notice_day(line: Line) -> date | None:
    """Returns the last day on which notice ends the contract at its listed end; None
    if a date is not listed. Notice is counted in days, over ends of months and leap
    days."""
    if line.contract_end is None or line.notice_days is None:
        return None
    try:
        return line.contract_end - timedelta(days=line.notice_days)
    except OverflowError:
        return None


def port_figures(
    rows: Iterable[Row], count: int = PORTS_SHOWN
) -> tuple[PortFigures, ...]:
    """Returns the busiest ports, by the 95th percentile of the busier direction."""
    ports = []
    for row in rows:
        use = largest_value(row, "in_use_ratio_p95", "out_use_ratio_p95")
        if use is None:
            continue
        faults = [
            value
            for way in ("in", "out")
            for kind in ("errors", "discards")
            if (value := float_value(row, f"{way}_{kind}_per_s_mean")) is not None
        ]
        ports.append(
            PortFigures(
                row.tags.get("device", ""),
                row.tags.get("port", ""),
                use,
                float_value(row, "speed_bps_last"),
                sum(faults) if faults else None,
            )
        )
    ports.sort(
        key=lambda port: (
            -port.use_p95,
            natural_order(port.device),
            natural_order(port.port),
        )
    )
    return tuple(ports[:count])


def site_incidents(
    alerts: Sequence[Alert], from_ms: int, to_ms: int, site: str | None = None
) -> tuple[SiteIncident, ...]:
    """Returns alerts that fired in the month without another cause, longest first."""
    fired = [
        alert
        for alert in alerts
        if alert.firing_ms is not None
        and alert.since_ms < to_ms
        and (alert.resolved_ms is None or alert.resolved_ms > from_ms)
    ]
    explains: dict[str, int] = {}
    for alert in fired:
        if cause := alert.suppressed_by or alert.explained_by:
            explains[cause] = explains.get(cause, 0) + 1
    incidents = [
        SiteIncident(
            alert,
            max(from_ms, alert.since_ms),
            min(to_ms, alert.resolved_ms or to_ms),
            alert.resolved_ms is None or alert.resolved_ms > to_ms,
            explains.get(alert.key, 0),
        )
        for alert in fired
        if not (alert.suppressed_by or alert.explained_by)
        and alert.severity != "info"
        and (site is None or alert.site == site)
    ]
    return tuple(
        sorted(incidents, key=lambda incident: incident.from_ms - incident.to_ms)
    )


def largest_value(row: Row | None, *names: str) -> float | None:
    known = [value for name in names if (value := float_value(row, name)) is not None]
    return max(known, default=None)


def _left(at: date, today: date) -> str:
    """Returns how long it is until then; nothing if that is years."""
    days = (at - today).days
    if not days:
        return " (today)"
    return f" ({counted(days, 'day')} left)" if days <= _FAR_DAYS else ""
