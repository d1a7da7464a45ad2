"""Writes the roll-ups of a day (`collectors.store.rollup`): the shortest from its rows,
and each of the others from the one before, which has a fifth of the rows, or a
sixtieth. So all together cost little more than the shortest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.store import hourly_percentiles
from collectors.store.arrow_tables import metadata, tags_of
from collectors.store.duckdb_sql import TIME
from collectors.store.file_layout import HOUR_MS
from collectors.store.rollup import weights_of
from probes.wire.catalogue import Measurement

# Each row group has a description of every column, whatever its number of rows.
_ROW_GROUP = 49_152
# A column with more different values is faster to read without a dictionary.
_DICTIONARY_BYTES = 1 << 16
_NUMBERS = ("n", "sum", "min", "max", "last", "last_ms")
_TEXTS = ("n", "last", "last_ms")
# Part -> the function that makes it of values, and the one that merges it.
_OF_VALUES = {"n": "count", "sum": "sum", "min": "min", "max": "max", "last": "last"}
_OF_PARTS = {
    **dict.fromkeys(("n", "sum", "product", "weight"), "sum"),
    **{"min": "min", "max": "max", "last": "last", "last_ms": "max"},
}
# Rows, the tags that identify a series, those that describe it → rows rolled up.
_Roll = Callable[[pa.Table, Sequence[str], Sequence[str]], pa.Table]


def roll_up(source: str, target: Path, step_ms: int, declared: Measurement) -> None:
    """Rolls up the file of a day, part by part, in one pass. Blocking."""
    by_hour = step_ms == HOUR_MS
    percentiles = hourly_percentiles.fields_of(declared) if by_hour else ()
    roll = partial(
        _rolled, step_ms=step_ms, weights=weights_of(declared), percentiles=percentiles
    )
    _write(source, target, step_ms, declared, roll)


def can_merge(step_ms: int, declared: Measurement) -> bool:
    """Returns whether the roll-up by `step_ms` follows from that of a shorter step:
    percentiles do not."""
    return step_ms != HOUR_MS or not hourly_percentiles.fields_of(declared)


def merge_roll_up(
    shorter: str, target: Path, step_ms: int, declared: Measurement
) -> None:
    """Writes a day's roll-up from that of a shorter step. Blocking."""
    _write(shorter, target, step_ms, declared, partial(_merged, step_ms=step_ms))


def _write(
    source: str, target: Path, step_ms: int, declared: Measurement, roll: _Roll
) -> None:
    file = pq.ParquetFile(source)
    tags = tags_of(file.schema_arrow)
    described = [tag for tag in tags if tag in declared.descriptions]
    identity = [tag for tag in tags if tag not in declared.descriptions]
    parts = (
        _ordered(roll(rows, identity, described), [*identity, TIME])
        for rows in _parts(file, identity, step_ms)
    )
    first = next(parts)
    schema = first.schema.with_metadata(metadata(tags))
    with parquet_writer(target, schema) as writer:
        for group in row_groups(itertools.chain([first], parts)):
            writer.write_table(group.cast(schema))


def _ordered(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Returns `rows` in order: Arrow's groups are in that of their rows, mostly. A
    longer step needs the last of an hour last, and buckets that are not torn apart."""
    places = pc.sort_indices(rows, [(key, "ascending") for key in keys])
    if places.equals(pa.array(range(len(rows)), places.type)):
        return rows
    return rows.take(places)


def parquet_writer(target: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
    )


def row_groups(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yields `parts` joined to tables that are large enough for a row group."""
    gathered: list[pa.Table] = []
    for part in parts:
        gathered.append(part)
        if sum(map(len, gathered)) >= _ROW_GROUP:
            yield pa.concat_tables(gathered)
            gathered = []
    if gathered:
        yield pa.concat_tables(gathered)


def _parts(
    file: pq.ParquetFile, keys: Sequence[str], step_ms: int
) -> Iterator[pa.Table]:
    """Yields the rows of a file by `keys` and time, in parts that end with a bucket."""
    remainder: pa.Table | None = None
    for n in range(file.num_row_groups):
        rows = file.read_row_group(n)
        if remainder is not None:
            rows = pa.concat_tables([remainder, rows]).combine_chunks()
        if n == file.num_row_groups - 1:
            yield rows
            return
        # The last bucket may continue in the next part.
        last = rows.slice(len(rows) - 1).to_pylist()[0]
        in_last_bucket = pc.equal(pc.divide(rows[TIME], step_ms), last[TIME] // step_ms)
        for key in keys:
            same = (
                pc.is_null(rows[key])
                if last[key] is None
                else pc.fill_null(pc.equal(rows[key], last[key]), False)
            )
            in_last_bucket = pc.and_(in_last_bucket, same)
        count = pc.sum(in_last_bucket).as_py()
        remainder = rows.slice(len(rows) - count)
        if count < len(rows):
            yield rows.slice(0, len(rows) - count)


def _merged(
    rows: pa.Table, identity: Sequence[str], described: Sequence[str], step_ms: int
) -> pa.Table:
    """Merges rolled-up `rows`, which are in the same order."""
    times = pc.multiply(pc.divide(rows[TIME], step_ms), step_ms)
    rows = rows.set_column(rows.column_names.index(TIME), TIME, times)
    aggregates = [(tag, "last") for tag in described]
    for column in rows.column_names:
        _, colon, part = column.rpartition(":")
        if colon and part in _OF_PARTS:
            aggregates.append((column, _OF_PARTS[part]))
    keys = [TIME, *identity]
    merged = rows.group_by(keys, use_threads=False).aggregate(aggregates)
    return merged.rename_columns([*keys, *(column for column, _ in aggregates)])


def _rolled(
    rows: pa.Table,
    identity: Sequence[str],
    described: Sequence[str],
    step_ms: int,
    weights: Mapping[str, str],
    percentiles: Sequence[str],
) -> pa.Table:
    """Rolls up `rows`, which are sorted by the tags of `identity` and time."""
    times = rows[TIME]
    columns = {TIME: pc.multiply(pc.divide(times, step_ms), step_ms)}
    columns |= {tag: pc.fill_null(rows[tag], "") for tag in (*identity, *described)}
    aggregates = [(tag, "last") for tag in described]
    names = [TIME, *identity, *described]
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
            aggregates.append(
                (when, "max") if part == "last_ms" else (field, _OF_VALUES[part])
            )
            names.append(f"{field}:{part}")
    for field, weight in weights.items():
        if not {field, weight} <= set(rows.column_names):
            continue
        values = rows[field].cast(pa.float64())
        weight_values = rows[weight].cast(pa.float64())
        columns[f"{field}:product"] = pc.multiply(values, weight_values)
        columns[f"{field}:weight"] = pc.if_else(
            pc.is_valid(values), weight_values, None
        )
        for part in ("product", "weight"):
            aggregates.append((f"{field}:{part}", "sum"))
            names.append(f"{field}:{part}")
    listed = [field for field in percentiles if field in columns]
    aggregates += [(field, "list") for field in listed]
    names += [f"{field}:{hourly_percentiles.PART}" for field in listed]
    keys = [TIME, *identity]
    grouped = pa.table(columns).group_by(keys, use_threads=False).aggregate(aggregates)
    grouped = grouped.rename_columns(names)
    return hourly_percentiles.of_lists(grouped, len(names) - len(listed))
