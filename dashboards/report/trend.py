"""Thirteen months, so that each can be compared with the same month a year before, and
the council's targets. Pure, but for the queries that `gather_trend` makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collectors.local_days import add_months
from collectors.store.query import Pick, Query, Where
from dashboards.observed import Span
from dashboards.report.month import Month, ReportPeriod
from dashboards.report.report_queries import AskStore, site_filter
from dashboards.report_config import ReportTargets
from dashboards.row_values import float_value

MONTHS = 13


@dataclass(frozen=True)
class TrendMonth:
    """One month. `answered`: share of `polls` that devices answered while the monitor
    could observe. `poor_home`, `poor_office`: shares of test calls at all hours. None:
    not measured, or hidden. `is_over`: else it is provisional."""

    month: Month
    is_over: bool
    answered: float | None = None
    polls: int = 0
    poor_home: float | None = None
    poor_office: float | None = None

    def met(self, targets: ReportTargets) -> dict[str, bool]:
        """Returns for each figure that has a target whether it was met."""
        pairs = {
            "answered": (self.answered, targets.answered, 1),
            "poor_home": (self.poor_home, targets.poor_calls, -1),
            "poor_office": (self.poor_office, targets.poor_calls, -1),
        }
        return {
            name: (figure - target) * sign >= 0
            for name, (figure, target, sign) in pairs.items()
            if figure is not None and target is not None
        }


def trend_months(period: ReportPeriod) -> list[Month]:
    """Returns the thirteen months up to the one of the last day of `period`."""
    last = period.last.replace(day=1)
    firsts = [add_months(last, at - MONTHS + 1) for at in range(MONTHS)]
    return [Month(first.year, first.month, period.zone) for first in firsts]


def answered_query(spans: Sequence[Span], sites: Sequence[str] | None) -> Query:
    """Returns the query of the share of polls that devices answered in each span."""
    picks = (Pick("answered", "mean"), Pick("answered", "count"))
    begin, end = spans[0][0], spans[-1][1]
    return Query("device", picks, begin, end, site_filter(sites), spans=tuple(spans))


def poor_calls_query(spans: Sequence[Span]) -> Query:
    """Returns the query of the share of poor test calls at home and in offices."""
    return Query(
        "experience",
        (Pick("call_poor_ratio", "mean"),),
        spans[0][0],
        spans[-1][1],
        (Where("by", ("place",)), Where("group", ("home", "office"))),
        ("group",),
        spans=tuple(spans),
    )


async def gather_trend(
    ask: AskStore, period: ReportPeriod, to_ms: int, sites: Sequence[str] | None
) -> tuple[TrendMonth, ...]:
    """Returns the months up to `to_ms`, which is before the end of a running period.
    Months that had not begun are left out."""
    months = [month for month in trend_months(period) if month.from_ms < to_ms]
    spans = [(month.from_ms, min(month.to_ms, to_ms)) for month in months]
    answered = {row.time_ms: row for row in await ask(answered_query(spans, sites))}
    poor = {
        (row.tags["group"], row.time_ms): row
        for row in await ask(poor_calls_query(spans))
    }
    return tuple(
        TrendMonth(
            month,
            month.to_ms <= to_ms,
            float_value(answered.get(month.from_ms), "answered_mean"),
            int(float_value(answered.get(month.from_ms), "answered_count") or 0),
            *(
                float_value(poor.get((place, month.from_ms)), "call_poor_ratio_mean")
                for place in ("home", "office")
            ),
        )
        for month in months
    )
