"""The ranges of time that pages show, and the steps of their charts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from collectors.local_days import local_date, midnight_ms
from dashboards import figure_text
from dashboards.query_cache import rounded
from dashboards.web.page_queries import DAY_MS, HOUR_MS, MINUTE_MS

_Label = Callable[[int, ZoneInfo], str]


@dataclass(frozen=True)
class PageRange:
    """`step_ms`: of charts; `table_ms`: of the tables beside them; `mark_ms`: of bars
    of history. Each divides the next longer one, so that nothing is cut. `axis`: what
    is marked on the axis of charts, the finest first: days or hours between two marks.
    `mark`, `row` and `point` are the times of the axis, of a table and of what is under
    the pointer."""

    key: str
    label: str
    length_ms: int
    step_ms: int
    table_ms: int
    mark_ms: int
    axis: tuple[timedelta, ...]
    mark: _Label
    row: _Label
    point: _Label

    def span(self, now_ms: int) -> tuple[int, int]:
        """Returns from and to, with the step that is now."""
        to_ms = rounded(now_ms, self.step_ms)
        return to_ms - self.length_ms, to_ms

    def marked(self, now_ms: int) -> tuple[int, int]:
        """Returns from and to of a bar of history: whole marks, the last with now."""
        to_ms = rounded(now_ms - 1, self.mark_ms)
        return to_ms - self.length_ms, to_ms

    @property
    def step(self) -> str:
        """The step of charts in words: `15 min`, `2 hours`."""
        minutes = self.step_ms // MINUTE_MS
        return f"{minutes} min" if minutes < 60 else f"{minutes // 60} hours"

    @property
    def table_step(self) -> str:
        """The step of tables in words: `hour`, `6 hours`."""
        hours = self.table_ms // HOUR_MS
        return {1: "hour", 24: "day"}.get(hours, f"{hours} hours")

    def table_start(self, time_ms: int, zone: ZoneInfo) -> int:
        """Returns when the step of the table begins that has `time_ms`. A day is one of
        the zone."""
        if self.table_ms < DAY_MS:
            return time_ms - time_ms % self.table_ms
        return midnight_ms(local_date(time_ms, zone), zone)

    def marks(
        self, span: tuple[int, int], zone: ZoneInfo, characters: int
    ) -> list[tuple[int, str]]:
        """Returns times of `span` with their labels, as many as there is room for:
        whole hours, midnights or Mondays of the zone, also when clocks change."""
        marks: list[tuple[int, str]] = []
        for distance in self.axis:
            times = _times_of_zone(span, zone, distance)
            marks = [(time_ms, self.mark(time_ms, zone)) for time_ms in times]
            if sum(len(label) + 2 for _, label in marks) <= characters:
                break
        return marks


def _times_of_zone(
    span: tuple[int, int], zone: ZoneInfo, distance: timedelta
) -> list[int]:
    """Returns the times of `span` that are whole multiples of `distance` by the clocks
    of the zone, since a Monday."""
    from_ms, to_ms = span
    first = local_date(from_ms, zone)
    # Sums of times with a zone are by its clocks.
    at = datetime.combine(first - timedelta(days=first.weekday()), time(), zone)
    times = set()
    while (time_ms := int(at.timestamp() * 1000)) <= to_ms:
        if time_ms >= from_ms:
            times.add(time_ms)
        at += distance
    return sorted(times)


def _weekday(time_ms: int, zone: ZoneInfo) -> str:
    return figure_text.weekday_hour(time_ms, zone).partition(" ")[0]


RANGES = (
    PageRange(
        key="24h",
        label="24 hours",
        length_ms=DAY_MS,
        step_ms=15 * MINUTE_MS,
        table_ms=HOUR_MS,
        mark_ms=30 * MINUTE_MS,
        axis=(timedelta(hours=3), timedelta(hours=6)),
        mark=figure_text.hour,
        row=figure_text.weekday_hour,
        point=figure_text.when,
    ),
    PageRange(
        key="7d",
        label="7 days",
        length_ms=7 * DAY_MS,
        step_ms=2 * HOUR_MS,
        table_ms=6 * HOUR_MS,
        mark_ms=4 * HOUR_MS,
        axis=(timedelta(days=1),),
        mark=_weekday,
        row=figure_text.when,
        point=figure_text.when,
    ),
    PageRange(
        key="30d",
        label="30 days",
        length_ms=30 * DAY_MS,
        step_ms=8 * HOUR_MS,
        table_ms=DAY_MS,
        mark_ms=DAY_MS,
        axis=(timedelta(days=7),),
        mark=figure_text.short_day,
        row=figure_text.short_day,
        point=figure_text.when,
    ),
)


def chosen_range(key: str) -> PageRange:
    """Returns the range of an address; the shortest if it names none of them."""
    return next((known for known in RANGES if known.key == key), RANGES[0])
