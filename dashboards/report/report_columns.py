"""What a table of a report is: typed cells, so that each format writes them in its own
way.

The unit of a column is in brackets at the end of its header. An absent figure is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from dashboards.report.month import ReportPeriod
from dashboards.report.report_data import ReportContent

Cell = str | int | float | date | datetime | None
Kind = Literal["text", "count", "number", "ratio", "pounds", "pence", "date", "time"]
_UNIT = re.compile(r"\(([^()]*)\)$")


def utc_time(time_ms: int) -> datetime:
    """Returns the cell of a `time`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


@dataclass(frozen=True)
class CellColumn:
    """One column. `kind` is how its cells are read: a `ratio` as per cent, `pounds` as
    money without pence, a `time` in UTC."""

    header: str
    kind: Kind = "text"

    @property
    def unit(self) -> str:
        """The unit in the header; empty if it has none."""
        match = _UNIT.search(self.header)
        return match[1] if match else ""

    def of_period(self, period: ReportPeriod) -> CellColumn:
        """Returns the column of a report that may be about another time than a month:
        `last year` instead of `last month`."""
        header = self.header.replace("last month", period.noun_before)
        header = re.sub(r"\bmonth\b", period.noun, header)
        return CellColumn(header, self.kind)


@dataclass(frozen=True)
class ReportTable:
    """One table: `name` for files and sheets, `title` and `about` for people."""

    name: str
    title: str
    about: str
    columns: tuple[CellColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{self.name}: {len(row)} cells under {len(self.columns)} headers"
                )


@dataclass(frozen=True)
class TableLayout:
    """A table without its rows, and the function that makes them. Its headers are those
    of a month. `by_month`: each row is of a month, whatever the report is about."""

    name: str
    title: str
    about: str
    columns: tuple[CellColumn, ...]
    rows: Callable[[ReportContent], Iterable[Sequence[Cell]]]
    by_month: bool = False

    def table(self, content: ReportContent) -> ReportTable:
        rows = tuple(tuple(row) for row in self.rows(content))
        columns = self.columns
        if not self.by_month:
            columns = tuple(column.of_period(content.month) for column in columns)
        return ReportTable(self.name, self.title, self.about, columns, rows)
