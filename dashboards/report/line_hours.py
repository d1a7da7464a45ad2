"""The hours of lines, added a few at a time. A year has millions of them, so they are
kept as numbers in arrays and bytes, a tenth of the memory of rows or tuples."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence, Set
from math import isnan, nan
from operator import eq, mul
from typing import NamedTuple, overload

from collectors.store.answer_series import AnswerSeries
from dashboards.chart import Point
from dashboards.state_levels import BUSY_RATIO

HOUR_MS = 3_600_000


class HourSet(Set[int]):
    """Starts of hours (ms, UTC): a byte for each hour from the first one on."""

    def __init__(self, starts_ms: Iterable[int] = ()) -> None:
        self._first, self._marks = 0, bytearray()
        for start_ms in starts_ms:
            self.add(start_ms)

    def add(self, start_ms: int) -> bool:
        """Returns whether it is new."""
        hour = start_ms // HOUR_MS
        if not self._marks:
            self._first = hour
        place = hour - self._first
        if place == len(self._marks):
            # Mostly the hour after the last.
            self._marks.append(1)
            return True
        if place < 0:
            self._marks[:0] = bytes(-place)
            self._first, place = hour, 0
        elif place >= len(self._marks):
            self._marks.extend(bytes(place + 1 - len(self._marks)))
        if self._marks[place]:
            return False
        self._marks[place] = 1
        return True

    def add_run(self, first_ms: int, hours: int) -> bool:
        """Adds so many hours one after the other. Returns False, and adds none, if they
        do not follow the last."""
        place = first_ms // HOUR_MS - self._first
        if self._marks and place < len(self._marks):
            return False
        if not self._marks:
            self._first, place = first_ms // HOUR_MS, 0
        self._marks.extend(bytes(place - len(self._marks)))
        self._marks.extend(b"\1" * hours)
        return True

    def __contains__(self, start_ms: object) -> bool:
        if not isinstance(start_ms, int) or start_ms % HOUR_MS:
            return False
        place = start_ms // HOUR_MS - self._first
        return 0 <= place < len(self._marks) and bool(self._marks[place])

    def __iter__(self) -> Iterator[int]:
        for place, mark in enumerate(self._marks):
            if mark:
                yield (self._first + place) * HOUR_MS

    def __len__(self) -> int:
        return self._marks.count(1)


class HourPoints(Sequence[Point]):
    """(start of an hour in ms, UTC, value), in order of time: eight bytes for each hour
    from the first one on, NaN if it has no point. Each hour is added once."""

    def __init__(self) -> None:
        self._first, self._values = 0, array("d")

    def add(self, time_ms: int, value: float) -> None:
        hour = time_ms // HOUR_MS
        if not self._values:
            self._first = hour
        place = hour - self._first
        if place < 0:
            self._values[:0] = _absent(-place)
            self._first, place = hour, 0
        self._values.extend(_absent(place + 1 - len(self._values)))
        self._values[place] = value

    def add_run(self, first_ms: int, values: array[float]) -> None:
        """Adds an hour for each value, one after the other, that follow all others."""
        hour = first_ms // HOUR_MS
        if not self._values:
            self._first = hour
        self._values.extend(_absent(hour - self._first - len(self._values)))
        self._values.extend(values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HourPoints):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return sum(map(eq, self._values, self._values))

    def __bool__(self) -> bool:
        return bool(self._values)

    @overload
    def __getitem__(self, at: int) -> Point: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Point]: ...

    def __getitem__(self, at: int | slice) -> Point | Sequence[Point]:
        return list(self)[at]

    def __iter__(self) -> Iterator[Point]:
        times_ms = itertools.count(self._first * HOUR_MS, HOUR_MS)
        points = zip(times_ms, self._values, strict=False)
        # NaN is not equal to itself.
        return itertools.compress(points, map(eq, self._values, self._values))


def _absent(hours: int) -> array[float]:
    return array("d", (nan,)) * hours


class _Columns(NamedTuple):
    """Hours of one line as the store returns them; what is not there is NaN. `uses`:
    of the busier direction; `up_ratios`: of so many `polls`; `carrying`: above 0 if it
    carried more than keep-alives."""

    times_ms: Sequence[int]
    uses: Sequence[float]
    up_ratios: Sequence[float]
    polls: Sequence[float]
    carrying: Sequence[float]

    def part(self, begin: int, end: int) -> _Columns:
        times_ms, uses, up_ratios, polls, carrying = self
        at = slice(begin, end)
        return _Columns(times_ms[at], uses[at], up_ratios[at], polls[at], carrying[at])


class LineHours:
    """Hours of one line. `busy`: how many had a 95th percentile above 85% in either
    direction. `carrying_at`, `down_at`, `points`: as in `LineFigures`."""

    def __init__(self) -> None:
        self.observed, self.carrying_at = HourSet(), HourSet()
        self.down_at, self.points = HourSet(), HourPoints()
        self.busy = 0
        self._polls = self._polls_up = 0.0

    @property
    def up_ratio(self) -> float | None:
        return self._polls_up / self._polls if self._polls else None

    def add(self, series: AnswerSeries) -> None:
        """Adds hours that `report_queries.line_hours` asks for."""
        times_ms, values = series.times_ms, series.values
        downs, ups = values["down_use_ratio_p95"], values["up_use_ratio_p95"]
        # NaN is above nothing.
        uses = [
            up if up > down or isnan(down) else down
            for down, up in zip(downs, ups, strict=True)
        ]
        up_ratios, polls = values["up_mean"], values["up_count"]
        hours = _Columns(times_ms, uses, up_ratios, polls, values["carrying_max"])
        for begin, end in _runs(times_ms):
            run = hours.part(begin, end)
            if not self._add_whole(run):
                self._add_each(run)

    def _add_each(self, run: _Columns) -> None:
        for time_ms, use, ratio, count, carried in zip(*run, strict=True):
            if not self.observed.add(time_ms):
                # An hour occurs twice if the line's supplier or role changed in it.
                continue
            if not isnan(use):
                self.points.add(time_ms, use)
                self.busy += use > BUSY_RATIO
            if not isnan(ratio):
                polls = 0.0 if isnan(count) else count
                self._polls += polls
                self._polls_up += polls * ratio
                if ratio < 1:
                    self.down_at.add(time_ms)
            if carried > 0:
                self.carrying_at.add(time_ms)

    def _add_whole(self, run: _Columns) -> bool:
        """Adds hours that follow one another and all others, and have all values, as
        nearly all do, in a third of the time. Returns whether it did."""
        times_ms, uses, up_ratios, polls, carrying = run
        hours = len(times_ms)
        # A sum with any NaN is NaN.
        if isnan(sum(uses) + sum(up_ratios) + sum(polls)):
            return False
        if not self.observed.add_run(times_ms[0], hours):
            return False
        self.points.add_run(times_ms[0], array("d", uses))
        self.busy += sum(map(BUSY_RATIO.__lt__, uses))
        self._polls = sum(polls, self._polls)
        self._polls_up = sum(map(mul, polls, up_ratios), self._polls_up)
        if min(up_ratios) < 1:
            for time_ms, ratio in zip(times_ms, up_ratios, strict=True):
                if ratio < 1:
                    self.down_at.add(time_ms)
        is_whole = not isnan(sum(carrying)) and min(carrying) > 0
        if not (is_whole and self.carrying_at.add_run(times_ms[0], hours)):
            for time_ms, carried in zip(times_ms, carrying, strict=True):
                if carried > 0:
                    self.carrying_at.add(time_ms)
        return True


def _runs(times_ms: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yields from where to where the hours follow one another."""
    gaps = [
        at
        for at, (before_ms, after_ms) in enumerate(itertools.pairwise(times_ms), 1)
        if after_ms - before_ms != HOUR_MS
    ]
    return itertools.pairwise((0, *gaps, len(times_ms)) if times_ms else ())
