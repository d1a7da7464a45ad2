"""Gathers what a page shows: asks, then hands rows to the pure functions of `state`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from alerts.alert import Alert
from alerts.suppression import Silence
from collectors.estate import Estate, Site
from collectors.experience.groups import LEAST
from collectors.snmp.traps.trap_text import LEVELS
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.chart import Chart, ChartSeries, strip
from dashboards.figure_text import hour, percent, rate
from dashboards.missing_figures import Evidence, agents
from dashboards.observed import (
    Periods,
    Span,
    blind_spans,
    marks,
    observe,
    polling_periods,
    recorded_periods,
)
from dashboards.query_cache import Answers, rounded
from dashboards.web import page_queries, site_state
from dashboards.web.health import DeviceHealth, health
from dashboards.web.monitor_cut_off import is_cut_off, not_observed
from dashboards.web.ports import PortList, ports
from probes.wire.clock import WallClock


class Alerts(Protocol):
    """Where alerts are read from; both may raise where they cannot be."""

    def open(self) -> list[Alert]: ...

    def recent(self, since_ms: int) -> list[Alert]: ...

    def silences(self, from_ms: int) -> list[Silence]: ...


@dataclass(frozen=True)
class Overview:
    """What every page needs."""

    now_ms: int
    estate: Estate
    sites: tuple[site_state.SiteNow, ...]
    causes: tuple[site_state.Cause, ...]
    pending: tuple[Alert, ...]
    silences: tuple[Silence, ...]
    blind: site_state.Blindness
    newest_ms: int | None
    unwell: tuple[str, ...] = ()

    @property
    def troubled(self) -> int:
        return sum(each.level in ("bad", "warn") for each in self.sites)


@dataclass(frozen=True)
class LatestEvent:
    """What a device told by itself: the last of its kind, and how many there were."""

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
        answers: Answers,
        now_ms: WallClock,
        unwell: Callable[[int], Sequence[str]] = lambda now_ms: (),
        least: int = LEAST,
    ) -> None:
        self._estate, self._alerts, self._unwell = estate, alerts, unwell
        self.least = least
        self._answers, self.now_ms = answers, now_ms

    async def overview(self) -> Overview:
        now_ms = self.now_ms()
        to_ms = rounded(now_ms)
        estate = self._estate()
        alerts, silences, alerts_failing = await self._standing(now_ms)
        fresh, lines = await self._answers.all(
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
        failing = self._answers.failing if fresh is None or lines is None else ""
        return Overview(
            now_ms=now_ms,
            estate=estate,
            sites=tuple(sites),
            causes=tuple(site_state.causes(alerts)),
            pending=tuple(each for each in alerts if each.state == "pending"),
            silences=tuple(silences),
            blind=site_state.blindness(devices, alerts, failing, alerts_failing),
            newest_ms=max(
                (d.polled_ms for d in devices if d.polled_ms is not None), default=None
            ),
            unwell=await self.unwell(),
        )

    async def unwell(self) -> tuple[str, ...]:
        """What keeps Towpath from its work now, a sentence each."""
        try:
            async with asyncio.timeout(5):
                found = await asyncio.to_thread(self._unwell, self.now_ms())
        except Exception as error:  # noqa: BLE001 - the page shows what it can
            return (f"Whether Towpath is well cannot be told: {error!r}.",)
        return tuple(found)

    async def experience(self) -> list[Row] | None:
        return await self._answers.query(
            page_queries.experience(rounded(self.now_ms(), 60_000))
        )

    async def absent(self, rows: list[Row] | None) -> Callable[[str, str], str]:
        """Why a group (by, group) is not among `rows` of `experience`."""
        to_ms = rounded(self.now_ms(), 60_000)
        laptops = await self._answers.query(
            agents(to_ms - page_queries.AGENTS_MS, to_ms)
        )
        if rows is None or laptops is None:
            return lambda by, group: figure_text.NOT_KNOWN
        evidence = Evidence.of(rows, laptops)
        return lambda by, group: evidence.absent(by, group, self.least)

    async def gateways(self) -> list[Row] | None:
        return await self._answers.query(
            page_queries.gateways_now(rounded(self.now_ms()))
        )

    async def recent(self) -> tuple[list[Alert], str]:
        """Alerts that ended in the last seven days, newest first."""
        since_ms = self.now_ms() - site_state.RECENT_MS
        try:
            async with asyncio.timeout(5):
                found = await asyncio.to_thread(self._alerts.recent, since_ms)
        except Exception as error:  # noqa: BLE001 - the page says it and stands
            return [], _why(error)
        ended = [each for each in found if each.resolved_ms is not None]
        return sorted(ended, key=lambda each: -(each.resolved_ms or 0)), ""

    async def presence(self, site: Site) -> dict[str, object]:
        """By device: a strip of the last day, in half hours."""
        step_ms = 30 * page_queries.MINUTE_MS
        to_ms = rounded(self.now_ms(), step_ms)
        from_ms = to_ms - page_queries.DAY_MS
        recorded = await self._answers.query(polling_periods(from_ms, to_ms))
        observed = await observe(
            self._answers.query,
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
        """When alerts say that the monitor was blind; none if they cannot be read."""

        def read() -> list[Alert]:
            return [*self._alerts.open(), *self._alerts.recent(from_ms)]

        try:
            async with asyncio.timeout(5):
                return blind_spans(await asyncio.to_thread(read), to_ms)
        except Exception:  # noqa: BLE001 - the page says it elsewhere and stands
            return []

    async def line_charts(self, site: Site, estate: Estate) -> list[Chart]:
        to_ms = rounded(self.now_ms(), page_queries.CHART_STEP_MS)
        rows = await self._answers.query(page_queries.lines_day(to_ms, site.id))
        charts = []
        for n, line in enumerate(each for each in estate.lines if each.site == site.id):
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
        rows = await self._answers.query(
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
        rows = await self._answers.query(
            page_queries.ports_hour(rounded(self.now_ms(), 60_000), site.id)
        )
        return None if rows is None else ports(rows)

    async def health(self, site: Site) -> DeviceHealth:
        to_ms = rounded(self.now_ms(), 60_000)
        return health(
            *await self._answers.all(
                page_queries.sensors_now(to_ms, site.id),
                page_queries.inventory_now(to_ms, site.id),
                page_queries.wireless_now(to_ms, site.id),
                page_queries.findings_now(to_ms, site.id),
            )
        )

    async def told(self, site: Site, most: int = 10) -> list[LatestEvent] | None:
        """What its devices told in the last day that is worth reading, newest first;
        what still lasts before all else."""
        rows = await self._answers.query(
            page_queries.told_day(rounded(self.now_ms(), 60_000), site.id)
        )
        if rows is None:
            return None
        found = [told for row in rows if (told := _told(row)) is not None]
        found.sort(key=lambda each: (each.word != "Lasts", -each.last_ms))
        return found[:most]

    async def _standing(self, now_ms: int) -> tuple[list[Alert], list[Silence], str]:
        def read() -> tuple[list[Alert], list[Silence]]:
            return self._alerts.open(), self._alerts.silences(now_ms)

        try:
            async with asyncio.timeout(5):
                alerts, silences = await asyncio.to_thread(read)
        except Exception as error:  # noqa: BLE001 - the page says it and stands
            return [], [], _why(error)
        return alerts, silences, ""

    async def _earlier(
        self, estate: Estate, fresh: list[Row] | None, to_ms: int
    ) -> list[Row] | None:
        if fresh is None:
            return None
        heard = {row.tags.get("device") for row in fresh}
        absent = tuple(
            sorted(d.id for d in estate.devices if d.poll and d.id not in heard)
        )
        if not absent:
            return []
        # Asked to the minute, so that it is asked once a minute.
        at_ms = rounded(to_ms, 60_000)
        return await self._answers.query(
            page_queries.earlier_polls(at_ms, absent[:200])
        )


def _series(name: str, rows: list[Row], column: str) -> ChartSeries:
    points = [
        (row.time_ms, float(value))
        for row in rows
        if row.time_ms is not None
        and (value := row.values.get(column)) is not None
        and not isinstance(value, str)
    ]
    return ChartSeries(name, sorted(points))


def _told(row: Row) -> LatestEvent | None:
    """None for what is no more than a notice of every day: desks go down at night, and
    ports have a table of their own."""

    def number(name: str) -> int:
        found = row.values.get(name)
        return int(found) if isinstance(found, int | float) else 0

    level, lasts = number("level_max"), number("active_last")
    event = row.tags.get("event", "")
    if level < LEVELS["warning"] or event == "link_down" or not number("count_sum"):
        return None
    bad = "bad" if level >= LEVELS["critical"] else "warn"
    return LatestEvent(
        device=row.tags.get("device", ""),
        event=event,
        port=row.tags.get("port", ""),
        text=str(row.values.get("text_last", "")),
        level=bad if lasts else "ok",
        word="Lasts" if lasts else "Over",
        last_ms=number("last_ms_max"),
        count=number("count_sum"),
    )


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
