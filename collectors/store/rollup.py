"""Roll-ups of the embedded store: days that are over, by 5 minutes, by the hour and as
a whole, so that a query of months reads a thousandth of the rows. `rollup_writer` makes
them.

A rolled-up row replaces the rows of one series in one bucket. For each field it has the
number of values (`:n`), their sum, minimum, maximum, the last value and its time. For a
field with a weight it also has the sums of weights and of value times weight. That is
enough for every aggregate except percentiles (see `hourly_percentiles`), and exact. A
tag that only describes the series has its last text of the bucket. Its file is named
after the file, the weights and the percentiles that it was made from. If late rows
arrive, the day has more files, and the roll-up is ignored until the day is one file
again and rolled up anew. So it can be missing but never wrong. If the files of its rows
are deleted, it answers for them until it is too old itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from collectors.store import duckdb_sql, file_layout, hourly_percentiles
from collectors.store.duckdb_sql import TIME
from collectors.store.file_layout import DAY_MS, HOUR_MS, Scan, StoredFile
from collectors.store.query import Pick, Query, field_types, weight_field
from probes.wire.catalogue import Measurement

# The longest first; each is a multiple of the next and divides a day.
STEPS_MS: dict[int, str] = {DAY_MS: "1d", HOUR_MS: "1h", 5 * 60_000: "5m"}
STEP_OF = {label: step_ms for step_ms, label in STEPS_MS.items()}
# Aggregate -> the parts of a field that it needs.
_NEEDS = {
    "mean": ("n", "sum"),
    "sum": ("sum",),
    "count": ("n",),
    "min": ("min",),
    "max": ("max",),
    "last": ("last", "last_ms"),
    "weight": ("n",),
}
_NEEDS_WEIGHTED = {"mean": ("product", "weight"), "weight": ("weight",)}
# `day-<first>-<last>-<revision>`, which the weights may follow.
_SOURCE_PARTS = 4


def steps_kept(declared: Measurement) -> dict[int, str]:
    """Returns the steps by which a measurement is rolled up, the shortest first: days,
    and those longer than its period. By a shorter one there would be as many rows as
    before, with more columns."""
    return {
        step_ms: label
        for step_ms, label in reversed(STEPS_MS.items())
        if step_ms > declared.period_s * 1000 or step_ms == DAY_MS
    }


def weights_of(declared: Measurement) -> dict[str, str]:
    """Returns field -> the field that it is weighted by."""
    return {field.name: field.weight for field in declared.fields if field.weight}


def file_name(source: str, declared: Measurement) -> str:
    """Returns the name of the roll-up of `source`, which depends on the weights and
    the percentiles."""
    weights = sorted(weights_of(declared).items())
    weights += [
        (f, hourly_percentiles.PART) for f in hourly_percentiles.fields_of(declared)
    ]
    if not weights:
        return source
    text = ",".join(f"{field}:{weight}" for field, weight in weights)
    return f"{source.removesuffix('.parquet')}-{zlib.crc32(text.encode()):08x}.parquet"


def source_of(roll_up: Path, day_ms: int) -> StoredFile | None:
    """Returns the file that a roll-up was made from, which may be gone."""
    source = "-".join(roll_up.stem.split("-")[:_SOURCE_PARTS])
    return file_layout.stored_file(roll_up.with_name(f"{source}.parquet"), day_ms)


def without_source(
    roll_ups: Iterable[Path], current: Sequence[StoredFile], day_ms: int
) -> list[Path]:
    """Returns the roll-ups of a day whose rows are in none of its current files."""
    return [
        path
        for path in roll_ups
        if (source := source_of(path, day_ms))
        and not any(
            file.first <= source.first and source.last <= file.last for file in current
        )
    ]


def steps_of(query: Query, declared: Measurement) -> list[int]:
    """Returns the steps that answer `query` exactly, the longest first; none if only
    rows do.

    Rows about one laptop are not rolled up, as they are kept for days only.
    """
    if hourly_percentiles.have_answer(query, declared):
        return [HOUR_MS]
    if declared.personal or any(pick.aggregate not in _NEEDS for pick in query.picks):
        return []
    edges = [edge for span in query.spans for edge in span]
    lengths = edges if query.every_ms is None else [query.every_ms]
    steps = [step for step in STEPS_MS if not any(length % step for length in lengths)]
    # Each rolled-up row has to be a row of the answer, so no other step will do.
    return steps[:1] if is_identity(query, declared) else steps


def render(
    query: Query, declared: Measurement, scan: Scan, rolled: Sequence[str]
) -> str:
    """Returns the SELECT of `duckdb_sql.render` over roll-ups and rows.

    `rolled` are the roll-ups of whole days in the query; `scan` has the other rows.
    """
    kinds = field_types(query, declared)
    weights = {pick: weight_field(pick, declared) for pick in query.picks}
    needed = {
        (pick.field, part): None
        for pick, weight in weights.items()
        for part in (_NEEDS_WEIGHTED if weight else _NEEDS)[pick.aggregate]
    }
    by_field = weights_of(declared)
    tags = [tag.name for tag in declared.tags]
    conditions = duckdb_sql.conditions(query)
    parts = [
        _rolled_rows(_empty_rows(tags, list(needed), kinds), rolled, conditions),
    ]
    if scan.files:
        rows = duckdb_sql.source(scan, tags, kinds, conditions)
        columns = [TIME, *map(duckdb_sql.name, tags)]
        columns += [_row_part(f, p, by_field.get(f, "")) for f, p in needed]
        parts.append(f"SELECT {', '.join(columns)} FROM ({rows})")
    groups = duckdb_sql.groups(query)
    columns = [*groups]
    columns += [_aggregate(pick, bool(weight)) for pick, weight in weights.items()]
    return f"SELECT {', '.join(columns)} FROM ({' UNION ALL BY NAME '.join(parts)})" + (
        f" GROUP BY {', '.join(groups)}" if groups else ""
    )


def render_any(
    query: Query, declared: Measurement, scan: Scan, rolled: Sequence[str]
) -> str:
    """Returns the SELECT of `query`, whether or not there are roll-ups for it."""
    if rolled and is_identity(query, declared):
        return render_means(query, declared, scan, rolled)
    if rolled:
        return render(query, declared, scan, rolled)
    return duckdb_sql.render(query, declared, scan)


def render_tag_values(
    query: Query, declared: Measurement, scan: Scan, rolled: Sequence[str]
) -> str:
    """Returns the SELECT of the values of the one tag in `group_by`, in order."""
    tags = [tag.name for tag in declared.tags]
    conditions = duckdb_sql.conditions(query)
    parts = [_empty_rows(tags, (), {})]
    if rolled:
        parts.append(_rolled_rows(parts[0], rolled, conditions))
    if scan.files:
        rows = duckdb_sql.source(scan, tags, {}, conditions)
        parts.append(f"SELECT * FROM ({rows})")
    (tag,) = duckdb_sql.groups(query)
    return (
        f"SELECT DISTINCT {tag} AS value FROM ({' UNION ALL BY NAME '.join(parts)})"
        " ORDER BY value"
    )


def render_means(
    query: Query, declared: Measurement, scan: Scan, rolled: Sequence[str]
) -> str:
    """Returns the same for means if each rolled-up row is one group and bucket.

    The rows need not be aggregated again then (`is_identity`).
    """
    kinds = field_types(query, declared)
    tags = [tag.name for tag in declared.tags]
    needed = [(pick.field, part) for pick in query.picks for part in ("sum", "n")]
    groups = duckdb_sql.groups(query)
    means = (
        f"CAST({_column(pick.field, 'sum')} AS DOUBLE)"
        f" / nullif({_column(pick.field, 'n')}, 0)"
        for pick in query.picks
    )
    empty = _empty_rows(tags, needed, kinds)
    source = _rolled_rows(empty, rolled, duckdb_sql.conditions(query))
    text = f"SELECT {', '.join([*groups, *means])} FROM ({source})"
    if scan.files:
        text += f" UNION ALL {duckdb_sql.render(query, declared, scan)}"
    return text


def is_identity(query: Query, declared: Measurement) -> bool:
    """Returns True if each rolled-up row is one row of the answer."""
    return (
        query.every_ms in STEPS_MS
        and set(query.group_by) >= set(declared.identity)
        and all(
            pick.aggregate == "mean" and not weight_field(pick, declared)
            for pick in query.picks
        )
    )


def _empty_rows(
    tags: Sequence[str], needed: Sequence[tuple[str, str]], kinds: Mapping[str, str]
) -> str:
    """Returns the SELECT of no row with every part that is needed."""
    return duckdb_sql.empty_rows(
        tags, {f"{field}:{part}": _type(kinds[field], part) for field, part in needed}
    )


def _rolled_rows(empty: str, rolled: Sequence[str], conditions: Sequence[str]) -> str:
    """Returns the SELECT of rolled-up rows. `empty` gives them every column, so that a
    condition may be on a tag that is newer than the files."""
    return (
        f"SELECT * FROM ({empty} UNION ALL BY NAME"
        f" SELECT * FROM {duckdb_sql.files(rolled)})"
        f" WHERE {' AND '.join(conditions)}"
    )


def _column(field: str, part: str) -> str:
    return duckdb_sql.name(f"{field}:{part}")


def _type(kind: str, part: str) -> str:
    if part in ("product", "weight"):
        return "DOUBLE"
    return "BIGINT" if part in ("n", "last_ms") else duckdb_sql.TYPES[kind]


def _row_part(field: str, part: str, weight: str) -> str:
    """Returns a part of a row as if it were rolled up."""
    value = duckdb_sql.name(field)
    if part == "product":
        return f"{duckdb_sql.product(field, weight)} AS {_column(field, part)}"
    if part == "weight":
        return f"{duckdb_sql.present_weight(field, weight)} AS {_column(field, part)}"
    text = {
        "n": f"CAST({value} IS NOT NULL AS BIGINT)",
        "last_ms": f"CASE WHEN {value} IS NOT NULL THEN {TIME} END",
    }.get(part, value)
    return f"{text} AS {_column(field, part)}"


def _aggregate(pick: Pick, is_weighted: bool) -> str:
    """Returns the aggregate of rolled-up rows that equals that of the rows."""

    def of(part: str) -> str:
        return _column(pick.field, part)

    if is_weighted:
        total = f"nullif(sum({of('weight')}), 0)"
        is_mean = pick.aggregate == "mean"
        return f"sum({of('product')}) / {total}" if is_mean else total
    if pick.aggregate == "mean":
        return f"CAST(sum({of('sum')}) AS DOUBLE) / nullif(sum({of('n')}), 0)"
    if pick.aggregate in ("count", "weight"):
        return f"nullif(sum({of('n')}), 0)"
    if pick.aggregate == "last":
        return (
            f"arg_max({of('last')}, ({of('last_ms')}, {of('last')}))"
            f" FILTER ({of('last_ms')} IS NOT NULL)"
        )
    return f"{pick.aggregate}({of(pick.aggregate)})"
