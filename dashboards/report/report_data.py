"""Asks the store for everything one report holds, and makes figures of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alerts.alert import Alert
from alerts.suppression import Silence
from collectors.estate import Estate, Site
from collectors.estate.opening_hours import OpeningHours
from collectors.experience.groups import LEAST
from collectors.store.query import Row, Store
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
from dashboards.report.group_calls import gather_calls
from dashboards.report.month import Month

Progress = Callable[[str], None]
_ALWAYS = OpeningHours(opens="00:00", closes="24:00", days=(0, 1, 2, 3, 4, 5, 6))


@dataclass(frozen=True)
class Content:
    """Everything a report says. `to_ms` is before the month's end where it still runs.

    `blind_ms`: time in which nothing was observed of these sites: the monitor was off,
    blind or cut off. `whole`: these are all the sites there are. `hours`: the working
    hours in which calls are compared; `least`: the smallest group of laptops shown.
    """

    month: Month
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

    @property
    def running(self) -> bool:
        return self.to_ms < self.month.to_ms


@dataclass(frozen=True)
class PollPeriods:
    """ms between two polls of a device, and of a VPN gateway, where no other period is
    recorded (`self_poll.period_s`)."""

    devices_ms: int = 60_000
    gateways_ms: int = 60_000

    @classmethod
    def of_seconds(cls, devices_s: float, gateways_s: float) -> PollPeriods:
        return cls(round(devices_s * 1000), round(gateways_s * 1000))


@dataclass(frozen=True)
class Given:
    """What everything of one report is made from. `sites` None: all there are."""

    month: Month
    to_ms: int
    store: Store
    estate: Estate
    alerts: Sequence[Alert]
    silences: Sequence[Silence]
    sites: tuple[str, ...] | None
    periods: PollPeriods

    @property
    def span(self) -> Span:
        return self.month.from_ms, self.to_ms

    @property
    def span_before(self) -> Span:
        past = self.month.before()
        return past.from_ms, past.to_ms

    def maintenance(self, site: str, device: str | None = None) -> list[Span]:
        """Planned maintenance of everything, the site, and the device if given."""
        return [
            (each.from_ms, each.until_ms)
            for each in self.silences
            if each.planned
            and not each.rule
            and each.site in ("", site)
            and each.device in ("", device)
        ]


async def gather(
    month: Month,
    sites: Sequence[Site],
    store: Store,
    estate: Estate,
    now_ms: int,
    alerts: Sequence[Alert] = (),
    silences: Sequence[Silence] = (),
    progress: Progress = lambda said: None,
    least: int = LEAST,
    periods: PollPeriods | None = None,
) -> Content:
    """`ValueError` where the month has not begun. The store's own errors come through:
    half a report is not a report."""
    from_ms, to_ms = month.from_ms, min(month.to_ms, now_ms)
    if to_ms <= from_ms:
        raise ValueError(f"{month.name} has not begun yet")
    whole = len(sites) == len(estate.sites)
    given = Given(
        month,
        to_ms,
        store,
        estate,
        alerts,
        silences,
        None if whole else tuple(site.id for site in sites),
        periods or PollPeriods(),
    )
    progress("calls")
    calls = await gather_calls(store.query, month, to_ms, estate.sites, least)
    progress("availability")
    observed = await _observed(given, given.span)
    observed_before = await _observed(given, given.span_before)
    progress("lines and ports")
    lines = await _lines(given)
    ports = await _ports(given, sites)
    found = tuple(
        _site(
            site,
            (
                calls.group("site", site.id),
                calls.group("home_site_place", f"{site.id}/home"),
            ),
            given,
            (observed, observed_before),
            lines.get(site.id, ()),
            ports.get(site.id, ()),
        )
        for site in sites
    )
    progress("VPN gateways")
    return Content(
        month=month,
        to_ms=to_ms,
        made_ms=now_ms,
        sites=found,
        everybody=calls.group("all", "all"),
        places=calls.groups("place"),
        providers=calls.groups("provider"),
        connections=calls.groups("connection"),
        gateways=await _gateways(given, observed.cut_off),
        incidents=report_figures.incidents(alerts, from_ms, to_ms)
        if whole
        else tuple(incident for each in found for incident in each.incidents),
        blind_ms=unobserved(observed.sites.values(), from_ms, to_ms),
        whole=whole,
        hours=calls.hours,
        least=least,
    )


async def _observed(given: Given, span: Span) -> Observations:
    recorded = await given.store.query(polling_periods(*span))
    periods = Periods(given.periods.devices_ms, recorded_periods(recorded))
    blind = blind_spans(given.alerts, given.to_ms)
    return await observe(
        given.store.query,
        span,
        periods,
        blind,
        given.sites,
        exact=[
            (each.from_ms, each.until_ms) for each in given.silences if each.planned
        ],
    )


async def _lines(given: Given) -> dict[str, tuple[report_figures.LineFigures, ...]]:
    """By site, the busiest first."""
    ask, sites = given.store.query, given.sites
    found = report_figures.line_figures(
        [line for line in given.estate.lines if sites is None or line.site in sites],
        await ask(report_queries.line_month(*given.span, sites)),
        await ask(report_queries.line_hours(*given.span, sites)),
        await ask(report_queries.line_month(*given.span_before, sites)),
    )
    by_site: dict[str, tuple[report_figures.LineFigures, ...]] = {}
    for each in found:
        by_site[each.line.site] = (*by_site.get(each.line.site, ()), each)
    return by_site


async def _ports(
    given: Given, sites: Sequence[Site]
) -> dict[str, tuple[report_figures.PortFigures, ...]]:
    """By site, the busiest first."""
    ask = given.store.query
    used: dict[tuple[str, ...], Row] = {}
    for row in await ask(report_queries.ports_use(*given.span, given.sites)):
        known = used.get(key := _port(row))
        # Twice where a device's role changed in the month.
        if known is None or _busier(row) > _busier(known):
            used[key] = row
    by_site: dict[str, list[Row]] = {}
    for row in await ask(report_queries.ports_month(*given.span, given.sites)):
        if (use := used.get(_port(row))) is not None:
            values = {**row.values, **use.values}
            by_site.setdefault(row.tags["site"], []).append(Row(None, row.tags, values))
    return {
        site.id: report_figures.port_figures(by_site.get(site.id, ())) for site in sites
    }


def _port(row: Row) -> tuple[str, ...]:
    return tuple(row.tags.get(tag, "") for tag in ("site", "device", "port"))


def _busier(row: Row) -> float:
    return report_figures.most(row, "in_use_ratio_p95", "out_use_ratio_p95") or 0.0


def _site(
    site: Site,
    groups: tuple[report_figures.GroupFigures, report_figures.GroupFigures],
    given: Given,
    observed: tuple[Observations, Observations],
    lines: tuple[report_figures.LineFigures, ...],
    ports: tuple[report_figures.PortFigures, ...],
) -> report_figures.SiteFigures:
    now, before = observed
    planned = given.maintenance(site.id)
    pieces = now.sites.get(site.id, [])
    devices = [
        report_figures.DeviceFigures(
            each,
            availability(
                now.devices.get(each.id, []),
                *given.span,
                site.hours,
                given.maintenance(site.id, each.id),
            ),
        )
        for each in given.estate.devices
        if each.site == site.id and each.poll
    ]
    devices.sort(key=lambda each: (_or_last(each.availability.ratio), each.device.id))
    return report_figures.SiteFigures(
        site=site,
        availability=availability(pieces, *given.span, site.hours, planned),
        before=availability(
            before.sites.get(site.id, []), *given.span_before, site.hours, planned
        ),
        days=tuple(marks(pieces, given.month.days(), planned)),
        devices=tuple(devices),
        lines=lines,
        ports=ports,
        experience=groups[0],
        staff_at_home=groups[1],
        incidents=report_figures.incidents(given.alerts, *given.span, site.id),
    )


async def _gateways(
    given: Given, blind: Sequence[Span]
) -> tuple[report_figures.GatewayFigures, ...]:
    """`blind`: when the monitor could not have seen them."""
    if not given.estate.vpn_gateways:
        return ()
    observed = await observe(
        given.store.query,
        given.span,
        Periods(given.periods.gateways_ms),
        blind,
        subjects=Subjects("vpn_gateway", "gateway"),
        is_estate=False,
        exact=[given.span],
    )
    month = {
        row.tags.get("gateway", ""): row
        for row in await given.store.query(report_queries.gateway_month(*given.span))
    }
    found = []
    for each in given.estate.vpn_gateways:
        row = month.get(each.id)
        planned = given.maintenance(each.site or "", each.device)
        pieces = observed.devices.get(each.id, [])
        found.append(
            report_figures.GatewayFigures(
                each,
                availability(pieces, *given.span, _ALWAYS, planned),
                report_figures.real(row, "connect_ms_p50"),
                report_figures.real(row, "connect_ms_p95"),
                report_figures.real(row, "certificate_days_last"),
            )
        )
    return tuple(found)


def _or_last(ratio: float | None) -> float:
    return 2.0 if ratio is None else ratio
