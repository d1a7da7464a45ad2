"""The answer to a SELECT, in the form of InfluxDB 1.8. Pure.

A series is `{"name": …, "tags": {…}, "columns": ["time", …], "values": [[…], …]}`.
Series are in the order of their tags, by the tags' names. Without `epoch` a time is a
text.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from collectors.store.influxql_selection import Output, Selection
from collectors.store.query import Pick

Cells = Sequence[tuple[Any, ...]]
Series = dict[str, Any]
Point = list[Any]
# The parameter `epoch` -> how many of it are a millisecond, or milliseconds in one.
_EPOCHS: Mapping[str, Callable[[int], int]] = {
    "ns": lambda ms: ms * 1_000_000,
    "n": lambda ms: ms * 1_000_000,
    "u": lambda ms: ms * 1000,
    "us": lambda ms: ms * 1000,
    "µ": lambda ms: ms * 1000,
    "ms": lambda ms: ms,
    "s": lambda ms: ms // 1000,
    "m": lambda ms: ms // 60_000,
    "h": lambda ms: ms // 3_600_000,
}


class TooLarge(ValueError):
    """The answer would have more points than are allowed."""


def time_format(epoch: str, zone: str = "") -> Callable[[int], int | str]:
    """Returns the function that writes a time in ms. As InfluxDB does, an unknown
    `epoch` counts as ns."""
    if epoch:
        return _EPOCHS.get(epoch, _EPOCHS["ns"])
    where = ZoneInfo(zone) if zone else UTC

    def text(time_ms: int) -> str:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
        moment = moment.astimezone(where)
        fraction = f".{time_ms % 1000:03d}".rstrip("0") if time_ms % 1000 else ""
        offset = moment.strftime("%z")
        ending = "Z" if offset in ("", "+0000") else f"{offset[:3]}:{offset[3:]}"
        return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + ending

    return text


def series_of(
    selection: Selection, cells: Cells, epoch: str, most_points: int
) -> list[Series]:
    """Returns the series of an answer. Raises `TooLarge`.

    `cells` are in order of tags, then time: the start of the bucket (if the query has
    buckets), the tags of `group_by`, and a value or None for each pick.
    """
    if selection.is_empty:
        return []
    query = selection.query
    write_time = time_format(epoch, selection.zone)
    if selection.top is not None:
        return _busiest(selection, cells, write_time(selection.from_ms))
    first = 1 if query.has_buckets else 0
    names = query.group_by
    values_at = first + len(names)
    columns = ["time", *(output.name for output in selection.outputs)]
    read = _row_reader(query.picks, selection.outputs, values_at)
    tags_of = itemgetter(slice(first, values_at))
    # A row without any value is not there for InfluxDB.
    there = (
        row for row in cells if any(value is not None for value in row[values_at:])
    )
    groups = [
        (dict(sorted(zip(names, tags, strict=True))), [*rows])
        for tags, rows in itertools.groupby(there, tags_of)
    ]
    groups.sort(key=lambda group: list(group[0].values()))
    limits = selection.limits
    after = None if limits.series is None else limits.skipped_series + limits.series
    answer: list[Series] = []
    left = most_points
    for tags, rows in groups[limits.skipped_series : after]:
        points = _points(selection, rows, read, left)
        left -= len(points)
        if left < 0:
            raise TooLarge
        end = None if limits.points is None else limits.skipped_points + limits.points
        points = points[limits.skipped_points : end]
        if not points:
            continue
        for point in points:
            point[0] = write_time(point[0])
        one: Series = {"name": query.measurement}
        if names:
            one["tags"] = tags
        answer.append({**one, "columns": columns, "values": points})
    return answer


def _busiest(selection: Selection, cells: Cells, time: int | str) -> list[Series]:
    """Returns the series of tag values with the largest sums, the largest first."""
    query = selection.query
    sums = [
        (sum(row[1:]), row[0])
        for row in cells
        if not any(value is None for value in row[1:])
    ]
    if selection.above_zero:
        sums = [one for one in sums if one[0] > 0]
    largest = sorted(sums, key=lambda one: (-one[0], one[1]))[: selection.top]
    if not largest:
        return []
    points = [[time, tag] for _, tag in largest]
    columns = ["time", *query.group_by]
    return [{"name": query.measurement, "columns": columns, "values": points}]


def _row_reader(
    picks: Sequence[Pick], outputs: Sequence[Output], values_at: int
) -> Callable[[tuple[Any, ...]], Point]:
    """Returns the function that makes the columns after the time of a row."""
    at = {pick: values_at + number for number, pick in enumerate(picks)}
    places = [
        (at[o.pick], None if o.divisor is None else at[o.divisor]) for o in outputs
    ]

    def read(row: tuple[Any, ...]) -> Point:
        point = []
        for place, divisor in places:
            value = row[place]
            if divisor is not None and value is not None:
                value = value / row[divisor] if row[divisor] else None
            if isinstance(value, float) and not math.isfinite(value):
                value = None
            point.append(value)
        return point

    return read


def _points(
    selection: Selection,
    rows: list[tuple[Any, ...]],
    read: Callable[[tuple[Any, ...]], Point],
    most: int,
) -> list[Point]:
    buckets, query = selection.buckets, selection.query
    if buckets is None:
        points = [[selection.from_ms, *read(row)] for row in rows]
    else:
        # A bucket in another time zone is a span, which may be cut by the range.
        present = {buckets.start_of(row[0]): read(row) for row in rows}
        if selection.fill == "none":
            points = [[start, *values] for start, values in present.items()]
        else:
            points = list(
                _filled(
                    buckets.starts(query.from_ms, query.to_ms),
                    present,
                    selection,
                    most,
                )
            )
    if selection.descending:
        points.reverse()
    return points


def _filled(
    starts: Iterator[int],
    present: Mapping[int, Point],
    selection: Selection,
    most: int,
) -> Iterator[Point]:
    empty: Point = [None] * len(selection.outputs)
    fills = [
        _fill_value(
            selection.fill,
            output,
            any(values[column] is not None for values in present.values()),
        )
        for column, output in enumerate(selection.outputs)
    ]
    before = empty
    for number, start in enumerate(starts):
        if number >= most:
            raise TooLarge
        values = present.get(start, empty)
        before = [
            value if value is not None else fill
            for value, fill in zip(
                values, before if selection.fill == "previous" else fills, strict=True
            )
        ]
        yield [start, *before]


def _fill_value(fill: str | float, output: Output, is_known: bool) -> Any:
    """Returns what an empty bucket has: in the type of the column, and 0 for a count of
    nothing. As in InfluxDB a column without any value (not `is_known`) has no type."""
    if isinstance(fill, str):
        return 0 if output.counts and is_known else None
    if output.kind == "str":
        return "" if is_known else fill
    return int(fill) if output.kind == "int" else fill
