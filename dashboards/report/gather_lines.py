"""Queries lines for a report, a few at a time: the store holds all values of a line to
find its percentile, and a council's lines together would be much memory."""

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
    for begin in range(0, len(lines), _LINES_AT_ONCE):
        some = lines[begin : begin + _LINES_AT_ONCE]
        ids = [line.id for line in some]
        figures += line_figures(
            some,
            await ask(report_queries.line_month(*span, ids)),
            await ask(report_queries.line_hours(*span, ids)),
            await ask(report_queries.line_month_before(*before, ids)),
        )
    by_site: dict[str, list[LineFigures]] = {}
    for one in sorted(figures, key=lambda figures: -(figures.use_p95 or -1.0)):
        by_site.setdefault(one.line.site, []).append(one)
    return {site: tuple(own) for site, own in by_site.items()}
