"""The tables of a report: sites, devices, lines, test calls, causes, gateways and
incidents. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards import figure_text
from dashboards.report import poor_call_causes, report_figures
from dashboards.report.line_value_tables import SUPPLIER_LAYOUT, VALUE_LAYOUT
from dashboards.report.parity_table import PARITY_LAYOUT
from dashboards.report.recorded_call_tables import (
    AGREEMENT_LAYOUT,
    EVENTS_LAYOUT,
    RECORDED_LAYOUT,
)
from dashboards.report.report_columns import (
    Cell,
    CellColumn,
    ReportTable,
    TableLayout,
    utc_time,
)
from dashboards.report.report_data import ReportContent
from dashboards.report.trend_table import TREND_LAYOUT


def report_tables(content: ReportContent) -> tuple[ReportTable, ...]:
    """Returns every table of a report."""
    return tuple(layout.table(content) for layout in _LAYOUTS)


_SITES = (
    CellColumn("month"),
    CellColumn("site"),
    CellColumn("site name"),
    CellColumn("reachable in opening hours (ratio of observed time)", "ratio"),
    CellColumn("reachable at all hours (ratio of observed time)", "ratio"),
    CellColumn("last month reachable at all hours (ratio of observed time)", "ratio"),
    CellColumn("observed (ratio of month without maintenance)", "ratio"),
    CellColumn("not observed (h)", "number"),
    CellColumn("planned maintenance (h)", "number"),
    CellColumn("not reachable (h)", "number"),
    CellColumn("incidents", "count"),
)


def _sites(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for site in content.sites:
        a = site.availability
        yield (
            str(content.month),
            site.site.id,
            site.site.name,
            a.open_ratio,
            a.ratio,
            site.before.ratio,
            a.observed_ratio,
            _hours(a.unobserved_ms),
            _hours(a.maintenance_ms),
            _hours(a.down_ms),
            len(site.incidents),
        )


_DEVICES = (
    CellColumn("month"),
    CellColumn("site"),
    CellColumn("site name"),
    CellColumn("device"),
    CellColumn("device name"),
    CellColumn("role"),
    CellColumn("answered (ratio of observed time)", "ratio"),
    CellColumn("observed (ratio of month without maintenance)", "ratio"),
    CellColumn("not answering (h)", "number"),
)


def _devices(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for site in content.sites:
        for device in site.devices:
            a = device.availability
            yield (
                str(content.month),
                site.site.id,
                site.site.name,
                device.device.id,
                device.name,
                device.device.role,
                a.ratio,
                a.observed_ratio,
                _hours(a.down_ms),
            )


_LINES = (
    CellColumn("month"),
    CellColumn("site"),
    CellColumn("site name"),
    CellColumn("line"),
    CellColumn("supplier"),
    CellColumn("circuit"),
    CellColumn("role"),
    CellColumn("contracted to site (Mbit/s)", "number"),
    CellColumn("contracted from site (Mbit/s)", "number"),
    CellColumn("to site p95 (ratio of contract)", "ratio"),
    CellColumn("from site p95 (ratio of contract)", "ratio"),
    CellColumn("highest to site (ratio of contract)", "ratio"),
    CellColumn("highest from site (ratio of contract)", "ratio"),
    CellColumn("last month p95 in the busier direction (ratio of contract)", "ratio"),
    CellColumn("hours over 85%", "count"),
    CellColumn("hours observed", "count"),
    CellColumn("port up (ratio of observed time)", "ratio"),
    CellColumn("cost (GBP a year)", "pounds"),
    CellColumn("cost (GBP a year per contracted Mbit/s)", "pence"),
    CellColumn("contract ends", "date"),
    CellColumn("notice (days)", "count"),
)


def _lines(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for site in content.sites:
        for figures in site.lines:
            line = figures.line
            yield (
                str(content.month),
                site.site.id,
                site.site.name,
                line.id,
                line.supplier,
                line.circuit_ref,
                line.role,
                line.down_mbps,
                line.up_mbps,
                figures.down_p95,
                figures.up_p95,
                figures.down_max,
                figures.up_max,
                figures.before_p95,
                figures.busy_hours if figures.observed_hours else None,
                figures.observed_hours,
                figures.up_ratio,
                line.cost_per_year,
                figures.cost_per_mbps,
                line.contract_end,
                line.notice_days,
            )


_CALLS = (
    CellColumn("month"),
    CellColumn("grouped by"),
    CellColumn("group"),
    CellColumn("hours"),
    CellColumn("laptops at most (rounded to 5)", "count"),
    CellColumn("test calls (rounded to 5)", "count"),
    CellColumn("windows", "count"),
    CellColumn("days", "count"),
    CellColumn("poor calls (ratio of calls)", "ratio"),
    CellColumn("estimated MOS (mean of windows' medians by calls)", "number"),
    CellColumn("round trip (mean of windows' p95 by calls, ms)", "number"),
    CellColumn("loss (mean of calls, ratio)", "ratio"),
    CellColumn("jitter (mean of windows' p95 by calls, ms)", "number"),
    CellColumn("VPN up (ratio of laptops)", "ratio"),
    CellColumn("web worked (ratio of requests)", "ratio"),
    CellColumn("last month poor calls (ratio of calls)", "ratio"),
    CellColumn(
        "last month estimated MOS (mean of windows' medians by calls)", "number"
    ),
    CellColumn("note"),
)


def _calls(content: ReportContent) -> Iterable[Sequence[Cell]]:
    groups = (
        content.everybody,
        *content.places,
        *content.connections,
        *content.providers,
        *(site.experience for site in content.sites),
        *(site.staff_at_home for site in content.sites),
    )
    for group in groups:
        values, before = group.values or {}, group.before or {}
        yield (
            str(content.month),
            group.by,
            group.group,
            figure_text.hours(group.hours),
            *(
                (group.agents, group.calls, group.windows, group.days)
                if group.values is not None
                else (None,) * 4
            ),
            *(values.get(f"{name}_mean") for name in _OF_GROUPS),
            before.get("call_poor_ratio_mean"),
            before.get("mos_estimated_p50_mean"),
            group.absent or _missing(group),
        )


_OF_GROUPS = {
    "call_poor_ratio": "poor calls",
    "mos_estimated_p50": "estimated MOS",
    "rtt_p95_ms": "round trip",
    "loss_mean_ratio": "loss",
    "jitter_p95_ms": "jitter",
    "vpn_up_ratio": "VPN up",
    "web_ok_ratio": "web worked",
}


def _missing(group: report_figures.GroupFigures) -> str:
    """`estimated MOS, loss: no call succeeded; VPN up: too few laptops`."""
    why: dict[str, list[str]] = {}
    for name, title in _OF_GROUPS.items():
        if f"{name}_mean" not in (group.values or {}):
            why.setdefault(group.missing(name), []).append(title)
    return "; ".join(f"{', '.join(titles)}: {text}" for text, titles in why.items())


_CAUSES = (
    CellColumn("month"),
    CellColumn("grouped by"),
    CellColumn("group"),
    CellColumn("poor (ratio of laptops)", "ratio"),
    *(
        CellColumn(f"{name} (ratio of laptops)", "ratio")
        for name in figure_text.CAUSES.values()
    ),
    CellColumn("last month poor (ratio of laptops)", "ratio"),
    *(
        CellColumn(f"last month {name} (ratio of laptops)", "ratio")
        for name in figure_text.CAUSES.values()
    ),
)


def _causes(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for causes in poor_call_causes.causes_by_group(content):
        yield (
            str(content.month),
            causes.by,
            causes.group,
            causes.total,
            *(causes.shares[name] for name in figure_text.CAUSES),
            causes.total_before,
            *((causes.before or {}).get(name) for name in figure_text.CAUSES),
        )


_GATEWAYS = (
    CellColumn("month"),
    CellColumn("gateway"),
    CellColumn("gateway name"),
    CellColumn("answered (ratio of observed time)", "ratio"),
    CellColumn("observed (ratio of month without maintenance)", "ratio"),
    CellColumn("TCP connection median (ms)", "number"),
    CellColumn("TCP connection p95 (ms)", "number"),
    CellColumn("certificate ends in (days)", "number"),
)


def _gateways(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for gateway in content.gateways:
        yield (
            str(content.month),
            gateway.gateway.id,
            gateway.gateway.name or gateway.gateway.id,
            gateway.availability.ratio,
            gateway.availability.observed_ratio,
            gateway.connect_p50_ms,
            gateway.connect_p95_ms,
            gateway.certificate_days,
        )


_INCIDENTS = (
    CellColumn("month"),
    CellColumn("site"),
    CellColumn("site name"),
    CellColumn("severity"),
    CellColumn("what"),
    CellColumn("cause"),
    CellColumn("began (UTC)", "time"),
    CellColumn("ended (UTC)", "time"),
    CellColumn("duration in the month (h)", "number"),
    CellColumn("other signs explained", "count"),
    CellColumn("laptops usually at the site, at most (rounded to 5)", "count"),
)


def _incidents(content: ReportContent) -> Iterable[Sequence[Cell]]:
    names = {site.site.id: site.site.name for site in content.sites}
    for incident in content.incidents:
        alert = incident.alert
        yield (
            str(content.month),
            alert.site,
            names.get(alert.site or "", alert.site),
            alert.severity,
            alert.summary or alert.title or alert.rule,
            alert.cause,
            utc_time(alert.since_ms),
            None if incident.ongoing else utc_time(incident.to_ms),
            _hours(incident.to_ms - incident.from_ms),
            incident.explains,
            content.people_at(alert.site) or None,
        )


def _hours(ms: float) -> float:
    return round(ms / 3_600_000, 3)


_LAYOUTS = (
    TableLayout(
        "sites",
        "Sites",
        "Whether each site could be reached, as a share of observed time.",
        _SITES,
        _sites,
    ),
    TableLayout(
        "devices",
        "Devices",
        "Whether each device answered, as a share of observed time.",
        _DEVICES,
        _devices,
    ),
    TableLayout(
        "lines", "Lines", "Use, cost and contract of each line.", _LINES, _lines
    ),
    VALUE_LAYOUT,
    SUPPLIER_LAYOUT,
    PARITY_LAYOUT,
    TREND_LAYOUT,
    TableLayout(
        "calls",
        "Test calls",
        "Test calls of groups of laptops in working hours, never real calls.",
        _CALLS,
        _calls,
    ),
    RECORDED_LAYOUT,
    AGREEMENT_LAYOUT,
    EVENTS_LAYOUT,
    TableLayout(
        "causes",
        "Causes of poor calls",
        "The share of each group's laptops that had a poor test call, by its cause.",
        _CAUSES,
        _causes,
    ),
    TableLayout(
        "gateways",
        "VPN gateways",
        "Each VPN gateway, tested as a laptop connects.",
        _GATEWAYS,
        _gateways,
    ),
    TableLayout(
        "incidents",
        "Incidents",
        "What went wrong, longest first. Times are UTC.",
        _INCIDENTS,
        _incidents,
    ),
)
