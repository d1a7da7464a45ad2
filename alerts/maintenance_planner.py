"""`MaintenancePlanner`: keeps the times of planned maintenance up to date.

It runs beside the alert engine, which reads the times from its file like silences that
were made by hand. If a calendar cannot be fetched, the times that are known stay.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Self

import structlog

from alerts.alert_config import AlertConfig
from alerts.calendar_maintenance import maintenance_from_events, source_of
from alerts.calendars.calendar_events import DAY_MS
from alerts.calendars.calendar_feed import AHEAD_MS, CalendarFeed, read_state
from alerts.calendars.reading_process import CalendarUnreadable, read_calendar
from alerts.live_events.event_feeds import event_feed_name
from alerts.maintenance_windows import MaintenanceWindow, calendar_of, silences_of
from alerts.planned_silences import (
    COMMAND,
    SETTINGS,
    PlanChanges,
    forget_sources,
    plan_silences,
    recurring_windows,
)
from alerts.rota_feeds import rota_feed_name
from alerts.silence import Silence
from collectors.background_tasks import BackgroundTasks
from collectors.estate.estate_model import Estate
from collectors.failure_log import FailureLog
from collectors.wake_times import sleep_with_others
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
_EVERY_S = 15.0
_PLAN_AGAIN_MS = 6 * 3_600_000


class MaintenancePlanner:
    """`async with MaintenancePlanner(…)`: plans until it is left, while `may_plan`: not
    on a machine that stands by."""

    def __init__(
        self,
        config: AlertConfig,
        estate: Callable[[], Estate],
        now_ms: WallClock = wall_ms,
        every_s: float = _EVERY_S,
        may_plan: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_plan = may_plan
        self._windows = {window.name: window for window in config.maintenance}
        self._calendars, self._standing = config.calendars, config.standing
        self._timezone, self._estate = config.timezone, estate
        self._now_ms, self._every_s = now_ms, every_s
        self.feeds = {
            name: CalendarFeed(name, calendar, config.calendar_folder, config.timezone)
            for name, calendar in config.calendars.items()
        }
        self._planned_with: dict[str, Estate] = {}
        self._windows_ms = 0
        self._failures = FailureLog("maintenance_not_planned", "maintenance_planned")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "maintenance")
        for name in self.feeds:
            self._tasks.start(self._follow(name), f"calendar-{name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            await self._attempt("windows", self.plan_windows)
            await sleep_with_others(self._every_s)

    async def _follow(self, name: str) -> None:
        while True:
            await self._attempt(name, lambda: self.plan_calendar(name))
            await asyncio.sleep(self._every_s)

    async def _attempt(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        if not self._may_plan():
            return
        try:
            await work()
            self._failures.recovered(key, what=key)
        except (OSError, sqlite3.Error, CalendarUnreadable) as error:
            # A full disk, or an estate without room: the times that are known stay.
            self._failures.failed(error, key=key, what=key)

    async def plan_windows(self) -> None:
        """Plans the windows of the settings and those that were added by command."""
        now_ms = self._now_ms()
        if 0 <= now_ms - self._windows_ms < _PLAN_AGAIN_MS:
            return
        known = [SETTINGS, *(source_of(name) for name in self._calendars)]
        await asyncio.to_thread(forget_sources, self._standing, known, now_ms)
        await plan_windows(
            self._standing, SETTINGS, self._windows, self._timezone, now_ms
        )
        added = await asyncio.to_thread(recurring_windows, self._standing)
        await plan_windows(self._standing, COMMAND, added, self._timezone, now_ms)
        self._windows_ms = now_ms

    async def plan_calendar(self, name: str) -> None:
        """Fetches the calendar if that is due, and plans its events."""
        feed, now_ms, estate = self.feeds[name], self._now_ms(), self._estate()
        was_failing, is_new = feed.state.error, await feed.refresh(now_ms)
        if feed.state.error and not was_failing:
            _log.warning("calendar_not_read", calendar=name, error=feed.state.error)
        if not feed.state.counted_ms:
            return
        if not is_new and self._planned_with.get(name) is estate:
            return
        planned = maintenance_from_events(
            name, self._calendars[name], feed.state.events, estate
        )
        changes = await asyncio.to_thread(
            plan_silences, self._standing, source_of(name), planned.silences, now_ms
        )
        self._planned_with[name] = estate
        if any(changes) or planned.problems:
            _log.info(
                "maintenance_planned",
                calendar=name,
                **changes._asdict(),
                unclear=len(planned.problems),
            )


async def plan_windows(
    standing: Path,
    source: str,
    windows: Mapping[str, MaintenanceWindow],
    timezone: str,
    now_ms: int,
) -> PlanChanges:
    """Plans the times of `windows` (by uid) for the coming weeks. Raises
    `CalendarUnreadable` with a sentence if some cannot be counted."""
    silences: list[Silence] = []
    problems: tuple[str, ...] = ()
    if windows:
        reading = await read_calendar(
            calendar_of(windows.items(), timezone), now_ms, now_ms + AHEAD_MS, timezone
        )
        silences = silences_of(dict(windows), reading.events, source)
        problems = reading.problems
    changes = await asyncio.to_thread(plan_silences, standing, source, silences, now_ms)
    if problems:
        raise CalendarUnreadable("; ".join(problems))
    return changes


async def uncountable_windows(config: AlertConfig) -> list[str]:
    """A sentence for each window of the settings whose times cannot be counted."""
    windows = {window.name: window for window in config.maintenance}
    if not windows:
        return []
    now_ms = wall_ms()
    text = calendar_of(windows.items(), config.timezone)
    try:
        reading = await read_calendar(text, now_ms, now_ms + AHEAD_MS, config.timezone)
    except CalendarUnreadable as error:
        return [f"alerts.maintenance: {error}"]
    return [f"alerts.maintenance: {problem}" for problem in reading.problems]


def calendar_troubles(config: AlertConfig, now_ms: int) -> list[str]:
    """A sentence for each calendar that could not be read for a day. Blocking."""
    feeds = {name: name for name in config.calendars}
    feeds |= {f"of events {name}": event_feed_name(name) for name in config.events}
    feeds |= {f"of the rota {name}": rota_feed_name(name) for name in config.rotas}
    sentences = []
    for title, name in feeds.items():
        state = read_state(config.calendar_folder, name)
        if state.error and now_ms - (state.checked_ms or state.failing_ms) >= DAY_MS:
            sentences.append(state.trouble(title, now_ms))
    return sentences
