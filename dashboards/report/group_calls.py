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
from math import isnan

from collectors.estate import Site
from collectors.estate.opening_hours import OpeningHours, open_spans, usual_hours
from collectors.experience.group_figures import rounded
from collectors.local_days import local_date
from collectors.natural_order import natural_order
from collectors.store.answer_series import AnswerSeries, query_series
from collectors.store.query import Store
from dashboards.missing_figures import LaptopCounts, laptops_query
from dashboards.observed import Span
from dashboards.report import report_queries
from dashboards.report.month import ReportPeriod
from dashboards.report.report_figures import GroupFigures
from dashboards.report.report_queries import AskStore
from dashboards.step_progress import Progress, told_parts, untold

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

    def add(self, series: AnswerSeries, days: Mapping[int, date]) -> None:
        """Adds figures that `report_queries.experience` asks for: of spans that begin
        at the keys of `days`."""
        values = series.values
        chosen = [at for at, begin in enumerate(series.times_ms) if begin in days]
        for at in chosen:
            self.days.add(days[series.times_ms[at]])
            self.agents = max(self.agents, int(_known(values["agents_max"][at])))
            # Rows from before `calls_once` are taken as they are.
            calls = values["calls_once_sum"][at]
            self.calls += _known(values["calls_sum"][at]) if isnan(calls) else calls
            self.windows += int(_known(values["calls_count"][at]))
        for name in report_queries.GROUP_FIELDS:
            means, own = values[f"{name}_mean"], values[f"{name}_weight"]
            total, weights = self._sums.get(name, (0.0, 0.0))
            for at in chosen:
                if own[at] and not isnan(means[at]) and not isnan(own[at]):
                    total += means[at] * own[at]
                    weights += own[at]
            if weights:
                self._sums[name] = total, weights

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
        names = sorted(
            (group for kind, group in self.month if kind == by), key=natural_order
        )
        if by == "place":
            names = list(dict.fromkeys(("office", "home", *names)))
        return tuple(self.group(by, name) for name in names)

    def hours_of(self, by: str, group: str) -> OpeningHours:
        return hours_of(by, group, self.hours, self.own)


async def gather_calls(
    store: Store,
    month: ReportPeriod,
    to_ms: int,
    sites: Sequence[Site],
    least: int,
    progress: Progress = untold,
) -> Calls:
    """Returns every group's calls. `sites`: all sites of the estate. `least`: the
    smallest group shown."""
    own = {site.id: site.hours for site in sites}
    hours = usual_hours(own.values())
    past = month.before()
    return Calls(
        hours,
        own,
        await _month(store, month, (month.from_ms, to_ms), hours, own, least, progress),
        await _month(
            store, past, (past.from_ms, past.to_ms), hours, own, least, progress
        ),
        await _laptop_counts(store.query, (month.from_ms, to_ms)),
        least,
    )


async def _month(
    store: Store,
    month: ReportPeriod,
    span: Span,
    hours: OpeningHours,
    own: Mapping[str, OpeningHours],
    least: int,
    progress: Progress,
) -> dict[Name, MergedFigures]:
    midnights = [begin for begin, _ in month.days()]
    open_times = stretches({hours, *own.values()}, span, midnights)
    if not open_times:
        return {}
    opened = {begin: those for begin, _, those in open_times}
    days = {begin: local_date(begin, month.zone) for begin in opened}
    merged: dict[Name, MergedFigures] = {}
    spans = [(begin, end) for begin, end, _ in open_times]
    parts = [
        spans[at : at + _SPANS_AT_ONCE] for at in range(0, len(spans), _SPANS_AT_ONCE)
    ]
    for part in told_parts(progress, "calls", parts):
        for series in await query_series(store, report_queries.experience(part)):
            name = (series.tags.get("by", ""), series.tags.get("group", ""))
            counted = hours_of(*name, hours, own)
            # A second lock: the store holds no smaller group, and none is ever shown.
            shown = {
                begin: days[begin]
                for begin, agents in zip(
                    series.times_ms, series.values["agents_min"], strict=True
                )
                if agents >= rounded(least) and counted in opened[begin]
            }
            if shown:
                merged.setdefault(name, MergedFigures()).add(series, shown)
    return merged


def _known(value: float) -> float:
    return 0.0 if isnan(value) else value


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


def open_by_day(hours: OpeningHours, month: ReportPeriod, to_ms: int) -> list[Span]:
    """Returns when it was open in the month, split at midnight."""
    midnights = [begin for begin, _ in month.days()]
    parts = stretches({hours}, (month.from_ms, to_ms), midnights)
    return [(begin, end) for begin, end, _ in parts]


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
