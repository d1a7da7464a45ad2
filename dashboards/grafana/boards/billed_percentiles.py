"""Queries of percentiles of five-minute means, as suppliers bill (decision 065)."""

import msgspec

from collectors.store.query import Aggregate, Query, Where
from collectors.store.rolled_measurements import MINUTES_5_MS
from dashboards.grafana.board import select

# For the description of a panel that has `estimated` percentiles.
ESTIMATED = (
    "p95: what 95 % of all five-minute means were below; over four days or more it is "
    "worked out from 24 of each day's means (UTC), which is close."
)


def percentiles(
    measurement: str,
    *picks: tuple[str, Aggregate],
    by: tuple[str, ...] = (),
    where: tuple[Where, ...] = (),
) -> Query:
    """Returns the query of percentiles of five-minute means. Each group has to be one
    series, because roll-ups have the means of series."""
    query = select(measurement, *picks, by=by, where=where)
    return msgspec.structs.replace(query, mean_step_ms=MINUTES_5_MS, every_ms=None)
