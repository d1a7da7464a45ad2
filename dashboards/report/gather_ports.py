"""Queries the ports for a report: the busiest of each site, some sites at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from collectors.store.query import Row
from dashboards.observed import Span
from dashboards.port_descriptions import described_anew, latest_descriptions
from dashboards.report import report_queries
from dashboards.report.report_figures import PortFigures, largest_value, port_figures
from dashboards.step_progress import Progress, told_parts, untold

# All ports of a council together would be much memory.
_SITES_AT_ONCE = 50


async def gather_ports(
    ask: report_queries.AskStore,
    span: Span,
    sites: Sequence[str],
    progress: Progress = untold,
) -> dict[str, tuple[PortFigures, ...]]:
    """Returns the figures of the busiest ports by site, busiest first."""
    parts = [
        sites[begin : begin + _SITES_AT_ONCE]
        for begin in range(0, len(sites), _SITES_AT_ONCE)
    ]
    found: dict[str, tuple[PortFigures, ...]] = {}
    for some in told_parts(progress, "ports", parts):
        found |= await _ports(ask, span, some)
    return found


async def _ports(
    ask: report_queries.AskStore, span: Span, sites: Sequence[str]
) -> dict[str, tuple[PortFigures, ...]]:
    used: dict[tuple[str, ...], Row] = {}
    for row in await ask(report_queries.ports_use(*span, sites)):
        known = used.get(key := _port(row))
        # A port occurs twice if its device's role changed in the month.
        if known is None or _busier(row) > _busier(known):
            used[key] = row
    by_site: dict[str, list[Row]] = {}
    for row in await ask(report_queries.ports_month(*span, sites)):
        use = used.get(_port(row))
        if use is not None and row.tags["role"] == use.tags["role"]:
            values = {**row.values, **use.values}
            by_site.setdefault(row.tags["site"], []).append(Row(None, row.tags, values))
    busiest = {site: port_figures(rows) for site, rows in by_site.items()}
    devices = {port.device for ports in busiest.values() for port in ports}
    described = await _descriptions(ask, span[1], devices)
    return {
        site: tuple(
            replace(port, description=described.get((port.device, port.port), ""))
            for port in ports
        )
        for site, ports in busiest.items()
    }


async def _descriptions(
    ask: report_queries.AskStore, to_ms: int, devices: set[str]
) -> dict[tuple[str, str], str]:
    rows = await ask(report_queries.port_descriptions(to_ms, devices))
    if changed := described_anew(rows):
        # Which one is the latest is only in the hours, of which there are many.
        hours = report_queries.port_descriptions(to_ms, changed, report_queries.HOUR_MS)
        rows = [*rows, *await ask(hours)]
    return latest_descriptions(rows)


def _port(row: Row) -> tuple[str, ...]:
    return tuple(row.tags.get(tag, "") for tag in ("site", "device", "port"))


def _busier(row: Row) -> float:
    return largest_value(row, "in_use_ratio_p95", "out_use_ratio_p95") or 0.0
