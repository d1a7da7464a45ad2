"""A month of a small council, and its report."""

from __future__ import annotations

import asyncio
import functools
import itertools
from datetime import UTC, datetime
from typing import Any

import council
from store_doubles import MemoryStore

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate.opening_hours import OpeningHours
from dashboards.report import Month, PollPeriods, report_figures, select_sites
from dashboards.report.report_csv import csv_text
from dashboards.report.report_data import (
    AlertHistory,
    ReportContent,
    ReportSettings,
    gather_content,
)
from dashboards.report.report_tables import report_tables
from dashboards.step_progress import Progress, untold

HOUR_MS = council.HOUR_MS
OCTOBER = Month(2026, 10)
# The council of these tests is polled every half an hour.
STEP_MS = 30 * council.MINUTE_MS
ALWAYS = OpeningHours(opens="00:00", closes="24:00", days=(0, 1, 2, 3, 4, 5, 6))


def utc_ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


NOW_MS = utc_ms(2026, 11, 24)
DARK = (utc_ms(2026, 10, 11, 2), utc_ms(2026, 10, 11, 9))
AWAY = (utc_ms(2026, 10, 20, 9), utc_ms(2026, 10, 20, 14))


STORE = MemoryStore(
    itertools.chain(
        council.samples(
            OCTOBER.from_ms,
            OCTOBER.to_ms,
            STEP_MS,
            (DARK,),
            {"dep-sw1": AWAY, "dep-sw2": AWAY},
        ),
        council.samples(utc_ms(2026, 8, 31, 23), OCTOBER.from_ms, 2 * HOUR_MS),
    )
)


def month_content(
    alerts: list[Alert] | None = None,
    silences: list[Silence] | None = None,
    site: str | None = None,
    store: Any = STORE,
    now_ms: int = NOW_MS,
    month: Month = OCTOBER,
    progress: Progress = untold,
) -> ReportContent:
    estate = council.estate()
    return asyncio.run(
        gather_content(
            month,
            select_sites(estate, site),
            store,
            estate,
            now_ms,
            AlertHistory(alerts or [], silences or []),
            ReportSettings(periods=PollPeriods(STEP_MS, STEP_MS)),
            progress,
        )
    )


@functools.cache
def october_content() -> ReportContent:
    """Without alerts, and worked out once: to read, not to change."""
    return month_content()


def csv_tables(content: ReportContent) -> dict[str, str]:
    """The CSV text of each table, by its name."""
    return {table.name: csv_text(table) for table in report_tables(content)}


def site_figures(content: ReportContent, id: str) -> report_figures.SiteFigures:
    return next(figures for figures in content.sites if figures.site.id == id)


def alert_of_month(since: int, end: int | None, **more: Any) -> Alert:
    state = "firing" if end is None else "resolved"
    given: dict[str, Any] = {"rule": "r", "subject": {"d": str(since)}, **more}
    return Alert(
        severity="critical",
        state=state,  # type: ignore[arg-type]
        since_ms=since,
        firing_ms=since + 1,
        resolved_ms=end,
        **given,
    )
