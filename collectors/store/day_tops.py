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

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.store import duckdb_sql
from collectors.store.arrow_tables import metadata
from collectors.store.duckdb_sql import TIME, literal, name
from collectors.store.file_layout import DAY_MS
from collectors.store.query import Query
from collectors.store.top_forms import (
    BOUND_PERCENT,
    TopForm,
    fields_of,
    form_of,
    most_kept,
)
from probes.wire.catalogue import Measurement

LABEL = "tops"
# So many of each value of this tag are `busy`. Of days that differ, the ports that a
# report shows of a site are among twice as many.
_WITHIN, _BUSY = "site", 20
# A part of a day's series can be read without the others.
_ROW_GROUP = 2_048
# Files of an older form, without `busy`, have another name, and are made again.
_FORM = "busy"
_MEAN_PARTS = {":sum": "DOUBLE", ":n": "BIGINT"}


class SoughtGroup(NamedTuple):
    """A group, a value for each field that none of its percentiles is below, and for
    each pick how many values from the highest on it is (None: it has no values)."""

    tags: tuple[str, ...]
    floors: tuple[float | None, ...]
    ranks: tuple[int | None, ...]


def file_name(rolled: str) -> str:
    """Returns the name of the tops of a day, from that of its other roll-ups."""
    return f"{rolled.removesuffix('.parquet')}-{_FORM}.parquet"


def are_apart(query: Query) -> bool:
    """Returns True if the busy series are likely to have the answer."""
    highest = query.highest
    return highest is not None and highest.within == _WITHIN and highest.count < _BUSY


def write_tops(source: Path, target: Path, declared: Measurement) -> None:
    """Writes the tops of a day from its roll-up by five minutes, or its rows. Blocking.
    Raises DuckDB's errors."""
    form = _form(declared)
    keys = ", ".join(map(name, declared.identity))
    tops = ", ".join(
        f"count({f}) AS {name(f'{field}:n')},"
        f" max({f}, {form.kept + 1})[1:{form.kept}] AS {name(f'{field}:top')},"
        f" max({f}, {form.kept + 1})[{form.kept + 1}] AS {name(f'{field}:next')},"
        f" max({f}) AS {name(f'{field}:high')},"
        f" {_marks(form, field)},"
        f" {_daily(form, f)} AS {name(f'{field}:bound')}"
        for field in form.fields
        for f in (name(field),)
    )
    rows = f"SELECT {TIME}, {keys}, {_values(form)} FROM ({_source(form, source)})"
    day = f"min({TIME}) // {DAY_MS} * {DAY_MS}"
    bounds = ", ".join(f"coalesce({name(f'{f}:bound')}, 0)" for f in form.fields)
    place = f"row_number() OVER (PARTITION BY {name(_WITHIN)} ORDER BY"
    place += f" greatest({bounds}) DESC, {keys})"
    text = (
        f"SELECT *, {place} <= {_BUSY} AS busy FROM (SELECT {day} AS {TIME}, {keys},"
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


def render_most(
    query: Query, declared: Measurement, tops: Sequence[str], means: str
) -> str:
    """Returns the SELECT of how many values the group has that has the most."""
    fields, keys = fields_of(query), _keys(query)
    counts = ", ".join(f"{name(f'{f}:n')} AS {name(f)}" for f in fields)
    parts = [f"SELECT {keys}, {counts} FROM ({_rows(query, declared, tops)})"]
    if means:
        counts = ", ".join(f"count({name(f)})" for f in fields)
        parts.append(
            f"SELECT {keys}, {counts} FROM {_named(query, means)} GROUP BY ALL"
        )
    sums = ", ".join(f"coalesce(sum({name(f)}), 0)" for f in fields)
    return (
        f"SELECT max(n) FROM (SELECT {keys}, greatest({sums}) AS n"
        f" FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys})"
    )


def render_outlines(
    query: Query, declared: Measurement, tops: Sequence[str], means: str, most: int
) -> str:
    """Returns the SELECT of what is known of each group without its lists. `means`: the
    SELECT of all values of other days ("": there are none). `most`: no group has more
    values.

    After the tags of `group_by` it has for each field how many values there are; two
    values between which the percentiles are, of which the first is NULL if it is not
    known; the highest value that is in no list; and the highest that is in no list of
    a busy row. If no day has more than 5 % of its values above the second, all days
    together have not. There are at least so many values from each mark to the
    one before as they are apart, and so enough above the first for all percentiles.
    """
    form, keys, fields = _form(declared), _keys(query), fields_of(query)
    rows = ", ".join(
        f"unnest([{name(f'{f}:n')}{', 0' * (len(form.marks) - 1)}])"
        f" AS {name(f'{f}:n')},"
        f" unnest([{', '.join(name(f'{f}:{mark}') for mark in form.marks)}])"
        f" AS {name(f'{f}:mark')}, {name(f'{f}:bound')}, {name(f'{f}:next')},"
        f" CASE WHEN busy THEN {name(f'{f}:next')} ELSE {name(f'{f}:high')} END"
        f" AS {name(f'{f}:high')}"
        for f in fields
    )
    parts = [f"SELECT {keys}, {rows} FROM ({_rows(query, declared, tops)})"]
    if means:
        daily = ", ".join(
            f"count({column}), NULL, {_daily(form, column)}, NULL, NULL"
            for column in map(name, fields)
        )
        parts.append(
            f"SELECT {keys}, {daily} FROM {_named(query, means)}"
            f" GROUP BY {keys}, moment // {DAY_MS}"
        )
    outline = ", ".join(
        f"CAST(sum({name(f'{f}:n')}) AS BIGINT),"
        f" max({name(f'{f}:mark')}, {marks})[{marks}], max({name(f'{f}:bound')}),"
        f" max({name(f'{f}:next')}), max({name(f'{f}:high')})"
        for f in fields
        for marks in (-(-most_kept(query, f, most) // form.apart),)
    )
    return (
        f"SELECT {keys}, {outline} FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys}"
    )


def render(
    query: Query,
    declared: Measurement,
    tops: Sequence[str],
    means: str,
    most: int,
    groups: Sequence[SoughtGroup],
    only_busy: bool = False,
) -> str:
    """Returns the SELECT of a column for each pick, after the place in `groups`, by the
    tops of days and by `means`, the SELECT of all values of other days ("": there are
    none). `only_busy`: the lists of others are not read."""
    keys = _keys(query)
    fields = fields_of(query)
    floors = {field: f"floor{n}" for n, field in enumerate(fields)}
    ranks = {pick: f"rank{n}" for n, pick in enumerate(query.picks)}
    known = ", ".join(["id", *floors.values(), *ranks.values()])
    listed = ", ".join(f"unnest({name(f'{f}:top')}) AS {name(f)}" for f in fields)
    busy = ["busy"] if only_busy else []
    parts = [
        f"SELECT {known}, {listed} FROM ({_rows(query, declared, tops, busy)})"
        f" JOIN sought USING ({keys})"
    ]
    if means:
        parts.append(
            f"SELECT {known}, {', '.join(map(name, fields))}"
            f" FROM {_named(query, means)} JOIN sought USING ({keys})"
        )
    high = " OR ".join(f"{name(f)} >= {floor}" for f, floor in floors.items())
    columns = ", ".join(
        f"max(CASE WHEN {name(p.field)} >= {floors[p.field]} THEN {name(p.field)} END,"
        f" {most_kept(query, p.field, most)})[any_value({ranks[p]})]"
        for p in query.picks
    )
    return (
        f"WITH sought AS MATERIALIZED ({_sought(query, groups)})"
        f" SELECT id, {columns} FROM ({' UNION ALL '.join(parts)})"
        f" WHERE {high} GROUP BY id"
    )


def render_days(
    query: Query,
    declared: Measurement,
    tops: Sequence[str],
    groups: Sequence[SoughtGroup],
) -> str:
    """Returns the SELECT of the starts of days with values above the floors of `groups`
    that are in no list."""
    keys = _keys(query)
    higher = " OR ".join(
        f"{name(f'{f}:next')} > floor{n}" for n, f in enumerate(fields_of(query))
    )
    return (
        f"SELECT DISTINCT {TIME} FROM ({_rows(query, declared, tops)})"
        f" JOIN ({_sought(query, groups)}) USING ({keys}) WHERE {higher}"
    )


def _sought(query: Query, groups: Sequence[SoughtGroup]) -> str:
    """Returns the SELECT of `groups` and their places."""
    floors = [f"floor{n}" for n in range(len(fields_of(query)))]
    ranks = [f"rank{n}" for n in range(len(query.picks))]
    columns = [*map(name, query.group_by), *floors, *ranks]
    listed = ", ".join(
        f"({place}, {', '.join(map(_value, itertools.chain(*group)))})"
        for place, group in enumerate(groups)
    )
    typed = [
        *map(name, query.group_by),
        *(f"coalesce(CAST({c} AS DOUBLE), '-infinity') AS {c}" for c in floors),
        *(f"CAST({c} AS BIGINT) AS {c}" for c in ranks),
    ]
    return (
        f"SELECT id, {', '.join(typed)}"
        f" FROM (VALUES {listed}) AS t(id, {', '.join(columns)})"
    )


def _value(value: str | float | None) -> str:
    """Returns it as a text, because a number with a point would be a decimal."""
    return "CAST(NULL AS VARCHAR)" if value is None else literal(str(value))


def _daily(form: TopForm, column: str) -> str:
    """Returns the SQL of a value above which a day has less than 5 %, rounded up."""
    place = f"count({column}) * {100 - BOUND_PERCENT} // 100 + 1"
    return f"max({column}, {form.kept + 1})[least({place}, {form.kept + 1})]"


def _keys(query: Query) -> str:
    return ", ".join(map(name, query.group_by))


def _named(query: Query, means: str) -> str:
    """Returns `means` as a source: time, tags, fields."""
    columns = ", ".join(["moment", *map(name, (*query.group_by, *fields_of(query)))])
    return f"({means}) AS t({columns})"


def _form(declared: Measurement) -> TopForm:
    form = form_of(declared)
    assert form is not None
    return form


def _rows(
    query: Query,
    declared: Measurement,
    tops: Sequence[str],
    having: Sequence[str] = (),
) -> str:
    """Returns the SELECT of the tops that meet all conditions."""
    kinds = {f"{f}:{part}": k for f in fields_of(query) for part, k in _parts(declared)}
    empty = duckdb_sql.empty_rows(
        (tag.name for tag in declared.tags),
        {**kinds, "busy": "BOOLEAN"},
    )
    columns = ", ".join(
        [
            TIME,
            *(f"coalesce({name(tag)}, '') AS {name(tag)}" for tag in query.group_by),
            *map(name, kinds),
            "busy",
        ]
    )
    read = f" UNION ALL BY NAME SELECT * FROM {duckdb_sql.files(tops)}" if tops else ""
    conditions = [*duckdb_sql.conditions(query), *having]
    return f"SELECT {columns} FROM ({empty}{read}) WHERE {' AND '.join(conditions)}"


def _parts(declared: Measurement) -> list[tuple[str, str]]:
    """Returns the columns of each field and their types."""
    parts = {"n": "BIGINT", "top": "DOUBLE[]"}
    marks = [str(mark) for mark in _form(declared).marks]
    parts |= dict.fromkeys(["next", "high", "bound", *marks], "DOUBLE")
    return list(parts.items())
