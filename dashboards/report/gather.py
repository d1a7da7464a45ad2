"""Asks the store for everything one report holds, and makes figures of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alerts.alert import Alert
from alerts.suppress import Silence
from collectors.estate import Estate, Site
from collectors.estate.hours import Hours
from collectors.groups import LEAST
from collectors.store.query import Store
from dashboards.report import figures, questions
from dashboards.report.availability import (
    Span,
    availability,
    by_device,
    days,
    reachable,
)
from dashboards.report.calls import gather_calls
from dashboards.report.month import Month

Progress = Callable[[str], None]
_ALWAYS = Hours(opens="00:00", closes="24:00", days=(0, 1, 2, 3, 4, 5, 6))


@dataclass(frozen=True)
class Content:
    """Everything a report says. `to_ms` is before the month's end where it still runs.

    `blind_ms`: time in which no device of these sites was polled: the monitor's own
    blindness. `whole`: these are all the sites there are. `hours`: the working hours in
    which calls are compared; `least`: the smallest group of laptops that is shown.
    """

    month: Month
    to_ms: int
    made_ms: int
    sites: tuple[figures.SiteFigures, ...]
    everybody: figures.GroupFigures
    places: tuple[figures.GroupFigures, ...]
    providers: tuple[figures.GroupFigures, ...]
    connections: tuple[figures.GroupFigures, ...]
    gateways: tuple[figures.GatewayFigures, ...]
    incidents: tuple[figures.Incident, ...]
    blind_ms: int
    whole: bool
    hours: Hours
    least: int

    @property
    def running(self) -> bool:
        return self.to_ms < self.month.to_ms


@dataclass(frozen=True)
class Given:
    """What everything of one report is made from."""

    month: Month
    to_ms: int
    store: Store
    estate: Estate
    alerts: Sequence[Alert]
    silences: Sequence[Silence]

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
) -> Content:
    """`ValueError` where the month has not begun. The store's own errors come through:
    half a report is not a report."""
    from_ms, to_ms = month.from_ms, min(month.to_ms, now_ms)
    if to_ms <= from_ms:
        raise ValueError(f"{month.name} has not begun yet")
    given = Given(month, to_ms, store, estate, alerts, silences)
    progress("calls")
    calls = await gather_calls(store.ask, month, to_ms, estate.sites, least)
    found: list[figures.SiteFigures] = []
    seen: dict[int, float] = {}
    for site in sites:
        progress(site.name)
        groups_of_site = (
            calls.group("site", site.id),
            calls.group("home_site_place", f"{site.id}/home"),
        )
        one, steps = await _site(site, groups_of_site, given)
        found.append(one)
        seen.update(dict.fromkeys(steps, 1.0))
    progress("VPN gateways")
    whole = len(sites) == len(estate.sites)
    return Content(
        month=month,
        to_ms=to_ms,
        made_ms=now_ms,
        sites=tuple(found),
        everybody=calls.group("all", "all"),
        places=calls.groups("place"),
        providers=calls.groups("provider"),
        connections=calls.groups("connection"),
        gateways=await _gateways(given),
        incidents=figures.incidents(alerts, from_ms, to_ms)
        if whole
        else tuple(incident for each in found for incident in each.incidents),
        blind_ms=availability(seen, from_ms, to_ms, _ALWAYS).unobserved_ms,
        whole=whole,
        hours=calls.hours,
        least=least,
    )


async def _site(
    site: Site,
    groups: tuple[figures.GroupFigures, figures.GroupFigures],
    given: Given,
) -> tuple[figures.SiteFigures, dict[int, float]]:
    month, past, to_ms = given.month, given.month.before(), given.to_ms
    span, span_before = (month.from_ms, to_ms), (past.from_ms, past.to_ms)
    ask = given.store.ask
    steps = by_device(await ask(questions.device_steps(*span, site.id)))
    steps_before = by_device(await ask(questions.device_steps(*span_before, site.id)))
    own = [each for each in given.estate.devices if each.site == site.id]
    planned = given.maintenance(site.id)
    best = reachable(steps.values())
    devices = [
        figures.DeviceFigures(
            each,
            availability(
                steps.get(each.id, {}),
                *span,
                site.hours,
                given.maintenance(site.id, each.id),
            ),
        )
        for each in own
        if each.poll
    ]
    devices.sort(key=lambda each: (_or_last(each.availability.ratio), each.device.id))
    lines = figures.line_figures(
        [line for line in given.estate.lines if line.site == site.id],
        await ask(questions.line_month(*span, site.id)),
        await ask(questions.line_hours(*span, site.id)),
        await ask(questions.line_month(*span_before, site.id)),
    )
    return (
        figures.SiteFigures(
            site=site,
            availability=availability(best, *span, site.hours, planned),
            before=availability(
                reachable(steps_before.values()), *span_before, site.hours, planned
            ),
            days=tuple(days(best, month.days(), planned)),
            devices=tuple(devices),
            lines=lines,
            ports=figures.port_figures(
                await ask(questions.ports_month(*span, site.id))
            ),
            experience=groups[0],
            staff_at_home=groups[1],
            incidents=figures.incidents(given.alerts, *span, site.id),
        ),
        best,
    )


async def _gateways(given: Given) -> tuple[figures.GatewayFigures, ...]:
    if not given.estate.vpn_gateways:
        return ()
    span = (given.month.from_ms, given.to_ms)
    rows = await given.store.ask(questions.gateway_steps(*span))
    steps = by_device(rows, "gateway")
    month = {
        row.tags.get("gateway", ""): row
        for row in await given.store.ask(questions.gateway_month(*span))
    }
    found = []
    for each in given.estate.vpn_gateways:
        row = month.get(each.id)
        planned = given.maintenance(each.site or "", each.device)
        found.append(
            figures.GatewayFigures(
                each,
                availability(steps.get(each.id, {}), *span, _ALWAYS, planned),
                figures.real(row, "connect_ms_p50"),
                figures.real(row, "connect_ms_p95"),
                figures.real(row, "certificate_days_last"),
            )
        )
    return tuple(found)


def _or_last(ratio: float | None) -> float:
    return 2.0 if ratio is None else ratio
