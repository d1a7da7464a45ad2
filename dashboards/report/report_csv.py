"""The report as CSV, one file per table: UTF-8 without a BOM, units in the headers.

Absent figures are empty cells. Texts a spreadsheet would run as a formula get a quote
mark in front (CWE-1236).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from dashboards import figure_text
from dashboards.report import poor_call_causes, report_figures
from dashboards.report.report_data import ReportContent
from probes.wire.display import displayable

Cell = str | int | float | None
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")


def tables(content: ReportContent) -> dict[str, str]:
    """Returns the name of each table → its CSV text. Pure."""
    return {
        "sites": _csv(_SITES, _sites(content)),
        "devices": _csv(_DEVICES, _devices(content)),
        "lines": _csv(_LINES, _lines(content)),
        "calls": _csv(_CALLS, _calls(content)),
        "causes": _csv(_CAUSES, _causes(content)),
        "gateways": _csv(_GATEWAYS, _gateways(content)),
        "incidents": _csv(_INCIDENTS, _incidents(content)),
    }


_SITES = (
    "month",
    "site",
    "site name",
    "reachable in opening hours (ratio of observed time)",
    "reachable at all hours (ratio of observed time)",
    "last month reachable at all hours (ratio of observed time)",
    "observed (ratio of month without maintenance)",
    "not observed (h)",
    "planned maintenance (h)",
    "not reachable (h)",
    "incidents",
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
    "month",
    "site",
    "device",
    "role",
    "answered (ratio of observed time)",
    "observed (ratio of month without maintenance)",
    "not answering (h)",
)


def _devices(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for site in content.sites:
        for device in site.devices:
            a = device.availability
            yield (
                str(content.month),
                site.site.id,
                device.device.id,
                device.device.role,
                a.ratio,
                a.observed_ratio,
                _hours(a.down_ms),
            )


_LINES = (
    "month",
    "site",
    "line",
    "supplier",
    "circuit",
    "role",
    "contracted to site (Mbit/s)",
    "contracted from site (Mbit/s)",
    "to site p95 (ratio of contract)",
    "from site p95 (ratio of contract)",
    "highest to site (ratio of contract)",
    "highest from site (ratio of contract)",
    "last month p95 in the busier direction (ratio of contract)",
    "hours over 85%",
    "hours observed",
    "port up (ratio of observed time)",
    "cost (GBP a year)",
    "cost (GBP a year per contracted Mbit/s)",
    "contract ends",
    "notice (days)",
    "advice",
)


def _lines(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for site in content.sites:
        for figures in site.lines:
            line = figures.line
            yield (
                str(content.month),
                site.site.id,
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
                line.contract_end.isoformat() if line.contract_end else None,
                line.notice_days,
                report_figures.value_for_money(figures),
            )


_CALLS = (
    "month",
    "grouped by",
    "group",
    "hours",
    "laptops at most (rounded to 5)",
    "test calls",
    "windows",
    "days",
    "poor calls (ratio of calls)",
    "estimated MOS (mean of windows' medians by calls)",
    "round trip (mean of windows' p95 by calls, ms)",
    "loss (mean of calls, ratio)",
    "jitter (mean of windows' p95 by calls, ms)",
    "VPN up (ratio of laptops)",
    "web worked (ratio of requests)",
    "last month poor calls (ratio of calls)",
    "last month estimated MOS (mean of windows' medians by calls)",
    "note",
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
    "month",
    "grouped by",
    "group",
    "poor (ratio of laptops)",
    *(f"{name} (ratio of laptops)" for name in figure_text.CAUSES.values()),
    "last month poor (ratio of laptops)",
    *(f"last month {name} (ratio of laptops)" for name in figure_text.CAUSES.values()),
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
    "month",
    "gateway",
    "answered (ratio of observed time)",
    "observed (ratio of month without maintenance)",
    "TCP connection median (ms)",
    "TCP connection p95 (ms)",
    "certificate ends in (days)",
)


def _gateways(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for gateway in content.gateways:
        yield (
            str(content.month),
            gateway.gateway.id,
            gateway.availability.ratio,
            gateway.availability.observed_ratio,
            gateway.connect_p50_ms,
            gateway.connect_p95_ms,
            gateway.certificate_days,
        )


_INCIDENTS = (
    "month",
    "site",
    "severity",
    "what",
    "cause",
    "began (UTC)",
    "ended (UTC)",
    "duration in the month (h)",
    "other signs explained",
)


def _incidents(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for incident in content.incidents:
        alert = incident.alert
        yield (
            str(content.month),
            alert.site,
            alert.severity,
            alert.summary or alert.title or alert.rule,
            alert.cause,
            figure_text.iso(alert.since_ms),
            None if incident.ongoing else figure_text.iso(incident.to_ms),
            _hours(incident.to_ms - incident.from_ms),
            incident.explains,
        )


def safe(cell: Cell) -> str:
    """Returns a cell as text that no spreadsheet executes. Numbers stay numbers."""
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        return f"{cell:.6g}"
    return "'" + cell if cell.lstrip(" ").startswith(_RUNS) else cell


def _csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells under {len(header)} headers")
        writer.writerow(
            [safe(displayable(cell) if isinstance(cell, str) else cell) for cell in row]
        )
    return out.getvalue()


def _hours(ms: float) -> float:
    return round(ms / 3_600_000, 3)
