"""The report as an Excel workbook: a first sheet that says what it is, and a sheet for
each table, with real dates, percentages and money.

A text is always written as text, so that no name becomes a formula or a link. Two
workbooks of the same content are the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import xlsxwriter

from dashboards.report.report_columns import Cell, CellColumn, Kind, ReportTable
from probes.wire.display import displayable

_FORMATS: dict[Kind, str] = {
    "text": "@",
    "count": "#,##0",
    "number": "#,##0.00",
    "ratio": "0.00%",
    "pounds": "£#,##0",
    "pence": "£#,##0.00",
    "date": "d mmm yyyy",
    "time": "d mmm yyyy hh:mm",
}
_NOTES = (
    "An empty cell is a figure that is not known. It never means zero or down.",
    "Shares are of what was observed; each table has a column for how much that was.",
    "Groups of laptops that are too small are never shown, so that no figure is about "
    "one person.",
    "Times are UTC. Money is pounds a year.",
)
_NARROWEST, _WIDEST = 10, 44
# Excel has no dates before 1900, and a 29 February in that year.
_FIRST_DAY = date(1900, 3, 1)
# What Excel takes in one cell.
_LONGEST = 32_767
_CHARTED = 10


def workbook_bytes(
    title: str, facts: Sequence[str], tables: Sequence[ReportTable], made_ms: int
) -> bytes:
    """Returns the workbook. `facts` are the sentences of its first sheet. Pure."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out,
        {
            # Files in memory have one fixed time.
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        },
    )
    made = datetime.fromtimestamp(made_ms / 1000, UTC).replace(tzinfo=None)
    book.set_properties(
        {"title": _text(title), "author": "Towpath", "created": made, "comments": ""}
    )
    first = book.add_worksheet("Summary")
    sheets = [(table, book.add_worksheet(table.title[:31])) for table in tables]
    _write_first(book, first, title, facts, tables)
    for table, sheet in sheets:
        _write_table(book, sheet, table)
    _insert_chart(book, first, tables)
    book.close()
    return out.getvalue()


def _write_first(
    book: Any,
    sheet: Any,
    title: str,
    facts: Sequence[str],
    tables: Sequence[ReportTable],
) -> None:
    heading = book.add_format({"bold": True, "font_size": 16})
    strong = book.add_format({"bold": True})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    link = book.add_format({"underline": 1, "font_color": "#0a5a8c", "valign": "top"})
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, _text(title), heading)
    row = 2
    for heads, lines in (("In short", facts), ("How to read it", _NOTES)):
        sheet.write_string(row, 0, heads, strong)
        for line in lines:
            sheet.write_string(row, 1, _text(line), wrapped)
            sheet.set_row(row, 15 * (1 + len(line) // 95))
            row += 1
        row += 1
    sheet.write_string(row, 0, "Sheet", strong)
    sheet.write_string(row, 1, "What it has", strong)
    for table in tables:
        row += 1
        name = table.title[:31]
        sheet.write_url(row, 0, f"internal:'{name}'!A1", link, name)
        about = f"{table.about} Rows: {len(table.rows):,}."
        sheet.write_string(row, 1, about, wrapped)
    sheet.set_portrait()
    sheet.fit_to_pages(1, 0)
    sheet.set_paper(9)


def _write_table(book: Any, sheet: Any, table: ReportTable) -> None:
    header = book.add_format(
        {
            "bold": True,
            "text_wrap": True,
            "valign": "top",
            "bottom": 1,
            "bg_color": "#eceff2",
            "font_color": "#17212b",
        }
    )
    formats = {
        kind: book.add_format({"num_format": pattern, "valign": "top"})
        for kind, pattern in _FORMATS.items()
    }
    for at, column in enumerate(table.columns):
        sheet.write_string(0, at, column.header, header)
        cells = (row[at] for row in table.rows)
        sheet.set_column(at, at, _width(column, cells))
    for number, row in enumerate(table.rows, 1):
        for at, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
            _write_cell(sheet, number, at, cell, formats[column.kind])
    sheet.set_row(0, 15 * max(_lines(column) for column in table.columns))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, len(table.rows)), len(table.columns) - 1)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(f"&L{table.title}&RPage &P of &N")


def _write_cell(sheet: Any, row: int, at: int, cell: Cell, form: Any) -> None:
    if cell is None:
        return
    if isinstance(cell, str):
        sheet.write_string(row, at, _text(cell), form)
    elif isinstance(cell, datetime):
        utc = cell.astimezone(UTC) if cell.tzinfo else cell
        sheet.write_datetime(row, at, utc.replace(tzinfo=None), form)
    elif isinstance(cell, date):
        if cell < _FIRST_DAY:
            sheet.write_string(row, at, cell.isoformat(), form)
        else:
            sheet.write_datetime(row, at, cell, form)
    elif math.isfinite(cell):
        sheet.write_number(row, at, cell, form)


def _insert_chart(book: Any, first: Any, tables: Sequence[ReportTable]) -> None:
    """Draws the sites that were reached least, if the report has several."""
    table = next((table for table in tables if table.name == "sites"), None)
    if table is None or len(table.rows) < 2:
        return
    name_at, ratio_at = (
        next(n for n, c in enumerate(table.columns) if c.header.startswith(begin))
        for begin in ("site name", "reachable in opening hours")
    )
    known = [row for row in table.rows if row[ratio_at] is not None]
    count = min(_CHARTED, len(known))
    if not count or known[:count] != list(table.rows[:count]):
        return
    chart = book.add_chart({"type": "bar"})
    chart.add_series(
        {
            "name": "Reachable in opening hours",
            "categories": [table.title, 1, name_at, count, name_at],
            "values": [table.title, 1, ratio_at, count, ratio_at],
            "fill": {"color": "#0a5a8c"},
            "data_labels": {"value": True, "num_format": "0.00%"},
        }
    )
    chart.set_title({"name": "Sites that were reached least, in opening hours"})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True})
    chart.set_x_axis({"num_format": "0%", "max": 1, "min": 0})
    lowest, highest = known[0], known[count - 1]
    words = (
        f"Bar chart of the {count} sites that were reached least in opening hours, "
        f"from {lowest[name_at]} ({lowest[ratio_at]:.2%}) to {highest[name_at]} "
        f"({highest[ratio_at]:.2%}). The figures are on the sheet Sites."
    )
    first.insert_chart(
        "D2",
        chart,
        {"description": _text(words), "x_scale": 1.2, "y_scale": 1.3},
    )


def _text(text: str) -> str:
    return displayable(text)[:_LONGEST]


def _width(column: CellColumn, cells: Any) -> int:
    longest = max(
        (len(str(cell)) for cell in cells if isinstance(cell, str)), default=0
    )
    words = max(map(len, column.header.split()))
    return min(
        _WIDEST, max(_NARROWEST, longest + 2, words + 2, len(column.header) // 3)
    )


def _lines(column: CellColumn) -> int:
    return 1 + len(column.header) // max(_NARROWEST, len(column.header) // 3)
