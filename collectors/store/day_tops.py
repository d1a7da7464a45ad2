"""The highest five-minute means of each series and day, from which high percentiles of
weeks are calculated exactly, without reading all means. Pure, but for `write_tops`.

A day has 288 means, of which the file of its tops has the 72 highest, how many there
are in all, and the highest of the others (`next`). The 95th percentile of some weeks is
one of the 5 % highest means. Calculated from the tops alone it is never too high. It is
right if no day has a `next` above it. If a day has, more than a quarter of that day may
be among the highest means of the weeks, and all its means are read.

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
from collectors.store.percentile_sql import HIGH_PERCENT, kept
from collectors.store.query import PERCENTILES, Query
from probes.wire.catalogue import Measurement

LABEL = "tops"
KEPT = 72
# Tops have bounds of this percentile.
BOUND_PERCENT = 95
STEP_MS = 300_000
# Measurement -> the fields of which reports show percentiles of five-minute means.
_TOPPED = {"interface": ("in_use_ratio", "out_use_ratio")}
# So many of each value of this tag are `busy`. Of days that differ, the ports that a
# report shows of a site are among twice as many.
_WITHIN, _BUSY = "site", 20
# A part of a day's series can be read without the others.
_ROW_GROUP = 2_048
# Of the highest means, these are columns of their own.
_MARKS = (15, 30, 45, 60)
# Files of an older form, without `busy`, have another name, and are made again.
_FORM = "busy"


class SoughtGroup(NamedTuple):
    """A group, a value for each field that none of its percentiles is below, and for
    each pick how many values from the highest on it is (None: it has no values)."""

    tags: tuple[str, ...]
    floors: tuple[float | None, ...]
    ranks: tuple[int | None, ...]


def topped(declared: Measurement) -> tuple[str, ...]:
    """Returns the fields of a measurement that have tops."""
    return () if declared.personal else _TOPPED.get(declared.name, ())


def have_answer(query: Query, declared: Measurement) -> bool:
    """Returns True if tops answer `query`: high percentiles of five-minute means of
    each series, by fields that have tops."""
    return (
        query.mean_step_ms == STEP_MS
        and set(query.group_by) >= set(declared.identity)
        and not set(query.group_by) & set(declared.descriptions)
        and {pick.field for pick in query.picks} <= set(topped(declared))
        and all(PERCENTILES[p.aggregate] >= HIGH_PERCENT for p in query.picks)
    )


def have_bounds(query: Query) -> bool:
    """Returns True if the bounds of tops are above all picks of `query`."""
    return all(PERCENTILES[pick.aggregate] <= BOUND_PERCENT for pick in query.picks)


def file_name(five_minutes: str) -> str:
    """Returns the name of the tops of a day, from that of its five minutes."""
    return f"{five_minutes.removesuffix('.parquet')}-{_FORM}.parquet"


def are_apart(query: Query) -> bool:
    """Returns True if the busy series are likely to have the answer."""
    highest = query.highest
    return highest is not None and highest.within == _WITHIN and highest.count < _BUSY


def write_tops(five_minutes: Path, target: Path, declared: Measurement) -> None:
    """Writes the tops of a day from its roll-up by five minutes. Blocking. Raises
    DuckDB's errors."""
    keys = ", ".join(map(name, declared.identity))
    means = ", ".join(
        f"CAST({name(f'{field}:sum')} AS DOUBLE) / nullif({name(f'{field}:n')}, 0)"
        f" AS {name(field)}"
        for field in topped(declared)
    )
    tops = ", ".join(
        f"count({f}) AS {name(f'{field}:n')},"
        f" max({f}, {KEPT + 1})[1:{KEPT}] AS {name(f'{field}:top')},"
        f" max({f}, {KEPT + 1})[{KEPT + 1}] AS {name(f'{field}:next')},"
        f" max({f}) AS {name(f'{field}:high')},"
        f" {_marks(field)},"
        f" {_daily(f, f'count({f})')} AS {name(f'{field}:bound')}"
        for field in topped(declared)
        for f in (name(field),)
    )
    # A day on which no port had a speed lacks the columns.
    empty = duckdb_sql.empty_rows(
        (),
        {
            f"{field}:{part}": kind
            for field in topped(declared)
            for part, kind in (("sum", "DOUBLE"), ("n", "BIGINT"))
        },
    )
    rolled = (
        f"{empty} UNION ALL BY NAME"
        f" SELECT * FROM {duckdb_sql.files([str(five_minutes)])}"
    )
    day = f"min({TIME}) // {DAY_MS} * {DAY_MS}"
    bounds = ", ".join(f"coalesce({name(f'{f}:bound')}, 0)" for f in topped(declared))
    place = f"row_number() OVER (PARTITION BY {name(_WITHIN)} ORDER BY"
    place += f" greatest({bounds}) DESC, {keys})"
    text = (
        f"SELECT *, {place} <= {_BUSY} AS busy FROM (SELECT {day} AS {TIME}, {keys},"
        f" {tops} FROM (SELECT {TIME}, {keys}, {means} FROM ({rolled}))"
        f" GROUP BY {keys}) ORDER BY busy DESC, {keys}"
    )
    with duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection:
        _write(connection.sql(text).to_arrow_table(), target, declared)


def _marks(field: str) -> str:
    column = name(field)
    return ", ".join(
        f"max({column}, {KEPT + 1})[{mark}] AS {name(f'{field}:{mark}')}"
        for mark in _MARKS
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


def fields_of(query: Query) -> list[str]:
    return list(dict.fromkeys(pick.field for pick in query.picks))


def most_kept(query: Query, field: str) -> int:
    """Returns how many of the highest values of `field` have all its percentiles."""
    most = (query.to_ms - query.from_ms) // STEP_MS + 2
    lowest = min(PERCENTILES[p.aggregate] for p in query.picks if p.field == field)
    return kept(lowest, most)


def render_outlines(
    query: Query, declared: Measurement, tops: Sequence[str], means: str
) -> str:
    """Returns the SELECT of what is known of each group without its lists. `means`: the
    SELECT of all means of other days ("": there are none).

    After the tags of `group_by` it has for each field how many values there are; two
    values between which the percentiles are, of which the first is NULL if it is not
    known; the highest value that is in no list; and the highest that is in no list of
    a busy row. If no day has more than 5 % of its values above the second, all days
    together have not. There are at least so many values from each of `_MARKS` to the
    one before as they are apart, and so enough above the first for all percentiles.
    """
    keys = ", ".join(map(name, query.group_by))
    fields = fields_of(query)
    rows = ", ".join(
        f"unnest([{name(f'{f}:n')}{', 0' * (len(_MARKS) - 1)}]) AS {name(f'{f}:n')},"
        f" unnest([{', '.join(name(f'{f}:{mark}') for mark in _MARKS)}])"
        f" AS {name(f'{f}:mark')}, {name(f'{f}:bound')}, {name(f'{f}:next')},"
        f" CASE WHEN busy THEN {name(f'{f}:next')} ELSE {name(f'{f}:high')} END"
        f" AS {name(f'{f}:high')}"
        for f in fields
    )
    parts = [f"SELECT {keys}, {rows} FROM ({_rows(query, declared, tops)})"]
    if means:
        named = ", ".join(["step", keys, *map(name, fields)])
        daily = ", ".join(
            f"count({column}), NULL, {_daily(column, f'count({column})')}, NULL, NULL"
            for column in map(name, fields)
        )
        parts.append(
            f"SELECT {keys}, {daily} FROM ({means}) AS t({named})"
            f" GROUP BY {keys}, step // {DAY_MS}"
        )
    outline = ", ".join(
        f"CAST(sum({name(f'{f}:n')}) AS BIGINT),"
        f" max({name(f'{f}:mark')}, {marks})[{marks}], max({name(f'{f}:bound')}),"
        f" max({name(f'{f}:next')}), max({name(f'{f}:high')})"
        for f in fields
        for marks in (-(-most_kept(query, f) // _MARKS[0]),)
    )
    return (
        f"SELECT {keys}, {outline} FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys}"
    )


def render(
    query: Query,
    declared: Measurement,
    tops: Sequence[str],
    means: str,
    groups: Sequence[SoughtGroup],
    only_busy: bool = False,
) -> str:
    """Returns the SELECT of a column for each pick, after the place in `groups`, by the
    tops of days and by `means`, the SELECT of all means of other days ("": there are
    none). `only_busy`: the lists of others are not read."""
    keys = ", ".join(map(name, query.group_by))
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
        named = ", ".join(["step", keys, *map(name, fields)])
        parts.append(
            f"SELECT {known}, {', '.join(map(name, fields))}"
            f" FROM ({means}) AS t({named}) JOIN sought USING ({keys})"
        )
    high = " OR ".join(f"{name(f)} >= {floor}" for f, floor in floors.items())
    columns = ", ".join(
        f"max(CASE WHEN {name(p.field)} >= {floors[p.field]} THEN {name(p.field)} END,"
        f" {most_kept(query, p.field)})[any_value({ranks[p]})]"
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
    keys = ", ".join(map(name, query.group_by))
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


def _daily(column: str, count: str) -> str:
    """Returns the SQL of the value above which a day has less than 5 %, rounded up."""
    above = 100 - BOUND_PERCENT
    highest = max(KEPT, DAY_MS // STEP_MS * above // 100) + 1
    return f"max({column}, {highest})[{count} * {above} // 100 + 1]"


def _rows(
    query: Query,
    declared: Measurement,
    tops: Sequence[str],
    having: Sequence[str] = (),
) -> str:
    """Returns the SELECT of the tops that meet all conditions."""
    fields = fields_of(query)
    empty = duckdb_sql.empty_rows(
        (tag.name for tag in declared.tags),
        {
            **{f"{f}:{part}": kind for f in fields for part, kind in _PARTS.items()},
            "busy": "BOOLEAN",
        },
    )
    columns = ", ".join(
        [
            TIME,
            *(f"coalesce({name(tag)}, '') AS {name(tag)}" for tag in query.group_by),
            *(name(f"{field}:{part}") for field in fields for part in _PARTS),
            "busy",
        ]
    )
    read = f" UNION ALL BY NAME SELECT * FROM {duckdb_sql.files(tops)}" if tops else ""
    conditions = [*duckdb_sql.conditions(query), *having]
    return f"SELECT {columns} FROM ({empty}{read}) WHERE {' AND '.join(conditions)}"


_PARTS = {
    "n": "BIGINT",
    "top": "DOUBLE[]",
    "next": "DOUBLE",
    "high": "DOUBLE",
    "bound": "DOUBLE",
    **{str(mark): "DOUBLE" for mark in _MARKS},
}
