"""Makes Arrow tables of batches, one row for each (tags, time), and Parquet of them."""

from __future__ import annotations

import errno
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
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
    table = _table(list(batches), declared)
    hours = pc.divide(table[TIME], HOUR_MS)
    present = sorted(pc.unique(hours).to_pylist())
    if len(present) == 1:
        return {present[0] * HOUR_MS: table}
    return {hour * HOUR_MS: table.filter(pc.equal(hours, hour)) for hour in present}


def append_rows(before: pa.Table, table: pa.Table, declared: Measurement) -> pa.Table:
    """Returns the rows of both, of which those of `table` were received later."""
    both = pa.concat_tables([before, table]).combine_chunks()
    if pc.max(before[TIME]).as_py() < pc.min(table[TIME]).as_py():
        return both
    return _merged(both, declared)


def parquet_bytes(table: pa.Table) -> memoryview:
    """Returns the bytes of a Parquet file."""
    return _file_bytes(table, compression="zstd")


def brief_parquet_bytes(table: pa.Table) -> memoryview:
    """Returns the bytes of a Parquet file that is superseded or compacted soon.

    Of few rows, zstd costs three times as much as Snappy, a dictionary for numbers
    saves nothing, and the ranges of all columns tell a reader little.
    """
    texts = [column.name for column in table.schema if column.type == pa.string()]
    return _file_bytes(
        table,
        compression="snappy",
        use_dictionary=texts,
        write_statistics=[TIME],
    )


def _file_bytes(table: pa.Table, **options: Any) -> memoryview:
    out = pa.BufferOutputStream()
    # Arrow's own description of the columns says nothing that Parquet's does not.
    options["store_schema"] = False
    with pq.ParquetWriter(out, table.schema, **options) as writer:
        writer.write_table(table, row_group_size=122_880)
        writer.add_key_value_metadata(table.schema.metadata)
    return memoryview(out.getvalue())


def metadata(tags: Iterable[str]) -> dict[str, str]:
    """Returns a file's metadata: its format and the columns that identify a row."""
    return {TAGS_KEY: json.dumps(list(tags)), VERSION_KEY: str(VERSION)}


def tags_of(schema: pa.Schema) -> list[str]:
    """Returns the columns of a file that identify a row, except the time."""
    return list(json.loads((schema.metadata or {}).get(TAGS_KEY.encode(), b"[]")))


def _table(batches: list[Batch], declared: Measurement) -> pa.Table:
    times = _joined(batch.times_ms for batch in batches)
    tags = [
        _cleaned(_joined(batch.tag(tag.name) for batch in batches), clean_tag)
        for tag in declared.tags
    ]
    columns = [pa.array(times, pa.int64())]
    columns += [pa.array(texts, pa.string()) for texts in tags]
    for field in declared.fields:
        values: Sequence[Any] = _joined(batch.field(field.name) for batch in batches)
        if field.type == "str":
            texts = [None if v is None else str(v) for v in values]
            values = _cleaned(texts, clean_text)
        columns.append(pa.array(values, _ARROW[field.type]))
    table = pa.Table.from_arrays(columns, schema=_schema(declared))
    identified = set(zip(times, *tags, strict=True))
    return table if len(identified) == len(table) else _merged(table, declared)


@lru_cache(maxsize=512)
def _schema(declared: Measurement) -> pa.Schema:
    columns = [(TIME, pa.int64())]
    columns += [(tag.name, pa.string()) for tag in declared.tags]
    columns += [(field.name, _ARROW[field.type]) for field in declared.fields]
    return pa.schema(columns, metadata(tag.name for tag in declared.tags))


def _joined(columns: Iterable[Sequence[Any]]) -> list[Any]:
    """Returns one column of all batches: an array for each costs more than its rows."""
    return list(itertools.chain.from_iterable(columns))


def _cleaned(
    texts: Sequence[str | None], clean: Callable[[str], str]
) -> Sequence[str | None]:
    """Returns `texts` cleaned. Few texts occur in most rows, and nearly all are clean
    already."""
    changed = {
        text: cleaned
        for text in set(texts)
        if text is not None and (cleaned := clean(text)) != text
    }
    if not changed:
        return texts
    return [text if text is None else changed.get(text, text) for text in texts]


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
