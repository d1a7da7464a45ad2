"""Renders a `Query` as DuckDB SQL over Parquet files, for DuckDB 1.5 and 2. Pure.

The meaning of each word is in `collectors.store.query`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collectors.store.file_layout import Scan
from collectors.store.percentile_sql import (
    NO_VALUES,
    ValueCounts,
    high_percentile,
    percentile,
)
from collectors.store.query import (
    PERCENTILES,
    Pick,
    Query,
    Where,
    field_types,
    means_query,
    weight_field,
)
from collectors.store.store_text import clean_tag
from probes.wire.catalogue import Measurement

TYPES = {"int": "BIGINT", "float": "DOUBLE", "str": "VARCHAR"}
TIME = "time_ms"
# Every file name ends in `-<last write number, 12>-<revision, 2>.parquet`.
_WRITTEN = "CAST(left(right(filename, 23), 12) AS BIGINT)"


def render(
    query: Query,
    declared: Measurement,
    scan: Scan,
    counts: ValueCounts = NO_VALUES,
) -> str:
    """Returns one SELECT over the files of `scan`.

    Its columns are the start of the bucket (if there are buckets), the tags of
    `group_by`, then one column for each pick. Percentiles need `counts`, the answer to
    `value_counts`.
    """
    columns = [
        _aggregate(pick, weight_field(pick, declared), counts) for pick in query.picks
    ]
    return _grouped(query, declared, scan, [*groups(query), *columns])


def empty_rows(tags: Iterable[str], columns: Mapping[str, str]) -> str:
    """Returns the SELECT of no row with every column: NULL if no file has it.
    `columns`: the name of each after the time and the tags, and its type."""
    kinds = {TIME: "BIGINT", **dict.fromkeys(tags, "VARCHAR"), **columns}
    typed = [
        f"CAST(NULL AS {kind}) AS {name(column)}" for column, kind in kinds.items()
    ]
    return f"SELECT {', '.join(typed)} WHERE false"


def value_counts(counting: Query, grouped: str) -> str:
    """Returns the SELECT of `ValueCounts`, over that of `counts_query`."""
    keys = [f"g{n}" for n in range(len(groups(counting)))]
    counts = [f"n{n}" for n in range(len(counting.picks))]
    listed = ", ".join(counts)
    return (
        f"SELECT min(least({listed})), max(greatest({listed})),"
        f" {' + '.join(f'sum({n})' for n in counts)},"
        f" {' + '.join(f'count({n})' for n in counts)}"
        f" FROM ({grouped}) AS t({', '.join([*keys, *counts])})"
    )


def _grouped(
    query: Query, declared: Measurement, scan: Scan, columns: Sequence[str]
) -> str:
    keys = groups(query)
    tags = [tag.name for tag in declared.tags]
    rows = source(scan, tags, field_types(query, declared), conditions(query))
    return f"SELECT {', '.join(columns)} FROM ({rows})" + (
        f" GROUP BY {', '.join(keys)}" if keys else ""
    )


def percentiles(query: Query, means: str) -> str:
    """Returns the SELECT of a query with `mean_step_ms`, over that of its means."""
    inner = means_query(query)
    keys = [name(tag) for tag in query.group_by]
    named = [name("step"), *keys, *(name(pick.field) for pick in inner.picks)]
    # Each step has one value.
    most = (query.to_ms - query.from_ms) // (query.mean_step_ms or 1) + 2
    columns = [
        *keys,
        *(
            high_percentile(name(pick.field), PERCENTILES[pick.aggregate], most)
            for pick in query.picks
        ),
    ]
    return f"SELECT {', '.join(columns)} FROM ({means}) AS t({', '.join(named)})" + (
        f" GROUP BY {', '.join(keys)}" if keys else ""
    )


def conditions(query: Query) -> list[str]:
    """Returns the conditions for a row."""
    found = [
        _within(query.spans or [(query.from_ms, query.to_ms)]),
        *(_condition(where) for where in query.where),
    ]
    if query.selections:
        # In order, so that the values of one selection alone are compared with a row.
        cases = [
            f"WHEN {TIME} < {one.from_ms} THEN false"
            f" WHEN {TIME} < {one.to_ms} THEN {_condition(one.where)}"
            for one in query.selections
        ]
        found.append(f"CASE {' '.join(cases)} ELSE false END")
    return found


def groups(query: Query) -> list[str]:
    """Returns what the answer is grouped by: the bucket first, then the tags."""
    keys = [f"coalesce({name(tag)}, '')" for tag in query.group_by]
    if query.every_ms:
        keys.insert(0, f"{TIME} // {query.every_ms} * {query.every_ms}")
    if query.spans:
        starts = (f"WHEN {TIME} < {end} THEN {begin}" for begin, end in query.spans)
        keys.insert(0, f"CASE {' '.join(starts)} END")
    return keys


def source(
    scan: Scan,
    tags: Sequence[str],
    fields: Mapping[str, str],
    having: Sequence[str] = (),
) -> str:
    """Returns the SELECT of the rows of `scan` that meet all conditions, each once.

    Its columns are time, tags and `fields` (name -> type in the catalogue). A column
    that no file has is NULL.
    """
    columns = [TIME, *(name(column) for column in (*tags, *fields))]
    parts = [
        "SELECT "
        + ", ".join(
            [
                f"CAST(NULL AS BIGINT) AS {TIME}",
                *(f"CAST(NULL AS VARCHAR) AS {name(tag)}" for tag in tags),
                *(
                    f"CAST(NULL AS {TYPES[kind]}) AS {name(field)}"
                    for field, kind in fields.items()
                ),
            ]
        )
        + " WHERE false"
    ]
    inside = _within(scan.ranges)
    if scan.plain:
        apart = [f"NOT {inside}"] if scan.ranges else []
        parts.append(f"SELECT * FROM {files(scan.plain)}" + _where(apart))
    # Conditions follow the union, because no file may have the column of a new tag.
    # DuckDB filters while it reads the files all the same.
    once = f"({' UNION ALL BY NAME '.join(parts)})" + _where(having)
    if not scan.mixed:
        return f"SELECT {', '.join(columns)} FROM {once}"
    identity = ", ".join([TIME, *(f"coalesce({name(tag)}, '')" for tag in tags)])
    named = [TIME, *(f"coalesce({name(tag)}, '') AS {name(tag)}" for tag in tags)]
    named += [
        f"arg_max({name(field)}, {_WRITTEN}) AS {name(field)}" for field in fields
    ]
    typed = parts[0].removeprefix("SELECT ")
    mixed = (
        f"SELECT CAST(NULL AS VARCHAR) AS filename, {typed}"
        f" UNION ALL BY NAME SELECT * FROM {files(scan.mixed, numbered=True)}"
        + _where([inside])
    )
    return (
        f"SELECT {', '.join(columns)} FROM {once} UNION ALL"
        f" SELECT {', '.join(named)} FROM ({mixed}){_where(having)}"
        f" GROUP BY {identity}"
    )


def name(text: str) -> str:
    """Returns `text` as a quoted SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Returns `text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def files(paths: Iterable[str], numbered: bool = False) -> str:
    listed = ", ".join(literal(path) for path in paths)
    extra = ", filename=true" if numbered else ""
    return f"read_parquet([{listed}], union_by_name=true{extra})"


def _within(spans: Iterable[tuple[int, int]]) -> str:
    """Returns the condition that a row is in any of `spans`."""
    parts = (f"{TIME} >= {start} AND {TIME} < {end}" for start, end in spans)
    return f"({' OR '.join(parts)})"


def _where(having: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(having)}" if having else ""


def _condition(where: Where) -> str:
    if where.pattern:
        tag = f"coalesce({name(where.tag)}, '')"
        test = f"regexp_matches({tag}, {literal(where.pattern)})"
        return f"NOT {test}" if where.negate else test
    if not where.values:
        return "true" if where.negate else "false"
    tag = name(where.tag)
    values = [clean_tag(value) for value in where.values]
    listed = ", ".join(literal(value) for value in values)
    # A file that is older than the tag has NULL, which means the empty text.
    absent = ("" in values) != where.negate
    test = f"{tag} {'NOT IN' if where.negate else 'IN'} ({listed})"
    return f"({test} OR {tag} IS NULL)" if absent else test


def product(field: str, weight: str) -> str:
    """Returns the SQL of value times weight, if a row has both."""
    return f"CAST({name(field)} AS DOUBLE) * {name(weight)}"


def present_weight(field: str, weight: str) -> str:
    """Returns the SQL of the weight, if a row has the value too."""
    return (
        f"CASE WHEN {name(field)} IS NOT NULL THEN CAST({name(weight)} AS DOUBLE) END"
    )


def _aggregate(pick: Pick, weight: str, counts: ValueCounts) -> str:
    field = name(pick.field)
    if weight:
        total = f"nullif(sum({present_weight(pick.field, weight)}), 0)"
        if pick.aggregate == "weight":
            return total
        return f"sum({product(pick.field, weight)}) / {total}"
    there = f"FILTER ({field} IS NOT NULL)"
    if pick.aggregate in PERCENTILES:
        return percentile(field, PERCENTILES[pick.aggregate], counts)
    if pick.aggregate == "last":
        return f"arg_max({field}, ({TIME}, {field})) {there}"
    if pick.aggregate in ("count", "weight"):
        return f"nullif(count({field}), 0)"
    return f"{'avg' if pick.aggregate == 'mean' else pick.aggregate}({field})"
