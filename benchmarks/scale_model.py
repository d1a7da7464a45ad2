"""A discrete-event simulation of batches on their way through a large installation.
Pure.

Poller or ingest → journal → a writer of its shard → InfluxDB, and → the alert reader.
Equal batches of one moment travel as one parcel. A station takes what waits, in order;
one that is down keeps it. What a full ingest turns away waits at the laptops and comes
again. What a full journal refuses of polls is lost, and counted.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

Action = Callable[[float], None]


class Parcel(NamedTuple):
    """`count` batches with `rows` rows in all, made at once by one kind of source."""

    kind: str
    count: int
    rows: int
    made_s: float
    shard: int


class Clock:
    """Runs actions in the order of their times."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._order = itertools.count()

    def at(self, due_s: float, action: Action) -> None:
        if due_s < self.now_s:
            raise ValueError(f"{due_s} s is in the past of {self.now_s} s")
        heapq.heappush(self._due, (due_s, next(self._order), action))

    def run(self, until_s: float) -> None:
        while self._due and self._due[0][0] <= until_s:
            self.now_s, _, action = heapq.heappop(self._due)
            action(self.now_s)
        self.now_s = until_s


class Speed(NamedTuple):
    """How a station works: `servers` at a time, each on up to `most_rows` rows, for
    `group_s` and the seconds of each batch and each row, by kind. With `pace_s` it
    waits for the next multiple of that after it took less than `most_rows`."""

    servers: int = 1
    most_rows: float = 1
    group_s: float = 0.0
    batch_s: Mapping[str, float] = MappingProxyType({})
    row_s: Mapping[str, float] = MappingProxyType({})
    pace_s: float = 0.0

    def takes_s(self, group: list[Parcel]) -> float:
        return self.group_s + sum(
            parcel.count * self.batch_s.get(parcel.kind, 0.0)
            + parcel.rows * self.row_s.get(parcel.kind, 0.0)
            for parcel in group
        )


class Station:
    """A queue with its servers; `deliver(now_s, parcels)` gets what is done."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        speed: Speed,
        deliver: Callable[[float, list[Parcel]], None],
    ) -> None:
        self.name, self._clock, self._speed = name, clock, speed
        self._deliver = deliver
        # With the time of its arrival here.
        self._waiting: deque[tuple[float, Parcel]] = deque()
        self._serving: dict[int, list[Parcel]] = {}
        self._numbers = itertools.count()
        self._down = False
        self._ready_s = 0.0
        self.rows = self.most_rows = 0
        self.late_since_s: float | None = None

    @property
    def held(self) -> int:
        """Batches that wait or are being served."""
        served = (parcel for group in self._serving.values() for parcel in group)
        waiting = (parcel for _, parcel in self._waiting)
        return sum(parcel.count for parcel in itertools.chain(waiting, served))

    def offer(self, now_s: float, parcel: Parcel) -> None:
        self._waiting.append((now_s, parcel))
        self.rows += parcel.rows
        self.most_rows = max(self.most_rows, self.rows)
        self._start(now_s)

    def set_down(self, now_s: float, down: bool) -> None:
        """Killed, it loses the effect of what it was doing: that comes again."""
        self._down = down
        if down:
            for group in reversed(list(self._serving.values())):
                self._waiting.extendleft((now_s, parcel) for parcel in reversed(group))
            self._serving.clear()
        self._start(now_s)

    def _start(self, now_s: float) -> None:
        while self._waiting and not self._down and now_s >= self._ready_s:
            if len(self._serving) >= self._speed.servers:
                return
            group: list[Parcel] = []
            rows = 0
            while self._waiting and (not group or rows < self._speed.most_rows):
                group.append(self._waiting.popleft()[1])
                rows += group[-1].rows
            number = next(self._numbers)
            self._serving[number] = group
            done = functools.partial(self._finish, number)
            self._clock.at(now_s + self._speed.takes_s(group), done)

    def _finish(self, number: int, now_s: float) -> None:
        group = self._serving.pop(number, None)
        if group is None:
            # It was killed meanwhile.
            return
        rows = sum(parcel.rows for parcel in group)
        self.rows -= rows
        self._deliver(now_s, group)
        pace_s = self._speed.pace_s
        if pace_s and rows < self._speed.most_rows:
            self._ready_s = (math.floor(now_s / pace_s) + 1) * pace_s
            self._clock.at(self._ready_s, self._start)
        self._start(now_s)

    def note_lateness(self, now_s: float, longest_s: float) -> None:
        """Remembers when a parcel had waited here for more than `longest_s` for the
        first time."""
        oldest_s = self._waiting[0][0] if self._waiting else now_s
        if self.late_since_s is None and now_s - oldest_s > longest_s:
            self.late_since_s = now_s


class Ingest:
    """Turns parcels away while more than `most_waiting` batches are at `station`; the
    laptops bring them again after a minute to five, at random."""

    def __init__(
        self, clock: Clock, station: Station, most_waiting: int, chance: random.Random
    ) -> None:
        self._clock, self._station = clock, station
        self._most_waiting, self._chance = most_waiting, chance
        self.at_laptops = self.turned_away = 0
        self.turned_away_since_s: float | None = None

    def offer(self, now_s: float, parcel: Parcel) -> None:
        if self._station.held + parcel.count <= self._most_waiting:
            self._station.offer(now_s, parcel)
        else:
            self.keep_at_laptops(now_s, parcel)

    def keep_at_laptops(self, now_s: float, parcel: Parcel) -> None:
        """It was not acknowledged, so it comes again."""
        if self.turned_away_since_s is None:
            self.turned_away_since_s = now_s
        self.turned_away += parcel.count
        self.at_laptops += parcel.count
        self._clock.at(
            now_s + self._chance.uniform(60, 300), lambda at: self._again(at, parcel)
        )

    def _again(self, now_s: float, parcel: Parcel) -> None:
        self.at_laptops -= parcel.count
        self.offer(now_s, parcel)


class Lags:
    """Seconds from making to arrival, weighted by batches."""

    def __init__(self) -> None:
        self._lags: list[tuple[float, int]] = []
        self.count = 0

    def add(self, now_s: float, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            if parcel.made_s > now_s:
                raise ValueError("a batch arrived before it was made")
            self._lags.append((now_s - parcel.made_s, parcel.count))
            self.count += parcel.count

    def percentile_s(self, percent: float) -> float | None:
        """Nearest rank; None without any."""
        if not self.count:
            return None
        wanted, seen = self.count * percent / 100, 0
        for lag_s, count in sorted(self._lags):
            seen += count
            if seen >= wanted:
                return lag_s
        raise AssertionError("unreachable")
