"""Availability over *observed* time. Pure.

A month is laid out in steps of ten minutes. A step is planned maintenance, or was
observed (at least one poll), or was not. Only observed steps outside maintenance
count; the other two are shown apart and never called up or down.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collectors.estate.hours import Hours, is_open, next_closing_ms, next_opening_ms
from collectors.store.query import Row
from dashboards.report.questions import STEP_MS

Span = tuple[int, int]
Steps = Mapping[int, float]


@dataclass(frozen=True)
class Availability:
    """Lengths in ms. `ratio` and `open_ratio` (in opening hours) are None where
    nothing was observed."""

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
    def observed_ratio(self) -> float:
        """Of the month without its planned maintenance."""
        expected = self.month_ms - self.maintenance_ms
        return min(1.0, self.observed_ms / expected) if expected > 0 else 0.0

    @property
    def unobserved_ms(self) -> int:
        return max(0, self.month_ms - self.maintenance_ms - self.observed_ms)


def availability(
    steps: Steps,
    from_ms: int,
    to_ms: int,
    hours: Hours,
    maintenance: Sequence[Span] = (),
) -> Availability:
    """`steps`: start of a step -> share of polls answered in it (0 to 1)."""
    observed = down = open_observed = open_down = 0.0
    maintained = 0
    for at in _starts(from_ms, to_ms):
        length = min(at + STEP_MS, to_ms) - max(at, from_ms)
        if any(begin < at + STEP_MS and at < end for begin, end in maintenance):
            maintained += length
            continue
        up = steps.get(at)
        if up is None:
            continue
        lost = (1 - min(1.0, max(0.0, up))) * length
        observed += length
        down += lost
        if is_open(hours, at):
            open_observed += length
            open_down += lost
    return Availability(
        to_ms - from_ms, int(observed), maintained, down, int(open_observed), open_down
    )


def by_device(rows: Iterable[Row], tag: str = "device") -> dict[str, dict[int, float]]:
    """Rows of `device_steps` or `gateway_steps` by whom they are about."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        up = row.values.get("up_mean")
        if row.time_ms is not None and up is not None:
            found.setdefault(row.tags.get(tag, ""), {})[row.time_ms] = float(up)
    return found


def reachable(devices: Iterable[Steps]) -> dict[int, float]:
    """A site's steps: as reachable as the best of its devices."""
    best: dict[int, float] = {}
    for steps in devices:
        for at, up in steps.items():
            best[at] = max(up, best.get(at, 0.0))
    return best


def days(
    steps: Steps, spans: Sequence[Span], maintenance: Sequence[Span] = ()
) -> list[str]:
    """Each day as `ok`, `part`, `bad` or `none` (not observed), for a strip."""
    parts = []
    for begin, end in spans:
        seen = [
            steps[at]
            for at in _starts(begin, end)
            if at in steps
            and not any(b < at + STEP_MS and at < e for b, e in maintenance)
        ]
        if not seen:
            parts.append("none")
        elif min(seen) >= 0.999:
            parts.append("ok")
        else:
            parts.append("bad" if max(seen) <= 0.001 else "part")
    return parts


@functools.lru_cache(maxsize=256)
def open_spans(hours: Hours, from_ms: int, to_ms: int) -> tuple[Span, ...]:
    """When a site is open in `[from_ms, to_ms)`."""
    found = []
    begin = next_opening_ms(hours, from_ms)
    while begin is not None and begin < to_ms:
        end = next_closing_ms(hours, begin)
        found.append((begin, to_ms if end is None else min(end, to_ms)))
        begin = None if end is None else next_opening_ms(hours, end)
    return tuple(found)


def _starts(from_ms: int, to_ms: int) -> range:
    return range(from_ms - from_ms % STEP_MS, to_ms, STEP_MS)
