"""Queries lines for a report, some at a time and their hours a month at a time: all
values of a council together would be much memory."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.estate import Line
from collectors.store.answer_series import query_series
from collectors.store.query import Row, Store
from dashboards.observed import Span
from dashboards.observed.time_spans import in_pieces
from dashboards.report import report_queries
from dashboards.report.line_hours import LineHours
from dashboards.report.report_figures import LineFigures, line_figures
from dashboards.step_progress import Progress, told_parts, untold

_LINES_AT_ONCE = 96
# A month of local time is a day more of UTC.
_DAYS_AT_ONCE = 32


async def gather_lines(
    store: Store,
    lines: Sequence[Line],
    span: Span,
    before: Span,
    progress: Progress = untold,
) -> dict[str, tuple[LineFigures, ...]]:
    """Returns the figures of `lines` by site, busiest first."""
    ids = [line.id for line in lines]
    if not ids:
        return {}
    progress("lines")
    at_once = [
        ids[begin : begin + _LINES_AT_ONCE]
        for begin in range(0, len(ids), _LINES_AT_ONCE)
    ]
    month: list[Row] = []
    past: list[Row] = []
    sizes: list[Row] = []
    for some in at_once:
        month += await store.query(report_queries.line_month(*span, some))
        past += await store.query(report_queries.line_month_before(*before, some))
        sizes += await store.query(report_queries.line_sizes(*span, some))
    hours = {line: LineHours() for line in ids}
    pieces = list(in_pieces(span, _DAYS_AT_ONCE))
    parts = [(some, piece) for some in at_once for piece in pieces]
    for some, piece in told_parts(progress, "hours of lines", parts):
        query = report_queries.line_hours(*piece, some)
        for series in await query_series(store, query):
            hours[series.tags["line"]].add(series)
    figures = line_figures(lines, month, hours, past, sizes)
    by_site: dict[str, list[LineFigures]] = {}
    for one in sorted(figures, key=lambda figures: -(figures.use_p95 or -1.0)):
        by_site.setdefault(one.line.site, []).append(one)
    return {site: tuple(own) for site, own in by_site.items()}
