"""Finds out what was observed in a span of time, with few queries.

Whole days are counted first; then the hours of days in which a poll is missing or
failed; then single polls of hours in which some polls were answered and some were not.
So a month of a healthy network is a few thousand counts, from roll-ups if there are
any, and every outage is measured from the polls themselves.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from collectors.store.query import Pick, Query, Where
from dashboards.observed.poll_counts import (
    DAY_MS,
    HOUR_MS,
    DeviceKey,
    PollCount,
    RunQuery,
    Subjects,
    day_start,
)
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

# Single polls are queried in buckets of this length.
_POLL_MS = 1_000
# This many polls more than were due may be extra ones, such as after a trap.
_EXTRA = 2
# If polls are rarer than this, all are read one by one: there are few.
_RARE_MS = HOUR_MS // 2


@dataclass
class Observations:
    """What was observed in `[from_ms, to_ms)`: of each device, of each site by its
    devices, and when the monitor was cut off. Those times are in none of the pieces."""

    from_ms: int
    to_ms: int
    devices: dict[str, list[ObservedPiece]] = field(default_factory=dict)
    sites: dict[str, list[ObservedPiece]] = field(default_factory=dict)
    cut_off: list[Span] = field(default_factory=list)


async def observe(
    run_query: RunQuery,
    span: Span,
    periods: Periods,
    recorded: Sequence[Span] = (),
    sites: Collection[str] | None = None,
    subjects: Subjects | None = None,
    is_estate: bool = True,
    exact: Sequence[Span] = (),
) -> Observations:
    """Returns what was observed in `span`.

    `recorded`: when the monitor was blind or cut off, by its alerts. `sites`: return
    only these; the others still count for whether the monitor was cut off. If
    `is_estate` is False, the subjects do not count for that. An hour in which a device
    answered only now and then is given as shares of the hour, except in `exact`.

    If `run_query` returns None (the store did not answer), that counts as no rows.
    """
    observer = _Observer(
        run_query,
        span,
        periods,
        merged(recorded),
        sites,
        subjects or Subjects(),
        is_estate,
        merged(exact),
    )
    return await observer.observe()


class _Observer:
    """One call of `observe`."""

    def __init__(
        self,
        run_query: RunQuery,
        span: Span,
        periods: Periods,
        recorded: Sequence[Span],
        sites: Collection[str] | None,
        subjects: Subjects,
        is_estate: bool,
        exact: Sequence[Span],
    ) -> None:
        self._run_query, self._span, self._periods = run_query, span, periods
        self._recorded, self._sites, self._subjects = recorded, sites, subjects
        self._is_estate, self._exact = is_estate, exact
        # Days in which a device always answered, and the hours of its other days.
        self._days: dict[DeviceKey, dict[int, PollCount]] = {}
        self._hours: dict[DeviceKey, dict[int, PollCount]] = {}
        self._polls: dict[DeviceKey, list[Poll]] = {}
        # Hours whose single polls are known, by device.
        self._read: dict[DeviceKey, set[int]] = {}
        # If a poll stands for more than half an hour, hours cannot be counted.
        self._is_rare = periods.longest(*span) > _RARE_MS

    async def observe(self) -> Observations:
        from_ms, to_ms = self._span
        observations = Observations(from_ms, to_ms)
        if to_ms <= from_ms:
            return observations
        await self._count_days_and_hours()
        suspected = self._suspected_hours() if self._is_estate else set()
        await self._read_polls(self._hours_to_read(suspected))
        # For an estate, the recorded times are compared with its polls: an alert left
        # open because the engine stopped removes no answered poll.
        removed = self._cut_off(suspected) if self._is_estate else self._recorded
        observations.cut_off = merged(
            (max(begin, from_ms), min(end, to_ms)) for begin, end in removed
        )
        self._drop_failures(observations.cut_off)
        by_site: dict[str, list[DeviceKey]] = {}
        by_device: dict[str, list[DeviceKey]] = {}
        for key in self._days:
            if self._is_wanted(key):
                by_site.setdefault(key[0], []).append(key)
                by_device.setdefault(key[1], []).append(key)
        for device, keys in by_device.items():
            # There are several if the device moved from one site to another.
            pieces = sorted(piece for key in keys for piece in self._pieces([key]))
            observations.devices[device] = clipped(
                pieces, from_ms, to_ms, observations.cut_off
            )
        for site, keys in by_site.items():
            pieces = self._pieces(keys)
            observations.sites[site] = clipped(
                pieces, from_ms, to_ms, observations.cut_off
            )
        return observations

    async def _count_days_and_hours(self) -> None:
        """Fills `_days`, and `_hours` for days that need a closer look."""
        unsettled: dict[int, set[str]] = {}
        for key, days in (await self._query_counts(self._span, DAY_MS, None)).items():
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
            counted = await self._query_counts(span, HOUR_MS, devices)
            for key, hours in counted.items():
                own, whole = self._hours.setdefault(key, {}), self._days[key]
                for hour, bucket in hours.items():
                    # Counted only because the device was at another site that day.
                    if day_start(hour) not in whole:
                        own[hour] = bucket

    async def _query_counts(
        self, span: Span, every_ms: int, devices: Collection[str] | None
    ) -> dict[DeviceKey, dict[int, PollCount]]:
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
        counts: dict[DeviceKey, dict[int, PollCount]] = {}
        due: dict[int, int] = {}
        for row in await self._run_query(query) or ():
            polls = row.values.get("up_count")
            if row.time_ms is None or not polls:
                continue
            start = row.time_ms
            if start not in due:
                due[start] = self._periods.due(*self._limited(start, every_ms))
            answered = int(row.values.get("up_sum") or 0)
            key = row.tags.get("site", ""), row.tags.get(tag, "")
            bucket = PollCount(int(polls), answered, due[start])
            counts.setdefault(key, {})[start] = bucket
        return counts

    def _limited(self, start_ms: int, every_ms: int) -> Span:
        return max(start_ms, self._span[0]), min(start_ms + every_ms, self._span[1])

    def _is_settled(self, start_ms: int, bucket: PollCount) -> bool:
        """Returns True if the count of a day shows that the device always answered."""
        due = self._periods.due(*self._limited(start_ms, DAY_MS))
        return (
            bucket.answered == bucket.polls
            and due <= bucket.polls <= due + _EXTRA
            and not self._is_rare
        )

    def _bucket(self, key: DeviceKey, hour: int) -> PollCount | None:
        """Returns the count of an hour, or of its day if that is settled."""
        return self._days[key].get(day_start(hour)) or self._hours.get(key, {}).get(
            hour
        )

    def _suspected_hours(self) -> set[int]:
        """Returns the hours in which the monitor may have been cut off: no device
        answered every poll in that hour and one next to it. Recorded hours are
        included."""
        well = {start for days in self._days.values() for start in days}
        counted: dict[int, set[DeviceKey]] = {}
        failed: dict[int, set[DeviceKey]] = {}
        for key, hours in self._hours.items():
            for hour, bucket in hours.items():
                counted.setdefault(hour, set()).add(key)
                if bucket.answered < bucket.polls:
                    failed.setdefault(hour, set()).add(key)
        suspected: set[int] = set()
        for first in sorted(failed.keys() | {hour - HOUR_MS for hour in failed}):
            both = [hour for hour in (first, first + HOUR_MS) if hour in counted]
            here = {key for hour in both for key in counted[hour]}
            silent = {key for hour in both for key in failed.get(hour, ())}
            if here <= silent and not any(day_start(hour) in well for hour in both):
                suspected.update(both)
        for begin, end in self._recorded:
            first = begin - begin % HOUR_MS - HOUR_MS
            hours_of_it = range(first, end + HOUR_MS, HOUR_MS)
            suspected.update(hour for hour in hours_of_it if hour in failed)
        return suspected

    def _hours_to_read(self, suspected: Collection[int]) -> dict[DeviceKey, set[int]]:
        """Returns the hours whose polls must be read one by one, by device."""
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
                others = [
                    (other, self._bucket(other, hour)) for other in by_site[key[0]]
                ]
                is_up = any(count is not None and count.is_up for _, count in others)
                if (
                    not is_up
                    or self._is_rare
                    or within([(hour, hour + HOUR_MS)], self._exact)
                ):
                    needed.setdefault(key, set()).add(hour)
                if is_up:
                    continue
                for other, count in others:
                    if count is not None:
                        needed.setdefault(other, set()).add(hour)
        return needed

    async def _read_polls(self, needed: dict[DeviceKey, set[int]]) -> None:
        self._read = needed
        by_day: dict[int, dict[DeviceKey, set[int]]] = {}
        for key, hours in needed.items():
            for hour in hours:
                by_day.setdefault(day_start(hour), {}).setdefault(key, set()).add(hour)
        tag = self._subjects.tag
        for wanted in by_day.values():
            hours = {hour for device_hours in wanted.values() for hour in device_hours}
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
            for row in await self._run_query(query) or ():
                up = row.values.get("up_last")
                key = row.tags.get("site", ""), row.tags.get(tag, "")
                if row.time_ms is not None and up is not None and key in wanted:
                    poll = Poll(row.time_ms, key[1], bool(up))
                    self._polls.setdefault(key, []).append(poll)
        for key, polls in self._polls.items():
            self._polls[key] = sorted(set(polls))

    def _near_ms(self, begin_ms: int, end_ms: int) -> int:
        """How far around a span polls are read, because each stands for some time."""
        return 2 * self._periods.longest(begin_ms, end_ms)

    def _polls_between(self, key: DeviceKey, begin_ms: int, end_ms: int) -> list[Poll]:
        polls = self._polls.get(key, [])
        first = bisect.bisect_left(polls, (begin_ms,))
        return polls[first : bisect.bisect_left(polls, (end_ms,))]

    def _cut_off(self, suspected: Collection[int]) -> list[Span]:
        spans: list[Span] = []
        # One name at two sites counts as two devices here.
        names = {key: "\0".join(key) for key in self._days}
        sites = {name: key[0] for key, name in names.items()}
        for begin, end in merged((hour, hour + HOUR_MS) for hour in suspected):
            near_ms = self._near_ms(begin, end)
            polls: list[Poll] = []
            for key, name in names.items():
                polls += (
                    poll._replace(device=name)
                    for poll in self._polls_between(key, begin - near_ms, end + near_ms)
                )
                hours, read = self._hours.get(key, {}), self._read.get(key, set())
                for hour in range(begin, end, HOUR_MS):
                    if hour in hours and hour not in read:
                        # It never answered, which equals a failed poll at each end.
                        first, last = self._limited(hour, HOUR_MS)
                        polls += (Poll(at, name, False) for at in (first, last - 1))
            spans += cut_off(polls, sites, self._periods.at, self._recorded)
        return spans

    def _drop_failures(self, cut_off: Sequence[Span]) -> None:
        """Drops failed polls while the monitor was cut off: they mean nothing, not even
        for the time after them."""
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

    def _is_wanted(self, key: DeviceKey) -> bool:
        return self._sites is None or key[0] in self._sites

    def _pieces(self, keys: Sequence[DeviceKey]) -> list[ObservedPiece]:
        """Returns what was observed of one device, or of a site by all its devices."""
        observed: list[ObservedPiece] = []
        one_by_one: list[Span] = []
        for start, every_ms in self._starts(keys):
            span = self._limited(start, every_ms)
            counts = [count for key in keys if (count := self._bucket(key, start))]
            if self._is_rare:
                one_by_one.append((span[0], span[1] + self._near_ms(*span)))
            elif any(count.is_up for count in counts):
                observed.append(ObservedPiece(*span, True))
            elif any(start in self._read.get(key, ()) for key in keys):
                one_by_one.append(span)
            elif len(keys) == 1:
                observed += counts[0].pieces(span)
            else:
                up = any(count.answered for count in counts)
                shares = [count.share for count in counts if bool(count.answered) == up]
                observed.append(ObservedPiece(*span, up, max(shares)))
        pieces = device_pieces if len(keys) == 1 else site_pieces
        for begin, end in merged(one_by_one):
            near_ms = self._near_ms(begin, end)
            polls = [
                poll
                for key in keys
                for poll in self._polls_between(key, begin - near_ms, end + near_ms)
            ]
            observed += clipped(pieces(polls, self._periods.at), begin, end)
        return joined(sorted(observed))

    def _starts(self, keys: Sequence[DeviceKey]) -> list[tuple[int, int]]:
        """Returns (start, length) of the days and hours with counts: hours for days in
        which any of the devices needs them."""
        hours = {hour for key in keys for hour in self._hours.get(key, ())}
        days = {day for key in keys for day in self._days[key]}
        split = {day_start(hour) for hour in hours}
        hours.update(
            hour
            for day in days & split
            for hour in range(day, day + DAY_MS, HOUR_MS)
            if self._span[0] - HOUR_MS < hour < self._span[1]
        )
        starts = [(day, DAY_MS) for day in days - split]
        return sorted([*starts, *((hour, HOUR_MS) for hour in hours)])
