"""The highest values of each series and day, from which high percentiles of weeks are
calculated exactly, without reading all values. Pure, but for `write_tops`.

Which values these are is in `top_forms`. A day has 288 five-minute means, of which the
file of its tops has the 72 highest, how many there are in all, and the highest of the
others (`next`). The 95th percentile of some weeks is one of the 5 % highest means.
Calculated from the tops alone it is never too high. It is right if no day has a `next`
above it. If a day has, more than a quarter of that day may be among the highest means
of the weeks, and all its means are read.

A percentile of all days is not above the highest of the days (`bound`), which are read
in a tenth of the time. So the highest ports of a site are found without the percentiles
of those whose days were all lower.

The busiest ports of each site and day are apart from the others (`busy`), because lists
are most of a file, and a report shows few ports of each site. Read alone, the others
count as days with a `next` and no list: the highest of the day.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.store import duckdb_sql
from collectors.store.arrow_tables import metadata
from collectors.store.duckdb_sql import TIME, name
from collectors.store.file_layout import DAY_MS
from collectors.store.query import Query
from collectors.store.top_forms import (
    BOUND_PERCENT,
    TopForm,
    known_form,
)
from probes.wire.catalogue import Measurement

LABEL = "tops"
# So many of each value of this tag are `busy`. Of days that differ, the ports that a
# report shows of a site are among twice as many.
WITHIN, BUSY = "site", 20
# A part of a day's series can be read without the others.
_ROW_GROUP = 2_048
# Files of an older form, without `busy`, have another name, and are made again.
_FORM = "busy"
_MEAN_PARTS = {":sum": "DOUBLE", ":n": "BIGINT"}


def file_name(rolled: str) -> str:
    """Returns the name of the tops of a day, from that of its other roll-ups."""
    return f"{rolled.removesuffix('.parquet')}-{_FORM}.parquet"


def are_apart(query: Query) -> bool:
    """Returns True if the busy series are likely to have the answer."""
    highest = query.highest
    return highest is not None and highest.within == WITHIN and highest.count < BUSY


def write_tops(source: Path, target: Path, declared: Measurement) -> None:
    """Writes the tops of a day from its roll-up by five minutes, or its rows. Blocking.
    Raises DuckDB's errors."""
    form = known_form(declared)
    keys = ", ".join(map(name, declared.identity))
    tops = ", ".join(
        f"count({f}) AS {name(f'{field}:n')},"
        f" max({f}, {form.kept + 1})[1:{form.kept}] AS {name(f'{field}:top')},"
        f" max({f}, {form.kept + 1})[{form.kept + 1}] AS {name(f'{field}:next')},"
        f" max({f}) AS {name(f'{field}:high')},"
        f" {_marks(form, field)},"
        f" {daily_bound(form, f)} AS {name(f'{field}:bound')}"
        for field in form.fields
        for f in (name(field),)
    )
    rows = f"SELECT {TIME}, {keys}, {_values(form)} FROM ({_source(form, source)})"
    day = f"min({TIME}) // {DAY_MS} * {DAY_MS}"
    bounds = ", ".join(f"coalesce({name(f'{f}:bound')}, 0)" for f in form.fields)
    place = f"row_number() OVER (PARTITION BY {name(WITHIN)} ORDER BY"
    place += f" greatest({bounds}) DESC, {keys})"
    text = (
        f"SELECT *, {place} <= {BUSY} AS busy FROM (SELECT {day} AS {TIME}, {keys},"
        f" {tops} FROM ({rows}) GROUP BY {keys}) ORDER BY busy DESC, {keys}"
    )
    with duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection:
        _write(connection.sql(text).to_arrow_table(), target, declared)


def _source(form: TopForm, source: Path) -> str:
    # A day on which no port had a speed lacks the columns.
    parts = {"": "DOUBLE"} if form.step_ms is None else _MEAN_PARTS
    columns = {f"{f}{part}": kind for f in form.fields for part, kind in parts.items()}
    return (
        f"{duckdb_sql.empty_rows((), columns)} UNION ALL BY NAME"
        f" SELECT * FROM {duckdb_sql.files([str(source)])}"
    )


def _values(form: TopForm) -> str:
    if form.step_ms is None:
        return ", ".join(map(name, form.fields))
    return ", ".join(
        f"CAST({name(f'{f}:sum')} AS DOUBLE) / nullif({name(f'{f}:n')}, 0) AS {name(f)}"
        for f in form.fields
    )


def _marks(form: TopForm, field: str) -> str:
    column = name(field)
    return ", ".join(
        f"max({column}, {form.kept + 1})[{mark}] AS {name(f'{field}:{mark}')}"
        for mark in form.marks
    )


def _write(rows: pa.Table, target: Path, declared: Measurement) -> None:
    """Writes the busy rows first, in row groups of their own."""
    tags = [tag.name for tag in declared.tags]
    rows = rows.replace_schema_metadata(metadata(tags))
    dictionaries = [*declared.identity, TIME, "busy"]
    with pq.ParquetWriter(
        target, rows.schema, compression="zstd", use_dictionary=dictionaries
    ) as writer:
        for is_busy in (True, False):
            if some := rows.filter(pc.equal(rows["busy"], is_busy)):
                writer.write_table(some, _ROW_GROUP)


def daily_bound(form: TopForm, column: str) -> str:
    """Returns the SQL of a value above which a day has less than 5 %, rounded up."""
    place = f"count({column}) * {100 - BOUND_PERCENT} // 100 + 1"
    return f"max({column}, {form.kept + 1})[least({place}, {form.kept + 1})]"
