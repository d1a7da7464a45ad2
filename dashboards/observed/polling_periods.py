"""How often devices were polled at a given time. Pure."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable

from collectors.store.query import Pick, Query, Row

_HOUR_MS = 3_600_000


class Periods:
    """The poll period at a time: `default_ms`, unless `recorded` [(time, period)] has
    another. A period holds until the next record; the first one also before it."""

    def __init__(
        self, default_ms: int = 60_000, recorded: Iterable[tuple[int, int]] = ()
    ) -> None:
        self._times: list[int] = []
        self._periods: list[int] = []
        self.default_ms = default_ms
        for time_ms, period_ms in sorted(recorded):
            if not self._periods or self._periods[-1] != period_ms:
                self._times.append(time_ms)
                self._periods.append(period_ms)

    def at(self, time_ms: int) -> int:
        """Returns the ms between two polls of a device."""
        if not self._periods:
            return self.default_ms
        at = bisect.bisect_right(self._times, time_ms) - 1
        return self._periods[max(at, 0)]

    def due(self, from_ms: int, to_ms: int) -> int:
        """Returns the polls of one device due in `[from_ms, to_ms)`, rounded down."""
        ends = [time_ms for time_ms in self._times if from_ms < time_ms < to_ms]
        bounds = [from_ms, *ends, to_ms]
        return int(
            sum(
                (end - begin) / self.at(begin)
                for begin, end in itertools.pairwise(bounds)
            )
            + 1e-9
        )

    def longest(self, from_ms: int, to_ms: int) -> int:
        """The longest period in force at any time in `[from_ms, to_ms)`."""
        held = {self.at(from_ms)}
        held.update(
            self.at(time_ms) for time_ms in self._times if from_ms < time_ms < to_ms
        )
        return max(held)


def polling_periods(from_ms: int, to_ms: int) -> Query:
    """What `recorded_periods` reads."""
    pick = (Pick("period_s", "last"),)
    return Query("self_poll", pick, from_ms, to_ms, (), (), _HOUR_MS)


def recorded_periods(rows: Iterable[Row]) -> list[tuple[int, int]]:
    """(time, period in ms) as the pollers recorded them."""
    return [
        (row.time_ms, round(float(value) * 1000))
        for row in rows
        if row.time_ms is not None
        and (value := row.values.get("period_s_last"))
        and not isinstance(value, str)
    ]
