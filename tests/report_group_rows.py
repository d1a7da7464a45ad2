"""Rows of groups in October 2026, and the report of a council made from them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

from collectors.estate import Estate, Site
from collectors.estate.opening_hours import OpeningHours
from collectors.experience.groups import LEAST
from collectors.store.query import Store
from dashboards.report import Month
from dashboards.report.report_data import ReportContent, ReportSettings, gather_content
from probes.wire.sample import Sample, Value

LONDON = ZoneInfo("Europe/London")
OCTOBER = Month(2026, 10)
MINUTE_MS = 60_000
PERIOD_MS = 5 * MINUTE_MS
NIGHT_SHIFT = OpeningHours(opens="22:00", closes="06:00", days=(0, 1, 2, 3, 4, 5, 6))
COUNCIL = Estate(
    sites=(
        Site(id="town-hall", name="Town Hall"),
        Site(id="library", name="Central Library"),
        Site(id="depot", name="Highways Depot", hours=NIGHT_SHIFT),
    )
)


def october_ms(day: int, hour: int, minute: int = 0) -> int:
    """Local time in October 2026, in ms."""
    return int(datetime(2026, 10, day, hour, minute, tzinfo=LONDON).timestamp() * 1000)


def report_content(
    store: Store, estate: Estate = COUNCIL, least: int = LEAST
) -> ReportContent:
    now_ms = OCTOBER.to_ms + 1
    return asyncio.run(
        gather_content(
            OCTOBER,
            estate.sites,
            store,
            estate,
            now_ms,
            settings=ReportSettings(least=least),
        )
    )


def group_row(
    by: str, group: str, calls: int, poor: float, time_ms: int, **more: Value
) -> Sample:
    """A row of `experience`."""
    fields: dict[str, Value] = {
        "agents": 20,
        "calls": calls,
        "call_poor_ratio": poor,
        **more,
    }
    return Sample("experience", {"by": by, "group": group}, fields, time_ms)
