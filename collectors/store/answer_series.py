"""Answers as series: the buckets of one group as arrays of numbers. Each value takes
eight bytes; as rows, each bucket would take a dictionary. Pure, except for
`query_series`."""

from __future__ import annotations

import functools
import itertools
import math
from array import array
from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from collectors.store.query import Query, Row, Store

_BYTES = 8


class AnswerSeries(NamedTuple):
    """The buckets of one group, in the order of time, and the values of each pick by
    its name. The value of a bucket that has none is NaN."""

    tags: dict[str, str]
    times_ms: array[int]
    values: dict[str, array[float]]


@runtime_checkable
class SeriesStore(Protocol):
    """A store that answers with series at once."""

    async def series(self, query: Query) -> list[AnswerSeries]: ...


async def query_series(store: Store, query: Query) -> list[AnswerSeries]:
    """Answers a query of numbers in buckets, from any store. Raises as `query` does."""
    if isinstance(store, SeriesStore):
        return await store.series(query)
    return series_of_rows(await store.query(query), query)


def series_of_rows(rows: Iterable[Row], query: Query) -> list[AnswerSeries]:
    """Returns the series of rows that are in the order of every store's answers."""
    names = [pick.name for pick in query.picks]
    found: list[AnswerSeries] = []
    for row in rows:
        if not found or found[-1].tags != row.tags:
            values = {name: array("d") for name in names}
            found.append(AnswerSeries(row.tags, array("q"), values))
        found[-1].times_ms.append(row.time_ms or 0)
        for name in names:
            value = row.values.get(name)
            if value is None or isinstance(value, str):
                value = math.nan
            found[-1].values[name].append(float(value))
    return found


def series_of_table(table: pa.Table, query: Query) -> list[AnswerSeries]:
    """Returns the series of a table in the same order: the times, the tags of
    `group_by`, and a column for each pick."""
    first = 1 + len(query.group_by)
    columns = table.columns[first:]
    if all(column.null_count for column in columns):
        # A row without any value is none of the answer.
        valid = [pc.is_valid(column) for column in columns]
        table = table.filter(functools.reduce(pc.or_, valid))
    runs = [
        pc.run_end_encode(table.column(at).combine_chunks())
        for at in range(1, first)
        if len(table)
    ]
    ends = sorted({end for run in runs for end in run.run_ends.to_pylist()})
    if not runs and len(table):
        ends = [len(table)]
    times_ms: array[int] = array("q", _bytes(table.column(0), pa.int64(), 0))
    values = {
        pick.name: array("d", _bytes(table.column(at), pa.float64(), math.nan))
        for at, pick in enumerate(query.picks, first)
    }
    found = []
    for begin, end in itertools.pairwise([0, *ends]):
        tags = {
            tag: table.column(at)[begin].as_py()
            for at, tag in enumerate(query.group_by, 1)
        }
        own = {name: column[begin:end] for name, column in values.items()}
        found.append(AnswerSeries(tags, times_ms[begin:end], own))
    return found


def _bytes(column: pa.ChunkedArray, kind: pa.DataType, absent: float) -> bytes:
    whole = pc.fill_null(column.cast(kind), absent).combine_chunks()
    begin = whole.offset * _BYTES
    return bytes(whole.buffers()[1])[begin : begin + len(whole) * _BYTES]
