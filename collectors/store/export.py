"""`towpath export`: writes every row of a measurement to a file."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from collectors.json_text import json_text
from collectors.store.query import Pick, Query, Row, Store, Where
from collectors.store.query_command import (
    QueryRefused,
    iso_time,
    shared_measurement,
    without_formula,
)
from probes.wire.catalogue import Catalogue, Measurement, did_you_mean

Format = Literal["csv", "json", "parquet"]
_FIRST_SLICE_MS = 3_600_000
_LEAST_SLICE_MS = 60_000
_MOST_SLICE_MS = 86_400_000
# A slice of an export becomes longer below the first and shorter above the second.
_FEW_ROWS, _MANY_ROWS = 20_000, 100_000


async def export(
    store: Store,
    catalogue: Catalogue,
    measurement: str,
    from_ms: int,
    to_ms: int,
    format: Format,
    out: Path,
    progress: Callable[[float], None] = lambda share: None,
) -> int:
    """Writes every row of a measurement in `[from_ms, to_ms)`. Returns how many.

    The columns are `time` (UTC), all tags and all fields. JSON is a list of objects,
    one a line. `out` appears only when it is complete. Raises `QueryRefused`,
    `QueryFailed` or `OSError`.
    """
    declared = shared_measurement(measurement, catalogue)
    if to_ms <= from_ms:
        raise QueryRefused(f"an export of {measurement!r} ends before it begins")
    if format not in get_args(Format):
        hint = did_you_mean(format, get_args(Format))
        raise QueryRefused(f"no format is called {format!r}{hint}")
    part = out.with_name(out.name + ".part")
    count = 0
    try:
        with _ExportFile(format, part, declared) as file:
            async for end, rows in every_row(store, declared, from_ms, to_ms):
                file.write(rows)
                count += len(rows)
                progress((end - from_ms) / (to_ms - from_ms))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return count


async def every_row(
    store: Store,
    declared: Measurement,
    from_ms: int,
    to_ms: int,
    fields: Sequence[str] = (),
    where: tuple[Where, ...] = (),
) -> AsyncIterator[tuple[int, list[Row]]]:
    """Yields every row of `[from_ms, to_ms)` by time, in slices with their end.
    `fields`: those wanted; all by default.

    A row is the last value of every field (`<field>_last`) in a bucket of 1 ms.
    """
    each_row = Query(
        declared.name,
        tuple(
            Pick(name, "last") for name in fields or (f.name for f in declared.fields)
        ),
        from_ms,
        to_ms,
        where,
        tuple(tag.name for tag in declared.tags),
        1,
    )
    start, length = from_ms, _FIRST_SLICE_MS
    while start < to_ms:
        end = min(start + length, to_ms)
        rows = await store.query(
            msgspec.structs.replace(each_row, from_ms=start, to_ms=end)
        )
        yield end, sorted(rows, key=lambda row: row.time_ms or 0)
        start = end
        if len(rows) < _FEW_ROWS:
            length = min(2 * length, _MOST_SLICE_MS)
        elif len(rows) > _MANY_ROWS:
            length = max(length // 2, _LEAST_SLICE_MS)


class _ExportFile:
    """An export file that rows are added to."""

    def __init__(self, format: Format, path: Path, declared: Measurement) -> None:
        self._format, self._path, self._declared = format, path, declared
        self._names = [
            "time",
            *(tag.name for tag in declared.tags),
            *(field.name for field in declared.fields),
        ]

    def __enter__(self) -> _ExportFile:
        self._first = True
        if self._format == "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            kinds = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
            self._schema = pa.schema(
                [
                    ("time", pa.timestamp("ms", tz="UTC")),
                    *((tag.name, pa.string()) for tag in self._declared.tags),
                    *((f.name, kinds[f.type]) for f in self._declared.fields),
                ]
            )
            self._parquet = pq.ParquetWriter(
                self._path, self._schema, compression="zstd"
            )
            return self
        newline = "" if self._format == "csv" else "\n"
        self._text = self._path.open("w", encoding="utf-8", newline=newline)
        if self._format == "csv":
            csv.writer(self._text).writerow(self._names)
        else:
            self._text.write("[")
        return self

    def __exit__(self, *_: object) -> None:
        if self._format == "parquet":
            self._parquet.close()
            return
        if self._format == "json":
            self._text.write("\n]\n")
        self._text.close()

    def write(self, rows: list[Row]) -> None:
        if not rows:
            return
        if self._format == "parquet":
            import pyarrow as pa

            cells = zip(*(self._cells(row) for row in rows), strict=True)
            arrays = [
                pa.array(column, field.type)
                for column, field in zip(cells, self._schema, strict=True)
            ]
            self._parquet.write_table(pa.table(arrays, schema=self._schema))
        elif self._format == "csv":
            writer = csv.writer(self._text)
            for row in rows:
                time, *rest = self._cells(row)
                texts = ("" if cell is None else without_formula(cell) for cell in rest)
                writer.writerow([iso_time(time), *texts])
        else:
            for row in rows:
                time, *rest = self._cells(row)
                values = {
                    name: cell
                    for name, cell in zip(
                        self._names, [iso_time(time), *rest], strict=True
                    )
                    if cell is not None
                }
                self._text.write("\n" if self._first else ",\n")
                self._text.write(json_text(values))
                self._first = False

    def _cells(self, row: Row) -> list[Any]:
        return [
            row.time_ms,
            *(row.tags.get(tag.name, "") for tag in self._declared.tags),
            *(row.values.get(f"{f.name}_last") for f in self._declared.fields),
        ]
