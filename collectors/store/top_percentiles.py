"""Answers percentiles of five-minute means by the tops of days
(`collectors.store.day_tops`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable

import msgspec

from collectors.store import day_tops, rollup
from collectors.store.day_tops import SeriesRange
from collectors.store.duck_queries import Cells
from collectors.store.highest_groups import (
    Group,
    cell_values,
    highest_groups,
    lowest_kept,
    subject_of,
    subject_values,
)
from collectors.store.percentile_sql import kept
from collectors.store.query import PERCENTILES, Query, means_query
from collectors.store.query_files import ChosenFiles, TopFiles, join_files
from probes.wire.catalogue import Measurement

RunSql = Callable[[str], Awaitable[Cells]]
_VALUE_BYTES = 8
# This part of DuckDB's memory may have the highest values of the series.
_MEMORY_SHARE = 0.25


async def top_percentiles(
    run: RunSql,
    query: Query,
    declared: Measurement,
    files: TopFiles,
    memory_mb: int,
) -> Cells:
    """Returns the cells of a query for which `day_tops.have_answer`. With `highest`
    there may be more groups than that."""
    size = _series_at_once(query, memory_mb)
    if query.highest and day_tops.have_bounds(query):
        return await _highest(run, query, declared, files, size)
    tops = [path for paths in files.tops.values() for path in paths]
    subjects = await run(day_tops.render_subjects(query, declared, tops))
    cells: Cells = []
    for series in series_ranges(subjects, size):
        cells += await _of_range(run, query, declared, files, series)
    return cells


async def _highest(
    run: RunSql,
    query: Query,
    declared: Measurement,
    files: TopFiles,
    size: int,
) -> Cells:
    """Finds the percentiles of the series with the highest bounds, then of all others
    whose bounds are not below the lowest of these that is in the answer."""
    assert query.highest is not None
    tops = [path for paths in files.tops.values() for path in paths]
    means = _means(query, declared, files.other)
    text = day_tops.render_bounds(query, declared, tops, means)
    bounds = cell_values(query, await run(text))
    # Some more, as the highest bounds are not always those of the highest percentiles.
    more = msgspec.structs.replace(query.highest, count=query.highest.count * 3 // 2)
    first = highest_groups(msgspec.structs.replace(query, highest=more), bounds)
    cells = await _of_groups(run, query, declared, files, first, size)
    found = subject_values(query, cell_values(query, cells))
    least = lowest_kept(query.highest, found)
    by_subject = subject_values(query, bounds)
    others = {
        group
        for group in bounds.keys() - first
        for subject in (subject_of(query, group),)
        if by_subject[subject] >= least.get(subject[0], -math.inf)
    }
    return [*cells, *await _of_groups(run, query, declared, files, others, size)]


async def _of_groups(
    run: RunSql,
    query: Query,
    declared: Measurement,
    files: TopFiles,
    groups: set[Group],
    size: int,
) -> Cells:
    cells: Cells = []
    listed = sorted(groups)
    for begin in range(0, len(listed), size):
        some = tuple(listed[begin : begin + size])
        series = SeriesRange(group_by=query.group_by, groups=some)
        cells += await _of_range(run, query, declared, files, series)
    return cells


def series_ranges(subjects: Cells, size: int) -> list[SeriesRange]:
    """Returns ranges of about `size` series that have every subject among them, even
    ones that are not in `subjects`, which are (subject, its series)."""
    starts, count = [""], 0
    for subject, series in subjects:
        if count and count + series > size:
            starts.append(subject)
            count = 0
        count += series
    return [
        SeriesRange(first, before)
        for first, before in itertools.pairwise([*starts, None])
        if first is not None
    ]


def _series_at_once(query: Query, memory_mb: int) -> int:
    most = (query.to_ms - query.from_ms) // day_tops.STEP_MS + 2
    values = sum(kept(PERCENTILES[pick.aggregate], most) for pick in query.picks)
    return max(1, int(memory_mb * 1e6 * _MEMORY_SHARE / (values * _VALUE_BYTES)))


async def _of_range(
    run: RunSql,
    query: Query,
    declared: Measurement,
    files: TopFiles,
    series: SeriesRange,
) -> Cells:
    cells: Cells = []
    # Days of which all means are read.
    whole_days: set[int] = set()
    subject_at = query.group_by.index(declared.identity[0])
    while True:
        tops = [
            path
            for day, paths in files.tops.items()
            if day not in whole_days
            for path in paths
        ]
        others = join_files([files.other, *(files.means[d] for d in whole_days)])
        means = _means(query, declared, others)
        rows = await run(day_tops.render(query, declared, tops, means, series))
        subjects = {row[subject_at] for row in rows if row[-1]}
        cells += [row[:-1] for row in rows if row[subject_at] not in subjects]
        if not subjects:
            return cells
        whole_days.update(day for row in rows for day in row[-1] or ())
        series = msgspec.structs.replace(
            series, first="", before=None, only=tuple(sorted(subjects))
        )


def _means(query: Query, declared: Measurement, files: ChosenFiles) -> str:
    if not files.paths:
        return ""
    return rollup.render_any(means_query(query), declared, *files)
