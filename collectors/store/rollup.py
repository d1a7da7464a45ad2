"""Roll-ups of the embedded store: what is left of a day that is over, by 5 minutes and
by the hour, so that a question about months reads a sixtieth of the rows.

A rolled-up row stands for the rows of one series in one bucket. Of each field it keeps
how many values there were (`:n`), their sum, least, greatest, the last and its time,
and of a field with a weight the sums of its weights and of value times weight: enough
for every aggregate but percentiles, and exact. Its file is named after the one file it
was made from and the weights it was made with. When late rows come, the day has another
file, so the roll-up is passed over until the day is one file again and rolled up anew:
it can be missing, and never wrong.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.store import duckdb_sql
from collectors.store.arrow_tables import metadata, tags_of
from collectors.store.duckdb_sql import TIME
from collectors.store.file_layout import HOUR_MS, Scan
from collectors.store.query import Pick, Query, field_types, weight_field
from probes.wire.catalogue import Measurement

# The coarsest first; each divides the next and the day.
STEPS_MS: dict[int, str] = {HOUR_MS: "1h", 5 * 60_000: "5m"}
# Aggregate -> what it needs of a field.
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
# A row group's columns are described one by one, whether it has ten rows or many.
_ROW_GROUP = 49_152
# A column of more different values than fit in this is quicker to read without.
_DICTIONARY_BYTES = 1 << 16
_NUMBERS = ("n", "sum", "min", "max", "last", "last_ms")
_TEXTS = ("n", "last", "last_ms")
_ARROW = {"n": "count", "sum": "sum", "min": "min", "max": "max", "last": "last"}


def weights_of(declared: Measurement) -> dict[str, str]:
    """Field -> the field it is weighted by."""
    return {field.name: field.weight for field in declared.fields if field.weight}


def file_name(source: str, declared: Measurement) -> str:
    """The name of the roll-up of the file `source`: another if the weights change."""
    weights = weights_of(declared)
    if not weights:
        return source
    text = ",".join(f"{field}:{weight}" for field, weight in sorted(weights.items()))
    return f"{source.removesuffix('.parquet')}-{zlib.crc32(text.encode()):08x}.parquet"


def step_of(query: Query, declared: Measurement) -> int | None:
    """The coarsest roll-up that answers `query` exactly; None where only the rows do.
    What is about one laptop is not rolled up: it is kept for days, and erased."""
    if declared.personal or any(pick.aggregate not in _NEEDS for pick in query.picks):
        return None
    edges = [edge for span in query.spans for edge in span]
    lengths = edges if query.every_ms is None else [query.every_ms]
    for step_ms in STEPS_MS:
        if not any(length % step_ms for length in lengths):
            return step_ms
    return None


def render(
    query: Query, declared: Measurement, scan: Scan, rolled: Sequence[str]
) -> str:
    """The SELECT of `sql.render`, over the files `rolled` (whole days within the
    question) and, for the rest of it, the rows of `scan`."""
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
        _nothing(tags, list(needed), kinds),
        f"SELECT * FROM {duckdb_sql.files(rolled)} WHERE {' AND '.join(conditions)}",
    ]
    if scan.files:
        rows = duckdb_sql.source(scan, tags, kinds, conditions)
        columns = [TIME, *map(duckdb_sql.name, tags)]
        columns += [_of_row(f, p, by_field.get(f, "")) for f, p in needed]
        parts.append(f"SELECT {', '.join(columns)} FROM ({rows})")
    groups = duckdb_sql.groups(query)
    columns = [*groups]
    columns += [_aggregate(pick, bool(weight)) for pick, weight in weights.items()]
    return f"SELECT {', '.join(columns)} FROM ({' UNION ALL BY NAME '.join(parts)})" + (
        f" GROUP BY {', '.join(groups)}" if groups else ""
    )


def render_means(
    query: Query, declared: Measurement, scan: Scan, rolled: Sequence[str]
) -> str:
    """As `render`, of a query for means in which each rolled-up row is a group and a
    bucket of its own (`is_identity`): so they need not be brought together again."""
    kinds = field_types(query, declared)
    tags = [tag.name for tag in declared.tags]
    needed = [(pick.field, part) for pick in query.picks for part in ("sum", "n")]
    groups = duckdb_sql.groups(query)
    means = (
        f"CAST({_column(pick.field, 'sum')} AS DOUBLE)"
        f" / nullif({_column(pick.field, 'n')}, 0)"
        for pick in query.picks
    )
    source = (
        f"{_nothing(tags, needed, kinds)} UNION ALL BY NAME"
        f" SELECT * FROM {duckdb_sql.files(rolled)}"
        f" WHERE {' AND '.join(duckdb_sql.conditions(query))}"
    )
    text = f"SELECT {', '.join([*groups, *means])} FROM ({source})"
    if scan.files:
        text += f" UNION ALL {duckdb_sql.render(query, declared, scan)}"
    return text


def is_identity(query: Query, declared: Measurement) -> bool:
    """True if a rolled-up row is a row of the answer."""
    return (
        query.every_ms in STEPS_MS
        and set(query.group_by) == {tag.name for tag in declared.tags}
        and all(
            pick.aggregate == "mean" and not weight_field(pick, declared)
            for pick in query.picks
        )
    )


def roll_up(
    source: str, target: Path, step_ms: int, weights: Mapping[str, str]
) -> None:
    """Rolls up the file of a day, a part of it after the other, in one pass. Blocking.

    `weights`: field -> the field it is weighted by.
    """
    file = pq.ParquetFile(source)
    tags = tags_of(file.schema_arrow)
    parts = (_rolled(rows, tags, step_ms, weights) for rows in _parts(file, step_ms))
    first = next(parts)
    schema = first.schema.with_metadata(metadata(tags))
    with pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
    ) as writer:
        for group in _row_groups(itertools.chain([first], parts)):
            writer.write_table(group.cast(schema))


def _row_groups(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """`parts`, put together until they are large enough to be a row group."""
    gathered: list[pa.Table] = []
    for part in parts:
        gathered.append(part)
        if sum(map(len, gathered)) >= _ROW_GROUP:
            yield pa.concat_tables(gathered)
            gathered = []
    if gathered:
        yield pa.concat_tables(gathered)


def _parts(file: pq.ParquetFile, step_ms: int) -> Iterator[pa.Table]:
    """The rows of a file, sorted by tags and time, in parts that end with a bucket."""
    keys = tags_of(file.schema_arrow)
    left: pa.Table | None = None
    for n in range(file.num_row_groups):
        rows = file.read_row_group(n)
        if left is not None:
            rows = pa.concat_tables([left, rows]).combine_chunks()
        if n == file.num_row_groups - 1:
            yield rows
            return
        # The last bucket may go on in the next part.
        last = rows.slice(len(rows) - 1).to_pylist()[0]
        of_last = pc.equal(pc.divide(rows[TIME], step_ms), last[TIME] // step_ms)
        for key in keys:
            same = (
                pc.is_null(rows[key])
                if last[key] is None
                else pc.fill_null(pc.equal(rows[key], last[key]), False)
            )
            of_last = pc.and_(of_last, same)
        count = pc.sum(of_last).as_py()
        left = rows.slice(len(rows) - count)
        if count < len(rows):
            yield rows.slice(0, len(rows) - count)


def _rolled(
    rows: pa.Table, tags: Sequence[str], step_ms: int, weights: Mapping[str, str]
) -> pa.Table:
    """`rows`, sorted by tags and time, rolled up."""
    times = rows[TIME]
    columns = {TIME: pc.multiply(pc.divide(times, step_ms), step_ms)}
    columns |= {tag: pc.fill_null(rows[tag], "") for tag in tags}
    asked: list[tuple[str, str]] = []
    names = [TIME, *tags]
    for field in rows.column_names:
        if field in columns:
            continue
        values, when = rows[field], f"{field}:when"
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(
            values.type
        )
        columns[field] = values
        columns[when] = pc.if_else(pc.is_valid(values), times, None)
        for part in _TEXTS if is_text else _NUMBERS:
            asked.append((when, "max") if part == "last_ms" else (field, _ARROW[part]))
            names.append(f"{field}:{part}")
    for field, weight in weights.items():
        if not {field, weight} <= set(rows.column_names):
            continue
        values, weighs = (rows[each].cast(pa.float64()) for each in (field, weight))
        columns[f"{field}:product"] = pc.multiply(values, weighs)
        columns[f"{field}:weight"] = pc.if_else(pc.is_valid(values), weighs, None)
        for part in _NEEDS_WEIGHTED["mean"]:
            asked.append((f"{field}:{part}", "sum"))
            names.append(f"{field}:{part}")
    keys = [TIME, *tags]
    grouped = pa.table(columns).group_by(keys, use_threads=False).aggregate(asked)
    return grouped.rename_columns(names)


def _nothing(
    tags: Sequence[str], needed: Sequence[tuple[str, str]], kinds: Mapping[str, str]
) -> str:
    """No row, with every column: one that no file has is absent values."""
    typed = [
        f"CAST(NULL AS BIGINT) AS {TIME}",
        *(f"CAST(NULL AS VARCHAR) AS {duckdb_sql.name(tag)}" for tag in tags),
        *(
            f"CAST(NULL AS {_type(kinds[field], part)}) AS {_column(field, part)}"
            for field, part in needed
        ),
    ]
    return f"SELECT {', '.join(typed)} WHERE false"


def _column(field: str, part: str) -> str:
    return duckdb_sql.name(f"{field}:{part}")


def _type(kind: str, part: str) -> str:
    if part in ("product", "weight"):
        return "DOUBLE"
    return "BIGINT" if part in ("n", "last_ms") else duckdb_sql.TYPES[kind]


def _of_row(field: str, part: str, weight: str) -> str:
    """One row as if it were rolled up."""
    value = duckdb_sql.name(field)
    if part == "product":
        return f"{duckdb_sql.product(field, weight)} AS {_column(field, part)}"
    if part == "weight":
        return f"{duckdb_sql.weight_there(field, weight)} AS {_column(field, part)}"
    text = {
        "n": f"CAST({value} IS NOT NULL AS BIGINT)",
        "last_ms": f"CASE WHEN {value} IS NOT NULL THEN {TIME} END",
    }.get(part, value)
    return f"{text} AS {_column(field, part)}"


def _aggregate(pick: Pick, is_weighted: bool) -> str:
    """The aggregate of rolled-up rows that means the same as of the rows themselves."""

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
