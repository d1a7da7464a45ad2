"""The table of thirteen months. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.report.report_columns import Cell, CellColumn, TableLayout
from dashboards.report.report_data import ReportContent

_COLUMNS = (
    CellColumn("month"),
    CellColumn("over"),
    CellColumn("devices answered (ratio of polls)", "ratio"),
    CellColumn("polls", "count"),
    CellColumn("target, at least (ratio of polls)", "ratio"),
    CellColumn("poor calls at home, all hours (ratio of calls)", "ratio"),
    CellColumn("poor calls in offices, all hours (ratio of calls)", "ratio"),
    CellColumn("target, at most (ratio of calls)", "ratio"),
    CellColumn("targets missed"),
)


def _rows(content: ReportContent) -> Iterable[Sequence[Cell]]:
    targets = content.targets
    for month in content.trend:
        missed = [name for name, met in month.met(targets).items() if not met]
        yield (
            str(month.month),
            "yes" if month.is_over else "no",
            month.answered,
            month.polls or None,
            targets.answered,
            month.poor_home,
            month.poor_office,
            targets.poor_calls,
            ", ".join(name.replace("_", " ") for name in missed),
        )


TREND_LAYOUT = TableLayout(
    "trend",
    "Thirteen months",
    "The last thirteen months, against the council's targets.",
    _COLUMNS,
    _rows,
    by_month=True,
)
