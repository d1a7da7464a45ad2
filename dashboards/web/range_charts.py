"""Charts over a range of a page. Pure: rows in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from zoneinfo import ZoneInfo

from collectors.store.query import Row
from dashboards import figure_text
from dashboards.chart import Chart, ChartSeries
from dashboards.web.page_queries import DAY_MS
from dashboards.web.page_ranges import PageRange


def range_chart(
    id: str,
    title: str,
    shown: PageRange,
    now_ms: int,
    zone: ZoneInfo,
    series: Sequence[ChartSeries],
    say: Callable[[float], str],
    limit: float | None = None,
    limit_name: str = "",
    least_top: float = 0.0,
    is_wide: bool = False,
) -> Chart:
    """Returns a chart of `shown` up to `now_ms`; `is_wide`: it has a row of the page
    for itself. Times are those of `zone`. A step without a row is a gap."""
    span = from_ms, to_ms = shown.span(now_ms)
    point, row = shown.point, shown.row
    # 01:30 comes twice in the night in which summer time ends.
    if len({figure_text.zone_name(time_ms, zone) for time_ms in span}) > 1:
        point = _with_zone(point)
        row = row if shown.table_ms == DAY_MS else _with_zone(row)
    return Chart(
        id=id,
        title=f"{title}, last {shown.label}",
        series=tuple(series),
        from_ms=from_ms,
        to_ms=to_ms,
        step_ms=shown.step_ms,
        say=say,
        tick=lambda time_ms: row(time_ms, zone),
        axis=lambda characters: shown.marks(span, zone, characters),
        hover=lambda time_ms: point(time_ms, zone),
        limit=limit,
        limit_name=limit_name,
        least_top=least_top,
        height=220 if is_wide else 150,
        **({"width": 960} if is_wide else {}),
        table_start=lambda time_ms: shown.table_start(time_ms, zone),
        table_step=shown.table_step,
        gap_ms=shown.step_ms,
    )


def _with_zone(label: Callable[[int, ZoneInfo], str]) -> Callable[[int, ZoneInfo], str]:
    def text(time_ms: int, zone: ZoneInfo) -> str:
        return f"{label(time_ms, zone)} {figure_text.zone_name(time_ms, zone)}"

    return text


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
