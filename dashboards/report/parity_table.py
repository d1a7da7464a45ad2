"""The table of experience parity: home beside office, part by part. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.report.report_columns import Cell, CellColumn, TableLayout
from dashboards.report.report_data import ReportContent

_COLUMNS = (
    CellColumn("month"),
    CellColumn("grouped by"),
    CellColumn("group"),
    CellColumn("part"),
    CellColumn("promise"),
    CellColumn("reason"),
    CellColumn("good at home (ratio of quarter-hours)", "ratio"),
    CellColumn("good in offices (ratio of quarter-hours)", "ratio"),
    CellColumn("home minus office (ratio of quarter-hours)", "ratio"),
    CellColumn("at least, 95% interval (ratio of quarter-hours)", "ratio"),
    CellColumn("at most, 95% interval (ratio of quarter-hours)", "ratio"),
    CellColumn("margin (ratio of quarter-hours)", "ratio"),
    CellColumn("laptops at both places (rounded to 5)", "count"),
    CellColumn("laptops at home only (rounded to 5)", "count"),
    CellColumn("laptops in offices only (rounded to 5)", "count"),
    CellColumn("quarter-hours measured (rounded to 5)", "count"),
    CellColumn("measured (ratio of working quarter-hours of those laptops)", "ratio"),
    CellColumn("days with results", "count"),
    CellColumn("working days", "count"),
    CellColumn("months with a figure", "count"),
)


def _rows(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for parity in content.parity:
        yield (
            str(content.month),
            parity.by,
            parity.group,
            parity.part.title,
            parity.verdict,
            parity.reason,
            parity.home,
            parity.office,
            parity.difference,
            parity.low,
            parity.high,
            parity.margin,
            parity.laptops or None,
            parity.home_only,
            parity.office_only,
            parity.seen or None,
            parity.coverage,
            parity.days or None,
            parity.working_days or None,
            parity.months,
        )


PARITY_LAYOUT = TableLayout(
    "parity",
    "Home and office",
    "Good working quarter-hours at home and in offices, paired within laptops.",
    _COLUMNS,
    _rows,
)
