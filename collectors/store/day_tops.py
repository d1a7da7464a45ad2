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
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec

from collectors.store import duckdb_sql
from collectors.store.arrow_tables import metadata
from collectors.store.duckdb_sql import TIME, literal, name
from collectors.store.file_layout import DAY_MS
from collectors.store.percentile_sql import HIGH_PERCENT, kept, rank_sql
from collectors.store.query import PERCENTILES, Query
from probes.wire.catalogue import Measurement

LABEL = "tops"
KEPT = 72
# Tops have bounds of this percentile.
BOUND_PERCENT = 95
STEP_MS = 300_000
# Measurement -> the fields of which reports show percentiles of five-minute means.
_TOPPED = {"interface": ("in_use_ratio", "out_use_ratio")}
# A part of a day's series can be read without the others.
_ROW_GROUP = 2_048


class SeriesRange(msgspec.Struct, frozen=True):
    """Some series, by their first tag: from a text on, before another (None: no end),
    and of these `only` some, if it has any. `groups`: of these, the series with these
    values of the tags `group_by`, if it has any."""

    first: str = ""
    before: str | None = None
    only: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def condition(self, declared: Measurement) -> str:
        tag = name(declared.identity[0])
        parts = [f"{tag} >= {literal(self.first)}"]
        if self.before is not None:
            parts.append(f"{tag} < {literal(self.before)}")
        if self.only:
            parts.append(f"{tag} IN ({', '.join(map(literal, self.only))})")
        if self.groups:
            tags = ", ".join(f"coalesce({name(tag)}, '')" for tag in self.group_by)
            listed = ", ".join(
                f"({', '.join(map(literal, group))})" for group in self.groups
            )
            parts.append(f"({tags}) IN (VALUES {listed})")
        return f"({' AND '.join(parts)})"


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


def write_tops(five_minutes: Path, target: Path, declared: Measurement) -> None:
    """Writes the tops of a day from its roll-up by five minutes. Blocking. Raises
    DuckDB's errors."""
    tags = [tag.name for tag in declared.tags]
    about = ", ".join(
        f"{literal(key)}: {literal(value)}" for key, value in metadata(tags).items()
    )
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
    with duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection:
        connection.execute(
            f"COPY (SELECT {day} AS {TIME}, {keys}, {tops} FROM (SELECT {TIME}, {keys},"
            f" {means} FROM ({rolled})) GROUP BY {keys}"
            f" ORDER BY {keys}) TO {literal(str(target))} (FORMAT parquet,"
            f" COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}, KV_METADATA {{{about}}})"
        )


def render_subjects(query: Query, declared: Measurement, tops: Sequence[str]) -> str:
    """Returns the SELECT of every value of the first tag, in order, and how many series
    have it."""
    rows = _rows(query, declared, tops, [])
    tag, *others = map(name, declared.identity)
    return (
        f"SELECT {tag}, count(DISTINCT ({', '.join(others) or tag})) FROM ({rows})"
        f" GROUP BY {tag} ORDER BY {tag}"
    )


def render(
    query: Query,
    declared: Measurement,
    tops: Sequence[str],
    means: str,
    series: SeriesRange,
) -> str:
    """Returns the SELECT of the percentiles of some series by the tops of days and by
    `means`, the SELECT of all means of other days ("": there are none).

    After the tags of `group_by` and a column for each pick it has the starts of days
    with means that may be higher.
    """
    inside = series.condition(declared)
    keys = ", ".join(map(name, query.group_by))
    fields = list(dict.fromkeys(pick.field for pick in query.picks))
    most = (query.to_ms - query.from_ms) // STEP_MS + 2
    lowest = {
        field: min(PERCENTILES[p.aggregate] for p in query.picks if p.field == field)
        for field in fields
    }
    named = ", ".join(["step", keys, *map(name, fields)])
    counted = [f"SELECT {keys}, {_listed(fields, '{0}:n')} FROM tops"]
    listed = ", ".join(f"unnest({name(f'{f}:top')}) AS {name(f)}" for f in fields)
    valued = [f"SELECT {keys}, {listed} FROM tops"]
    others = ""
    if means:
        columns = f"SELECT * FROM ({means}) AS t({named}) WHERE {inside}"
        others = f", others AS NOT MATERIALIZED ({columns})"
        counts = ", ".join(f"count({name(f)})" for f in fields)
        counted.append(f"SELECT {keys}, {counts} FROM others GROUP BY {keys}")
        valued.append(f"SELECT {keys}, {_listed(fields)} FROM others")
    totals = ", ".join(
        f"CAST(sum({name(f'{f}:n')}) AS BIGINT) AS {name(f'{f}:n')}" for f in fields
    )
    highest = ", ".join(
        f"max({name(f)}, {kept(lowest[f], most)}) AS {name(f)}" for f in fields
    )
    low = ", ".join(
        f"{name(p.field)}[{count} - {rank_sql(count, PERCENTILES[p.aggregate])} + 1]"
        f" AS {name(p.name)}"
        for p in query.picks
        for count in (name(f"{p.field}:n"),)
    )
    higher = " OR ".join(
        f"t.{name(f'{p.field}:next')} > low.{name(p.name)}" for p in query.picks
    )
    same = " AND ".join(f"t.{name(tag)} = low.{name(tag)}" for tag in query.group_by)
    answer = ", ".join(
        [
            *(f"low.{name(tag)}" for tag in query.group_by),
            *(f"any_value(low.{name(p.name)})" for p in query.picks),
        ]
    )
    return (
        f"WITH tops AS NOT MATERIALIZED ({_rows(query, declared, tops, [inside])})"
        f"{others}, counts AS MATERIALIZED (SELECT {keys}, {totals} FROM"
        f" ({' UNION ALL '.join(counted)}) GROUP BY {keys}),"
        f" highest AS (SELECT {keys}, {highest} FROM"
        f" ({' UNION ALL '.join(valued)}) GROUP BY {keys}),"
        f" low AS MATERIALIZED (SELECT {keys}, {low} FROM counts JOIN highest"
        f" USING ({keys}))"
        f" SELECT {answer}, list(t.{TIME}) FILTER ({higher})"
        f" FROM low LEFT JOIN tops t ON {same}"
        f" GROUP BY {', '.join(f'low.{name(tag)}' for tag in query.group_by)}"
    )


def render_bounds(
    query: Query, declared: Measurement, tops: Sequence[str], means: str
) -> str:
    """Returns the SELECT of a value for each series that no percentile of `query` of it
    is above. `means`: the SELECT of all means of other days ("": there are none).

    If no day has more than 5 % of its values above it, all days together have not.
    """
    keys = ", ".join(map(name, query.group_by))
    fields = list(dict.fromkeys(pick.field for pick in query.picks))
    daily = ", ".join(f"{name(f'{f}:bound')} AS {name(f)}" for f in fields)
    parts = [f"SELECT {keys}, {daily} FROM ({_rows(query, declared, tops, [])})"]
    if means:
        named = ", ".join(["step", keys, *map(name, fields)])
        daily = ", ".join(
            f"{_daily(name(f), f'count({name(f)})')} AS {name(f)}" for f in fields
        )
        parts.append(
            f"SELECT {keys}, {daily} FROM ({means}) AS t({named})"
            f" GROUP BY {keys}, step // {DAY_MS}"
        )
    highest = ", ".join(f"max({name(f)})" for f in fields)
    return (
        f"SELECT {keys}, greatest({highest}) FROM ({' UNION ALL '.join(parts)})"
        f" GROUP BY {keys}"
    )


def _daily(column: str, count: str) -> str:
    """Returns the SQL of the value above which a day has less than 5 %, rounded up."""
    above = 100 - BOUND_PERCENT
    highest = max(KEPT, DAY_MS // STEP_MS * above // 100) + 1
    return f"max({column}, {highest})[{count} * {above} // 100 + 1]"


def _listed(fields: Sequence[str], column: str = "{0}") -> str:
    return ", ".join(name(column.format(field)) for field in fields)


def _rows(
    query: Query, declared: Measurement, tops: Sequence[str], inside: Sequence[str]
) -> str:
    """Returns the SELECT of the tops that meet all conditions."""
    fields = list(dict.fromkeys(pick.field for pick in query.picks))
    empty = duckdb_sql.empty_rows(
        (tag.name for tag in declared.tags),
        {f"{field}:{part}": kind for field in fields for part, kind in _PARTS.items()},
    )
    columns = ", ".join(
        [
            TIME,
            *(f"coalesce({name(tag)}, '') AS {name(tag)}" for tag in query.group_by),
            *(name(f"{field}:{part}") for field in fields for part in _PARTS),
        ]
    )
    read = f" UNION ALL BY NAME SELECT * FROM {duckdb_sql.files(tops)}" if tops else ""
    conditions = [*duckdb_sql.conditions(query), *inside]
    return f"SELECT {columns} FROM ({empty}{read}) WHERE {' AND '.join(conditions)}"


_PARTS = {"n": "BIGINT", "top": "DOUBLE[]", "next": "DOUBLE", "bound": "DOUBLE"}
