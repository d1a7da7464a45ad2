"""What was observed of devices and sites, counted from their polls: when they answered,
when they did not, and when nobody could tell."""

from dashboards.observed.observe import Observations, Subjects, observe
from dashboards.observed.periods import Periods, polling_periods, recorded_periods
from dashboards.observed.polls import Piece, marks
from dashboards.observed.recorded import blind_spans
from dashboards.observed.spans import Span

__all__ = [
    "Observations",
    "Periods",
    "Piece",
    "Span",
    "Subjects",
    "blind_spans",
    "marks",
    "observe",
    "polling_periods",
    "recorded_periods",
]
