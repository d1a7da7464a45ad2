"""Asks a store what was observed in a span, with few questions.

Whole days are counted first, then the hours of those days in which something was missed
or failed, then single polls of those hours in which some polls were answered and some
were not. So a month of a well network is a few thousand counts, from roll-ups if there
are any, and every outage is counted from the polls themselves.
"""

from __future__ import annotations

import bisect
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from collectors.store.query import Pick, Query, Row, Where
from dashboards.observed.poll_history import (
    ObservedPiece,
    Poll,
    clipped,
    cut_off,
    device_pieces,
    joined,
    site_pieces,
)
from dashboards.observed.polling_periods import Periods
from dashboards.observed.time_spans import Span, merged, within

RunQuery = Callable[[Query], Awaitable[Sequence[Row] | None]]
DeviceKey = tuple[str, str]
"""(site, device)"""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Single polls are asked for in buckets of this length.
_POLL_MS = 1_000
# So many polls more than were due may be out of turn, as after a trap.
_EXTRA = 2
# Polls rarer than this are all read one by one: there are few.
_RARE_MS = HOUR_MS // 2


@dataclass(frozen=True)
class Subjects:
    """What is polled: rows of `measurement`, named by their tag `tag`."""

    measurement: str = "device"
    tag: str = "device"


@dataclass
class Observations:
    """What was observed in `[from_ms, to_ms)`: of each device, of each site by its
    devices, and when the monitor was cut off, which is in none of the pieces."""

    from_ms: int
    to_ms: int
    devices: dict[str, list[ObservedPiece]] = field(default_factory=dict)
    sites: dict[str, list[ObservedPiece]] = field(default_factory=dict)
    cut_off: list[Span] = field(default_factory=list)


async def observe(
    ask: RunQuery,
    span: Span,
    periods: Periods,
    recorded: Sequence[Span] = (),
    sites: Collection[str] | None = None,
    subjects: Subjects | None = None,
    is_estate: bool = True,
    exact: Sequence[Span] = (),
) -> Observations:
    """`recorded`: when alerts say that the monitor was blind or cut off. `sites`: only
    these are wanted; the others are still looked at for whether the monitor was cut
    off. With `is_estate` False the subjects say nothing about that. In an hour in which
    a device answered now and then it is told by shares of the hour, unless in `exact`.

    An answer of None (the store did not answer) is as good as no rows.
    """
    looking = _Observer(
        ask,
        span,
        periods,
        merged(recorded),
        sites,
        subjects or Subjects(),
        is_estate,
        merged(exact),
    )
    return await looking.look()


class _Bucket:
    """What is known of one device in one hour or day."""

    __slots__ = ("answered", "polls", "share")

    def __init__(self, polls: int, answered: int, due: int) -> None:
        self.polls, self.answered = polls, answered
        self.share = min(1.0, polls / max(1, due))

    @property
    def is_mixed(self) -> bool:
        return 0 < self.answered < self.polls

    @property
    def is_up(self) -> bool:
        """Always there, without a gap."""
        return self.answered == self.polls and self.share == 1.0

    def pieces(self, span: Span) -> list[ObservedPiece]:
        """By the count of its polls alone."""
        shares = {True: self.answered, False: self.polls - self.answered}
        return [
            ObservedPiece(*span, up, self.share * polls / self.polls)
            for up, polls in shares.items()
            if polls
        ]


class _Observer:
    """One call of `observe`."""

    def __init__(
        self,
        ask: RunQuery,
        span: Span,
        periods: Periods,
        recorded: Sequence[Span],
        sites: Collection[str] | None,
        subjects: Subjects,
        is_estate: bool,
        exact: Sequence[Span],
    ) -> None:
        self._ask, self._span, self._periods = ask, span, periods
        self._recorded, self._sites, self._subjects = recorded, sites, subjects
        self._is_estate, self._exact = is_estate, exact
        # Days in which a device was always there, and the hours of its other days.
        self._days: dict[DeviceKey, dict[int, _Bucket]] = {}
        self._hours: dict[DeviceKey, dict[int, _Bucket]] = {}
        self._polls: dict[DeviceKey, list[Poll]] = {}
        # Hours of which single polls are known, by device.
        self._read: dict[DeviceKey, set[int]] = {}
        # A poll stands for longer than an hour: hours are no unit to count in.
        self._is_rare = periods.longest(*span) > _RARE_MS

    async def look(self) -> Observations:
        from_ms, to_ms = self._span
        found = Observations(from_ms, to_ms)
        if to_ms <= from_ms:
            return found
        await self._count()
        suspected = self._suspected() if self._is_estate else set()
        await self._read_polls(self._needed(suspected))
        # Of an estate what was recorded is held against its polls: an alert that nobody
        # ended, as the engine stopped, takes no answered poll away.
        removed = self._cut_off(suspected) if self._is_estate else self._recorded
        found.cut_off = merged(
            (max(begin, from_ms), min(end, to_ms)) for begin, end in removed
        )
        self._forget_failures(found.cut_off)
        by_site: dict[str, list[DeviceKey]] = {}
        by_device: dict[str, list[DeviceKey]] = {}
        for key in self._days:
            if self._is_wanted(key):
                by_site.setdefault(key[0], []).append(key)
                by_device.setdefault(key[1], []).append(key)
        for device, keys in by_device.items():
            # More than one where it moved from one site to another.
            pieces = sorted(piece for key in keys for piece in self._pieces([key]))
            found.devices[device] = clipped(pieces, from_ms, to_ms, found.cut_off)
        for site, keys in by_site.items():
            pieces = self._pieces(keys)
            found.sites[site] = clipped(pieces, from_ms, to_ms, found.cut_off)
        return found

    # ---- days and hours ----------------------------------------------------------

    async def _count(self) -> None:
        """Fills `_days`, and `_hours` for what days do not settle."""
        unsettled: dict[int, set[str]] = {}
        for key, days in (await self._counts(self._span, DAY_MS, None)).items():
            settled = self._days.setdefault(key, {})
            for start, bucket in days.items():
                if self._is_settled(start, bucket):
                    settled[start] = bucket
                else:
                    unsettled.setdefault(start, set()).add(key[1])
        runs: list[tuple[Span, set[str]]] = []
        for start, devices in sorted(unsettled.items()):
            if runs and runs[-1][0][1] == start and runs[-1][1] == devices:
                runs[-1] = ((runs[-1][0][0], start + DAY_MS), devices)
            else:
                runs.append(((start, start + DAY_MS), devices))
        for (begin, end), devices in runs:
            span = max(begin, self._span[0]), min(end, self._span[1])
            counted = await self._counts(span, HOUR_MS, devices)
            for key, hours in counted.items():
                own, whole = self._hours.setdefault(key, {}), self._days[key]
                for hour, bucket in hours.items():
                    # It is asked for because of another site it was in that day.
                    if _day(hour) not in whole:
                        own[hour] = bucket

    async def _counts(
        self, span: Span, every_ms: int, devices: Collection[str] | None
    ) -> dict[DeviceKey, dict[int, _Bucket]]:
        tag = self._subjects.tag
        where = () if devices is None else (Where(tag, tuple(sorted(devices))),)
        query = Query(
            self._subjects.measurement,
            (Pick("up", "count"), Pick("up", "sum")),
            *span,
            where,
            ("site", tag),
            every_ms,
        )
        found: dict[DeviceKey, dict[int, _Bucket]] = {}
        due: dict[int, int] = {}
        for row in await self._ask(query) or ():
            polls = row.values.get("up_count")
            if row.time_ms is None or not polls:
                continue
            start = row.time_ms
            if start not in due:
                due[start] = self._periods.due(*self._limits(start, every_ms))
            answered = int(row.values.get("up_sum") or 0)
            key = row.tags.get("site", ""), row.tags.get(tag, "")
            bucket = _Bucket(int(polls), answered, due[start])
            found.setdefault(key, {})[start] = bucket
        return found

    def _limits(self, start_ms: int, every_ms: int) -> Span:
        return max(start_ms, self._span[0]), min(start_ms + every_ms, self._span[1])

    def _is_settled(self, start_ms: int, bucket: _Bucket) -> bool:
        """True if the count of a day says that it was always there."""
        due = self._periods.due(*self._limits(start_ms, DAY_MS))
        return (
            bucket.answered == bucket.polls
            and due <= bucket.polls <= due + _EXTRA
            and not self._is_rare
        )

    def _bucket(self, key: DeviceKey, hour: int) -> _Bucket | None:
        """What is known of an hour, from its day if that settles it."""
        return self._days[key].get(_day(hour)) or self._hours.get(key, {}).get(hour)

    def _suspected(self) -> set[int]:
        """Hours in which the monitor may have been cut off: with the hour beside it,
        nothing answered every poll. Hours for which that is recorded are, too."""
        well = {start for days in self._days.values() for start in days}
        counted: dict[int, set[DeviceKey]] = {}
        failed: dict[int, set[DeviceKey]] = {}
        for key, hours in self._hours.items():
            for hour, bucket in hours.items():
                counted.setdefault(hour, set()).add(key)
                if bucket.answered < bucket.polls:
                    failed.setdefault(hour, set()).add(key)
        found: set[int] = set()
        for first in sorted(failed.keys() | {hour - HOUR_MS for hour in failed}):
            both = [each for each in (first, first + HOUR_MS) if each in counted]
            here = {key for each in both for key in counted[each]}
            silent = {key for each in both for key in failed.get(each, ())}
            if here <= silent and not any(_day(each) in well for each in both):
                found.update(both)
        for begin, end in self._recorded:
            first = begin - begin % HOUR_MS - HOUR_MS
            hours_of_it = range(first, end + HOUR_MS, HOUR_MS)
            found.update(hour for hour in hours_of_it if hour in failed)
        return found

    # ---- single polls ------------------------------------------------------------

    def _needed(self, suspected: Collection[int]) -> dict[DeviceKey, set[int]]:
        """Hours of which the polls must be read one by one, by device."""
        needed: dict[DeviceKey, set[int]] = {}
        by_site: dict[str, list[DeviceKey]] = {}
        for key in self._days:
            by_site.setdefault(key[0], []).append(key)
        for key, hours in self._hours.items():
            for hour, bucket in hours.items():
                if hour in suspected and bucket.answered:
                    needed.setdefault(key, set()).add(hour)
                if not self._is_wanted(key) or not (bucket.is_mixed or self._is_rare):
                    continue
                beside = [(each, self._bucket(each, hour)) for each in by_site[key[0]]]
                is_up = any(there is not None and there.is_up for _, there in beside)
                if (
                    not is_up
                    or self._is_rare
                    or within([(hour, hour + HOUR_MS)], self._exact)
                ):
                    needed.setdefault(key, set()).add(hour)
                if is_up:
                    continue
                for each, there in beside:
                    if there is not None:
                        needed.setdefault(each, set()).add(hour)
        return needed

    async def _read_polls(self, needed: dict[DeviceKey, set[int]]) -> None:
        self._read = needed
        by_day: dict[int, dict[DeviceKey, set[int]]] = {}
        for key, hours in needed.items():
            for hour in hours:
                by_day.setdefault(_day(hour), {}).setdefault(key, set()).add(hour)
        tag = self._subjects.tag
        for wanted in by_day.values():
            hours = {hour for each in wanted.values() for hour in each}
            begin, end = min(hours), max(hours) + HOUR_MS
            near_ms = self._near_ms(begin, end)
            query = Query(
                self._subjects.measurement,
                (Pick("up", "last"),),
                max(begin, self._span[0]) - near_ms,
                min(end + near_ms, self._span[1]),
                (Where(tag, tuple(sorted({key[1] for key in wanted}))),),
                ("site", tag),
                _POLL_MS,
            )
            for row in await self._ask(query) or ():
                up = row.values.get("up_last")
                key = row.tags.get("site", ""), row.tags.get(tag, "")
                if row.time_ms is not None and up is not None and key in wanted:
                    poll = Poll(row.time_ms, key[1], bool(up))
                    self._polls.setdefault(key, []).append(poll)
        for key, polls in self._polls.items():
            self._polls[key] = sorted(set(polls))

    def _near_ms(self, begin_ms: int, end_ms: int) -> int:
        """How far around a span polls are looked at, as one stands for a while."""
        return 2 * self._periods.longest(begin_ms, end_ms)

    def _between(self, key: DeviceKey, begin_ms: int, end_ms: int) -> list[Poll]:
        polls = self._polls.get(key, [])
        first = bisect.bisect_left(polls, (begin_ms,))
        return polls[first : bisect.bisect_left(polls, (end_ms,))]

    def _cut_off(self, suspected: Collection[int]) -> list[Span]:
        found: list[Span] = []
        # The same name in two sites is two devices here.
        names = {key: "\0".join(key) for key in self._days}
        sites = {name: key[0] for key, name in names.items()}
        for begin, end in merged((hour, hour + HOUR_MS) for hour in suspected):
            near_ms = self._near_ms(begin, end)
            polls: list[Poll] = []
            for key, name in names.items():
                polls += (
                    each._replace(device=name)
                    for each in self._between(key, begin - near_ms, end + near_ms)
                )
                hours, read = self._hours.get(key, {}), self._read.get(key, set())
                for hour in range(begin, end, HOUR_MS):
                    if hour in hours and hour not in read:
                        # It never answered: as good as a poll at each end.
                        first, last = self._limits(hour, HOUR_MS)
                        polls += (Poll(at, name, False) for at in (first, last - 1))
            found += cut_off(polls, sites, self._periods.at, self._recorded)
        return found

    def _forget_failures(self, cut_off: Sequence[Span]) -> None:
        """A poll without an answer while the monitor was cut off says nothing, also
        not of the time after it."""
        for key, polls in self._polls.items():
            for begin, end in cut_off:
                first = bisect.bisect_left(polls, (begin,))
                last = bisect.bisect_left(polls, (end,))
                polls = [
                    *polls[:first],
                    *(poll for poll in polls[first:last] if poll.up),
                    *polls[last:],
                ]
            self._polls[key] = polls

    # ---- pieces ------------------------------------------------------------------

    def _is_wanted(self, key: DeviceKey) -> bool:
        return self._sites is None or key[0] in self._sites

    def _pieces(self, keys: Sequence[DeviceKey]) -> list[ObservedPiece]:
        """What was observed of one device, or of a site by all of its devices."""
        found: list[ObservedPiece] = []
        one_by_one: list[Span] = []
        for start, every_ms in self._starts(keys):
            span = self._limits(start, every_ms)
            there = [each for key in keys if (each := self._bucket(key, start))]
            if self._is_rare:
                one_by_one.append((span[0], span[1] + self._near_ms(*span)))
            elif any(each.is_up for each in there):
                found.append(ObservedPiece(*span, True))
            elif any(start in self._read.get(key, ()) for key in keys):
                one_by_one.append(span)
            elif len(keys) == 1:
                found += there[0].pieces(span)
            else:
                up = any(each.answered for each in there)
                shares = [each.share for each in there if bool(each.answered) == up]
                found.append(ObservedPiece(*span, up, max(shares)))
        pieces = device_pieces if len(keys) == 1 else site_pieces
        for begin, end in merged(one_by_one):
            near_ms = self._near_ms(begin, end)
            polls = [
                poll
                for key in keys
                for poll in self._between(key, begin - near_ms, end + near_ms)
            ]
            found += clipped(pieces(polls, self._periods.at), begin, end)
        return joined(sorted(found))

    def _starts(self, keys: Sequence[DeviceKey]) -> list[tuple[int, int]]:
        """(start, length) of the days and hours of which something is known: hours in
        days of which any of the devices needs them."""
        hours = {hour for key in keys for hour in self._hours.get(key, ())}
        days = {day for key in keys for day in self._days[key]}
        split = {_day(hour) for hour in hours}
        hours.update(
            hour
            for day in days & split
            for hour in range(day, day + DAY_MS, HOUR_MS)
            if self._span[0] - HOUR_MS < hour < self._span[1]
        )
        found = [(day, DAY_MS) for day in days - split]
        return sorted([*found, *((hour, HOUR_MS) for hour in hours)])


def _day(time_ms: int) -> int:
    return time_ms - time_ms % DAY_MS
