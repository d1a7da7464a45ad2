"""Gathers what a page shows: queries the store and hands the rows to pure functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate import Estate, Site
from collectors.experience.groups import LEAST
from collectors.snmp.traps.trap_text import LEVELS
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.chart import Chart, ChartSeries, strip
from dashboards.figure_text import hour, percent, rate
from dashboards.missing_figures import LaptopCounts, laptops_query
from dashboards.observed import (
    Periods,
    Span,
    blind_spans,
    marks,
    observe,
    polling_periods,
    recorded_periods,
)
from dashboards.port_descriptions import latest_descriptions
from dashboards.query_cache import QueryCache, rounded
from dashboards.web import page_queries, site_state
from dashboards.web.health import DeviceHealth, health
from dashboards.web.monitor_cut_off import is_cut_off, not_observed
from dashboards.web.ports import PortList, ports
from probes.wire.clock import WallClock


class Alerts(Protocol):
    """The source of alerts. Its methods raise if the alerts cannot be read."""

    def open(self) -> list[Alert]: ...

    def recent(self, since_ms: int) -> list[Alert]: ...

    def silences(self, from_ms: int) -> list[Silence]: ...


@dataclass(frozen=True)
class Overview:
    """The state that every page shows. `is_complete`: the store and the alerts could
    be read."""

    now_ms: int
    estate: Estate
    sites: tuple[site_state.SiteNow, ...]
    causes: tuple[site_state.Cause, ...]
    pending: tuple[Alert, ...]
    silences: tuple[Silence, ...]
    blind: site_state.Blindness
    newest_ms: int | None
    unwell: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def sites_with_problems(self) -> int:
        return sum(site.level in ("bad", "warn") for site in self.sites)


@dataclass(frozen=True)
class LatestEvent:
    """The latest event of one kind from a device, and how many there were."""

    device: str
    event: str
    port: str
    text: str
    level: str
    word: str
    last_ms: int
    count: int


class Views:
    """Reads estate, alerts and store for the pages."""

    def __init__(
        self,
        estate: Callable[[], Estate],
        alerts: Alerts,
        answers: QueryCache,
        now_ms: WallClock,
        unwell: Callable[[int], Sequence[str]] = lambda now_ms: (),
        least: int = LEAST,
    ) -> None:
        self._estate, self._alerts, self._unwell = estate, alerts, unwell
        self.least = least
        self.answers, self.now_ms = answers, now_ms

    async def overview(self) -> Overview:
        now_ms = self.now_ms()
        to_ms = rounded(now_ms)
        estate = self._estate()
        alerts, silences, alerts_failing = await self._read_alerts(now_ms)
        fresh, lines = await self.answers.all(
            page_queries.polls(to_ms), page_queries.lines_now(to_ms)
        )
        earlier = await self._earlier(estate, fresh, to_ms)
        devices = site_state.devices_now(estate.devices, fresh, earlier, now_ms)
        lines_now = site_state.lines_now(estate.lines, lines, alerts)
        if is_cut_off(devices, alerts):
            devices = not_observed(devices)
        sites = site_state.worst_first(
            site_state.site_now(site, estate, devices, lines_now, alerts)
            for site in estate.sites
        )
        failing = self.answers.failing if fresh is None or lines is None else ""
        return Overview(
            now_ms=now_ms,
            estate=estate,
            sites=tuple(sites),
            causes=tuple(site_state.causes(alerts)),
            pending=tuple(alert for alert in alerts if alert.state == "pending"),
            silences=tuple(silences),
            blind=site_state.blindness(devices, alerts, failing, alerts_failing),
            newest_ms=max(
                (d.polled_ms for d in devices if d.polled_ms is not None), default=None
            ),
            unwell=await self.unwell(),
            is_complete=not (failing or alerts_failing),
        )

    async def unwell(self) -> tuple[str, ...]:
        """What keeps Towpath from working, a sentence each."""
        try:
            async with asyncio.timeout(5):
                sentences = await asyncio.to_thread(self._unwell, self.now_ms())
        except Exception as error:  # noqa: BLE001 - the page shows what it can
            return (f"Towpath's own health is not known: {error!r}.",)
        return tuple(sentences)

    async def experience(self) -> list[Row] | None:
        return await self.answers.query(
            page_queries.experience(rounded(self.now_ms(), 60_000))
        )

    async def absent(self, rows: list[Row] | None) -> Callable[[str, str], str]:
        """Returns why a group (by, group) is missing from `rows` of `experience`."""
        to_ms = rounded(self.now_ms(), 60_000)
        laptops = await self.answers.query(
            laptops_query(to_ms - page_queries.AGENTS_MS, to_ms)
        )
        if rows is None or laptops is None:
            return lambda by, group: figure_text.NOT_KNOWN
        counts = LaptopCounts.from_rows(rows, laptops)
        return lambda by, group: counts.why_absent(by, group, self.least)

    async def gateways(self) -> list[Row] | None:
        return await self.answers.query(
            page_queries.gateways_now(rounded(self.now_ms()))
        )

    async def recent(self) -> tuple[list[Alert], str]:
        """Alerts that ended in the last seven days, newest first."""
        since_ms = self.now_ms() - site_state.RECENT_MS
        try:
            async with asyncio.timeout(5):
                alerts = await asyncio.to_thread(self._alerts.recent, since_ms)
        except Exception as error:  # noqa: BLE001 - the page shows the error
            return [], _error_text(error)
        ended = [alert for alert in alerts if alert.resolved_ms is not None]
        return sorted(ended, key=lambda alert: -(alert.resolved_ms or 0)), ""

    async def presence(self, site: Site) -> dict[str, object]:
        """Returns a strip of the last day, in half hours, for each device."""
        step_ms = 30 * page_queries.MINUTE_MS
        to_ms = rounded(self.now_ms(), step_ms)
        from_ms = to_ms - page_queries.DAY_MS
        recorded = await self.answers.query(polling_periods(from_ms, to_ms))
        observed = await observe(
            self.answers.query,
            (from_ms, min(to_ms, rounded(self.now_ms(), page_queries.MINUTE_MS))),
            Periods(recorded=recorded_periods(recorded or ())),
            await self._blind(from_ms, to_ms),
            (site.id,),
            exact=[(from_ms, to_ms)],
        )
        spans = [(at, at + step_ms) for at in range(from_ms, to_ms, step_ms)]
        return {
            device: strip(
                f"day-{n}",
                f"{device}: the last 24 hours, by half hours",
                marks(pieces, spans),
            )
            for n, (device, pieces) in enumerate(sorted(observed.devices.items()))
        }

    async def _blind(self, from_ms: int, to_ms: int) -> list[Span]:
        """When the monitor was blind, by its alerts; none if they cannot be read."""

        def read() -> list[Alert]:
            return [*self._alerts.open(), *self._alerts.recent(from_ms)]

        try:
            async with asyncio.timeout(5):
                return blind_spans(await asyncio.to_thread(read), to_ms)
        except Exception:  # noqa: BLE001 - another part of the page shows the error
            return []

    async def line_charts(self, site: Site, estate: Estate) -> list[Chart]:
        to_ms = rounded(self.now_ms(), page_queries.CHART_STEP_MS)
        rows = await self.answers.query(page_queries.lines_day(to_ms, site.id))
        charts = []
        for n, line in enumerate(line for line in estate.lines if line.site == site.id):
            own = [row for row in rows or () if row.tags.get("line") == line.id]
            charts.append(
                Chart(
                    id=f"line-{n}",
                    title=f"{line.id}, last 24 hours",
                    series=(
                        _series("To the site", own, "down_bps_p95"),
                        _series("From the site", own, "up_bps_p95"),
                    ),
                    from_ms=to_ms - page_queries.DAY_MS,
                    to_ms=to_ms,
                    step_ms=page_queries.CHART_STEP_MS,
                    say=rate,
                    tick=hour,
                    limit=line.down_mbps * 1e6,
                    limit_name="Contracted to the site",
                )
            )
        return charts

    async def experience_chart(self, site: Site) -> Chart:
        to_ms = rounded(self.now_ms(), page_queries.CHART_STEP_MS)
        rows = await self.answers.query(
            page_queries.experience_day(to_ms, "site", (site.id,))
        )
        return Chart(
            id="experience",
            title="Share of test calls that missed a media target, last 24 hours",
            series=(_series("Poor calls", rows or [], "call_poor_ratio_mean"),),
            from_ms=to_ms - page_queries.DAY_MS,
            to_ms=to_ms,
            step_ms=page_queries.CHART_STEP_MS,
            say=percent,
            tick=hour,
            least_top=0.1,
        )

    async def ports(self, site: Site) -> PortList | None:
        to_ms = rounded(self.now_ms(), 60_000)
        rows, described = await self.answers.all(
            page_queries.ports_hour(to_ms, site.id),
            page_queries.port_descriptions(to_ms, site.id),
        )
        if rows is None:
            return None
        return ports(rows, descriptions=latest_descriptions(described))

    async def health(self, site: Site) -> DeviceHealth:
        to_ms = rounded(self.now_ms(), 60_000)
        return health(
            *await self.answers.all(
                page_queries.sensors_now(to_ms, site.id),
                page_queries.inventory_now(to_ms, site.id),
                page_queries.wireless_now(to_ms, site.id),
                page_queries.findings_now(to_ms, site.id),
            )
        )

    async def latest_events(
        self, site: Site, limit: int = 10
    ) -> list[LatestEvent] | None:
        """The events of the last day that matter, newest first; those still active come
        before all others."""
        rows = await self.answers.query(
            page_queries.events_day(rounded(self.now_ms(), 60_000), site.id)
        )
        if rows is None:
            return None
        events = [event for row in rows if (event := _latest_event(row)) is not None]
        events.sort(key=lambda event: (event.word != "Active", -event.last_ms))
        return events[:limit]

    async def _read_alerts(self, now_ms: int) -> tuple[list[Alert], list[Silence], str]:
        def read() -> tuple[list[Alert], list[Silence]]:
            return self._alerts.open(), self._alerts.silences(now_ms)

        try:
            async with asyncio.timeout(5):
                alerts, silences = await asyncio.to_thread(read)
        except Exception as error:  # noqa: BLE001 - the page shows the error
            return [], [], _error_text(error)
        return alerts, silences, ""

    async def _earlier(
        self, estate: Estate, fresh: list[Row] | None, to_ms: int
    ) -> list[Row] | None:
        if fresh is None:
            return None
        polled = {row.tags.get("device") for row in fresh}
        absent = tuple(
            sorted(d.id for d in estate.devices if d.poll and d.id not in polled)
        )
        if not absent:
            return []
        # Rounded to the minute, so that it is queried once a minute.
        at_ms = rounded(to_ms, 60_000)
        return await self.answers.query(page_queries.earlier_polls(at_ms, absent[:200]))


def _series(name: str, rows: list[Row], column: str) -> ChartSeries:
    points = [
        (row.time_ms, float(value))
        for row in rows
        if row.time_ms is not None
        and (value := row.values.get(column)) is not None
        and not isinstance(value, str)
    ]
    return ChartSeries(name, sorted(points))


def _latest_event(row: Row) -> LatestEvent | None:
    """Returns None for everyday notices: desk ports go down at night, and ports have a
    table of their own."""

    def number(name: str) -> int:
        value = row.values.get(name)
        return int(value) if isinstance(value, int | float) else 0

    level, active = number("level_max"), number("active_last")
    event = row.tags.get("event", "")
    if level < LEVELS["warning"] or event == "link_down" or not number("count_sum"):
        return None
    bad = "bad" if level >= LEVELS["critical"] else "warn"
    return LatestEvent(
        device=row.tags.get("device", ""),
        event=event,
        port=row.tags.get("port", ""),
        text=str(row.values.get("text_last", "")),
        level=bad if active else "ok",
        word="Active" if active else "Ended",
        last_ms=number("last_ms_max"),
        count=number("count_sum"),
    )


def _error_text(error: BaseException) -> str:
    return str(error) or type(error).__name__
