"""The report's tables as Parquet files: typed columns, with the unit of each in its
metadata (`unit`), and what the table is in that of the file (`title`, `about`)."""

from __future__ import annotations

import math
from datetime import date, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from dashboards.report.report_columns import Cell, CellColumn, Kind, ReportTable
from probes.wire.display import displayable

_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "count": pa.int64(),
    "number": pa.float64(),
    "ratio": pa.float64(),
    "pounds": pa.float64(),
    "pence": pa.float64(),
    "date": pa.date32(),
    "time": pa.timestamp("ms", tz="UTC"),
}
_UNITS: dict[Kind, str] = {"count": "1", "ratio": "1", "time": "UTC"}


def parquet_bytes(table: ReportTable, title: str, made_ms: int) -> bytes:
    """Returns a table as a Parquet file. `title`: that of the report. Pure."""
    schema = pa.schema(
        [
            pa.field(
                column.header,
                _TYPES[column.kind],
                metadata={
                    "unit": column.unit or _UNITS.get(column.kind, ""),
                    "kind": column.kind,
                },
            )
            for column in table.columns
        ],
        metadata={
            "report": displayable(title),
            "title": table.title,
            "about": table.about,
            "made_ms": str(made_ms),
        },
    )
    columns = [
        [_value(row[at], column) for row in table.rows]
        for at, column in enumerate(table.columns)
    ]
    arrays = [
        pa.array(values, field.type)
        for values, field in zip(columns, schema, strict=True)
    ]
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, schema=schema), out, compression="zstd")
    return bytes(out.getvalue().to_pybytes())


def _value(cell: Cell, column: CellColumn) -> Cell:
    if isinstance(cell, str):
        return displayable(cell)
    if cell is None or isinstance(cell, datetime | date):
        return cell
    if not math.isfinite(cell):
        return None
    return int(cell) if column.kind == "count" else float(cell)
