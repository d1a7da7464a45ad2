"""The tables of what lines are worth, and of their suppliers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.report.report_columns import Cell, CellColumn, TableLayout
from dashboards.report.report_data import ReportContent

_VALUE = (
    CellColumn("month"),
    CellColumn("site name"),
    CellColumn("line"),
    CellColumn("role"),
    CellColumn("advice"),
    CellColumn("reason"),
    CellColumn("cost (GBP a year)", "pounds"),
    CellColumn("saved by the advice (GBP a year)", "pounds"),
    CellColumn("needed for the advice (GBP a year)", "pounds"),
    CellColumn("used to site, p95 (Mbit/s)", "number"),
    CellColumn("used from site, p95 (Mbit/s)", "number"),
    CellColumn("headroom in 95% of the time (ratio of contract)", "ratio"),
    CellColumn("busiest hour of the day begins (h)", "count"),
    CellColumn("mean use in that hour (ratio of contract)", "ratio"),
    CellColumn("give notice by", "date"),
    CellColumn("contract"),
)


def _values(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for value in content.line_values:
        line = value.figures.line
        change = value.change_per_year
        hour, use = value.busiest_hour or (None, None)
        yield (
            str(content.month),
            value.site_name,
            value.name,
            line.role,
            value.advice,
            value.reason,
            line.cost_per_year,
            None if change is None else value.saved_per_year,
            None if change is None else value.needed_per_year,
            value.used_down_mbps,
            value.used_up_mbps,
            value.headroom,
            hour,
            use,
            value.decide_by,
            value.contract,
        )


_SUPPLIERS = (
    CellColumn("month"),
    CellColumn("supplier"),
    CellColumn("lines", "count"),
    CellColumn("cost (GBP a year)", "pounds"),
    CellColumn("saved by the advice (GBP a year)", "pounds"),
    CellColumn("needed for the advice (GBP a year)", "pounds"),
    CellColumn("lines without a listed cost", "count"),
    CellColumn("lines whose change has no known price", "count"),
    CellColumn("lines without a listed contract", "count"),
    CellColumn("next notice by", "date"),
)


def _suppliers(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for one in content.suppliers:
        yield (
            str(content.month),
            one.supplier,
            one.lines,
            one.cost_per_year,
            one.saved_per_year,
            one.needed_per_year,
            one.without_cost,
            one.without_change,
            one.without_contract,
            one.next_decision,
        )


VALUE_LAYOUT = TableLayout(
    "value",
    "Value of lines",
    "What each line is worth, and what to do by which date.",
    _VALUE,
    _values,
)
SUPPLIER_LAYOUT = TableLayout(
    "suppliers",
    "Suppliers",
    "Costs and contracts of each supplier's lines. Sums are of known prices.",
    _SUPPLIERS,
    _suppliers,
)
