"""The ranges of time that pages show, and the steps of their charts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboards import figure_text
from dashboards.query_cache import rounded
from dashboards.web.page_queries import DAY_MS, HOUR_MS, MINUTE_MS


@dataclass(frozen=True)
class PageRange:
    """`step_ms`: of charts; `table_ms`: of the tables beside them; `mark_ms`: of bars
    of history. Each divides the next longer one, so that nothing is cut."""

    key: str
    label: str
    length_ms: int
    step_ms: int
    table_ms: int
    mark_ms: int
    tick: Callable[[int], str]

    def span(self, now_ms: int) -> tuple[int, int]:
        """Returns from and to, with the step that is now."""
        to_ms = rounded(now_ms, self.step_ms)
        return to_ms - self.length_ms, to_ms

    def marked(self, now_ms: int) -> tuple[int, int]:
        """Returns from and to of a bar of history: whole marks, the last with now."""
        to_ms = rounded(now_ms - 1, self.mark_ms)
        return to_ms - self.length_ms, to_ms

    @property
    def table_step(self) -> str:
        """The step of tables in words: `hour`, `6 hours`."""
        hours = self.table_ms // HOUR_MS
        return {1: "hour", 24: "day"}.get(hours, f"{hours} hours")


RANGES = (
    PageRange(
        "24h",
        "24 hours",
        DAY_MS,
        15 * MINUTE_MS,
        HOUR_MS,
        30 * MINUTE_MS,
        figure_text.hour,
    ),
    PageRange(
        "7d",
        "7 days",
        7 * DAY_MS,
        2 * HOUR_MS,
        6 * HOUR_MS,
        4 * HOUR_MS,
        figure_text.weekday_hour,
    ),
    PageRange(
        "30d",
        "30 days",
        30 * DAY_MS,
        8 * HOUR_MS,
        DAY_MS,
        DAY_MS,
        figure_text.short_day,
    ),
)


def chosen_range(key: str) -> PageRange:
    """Returns the range of an address; the shortest if it names none of them."""
    return next((known for known in RANGES if known.key == key), RANGES[0])
