"""Calls of groups of laptops in working hours: queried by spans of each day, merged
over the month.

Every figure is weighted by what it counts (`collectors.store.query`), so a night of two
calls weighs two calls. Only figures from the same hours are compared: a site's groups
in the site's hours, all others in the council's, which are those of most sites.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from collectors.estate import Site
from collectors.estate.opening_hours import OpeningHours, open_spans, usual_hours
from collectors.experience.group_figures import rounded
from collectors.local_days import local_date
from collectors.store.query import Row
from dashboards.missing_figures import LaptopCounts, laptops_query
from dashboards.observed import Span
from dashboards.report import report_queries
from dashboards.report.month import ReportPeriod
from dashboards.report.report_figures import GroupFigures
from dashboards.report.report_queries import AskStore
from dashboards.row_values import float_value

Name = tuple[str, str]
# A month's at least: the rows of a year together would be a gigabyte.
_SPANS_AT_ONCE = 32


@dataclass
class MergedFigures:
    """One group's figures over several spans of time, as sums that can be merged.

    `calls` are single runs, `windows` rows of `experience`.
    """

    calls: float = 0.0
    windows: int = 0
    agents: int = 0
    days: set[date] = field(default_factory=set)
    _sums: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, row: Row, day: date) -> None:
        """Adds a row of `report_queries.experience`, for a span of that day."""
        self.days.add(day)
        self.agents = max(self.agents, int(float_value(row, "agents_max") or 0))
        # Rows from before `calls_once` are taken as they are.
        calls = float_value(row, "calls_once_sum")
        self.calls += float_value(row, "calls_sum") or 0.0 if calls is None else calls
        self.windows += int(float_value(row, "calls_count") or 0)
        for name in report_queries.GROUP_FIELDS:
            mean, weight = (
                float_value(row, f"{name}_mean"),
                float_value(row, f"{name}_weight"),
            )
            if mean is not None and weight:
                total, weights = self._sums.get(name, (0.0, 0.0))
                self._sums[name] = total + mean * weight, weights + weight

    @property
    def values(self) -> dict[str, float]:
        """Returns the weighted mean of each field over all spans."""
        return {
            f"{name}_mean": total / weights
            for name, (total, weights) in self._sums.items()
        }


@dataclass(frozen=True)
class Calls:
    """Every group's month. `hours`: the council's, `own`: the sites'."""

    hours: OpeningHours
    own: Mapping[str, OpeningHours]
    month: Mapping[Name, MergedFigures]
    before: Mapping[Name, MergedFigures]
    laptop_counts: LaptopCounts
    least: int

    def group(self, by: str, group: str) -> GroupFigures:
        group_month = self.month.get((by, group))
        past = self.before.get((by, group))
        return GroupFigures(
            by,
            group,
            self.hours_of(by, group),
            group_month.values if group_month else None,
            past.values if past else None,
            absent=""
            if group_month
            else self.laptop_counts.why_absent(by, group, self.least),
            agents=group_month.agents if group_month else 0,
            calls=rounded(round(group_month.calls)) if group_month else 0,
            windows=group_month.windows if group_month else 0,
            days=len(group_month.days) if group_month else 0,
        )

    def groups(self, by: str) -> tuple[GroupFigures, ...]:
        """Returns all groups of a kind. Offices and homes are always included, even if
        one may not be shown."""
        names = sorted(group for kind, group in self.month if kind == by)
        if by == "place":
            names = list(dict.fromkeys(("office", "home", *names)))
        return tuple(self.group(by, name) for name in names)

    def hours_of(self, by: str, group: str) -> OpeningHours:
        return hours_of(by, group, self.hours, self.own)


async def gather_calls(
    ask: AskStore, month: ReportPeriod, to_ms: int, sites: Sequence[Site], least: int
) -> Calls:
    """Returns every group's calls. `sites`: all sites of the estate. `least`: the
    smallest group shown."""
    own = {site.id: site.hours for site in sites}
    hours = usual_hours(own.values())
    past = month.before()
    return Calls(
        hours,
        own,
        await _month(ask, month, (month.from_ms, to_ms), hours, own, least),
        await _month(ask, past, (past.from_ms, past.to_ms), hours, own, least),
        await _laptop_counts(ask, (month.from_ms, to_ms)),
        least,
    )


async def _month(
    ask: AskStore,
    month: ReportPeriod,
    span: Span,
    hours: OpeningHours,
    own: Mapping[str, OpeningHours],
    least: int,
) -> dict[Name, MergedFigures]:
    midnights = [begin for begin, _ in month.days()]
    open_times = stretches({hours, *own.values()}, span, midnights)
    if not open_times:
        return {}
    opened = {begin: those for begin, _, those in open_times}
    days = {begin: local_date(begin, month.zone) for begin in opened}
    merged: dict[Name, MergedFigures] = {}
    spans = [(begin, end) for begin, end, _ in open_times]
    for at in range(0, len(spans), _SPANS_AT_ONCE):
        for row in await ask(
            report_queries.experience(spans[at : at + _SPANS_AT_ONCE])
        ):
            name = (row.tags.get("by", ""), row.tags.get("group", ""))
            begin = row.time_ms or 0
            # A second lock: the store holds no smaller group, and none is ever shown.
            small = (float_value(row, "agents_min") or 0) < rounded(least)
            if not small and hours_of(*name, hours, own) in opened[begin]:
                merged.setdefault(name, MergedFigures()).add(row, days[begin])
    return merged


async def _laptop_counts(ask: AskStore, span: Span) -> LaptopCounts:
    shown = await ask(report_queries.groups_shown(*span))
    return LaptopCounts.from_rows(shown, await ask(laptops_query(*span)))


def hours_of(
    by: str, group: str, hours: OpeningHours, own: Mapping[str, OpeningHours]
) -> OpeningHours:
    """Returns the hours that count for a group: the site's own, or the council's."""
    if by in ("site", "home_site_place"):
        return own.get(group.split("/")[0], hours)
    return hours


def stretches(
    hours: Iterable[OpeningHours], span: Span, cuts: Iterable[int]
) -> list[tuple[int, int, frozenset[OpeningHours]]]:
    """Returns the parts of `span` in which any of `hours` is open, split when one opens
    or closes and at `cuts`, with the hours that are open throughout each part."""
    opened = {
        opening_hours: open_spans(opening_hours, *span) for opening_hours in hours
    }
    edges = {edge for spans in opened.values() for one in spans for edge in one}
    edges |= {cut for cut in cuts if span[0] < cut < span[1]}
    parts = []
    for begin, end in itertools.pairwise(sorted(edges)):
        covering = frozenset(
            opening_hours
            for opening_hours, spans in opened.items()
            if any(start <= begin and end <= stop for start, stop in spans)
        )
        if covering:
            parts.append((begin, end, covering))
    return parts
