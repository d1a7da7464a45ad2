"""Percentiles of rows in the roll-ups by the hour, of the fields whose hours reports
show. Pure.

A percentile of an hour follows from no other part of a roll-up, so it is a part of its
own (`:p95`). It answers a query for hours of each series, and no other.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from collectors.store import duckdb_sql
from collectors.store.duckdb_sql import name
from collectors.store.file_layout import HOUR_MS, Scan
from collectors.store.percentile_sql import ValueCounts, rank
from collectors.store.query import PERCENTILES, Pick, Query, field_types
from probes.wire.catalogue import Measurement

# Measurement -> the fields.
_FIELDS = {"line": ("down_use_ratio", "up_use_ratio")}
PART = "p95"
# Aggregate -> its SQL, from the parts of a rolled-up row.
_FROM_PARTS = {
    "mean": "CAST({sum} AS DOUBLE) / nullif({n}, 0)",
    "count": "nullif({n}, 0)",
    "max": "{max}",
    "min": "{min}",
    PART: "{p95}",
}
_PARTS = ("n", "sum", "min", "max", PART)


def fields_of(declared: Measurement) -> tuple[str, ...]:
    return () if declared.personal else _FIELDS.get(declared.name, ())


def have_answer(query: Query, declared: Measurement) -> bool:
    """Returns True if these roll-ups answer `query`, which has such percentiles."""
    percentiles = [pick for pick in query.picks if pick.aggregate in PERCENTILES]
    return (
        bool(percentiles)
        and query.every_ms == HOUR_MS
        and set(query.group_by) >= set(declared.identity)
        and {pick.field for pick in percentiles} <= set(fields_of(declared))
        and all(pick.aggregate in _FROM_PARTS for pick in query.picks)
        and not any(declared.field(pick.field).weight for pick in query.picks)
    )


def of_lists(rows: pa.Table, first: int) -> pa.Table:
    """Returns `rows` with percentiles instead of lists, in the columns from `first` on;
    NULL instead of a list without values."""
    for at in range(first, rows.num_columns):
        found = []
        for listed in rows[at].to_pylist():
            values = sorted(value for value in listed if value is not None)
            place = rank(len(values), PERCENTILES[PART])
            found.append(values[place - 1] if values else None)
        column = pa.array(found, rows[at].type.value_type)
        rows = rows.set_column(at, rows.column_names[at], column)
    return rows


def render(
    query: Query,
    declared: Measurement,
    scan: Scan,
    rolled: Sequence[str],
    counts: ValueCounts,
) -> str:
    """Returns the SELECT of a query for which roll-ups `have_answer`. `scan` has the
    rows of other hours, of which `counts` says how many there are."""
    kinds = field_types(query, declared)
    empty = duckdb_sql.empty_rows(
        (tag.name for tag in declared.tags),
        {
            f"{field}:{part}": "BIGINT" if part == "n" else duckdb_sql.TYPES[kind]
            for field, kind in kinds.items()
            for part in _PARTS
        },
    )
    columns = [*duckdb_sql.groups(query), *map(_column, query.picks)]
    text = (
        f"SELECT {', '.join(columns)} FROM ({empty}"
        f" UNION ALL BY NAME SELECT * FROM {duckdb_sql.files(rolled)})"
        f" WHERE {' AND '.join(duckdb_sql.conditions(query))}"
    )
    if scan.files:
        text += f" UNION ALL {duckdb_sql.render(query, declared, scan, counts)}"
    return text


def _column(pick: Pick) -> str:
    parts = {part: name(f"{pick.field}:{part}") for part in _PARTS}
    return _FROM_PARTS[pick.aggregate].format(**parts)
