"""Makes sorted Arrow tables of batches, one row for each (tags, time), and Parquet."""

from __future__ import annotations

import errno
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.batch import Batch
from collectors.store.duckdb_sql import TIME
from collectors.store.file_layout import HOUR_MS
from collectors.store.store_text import clean_tag, clean_text
from probes.wire.catalogue import Measurement

_ARROW = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
TAGS_KEY = "towpath.tags"
VERSION_KEY = "towpath.version"
VERSION = 1


def tables_by_hour(
    batches: Iterable[Batch], declared: Measurement
) -> dict[int, pa.Table]:
    """Returns the rows of `batches` by the start of their hour.

    The batches are all of `declared`, in order of receipt. Of rows with the same tags
    and time the later one replaces the earlier, field by field.
    """
    table = _merged(_table(list(batches), declared), declared)
    hours = pc.divide(table[TIME], HOUR_MS)
    present = sorted(pc.unique(hours).to_pylist())
    if len(present) == 1:
        return {present[0] * HOUR_MS: table}
    return {hour * HOUR_MS: table.filter(pc.equal(hours, hour)) for hour in present}


def parquet_bytes(table: pa.Table) -> pa.Buffer:
    """Returns the bytes of a Parquet file."""
    return _file_bytes(table, compression="zstd")


def brief_parquet_bytes(table: pa.Table) -> pa.Buffer:
    """Returns the bytes of a Parquet file that is compacted within minutes.

    Of few rows, zstd costs three times as much as Snappy, and a dictionary for numbers
    saves nothing.
    """
    texts = [column.name for column in table.schema if column.type == pa.string()]
    return _file_bytes(table, compression="snappy", use_dictionary=texts)


def _file_bytes(table: pa.Table, **options: Any) -> pa.Buffer:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, row_group_size=122_880, **options)
    return out.getvalue()


def metadata(tags: Iterable[str]) -> dict[str, str]:
    """Returns a file's metadata: its format and the columns that identify a row."""
    return {TAGS_KEY: json.dumps(list(tags)), VERSION_KEY: str(VERSION)}


def tags_of(schema: pa.Schema) -> list[str]:
    """Returns the columns of a file that identify a row, except the time."""
    return list(json.loads((schema.metadata or {}).get(TAGS_KEY.encode(), b"[]")))


def _table(batches: list[Batch], declared: Measurement) -> pa.Table:
    columns: dict[str, pa.Array] = {
        TIME: pa.array(_joined(batch.times_ms for batch in batches), pa.int64())
    }
    for tag in declared.tags:
        tags = _joined(batch.tag(tag.name) for batch in batches)
        columns[tag.name] = pa.array([clean_tag(text) for text in tags], pa.string())
    for field in declared.fields:
        values = _joined(batch.field(field.name) for batch in batches)
        if field.type == "str":
            values = [None if v is None else clean_text(str(v)) for v in values]
        columns[field.name] = pa.array(values, _ARROW[field.type])
    return pa.table(columns).replace_schema_metadata(
        metadata(tag.name for tag in declared.tags)
    )


def _joined(columns: Iterable[Sequence[Any]]) -> list[Any]:
    """Returns one column of all batches: an array for each costs more than its rows."""
    return list(itertools.chain.from_iterable(columns))


def _merged(table: pa.Table, declared: Measurement) -> pa.Table:
    if len(table) < 2:
        return table
    keys = [*declared.identity, TIME, *declared.descriptions]
    order = pc.sort_indices(table, [(key, "ascending") for key in keys])
    table = table.take(order).combine_chunks()
    if not _repeats(table, keys):
        return table
    # Arrow's sort is not stable, so equal rows are sorted by their order of receipt.
    numbered = table.append_column("\x00n", order)
    numbered = numbered.sort_by(
        [*((key, "ascending") for key in keys), ("\x00n", "ascending")]
    )
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in numbered.drop_columns(["\x00n"]).to_pylist():
        merged = rows.setdefault(tuple(row[key] for key in keys), row)
        merged.update((name, value) for name, value in row.items() if value is not None)
    return pa.Table.from_pylist(list(rows.values()), schema=table.schema)


def _repeats(table: pa.Table, keys: list[str]) -> bool:
    same = None
    for key in reversed(keys):
        column = table[key]
        equal = pc.equal(column.slice(1), column.slice(0, len(table) - 1))
        same = equal if same is None else pc.and_(same, equal)
    return bool(pc.any(same).as_py())


def is_damaged(path: str) -> bool:
    """Returns True if a Parquet file exists and cannot be read to its end."""
    try:
        pq.read_table(path)
    except (FileNotFoundError, pa.ArrowMemoryError):
        return False
    except OSError as error:
        # Arrow's error for bad content has no number. Errors of the system
        # (permissions, too many open files) are not about the file, except EIO.
        return error.errno in (None, errno.EIO)
    except pa.ArrowException:
        return True
    return False
