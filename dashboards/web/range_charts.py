"""Charts over a range of a page. Pure: rows in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from collectors.store.query import Row
from dashboards.chart import Chart, ChartSeries
from dashboards.web.page_ranges import PageRange


def range_chart(
    id: str,
    title: str,
    shown: PageRange,
    now_ms: int,
    series: Sequence[ChartSeries],
    say: Callable[[float], str],
    limit: float | None = None,
    limit_name: str = "",
    least_top: float = 0.0,
    is_wide: bool = False,
) -> Chart:
    """Returns a chart of `shown` up to `now_ms`; `is_wide`: it has a row of the page
    for itself."""
    from_ms, to_ms = shown.span(now_ms)
    return Chart(
        id=id,
        title=f"{title}, last {shown.label}",
        series=tuple(series),
        from_ms=from_ms,
        to_ms=to_ms,
        step_ms=shown.step_ms,
        say=say,
        tick=shown.tick,
        limit=limit,
        limit_name=limit_name,
        least_top=least_top,
        height=220 if is_wide else 150,
        **({"width": 960, "ticks": 8} if is_wide else {}),
        table_step_ms=shown.table_ms,
        table_step=shown.table_step,
        has_hover=True,
    )


def row_series(name: str, rows: Iterable[Row], column: str) -> ChartSeries:
    """Returns the numbers of a column, in order of time."""
    points = [
        (row.time_ms, float(value))
        for row in rows
        if row.time_ms is not None
        and (value := row.values.get(column)) is not None
        and not isinstance(value, str)
    ]
    return ChartSeries(name, sorted(points))
