"""Queries the store for one report, and computes its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate import Estate, Site
from collectors.estate.opening_hours import OpeningHours
from collectors.experience.groups import LEAST
from collectors.local_days import local_date
from collectors.natural_order import natural_order
from collectors.store.memory_release import release_memory
from collectors.store.query import Store
from dashboards.event_calls import EventCalls, event_calls, event_queries
from dashboards.observed import (
    Observations,
    Periods,
    Span,
    Subjects,
    blind_spans,
    marks,
    observe,
    polling_periods,
    recorded_periods,
)
from dashboards.report import report_figures, report_queries
from dashboards.report.availability import availability, unobserved
from dashboards.report.gather_lines import gather_lines
from dashboards.report.gather_ports import gather_ports
from dashboards.report.group_calls import Calls, gather_calls, open_by_day
from dashboards.report.line_value import (
    LineValue,
    SupplierSum,
    line_values,
    supplier_sums,
)
from dashboards.report.month import ReportPeriod
from dashboards.report.parity import ParityFigures, gather_parity
from dashboards.report.recorded_calls import (
    NO_RECORDED_CALLS,
    RecordedCalls,
    gather_recorded_calls,
)
from dashboards.report.report_inputs import PollPeriods, ReportInputs
from dashboards.report.trend import TrendMonth, gather_trend
from dashboards.report_config import ReportConfig, ReportTargets
from dashboards.report_formats import DEFAULT_FORMATS, ReportFormat
from dashboards.row_values import float_value
from dashboards.step_progress import Progress, untold

_ALWAYS = OpeningHours(opens="00:00", closes="24:00", days=(0, 1, 2, 3, 4, 5, 6))


@dataclass(frozen=True)
class ReportContent:
    """Everything a report shows. `to_ms` is before the month's end if it still runs.

    `blind_ms`: time in which nothing was observed of these sites, because the monitor
    was off, blind or cut off. `whole`: these are all sites of the estate. `hours`: the
    working hours in which calls are compared. `least`: the smallest group of laptops
    shown.
    """

    month: ReportPeriod
    to_ms: int
    made_ms: int
    sites: tuple[report_figures.SiteFigures, ...]
    everybody: report_figures.GroupFigures
    places: tuple[report_figures.GroupFigures, ...]
    providers: tuple[report_figures.GroupFigures, ...]
    connections: tuple[report_figures.GroupFigures, ...]
    gateways: tuple[report_figures.GatewayFigures, ...]
    incidents: tuple[report_figures.SiteIncident, ...]
    blind_ms: int
    whole: bool
    hours: OpeningHours
    least: int
    parity: tuple[ParityFigures, ...] = ()
    line_values: tuple[LineValue, ...] = ()
    trend: tuple[TrendMonth, ...] = ()
    targets: ReportTargets = field(default_factory=ReportTargets)
    suppliers: tuple[SupplierSum, ...] = ()
    recorded: RecordedCalls = NO_RECORDED_CALLS
    events: tuple[EventCalls, ...] = ()

    def people_at(self, site: str) -> int:
        """Returns the most laptops seen at once at a site, rounded to 5; 0 if too few
        were, or none."""
        return next((s.experience.agents for s in self.sites if s.site.id == site), 0)

    @property
    def lines(self) -> list[report_figures.LineFigures]:
        """Every line, site by site."""
        return [line for site in self.sites for line in site.lines]

    @property
    def made(self) -> datetime:
        """When it was made, in the council's time zone."""
        return datetime.fromtimestamp(self.made_ms / 1000, self.month.zone)

    @property
    def running(self) -> bool:
        return self.to_ms < self.month.to_ms


@dataclass(frozen=True)
class AlertHistory:
    """Alerts and silences of the month and the month before."""

    alerts: Sequence[Alert] = ()
    silences: Sequence[Silence] = ()


@dataclass(frozen=True)
class ReportSettings:
    """`alerts`: the alert engine's file, for incidents, planned maintenance, and when
    the monitor was cut off. `council`: the heading. `plain`: without charts, for
    screen readers and e-mail. `least`: the smallest group of laptops shown
    (`groups.least`). `periods`: how often devices and gateways are polled. `config`:
    the council's margins and targets.
    """

    alerts: Path | None = None
    council: str = ""
    formats: tuple[ReportFormat, ...] = DEFAULT_FORMATS
    plain: bool = False
    least: int = LEAST
    periods: PollPeriods = field(default_factory=PollPeriods)
    config: ReportConfig = field(default_factory=ReportConfig)


async def gather_content(
    month: ReportPeriod,
    sites: Sequence[Site],
    store: Store,
    estate: Estate,
    now_ms: int,
    history: AlertHistory | None = None,
    settings: ReportSettings | None = None,
    progress: Progress = untold,
) -> ReportContent:
    """Returns the content of a report. Raises `ValueError` if the month has not begun,
    and the store's own errors: half a report is not a report."""
    history, settings = history or AlertHistory(), settings or ReportSettings()
    from_ms, to_ms = month.from_ms, min(month.to_ms, now_ms)
    if to_ms <= from_ms:
        raise ValueError(f"{month.name} has not begun yet")
    whole = len(sites) == len(estate.sites)
    inputs = ReportInputs(
        month,
        to_ms,
        store,
        estate,
        history.alerts,
        history.silences,
        None if whole else tuple(site.id for site in sites),
        settings.periods,
    )
    calls = await gather_calls(
        store, month, to_ms, estate.sites, settings.least, progress
    )
    await release_memory(store)
    reached = await _reached(inputs, sites, calls, progress)
    await release_memory(store)
    names = [site.id for site in sites]
    ports = await gather_ports(store.query, inputs.span, names, progress)
    await release_memory(store)
    progress("VPN gateways")
    content = ReportContent(
        month=month,
        to_ms=to_ms,
        made_ms=now_ms,
        sites=reached.sites,
        everybody=calls.group("all", "all"),
        places=calls.groups("place"),
        providers=calls.groups("provider"),
        connections=calls.groups("connection"),
        gateways=await _gateway_figures(inputs, reached.cut_off),
        incidents=report_figures.site_incidents(history.alerts, from_ms, to_ms)
        if whole
        else tuple(incident for site in reached.sites for incident in site.incidents),
        blind_ms=reached.blind_ms,
        whole=whole,
        hours=calls.hours,
        least=settings.least,
        parity=await gather_parity(
            store.query,
            [(one.from_ms, one.to_ms) for one in month.months()],
            settings.config.margins,
            inputs.sites,
        ),
        trend=await gather_trend(store.query, month, to_ms, inputs.sites),
        targets=settings.config.targets,
        recorded=await gather_recorded_calls(
            store.query,
            inputs.span,
            open_by_day(calls.hours, month, to_ms),
            inputs.sites,
        ),
        events=await _gather_events(inputs, now_ms),
    )
    await release_memory(store)
    return await _with_lines(content, ports, inputs, progress)


async def _with_lines(
    content: ReportContent,
    ports: Mapping[str, tuple[report_figures.PortFigures, ...]],
    inputs: ReportInputs,
    progress: Progress,
) -> ReportContent:
    """Adds `ports` and lines to the sites. Lines are queried last, as the hours of all
    of them are kept until the report is written."""
    estate, zone = inputs.estate, inputs.month.zone
    listed = [line for line in estate.lines if inputs.covers(line.site)]
    spans = inputs.span, inputs.span_before
    lines = await gather_lines(inputs.store, listed, *spans, progress)
    sites = tuple(
        replace(figures, lines=lines.get(id, ()), ports=ports.get(id, ()))
        for figures in content.sites
        for id in (figures.site.id,)
    )
    values = line_values(
        [line for site in sites for line in site.lines],
        estate.lines,
        {site.id: site.name for site in estate.sites},
        local_date(content.made_ms, zone),
        zone,
    )
    sums = supplier_sums(values)
    return replace(content, sites=sites, line_values=values, suppliers=sums)


async def _gather_events(inputs: ReportInputs, now_ms: int) -> tuple[EventCalls, ...]:
    rooms = [room for room in inputs.estate.rooms if inputs.covers(room.site)]
    if not rooms:
        return ()
    queries = event_queries(inputs.span, rooms)
    answers = [await inputs.store.query(query) for query in queries]
    return event_calls(rooms, answers, now_ms)


class _Reached(NamedTuple):
    """Sites without their lines and ports, and when they could not be observed."""

    sites: tuple[report_figures.SiteFigures, ...]
    cut_off: list[Span]
    blind_ms: int


async def _reached(
    inputs: ReportInputs, sites: Sequence[Site], calls: Calls, progress: Progress
) -> _Reached:
    """Returns none of the observations of devices: those of a year are large."""
    now = await _observed(inputs, inputs.span, progress)
    before = await _observed(inputs, inputs.span_before, progress)
    return _Reached(
        tuple(_site_figures(site, calls, inputs, (now, before)) for site in sites),
        now.cut_off,
        unobserved(now.sites.values(), *inputs.span),
    )


async def _observed(
    inputs: ReportInputs, span: Span, progress: Progress
) -> Observations:
    recorded = await inputs.store.query(polling_periods(*span))
    periods = Periods(inputs.periods.devices_ms, recorded_periods(recorded))
    blind = blind_spans(inputs.alerts, inputs.to_ms)
    return await observe(
        inputs.store.query,
        span,
        periods,
        blind,
        inputs.sites,
        exact=[
            (silence.from_ms, silence.until_ms)
            for silence in inputs.silences
            if silence.planned
        ],
        progress=lambda step: progress(f"availability, {step}"),
    )


def _site_figures(
    site: Site,
    calls: Calls,
    inputs: ReportInputs,
    observed: tuple[Observations, Observations],
) -> report_figures.SiteFigures:
    now, before = observed
    planned = inputs.maintenance(site.id)
    pieces = now.sites.get(site.id, [])
    devices = [
        report_figures.DeviceFigures(
            device,
            availability(
                now.devices.get(device.id, []),
                *inputs.span,
                site.hours,
                inputs.maintenance(site.id, device.id),
            ),
        )
        for device in inputs.estate.devices
        if device.site == site.id and device.poll
    ]
    devices.sort(key=lambda one: (one.availability.rank, natural_order(one.name)))
    return report_figures.SiteFigures(
        site=site,
        availability=availability(pieces, *inputs.span, site.hours, planned),
        before=availability(
            before.sites.get(site.id, []), *inputs.span_before, site.hours, planned
        ),
        days=tuple(marks(pieces, inputs.month.days(), planned)),
        devices=tuple(devices),
        lines=(),
        ports=(),
        experience=calls.group("site", site.id),
        staff_at_home=calls.group("home_site_place", f"{site.id}/home"),
        incidents=report_figures.site_incidents(inputs.alerts, *inputs.span, site.id),
    )


async def _gateway_figures(
    inputs: ReportInputs, blind: Sequence[Span]
) -> tuple[report_figures.GatewayFigures, ...]:
    """`blind`: when the monitor could not observe them."""
    if not inputs.estate.vpn_gateways:
        return ()
    observed = await observe(
        inputs.store.query,
        inputs.span,
        Periods(inputs.periods.gateways_ms),
        blind,
        subjects=Subjects("vpn_gateway", "gateway"),
        is_estate=False,
        exact=[inputs.span],
    )
    month = {
        row.tags.get("gateway", ""): row
        for row in await inputs.store.query(report_queries.gateway_month(*inputs.span))
    }
    figures = []
    for gateway in inputs.estate.vpn_gateways:
        row = month.get(gateway.id)
        planned = inputs.maintenance(gateway.site or "", gateway.device)
        pieces = observed.devices.get(gateway.id, [])
        figures.append(
            report_figures.GatewayFigures(
                gateway,
                availability(pieces, *inputs.span, _ALWAYS, planned),
                float_value(row, "connect_ms_p50"),
                float_value(row, "connect_ms_p95"),
                float_value(row, "certificate_days_last"),
            )
        )
    return tuple(figures)
