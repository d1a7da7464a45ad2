"""Availability over *observed* time. Pure.

Part of a month is planned maintenance, part was observed (`dashboards.observed`) and
part was not. Only observed time outside maintenance counts. The other two are shown
separately and never count as up or down.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collectors.estate.opening_hours import OpeningHours, open_spans
from dashboards.observed import ObservedPiece, Span
from dashboards.observed.poll_history import clipped
from dashboards.observed.time_spans import Overlap, length, merged, within, without


@dataclass(frozen=True)
class Availability:
    """Lengths in ms. `ratio` and `open_ratio` (in opening hours) are None if nothing
    was observed."""

    month_ms: int
    observed_ms: int
    maintenance_ms: int
    down_ms: float
    open_observed_ms: int
    open_down_ms: float

    @property
    def ratio(self) -> float | None:
        return 1 - self.down_ms / self.observed_ms if self.observed_ms else None

    @property
    def open_ratio(self) -> float | None:
        if not self.open_observed_ms:
            return None
        return 1 - self.open_down_ms / self.open_observed_ms

    @property
    def rank(self) -> float:
        """`ratio`, for sorting: what was not observed comes last."""
        return 2.0 if self.ratio is None else self.ratio

    @property
    def open_rank(self) -> float:
        return 2.0 if self.open_ratio is None else self.open_ratio

    @property
    def observed_ratio(self) -> float:
        """Share of the month, without planned maintenance, that was observed."""
        expected = self.month_ms - self.maintenance_ms
        return min(1.0, self.observed_ms / expected) if expected > 0 else 0.0

    @property
    def unobserved_ms(self) -> int:
        return max(0, self.month_ms - self.maintenance_ms - self.observed_ms)


def availability(
    pieces: Iterable[ObservedPiece],
    from_ms: int,
    to_ms: int,
    hours: OpeningHours,
    maintenance: Sequence[Span] = (),
) -> Availability:
    """Returns the figures of `[from_ms, to_ms)` from what was observed in it."""
    planned = within(merged(maintenance), [(from_ms, to_ms)])
    counted = clipped(pieces, from_ms, to_ms, planned)
    opened = _opened(hours, from_ms, to_ms)
    observed = down = open_observed = open_down = 0.0
    for piece in counted:
        in_hours = opened.length_ms(piece[:2]) * piece.share
        observed += piece.ms
        open_observed += in_hours
        if not piece.up:
            down += piece.ms
            open_down += in_hours
    return Availability(
        to_ms - from_ms,
        round(observed),
        length(planned),
        min(down, round(observed)),
        round(open_observed),
        min(open_down, round(open_observed)),
    )


@functools.lru_cache(maxsize=64)
def _opened(hours: OpeningHours, from_ms: int, to_ms: int) -> Overlap:
    """Most sites and devices of a report have the same hours."""
    return Overlap(open_spans(hours, from_ms, to_ms))


def unobserved(
    groups: Iterable[Iterable[ObservedPiece]], from_ms: int, to_ms: int
) -> int:
    """Returns the ms in which nothing was observed of any of `groups`."""
    seen = merged(piece[:2] for pieces in groups for piece in pieces)
    return length(without([(from_ms, to_ms)], seen))
