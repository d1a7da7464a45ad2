"""The drawings of a port: traffic with its capacity, errors and discards. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from collectors.estate.estate_model import Line
from collectors.store.query import Row
from dashboards.chart import Chart, ChartSeries
from dashboards.figure_text import per_second, rate
from dashboards.web.page_ranges import PageRange
from dashboards.web.range_charts import range_chart, row_series

# A capacity is not drawn if the traffic stays below this share of it: the traffic would
# be a flat line at the bottom.
LEAST_USE = 0.1


class PortCapacity(NamedTuple):
    """What limits a port's traffic. `is_drawn`: whether the drawing has it."""

    name: str
    bps: float
    is_drawn: bool


def port_capacity(
    line: Line | None, latest: Mapping[str, object], sums: Mapping[str, object]
) -> PortCapacity | None:
    """Returns the contract of the line that ends on a port, or else the port's own
    speed; None if neither is known. `latest` and `sums`: the values of `port_now` and
    `port_sums` of `device_queries`."""
    speed = latest.get("speed_bps_last") or sums.get("speed_bps_last")
    if line is not None:
        same = line.down_mbps == line.up_mbps
        name = "Contracted speed" if same else "Contracted speed of the faster way"
        speed = max(line.down_mbps, line.up_mbps) * 1e6
    elif isinstance(speed, int | float) and speed > 0:
        name = "Speed of the port"
    else:
        return None
    highest = max(
        float(value) if isinstance(value, int | float) else 0.0
        for value in (sums.get("in_bps_max"), sums.get("out_bps_max"))
    )
    return PortCapacity(name, float(speed), highest >= LEAST_USE * float(speed))


def port_charts(
    shown: PageRange,
    now_ms: int,
    zone: ZoneInfo,
    rows: Sequence[Row],
    capacity: PortCapacity | None,
) -> list[Chart]:
    """Returns the drawings; `rows` are of `device_queries.port_traffic`."""
    drawn = capacity if capacity and capacity.is_drawn else None
    traffic = range_chart(
        "traffic",
        "Traffic",
        shown,
        now_ms,
        zone,
        _both_ways(rows, "bps_p95"),
        rate,
        limit=drawn.bps if drawn else None,
        limit_name=drawn.name if drawn else "",
        least_top=1000.0,
        is_wide=True,
    )
    faults = (("errors", "Errors"), ("discards", "Discards"))
    return [traffic] + [
        range_chart(
            id,
            title,
            shown,
            now_ms,
            zone,
            _both_ways(rows, f"{id}_per_s_mean"),
            per_second,
        )
        for id, title in faults
    ]


def _both_ways(rows: Sequence[Row], column: str) -> tuple[ChartSeries, ChartSeries]:
    return (
        row_series("Received", rows, f"in_{column}"),
        row_series("Sent", rows, f"out_{column}"),
    )
