"""Answers high percentiles by the tops of days and months
(`collectors.store.day_tops`, `collectors.store.month_tops`)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from collectors.store import day_tops, duckdb_sql, rollup, top_sql
from collectors.store.duck_queries import Cells
from collectors.store.highest_groups import Group, possible_groups
from collectors.store.percentile_sql import rank
from collectors.store.query import Query, field_types, means_query
from collectors.store.query_files import ChosenFiles, TopFiles, join_files
from collectors.store.rolled_months import month_of
from collectors.store.top_forms import (
    fields_of,
    have_bounds,
    known_form,
    most_kept,
    percent_of,
)
from collectors.store.top_sql import SoughtGroup, TopSources
from probes.wire.catalogue import Measurement

RunSql = Callable[[str], Awaitable[Cells]]
# Returns the files again, with the days of these months (`2026-10`) instead of them.
OpenMonths = Callable[[Collection[str]], TopFiles]
_VALUE_BYTES = 8
# This part of DuckDB's memory may have the highest values of the series.
_MEMORY_SHARE = 0.25


class Outline(NamedTuple):
    """What is known of a field of one group without its lists: how many values it has,
    two values between which its percentiles are, the highest value that is in no list,
    the highest that is in no list of a busy row, and how many values too many may be
    above the first (`top_sql.render_outlines`)."""

    values: int
    floor: float | None
    bound: float | None
    unlisted: float | None
    not_busy: float | None
    spare: int


_Values = tuple[float | None, ...]
Outlines = Mapping[Group, tuple[Outline, ...]]


class _TopReading(NamedTuple):
    """`most`: no group has more values. `opened`: months whose days are read."""

    run: RunSql
    query: Query
    declared: Measurement
    files: TopFiles
    open_months: OpenMonths
    memory_mb: int
    most: int = 1
    opened: frozenset[str] = frozenset()

    def sources(
        self, without: Collection[int] = (), other: ChosenFiles | None = None
    ) -> TopSources:
        """`without`: days of which all values are read, from `other`."""
        files = self.files
        days = [p for day, own in files.tops.items() if day not in without for p in own]
        means = _means(self.query, self.declared, other or files.other)
        months = files.months.values()
        return TopSources(
            [series for series, _ in months],
            [lists for _, lists in months],
            days,
            means,
        )

    async def outlines(self, groups: Sequence[SoughtGroup] | None = None) -> Outlines:
        text = top_sql.render_outlines(
            self.query, self.declared, self.sources(), self.most, groups
        )
        return _outlines(self.query, await self.run(text))


async def top_percentiles(
    run: RunSql,
    query: Query,
    declared: Measurement,
    files: TopFiles,
    open_months: OpenMonths,
    memory_mb: int,
) -> Cells:
    """Returns the cells of a query for which `top_forms.have_answer`. With `highest`
    there may be more groups than that."""
    reading = _TopReading(run, query, declared, files, open_months, memory_mb)
    most = known_form(declared).most_values(query)
    if most is None:
        text = top_sql.render_most(query, declared, reading.sources())
        ((most,),) = await run(text)
    reading = reading._replace(most=most or 1)
    outlines = await reading.outlines()
    groups = sorted(outlines)
    if query.highest and have_bounds(query):
        groups = sorted(_candidates(query, outlines))
    return await _of_all_groups(reading, groups, outlines)


async def _of_all_groups(
    reading: _TopReading, groups: Sequence[Group], outlines: Outlines
) -> Cells:
    spare = _spare(reading, groups, outlines)
    size = _groups_at_once(reading, spare)
    cells: Cells = []
    for begin in range(0, len(groups), size):
        some = groups[begin : begin + size]
        cells += await _of_groups(reading, some, outlines, spare)
    return cells


def _spare(
    reading: _TopReading, groups: Sequence[Group], outlines: Outlines
) -> dict[str, int] | None:
    """Returns how many values of each field may be above a floor besides those above
    the percentile; None if there are no months, as these are no fewer then."""
    if not reading.files.months:
        return None
    return {
        field: max((outlines[group][at].spare for group in groups), default=1)
        for at, field in enumerate(fields_of(reading.query))
    }


def _outlines(query: Query, cells: Cells) -> dict[Group, tuple[Outline, ...]]:
    first, size = len(query.group_by), len(Outline._fields)
    return {
        row[:first]: tuple(
            Outline(*row[at : at + size]) for at in range(first, len(row), size)
        )
        for row in cells
    }


def _candidates(query: Query, outlines: Outlines) -> set[Group]:
    """Returns the groups that may be among the highest."""
    least: dict[Group, float] = {}
    most: dict[Group, float] = {}
    for group, fields in outlines.items():
        bounds = [field.bound for field in fields if field.bound is not None]
        if bounds:
            most[group] = max(bounds)
            floors = [field.floor for field in fields if field.floor is not None]
            least[group] = max(floors, default=-math.inf)
    return possible_groups(query, least, most)


async def _of_groups(
    reading: _TopReading,
    groups: Sequence[Group],
    outlines: Outlines,
    spare: Mapping[str, int] | None,
) -> Cells:
    """Reads the lists of months, and of busy rows of other days if these are likely to
    do; then of all rows; then the days of months, or all values of days, of which too
    many values are in no list."""
    run, query, declared, most = (
        reading.run,
        reading.query,
        reading.declared,
        reading.most,
    )
    sought = [_sought(query, group, outlines[group]) for group in groups]
    cells: Cells = []
    sources = reading.sources()
    for only_busy in (True, False) if day_tops.are_apart(query) else (False,):
        text = top_sql.render(query, declared, sources, most, sought, only_busy, spare)
        found = _values(query, sought, await run(text), spare is not None)
        sought = [
            group
            for group in sought
            if not _is_settled(
                query, outlines[group.tags], found[group.tags], only_busy
            )
        ]
        left = {group.tags for group in sought}
        cells += [(*tags, *own) for tags, own in found.items() if tags not in left]
        if not sought:
            return cells
        if not sources.days:
            break
    # Of some values a percentile may be too low, but never too high.
    sought = [_with_floors(query, group, found[group.tags]) for group in sought]
    if sources.months:
        rows = top_sql.month_rows(query, declared, sources.months)
        text = top_sql.render_times(query, rows, sought)
        if months := {month_of(at) for (at,) in await run(text)}:
            return [*cells, *await _of_opened(reading, months, sought)]
    rows = top_sql.day_rows(query, declared, sources.days)
    text = top_sql.render_times(query, rows, sought)
    whole = {day for (day,) in await run(text)}
    files = reading.files
    others = join_files([files.other, *(files.means[day] for day in sorted(whole))])
    text = top_sql.render(query, declared, reading.sources(whole, others), most, sought)
    found = _values(query, sought, await run(text))
    return [*cells, *((*tags, *own) for tags, own in found.items())]


async def _of_opened(
    reading: _TopReading, months: Collection[str], sought: Sequence[SoughtGroup]
) -> Cells:
    """Answers for these groups with the days of `months` instead of them."""
    opened = reading.opened | set(months)
    files = await asyncio.to_thread(reading.open_months, opened)
    reading = reading._replace(files=files, opened=opened)
    outlines = await reading.outlines(sought)
    return await _of_all_groups(reading, sorted(outlines), outlines)


def _sought(query: Query, group: Group, outlines: tuple[Outline, ...]) -> SoughtGroup:
    by_field = dict(zip(fields_of(query), outlines, strict=True))
    ranks = []
    for pick in query.picks:
        count = by_field[pick.field].values
        place = count - rank(count, percent_of(pick)) + 1
        ranks.append(place if count else None)
    return SoughtGroup(group, tuple(one.floor for one in outlines), tuple(ranks))


def _with_floors(query: Query, group: SoughtGroup, values: _Values) -> SoughtGroup:
    """Returns the group with its values as floors, which are not below those it has."""
    floors = []
    for field, floor in zip(fields_of(query), group.floors, strict=True):
        own = [v for v, p in zip(values, query.picks, strict=True) if p.field == field]
        known = [value for value in own if value is not None]
        floors.append(min(known, default=floor))
    return group._replace(floors=tuple(floors))


def _values(
    query: Query, sought: Sequence[SoughtGroup], cells: Cells, above: bool = False
) -> dict[Group, _Values]:
    """Returns the value of each pick of each group. `above`: the cells are of values
    above the floors only, so a group without any has its floors."""
    fields = fields_of(query)
    found: dict[Group, _Values] = {
        group.tags: tuple(
            group.floors[fields.index(pick.field)] if above and place else None
            for pick, place in zip(query.picks, group.ranks, strict=True)
        )
        for group in sought
    }
    return found | {sought[row[0]].tags: row[1:] for row in cells}


def _is_settled(
    query: Query, outlines: tuple[Outline, ...], values: _Values, only_busy: bool
) -> bool:
    """Returns True if no value that was not read is above one of `values`."""
    by_field = dict(zip(fields_of(query), outlines, strict=True))
    for pick, value in zip(query.picks, values, strict=True):
        outline = by_field[pick.field]
        unread = outline.not_busy if only_busy else outline.unlisted
        if unread is not None and (value is None or unread > value):
            return False
    return True


def _groups_at_once(reading: _TopReading, spare: Mapping[str, int] | None) -> int:
    query = reading.query
    values = sum(
        spare[pick.field] if spare else most_kept(query, pick.field, reading.most)
        for pick in query.picks
    )
    room = reading.memory_mb * 1e6 * _MEMORY_SHARE
    return max(1, int(room / (values * _VALUE_BYTES)))


def _means(query: Query, declared: Measurement, files: ChosenFiles) -> str:
    """Returns the SELECT of time, tags and values; "" if there are none."""
    if not files.paths:
        return ""
    if query.mean_step_ms:
        return rollup.render_any(means_query(query), declared, *files)
    tags, kinds = [tag.name for tag in declared.tags], field_types(query, declared)
    rows = duckdb_sql.source(files.scan, tags, kinds, duckdb_sql.conditions(query))
    columns = [duckdb_sql.TIME, *duckdb_sql.groups(query)]
    columns += map(duckdb_sql.name, fields_of(query))
    return f"SELECT {', '.join(columns)} FROM ({rows})"
