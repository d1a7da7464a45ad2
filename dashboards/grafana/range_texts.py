"""What the description of a panel adds about long ranges: figures of whole days, and
figures that only rows have. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from collectors.server_measurements import CATALOGUE
from collectors.store.rolled_measurements import DAY, answering_steps
from dashboards.grafana.board import OVER_TIME, Panel

# Grafana's interval for 60 points is 12 hours then.
WHOLE_DAYS = (
    "From 23 days on, InfluxDB answers by whole days (UTC): from the midnight nearest "
    "to the start of the range to the end of its last day."
)
ROWS_ONLY = (
    "Only rows have this, not roll-ups: it shows nothing from before the oldest row "
    "that is kept."
)


def range_texts(panel: Panel) -> Iterator[str]:
    """Yields the sentences that a panel needs; none if it shows the present."""
    if panel.newest or panel.time_from:
        return
    answering = [
        (
            target.query,
            answering_steps(
                target.query, CATALOGUE.measurement(target.query.measurement)
            ),
        )
        for target in panel.targets
    ]
    is_one_figure = panel.kind not in OVER_TIME and not panel.sparkline
    if is_one_figure and any(
        DAY in steps and not query.mean_step_ms for query, steps in answering
    ):
        yield WHOLE_DAYS
    if answering and not any(steps for _, steps in answering):
        yield ROWS_ONLY
