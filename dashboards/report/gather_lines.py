"""Queries lines for a report, their hours a few lines at a time: all hours of a council
together would be much memory."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.estate import Line
from dashboards.observed import Span
from dashboards.report import report_queries
from dashboards.report.report_figures import LineFigures, line_figures

_LINES_AT_ONCE = 128


async def gather_lines(
    ask: report_queries.AskStore, lines: Sequence[Line], span: Span, before: Span
) -> dict[str, tuple[LineFigures, ...]]:
    """Returns the figures of `lines` by site, busiest first."""
    figures: list[LineFigures] = []
    ids = [line.id for line in lines]
    if not ids:
        return {}
    month = await ask(report_queries.line_month(*span, ids))
    past = await ask(report_queries.line_month_before(*before, ids))
    for begin in range(0, len(lines), _LINES_AT_ONCE):
        some = lines[begin : begin + _LINES_AT_ONCE]
        hours = report_queries.line_hours(*span, [line.id for line in some])
        figures += line_figures(some, month, await ask(hours), past)
    by_site: dict[str, list[LineFigures]] = {}
    for one in sorted(figures, key=lambda figures: -(figures.use_p95 or -1.0)):
        by_site.setdefault(one.line.site, []).append(one)
    return {site: tuple(own) for site, own in by_site.items()}
