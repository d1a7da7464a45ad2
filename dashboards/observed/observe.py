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

from dashboards.observed.poll_counts import (
    ALWAYS,
    DAY_MS,
    HOUR_MS,
    DeviceKey,
    PollCount,
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
from dashboards.observed.poll_queries import (
    CountedPolls,
    DevicesOfDays,
    PollQueries,
    RunQuery,
)
from dashboards.observed.polling_periods import Periods
from dashboards.observed.suspected_hours import doubtful_spans, suspected_hours
from dashboards.observed.time_spans import Span, merged, within
from dashboards.step_progress import Progress, told_parts, untold

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
    progress: Progress = untold,
) -> Observations:
    """Returns what was observed in `span`.

    `recorded`: when the monitor was blind or cut off, by its alerts. `sites`: return
    only these; the others still count for whether the monitor was cut off. If
    `is_estate` is False, the subjects do not count for that. An hour in which a device
    answered only now and then is given as shares of the hour, except in `exact`.

    If `run_query` returns None (the store did not answer), that counts as no rows.
    """
    observer = _Observer(
        PollQueries(run_query, subjects or Subjects(), span, progress),
        span,
        periods,
        merged(recorded),
        sites,
        is_estate,
        merged(exact),
        progress,
    )
    return await observer.observe()


class _Observer:
    """One call of `observe`."""

    def __init__(
        self,
        queries: PollQueries,
        span: Span,
        periods: Periods,
        recorded: Sequence[Span],
        sites: Collection[str] | None,
        is_estate: bool,
        exact: Sequence[Span],
        progress: Progress,
    ) -> None:
        self._queries, self._span, self._periods = queries, span, periods
        self._recorded, self._sites = recorded, sites
        self._is_estate, self._exact = is_estate, exact
        self._progress = progress
        # Buckets and counts are alike, so each is kept once.
        self._due: dict[Span, tuple[int, int]] = {}
        self._counts: dict[tuple[int, int, int], PollCount] = {}
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
        suspected: set[int] = set()
        if self._is_estate:
            suspected = suspected_hours(self._days, self._hours, self._recorded)
        # For an estate, the recorded times are compared with its polls: an alert left
        # open because the engine stopped removes no answered poll.
        removed = await self._cut_off(suspected) if self._is_estate else self._recorded
        observations.cut_off = merged(
            (max(begin, from_ms), min(end, to_ms)) for begin, end in removed
        )
        await self._read_polls(self._hours_to_read(suspected))
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
        async for counted in self._queries.days():
            settled = self._days.setdefault(counted.key, {})
            start, bucket = self._bucket_of(counted, DAY_MS)
            if self._is_settled(start, bucket):
                settled[start] = ALWAYS
            else:
                unsettled.setdefault(start, set()).add(counted.key[1])
        runs: list[DevicesOfDays] = []
        for start, names in sorted(unsettled.items()):
            span, devices = (start, start + DAY_MS), frozenset(names)
            if runs and runs[-1].span[1] == start and runs[-1].devices == devices:
                span = (runs.pop().span[0], span[1])
            runs.append(DevicesOfDays(span, devices))
        async for counted in self._queries.hours(runs):
            own = self._hours.setdefault(counted.key, {})
            # Counted only because the device was at another site that day.
            if day_start(counted.start_ms) not in self._days[counted.key]:
                start, bucket = self._bucket_of(counted, HOUR_MS)
                own[start] = bucket

    def _bucket_of(self, counted: CountedPolls, every_ms: int) -> tuple[int, PollCount]:
        """Returns the start of an hour or day, and its count."""
        _, start, polls, answered = counted
        found = self._due.get((start, every_ms))
        if found is None:
            found = start, self._periods.due(*self._limited(start, every_ms))
            self._due[start, every_ms] = found
        start, due = found
        bucket = self._counts.get((polls, answered, due))
        if bucket is None:
            bucket = PollCount(polls, answered, due)
            self._counts[polls, answered, due] = bucket
        return start, bucket

    def _limited(self, start_ms: int, every_ms: int) -> Span:
        return max(start_ms, self._span[0]), min(start_ms + every_ms, self._span[1])

    def _is_settled(self, start_ms: int, bucket: PollCount) -> bool:
        """Returns True if the count of a day shows that the device always answered."""
        _, due = self._due[start_ms, DAY_MS]
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

    def _hours_to_read(self, suspected: Collection[int]) -> dict[DeviceKey, set[int]]:
        """Returns the hours whose polls must be read one by one, by device."""
        needed: dict[DeviceKey, set[int]] = {}
        by_site: dict[str, list[DeviceKey]] = {}
        for key in self._days:
            by_site.setdefault(key[0], []).append(key)
        for key, hours in self._hours.items():
            for hour, bucket in hours.items():
                if not self._is_wanted(key):
                    continue
                if hour in suspected and bucket.answered and not bucket.is_up:
                    needed.setdefault(key, set()).add(hour)
                if not (bucket.is_mixed or self._is_rare):
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
        days = list(by_day.values())
        for wanted in told_parts(self._progress, "reading outages", days):
            hours = {hour for device_hours in wanted.values() for hour in device_hours}
            span = min(hours), max(hours) + HOUR_MS
            around = self._around(span, self._near_ms(*span))
            found = await self._queries.polls([around], wanted)
            for key, polls in found.items():
                self._polls.setdefault(key, []).extend(polls)
        for key, polls in self._polls.items():
            self._polls[key] = sorted(set(polls))

    def _around(self, span: Span, near_ms: int) -> Span:
        """Returns a span and so much on each side, which may be before the range."""
        begin, last = self._span
        return max(span[0], begin) - near_ms, min(span[1] + near_ms, last)

    def _near_ms(self, begin_ms: int, end_ms: int) -> int:
        """How far around a span polls are read, because each stands for some time."""
        return 2 * self._periods.longest(begin_ms, end_ms)

    def _polls_between(self, key: DeviceKey, begin_ms: int, end_ms: int) -> list[Poll]:
        polls = self._polls.get(key, [])
        first = bisect.bisect_left(polls, (begin_ms,))
        return polls[first : bisect.bisect_left(polls, (end_ms,))]

    async def _cut_off(self, suspected: Collection[int]) -> list[Span]:
        """Returns when the monitor was cut off. For that the polls of all devices are
        read, of hours in which some answered, and not kept."""
        spans: list[Span] = []
        # One name at two sites counts as two devices here.
        names = {key: "\0".join(key) for key in self._days}
        sites = {name: key[0] for key, name in names.items()}
        doubtful = doubtful_spans(self._hours, suspected, self._recorded)
        for span in told_parts(self._progress, "reading times cut off", doubtful):
            # Of the hours before and after, in which one always answered, its last
            # answer and two rounds before it.
            around = self._around(span, 2 * self._near_ms(*span))
            answered = [around[:1] + span[:1], span[1:] + around[1:]]
            silent: list[tuple[DeviceKey, int]] = []
            wanted: set[DeviceKey] = set()
            for key, hours in self._hours.items():
                for hour in range(span[0] - HOUR_MS, span[1] + HOUR_MS, HOUR_MS):
                    bucket = hours.get(hour) if hour in suspected else None
                    if bucket is not None and bucket.answered:
                        wanted.add(key)
                        answered.append((hour, hour + HOUR_MS))
                    elif bucket is not None:
                        silent.append((key, hour))
            read = within(merged(answered), [around])
            found = await self._queries.polls(read, wanted)
            polls = [
                poll._replace(device=names[key])
                for key, own in found.items()
                for poll in own
            ]
            for key, hour in silent:
                # It never answered, which equals a failed poll at each end.
                first, last = self._limited(hour, HOUR_MS)
                polls += (
                    Poll(at, names[key], False)
                    for at in (first, last - 1)
                    if around[0] <= at < around[1]
                )
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
        well = {day for key in keys for day in self._days[key]}
        for day in well:
            observed.append(ObservedPiece(*self._limited(day, DAY_MS), True))
        own = [hours for key in keys if (hours := self._hours.get(key))]
        for hour in {hour for hours in own for hour in hours}:
            # If one device always answered that day, the others tell nothing more.
            if len(keys) > 1 and day_start(hour) in well:
                continue
            span = self._limited(hour, HOUR_MS)
            counts = [count for hours in own if (count := hours.get(hour))]
            if self._is_rare:
                one_by_one.append((span[0], span[1] + self._near_ms(*span)))
            elif any(count.is_up for count in counts):
                observed.append(ObservedPiece(*span, True))
            elif any(hour in self._read.get(key, ()) for key in keys):
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
