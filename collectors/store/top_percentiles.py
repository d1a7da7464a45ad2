"""Answers percentiles of five-minute means by the tops of days
(`collectors.store.day_tops`)."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

from collectors.store import day_tops, rollup
from collectors.store.day_tops import SeriesRange
from collectors.store.duck_queries import Cells
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
    """Returns the cells of a query for which `day_tops.have_answer`."""
    tops = [path for paths in files.tops.values() for path in paths]
    subjects = await run(day_tops.render_subjects(query, declared, tops))
    size = _series_at_once(query, memory_mb)
    cells: Cells = []
    for series in series_ranges(subjects, size):
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
        series = SeriesRange(only=tuple(sorted(subjects)))


def _means(query: Query, declared: Measurement, files: ChosenFiles) -> str:
    if not files.paths:
        return ""
    return rollup.render_any(means_query(query), declared, *files)
