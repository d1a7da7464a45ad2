"""The report as CSV, one file per table: UTF-8 without a BOM, units in the headers.

Absent figures are empty cells. Texts a spreadsheet would run as a formula get a quote
mark in front (CWE-1236).
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime

from dashboards.report.report_columns import Cell, ReportTable
from probes.wire.display import displayable, is_formula


def csv_text(table: ReportTable) -> str:
    """Returns a table as CSV. Pure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.header for column in table.columns])
    for row in table.rows:
        writer.writerow(
            [safe(displayable(cell) if isinstance(cell, str) else cell) for cell in row]
        )
    return out.getvalue()


def safe(cell: Cell) -> str:
    """Returns a cell as text that no spreadsheet executes. Numbers stay numbers."""
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        # All digits of money, and never an exponent: finance adds these up.
        text = (
            f"{cell:.6f}".rstrip("0").rstrip(".") if abs(cell) >= 1 else f"{cell:.6g}"
        )
        return "0" if text == "-0" else text
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(cell, date):
        return cell.isoformat()
    return "'" + cell if is_formula(cell) else cell
