"""Answers high percentiles by the tops of days
(`collectors.store.day_tops`)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from collectors.store import day_tops, duckdb_sql, rollup
from collectors.store.day_tops import SoughtGroup
from collectors.store.duck_queries import Cells
from collectors.store.highest_groups import (
    Group,
    lowest_kept,
    subject_of,
    subject_values,
)
from collectors.store.percentile_sql import rank
from collectors.store.query import Query, field_types, means_query
from collectors.store.query_files import ChosenFiles, TopFiles, join_files
from collectors.store.top_forms import (
    fields_of,
    form_of,
    have_bounds,
    most_kept,
    percent_of,
)
from probes.wire.catalogue import Measurement

RunSql = Callable[[str], Awaitable[Cells]]
_VALUE_BYTES = 8
# This part of DuckDB's memory may have the highest values of the series.
_MEMORY_SHARE = 0.25


class Outline(NamedTuple):
    """What is known of a field of one group without its lists: how many values it has,
    two values between which its percentiles are, the highest value that is in no list,
    and the highest that is in no list of a busy row (`day_tops.render_outlines`)."""

    values: int
    floor: float | None
    bound: float | None
    unlisted: float | None
    not_busy: float | None


_Values = tuple[float | None, ...]
Outlines = Mapping[Group, tuple[Outline, ...]]


async def top_percentiles(
    run: RunSql,
    query: Query,
    declared: Measurement,
    files: TopFiles,
    memory_mb: int,
) -> Cells:
    """Returns the cells of a query for which `top_forms.have_answer`. With `highest`
    there may be more groups than that."""
    form = form_of(declared)
    assert form is not None
    tops, means = _top_paths(files, ()), _means(query, declared, files.other)
    most = form.most_values(query)
    if most is None:
        ((most,),) = await run(day_tops.render_most(query, declared, tops, means))
    most = most or 1
    text = day_tops.render_outlines(query, declared, tops, means, most)
    outlines = _outlines(query, await run(text))
    groups = sorted(outlines)
    if query.highest and have_bounds(query):
        groups = sorted(_candidates(query, outlines))
    size = _groups_at_once(query, most, memory_mb)
    cells: Cells = []
    for begin in range(0, len(groups), size):
        some = groups[begin : begin + size]
        cells += await _of_groups(run, query, declared, files, most, some, outlines)
    return cells


def _outlines(query: Query, cells: Cells) -> dict[Group, tuple[Outline, ...]]:
    first, size = len(query.group_by), len(Outline._fields)
    return {
        row[:first]: tuple(
            Outline(*row[at : at + size]) for at in range(first, len(row), size)
        )
        for row in cells
    }


def _candidates(query: Query, outlines: Outlines) -> set[Group]:
    """Returns the groups that may be among the highest: those that reach the lowest
    value that one of the highest has at least."""
    assert query.highest is not None
    least: dict[Group, float] = {}
    most: dict[Group, float] = {}
    for group, fields in outlines.items():
        bounds = [field.bound for field in fields if field.bound is not None]
        if bounds:
            most[group] = max(bounds)
            floors = [field.floor for field in fields if field.floor is not None]
            least[group] = max(floors, default=-math.inf)
    lowest = lowest_kept(query.highest, subject_values(query, least))
    highest = subject_values(query, most)
    return {
        group
        for group in most
        for subject in (subject_of(query, group),)
        if highest[subject] >= lowest[subject[0]]
    }


async def _of_groups(
    run: RunSql,
    query: Query,
    declared: Measurement,
    files: TopFiles,
    most: int,
    groups: Sequence[Group],
    outlines: Outlines,
) -> Cells:
    """Reads the lists of busy rows, if these are likely to do; then of all rows; then
    days of which too many values are in no list."""
    sought = [_sought(query, group, outlines[group]) for group in groups]
    cells: Cells = []
    tops, means = _top_paths(files, ()), _means(query, declared, files.other)
    for only_busy in (True, False) if day_tops.are_apart(query) else (False,):
        text = day_tops.render(query, declared, tops, means, most, sought, only_busy)
        found = _values(query, sought, await run(text))
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
    # Of some values a percentile may be too low, but never too high.
    sought = [_with_floors(query, group, found[group.tags]) for group in sought]
    text = day_tops.render_days(query, declared, tops, sought)
    whole = {day for (day,) in await run(text)}
    others = join_files([files.other, *(files.means[day] for day in sorted(whole))])
    tops, means = _top_paths(files, whole), _means(query, declared, others)
    text = day_tops.render(query, declared, tops, means, most, sought)
    found = _values(query, sought, await run(text))
    return [*cells, *((*tags, *own) for tags, own in found.items())]


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
    query: Query, sought: Sequence[SoughtGroup], cells: Cells
) -> dict[Group, _Values]:
    """Returns the value of each pick of each group."""
    nothing: _Values = (None,) * len(query.picks)
    found = dict.fromkeys((group.tags for group in sought), nothing)
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


def _groups_at_once(query: Query, most: int, memory_mb: int) -> int:
    values = sum(most_kept(query, pick.field, most) for pick in query.picks)
    return max(1, int(memory_mb * 1e6 * _MEMORY_SHARE / (values * _VALUE_BYTES)))


def _top_paths(files: TopFiles, without: Collection[int]) -> list[str]:
    return [
        path
        for day, paths in files.tops.items()
        if day not in without
        for path in paths
    ]


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
