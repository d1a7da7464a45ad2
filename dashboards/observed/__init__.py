"""What was observed of devices and sites, from their polls: when they answered, when
they did not, and when that is unknown."""

from dashboards.observed.blind_spans import blind_spans
from dashboards.observed.observe import Observations, observe
from dashboards.observed.poll_counts import Subjects
from dashboards.observed.poll_history import ObservedPiece, marks
from dashboards.observed.polling_periods import (
    Periods,
    polling_periods,
    recorded_periods,
)
from dashboards.observed.time_spans import Span

__all__ = [
    "Observations",
    "ObservedPiece",
    "Periods",
    "Span",
    "Subjects",
    "blind_spans",
    "marks",
    "observe",
    "polling_periods",
    "recorded_periods",
]
