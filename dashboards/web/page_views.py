"""Gathers what a page shows: queries the store and hands the rows to pure functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate import Estate
from collectors.experience.groups import LEAST
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.missing_figures import LaptopCounts, laptops_query
from dashboards.observed import Span, blind_spans
from dashboards.query_cache import QueryCache, rounded
from dashboards.web import page_queries, site_state
from dashboards.web.monitor_cut_off import is_cut_off, not_observed
from probes.wire.clock import WallClock

# How long alerts that have ended are listed.
RECENT_MS = 7 * page_queries.DAY_MS


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
    def devices(self) -> list[site_state.DeviceNow]:
        """Those of all sites."""
        return [device for site in self.sites for device in site.devices]

    @property
    def lines(self) -> list[site_state.LineNow]:
        """Those of all sites."""
        return [line for site in self.sites for line in site.lines]

    @property
    def sites_with_problems(self) -> int:
        return sum(site.level in ("bad", "warn") for site in self.sites)


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
        zone: ZoneInfo = figure_text.LONDON,
    ) -> None:
        self.estate, self.alerts, self._unwell = estate, alerts, unwell
        self.least, self.zone = least, zone
        self.answers, self.now_ms = answers, now_ms

    async def overview(self) -> Overview:
        now_ms = self.now_ms()
        to_ms = rounded(now_ms)
        estate = self.estate()
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
        since_ms = self.now_ms() - RECENT_MS
        try:
            async with asyncio.timeout(5):
                alerts = await asyncio.to_thread(self.alerts.recent, since_ms)
        except Exception as error:  # noqa: BLE001 - the page shows the error
            return [], _error_text(error)
        ended = [alert for alert in alerts if alert.resolved_ms is not None]
        return sorted(ended, key=lambda alert: -(alert.resolved_ms or 0)), ""

    async def blind_spans(self, from_ms: int, to_ms: int) -> list[Span]:
        """When the monitor was blind, by its alerts; none if they cannot be read."""

        def read() -> list[Alert]:
            return [*self.alerts.open(), *self.alerts.recent(from_ms)]

        try:
            async with asyncio.timeout(5):
                return blind_spans(await asyncio.to_thread(read), to_ms)
        except Exception:  # noqa: BLE001 - another part of the page shows the error
            return []

    async def _read_alerts(self, now_ms: int) -> tuple[list[Alert], list[Silence], str]:
        def read() -> tuple[list[Alert], list[Silence]]:
            return self.alerts.open(), self.alerts.silences(now_ms)

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


def _error_text(error: BaseException) -> str:
    return str(error) or type(error).__name__
