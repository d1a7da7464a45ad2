"""Queries the polls of a span, some at a time: a year of a council has 200,000 counts
of days, and all of them at once would be much memory."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Sequence,
)
from typing import NamedTuple

from collectors.store.query import Pick, Query, Row, SelectedSpan
from dashboards.observed.poll_counts import DAY_MS, HOUR_MS, DeviceKey, Subjects
from dashboards.observed.poll_history import Poll
from dashboards.observed.time_spans import Span, in_pieces
from dashboards.step_progress import Progress, told_parts, untold

RunQuery = Callable[[Query], Awaitable[Sequence[Row] | None]]
# Some hundred devices have tens of thousands of days in them.
_DAYS_AT_ONCE = 100
# The hours of so many days of single devices.
_DEVICE_DAYS_AT_ONCE = 1_000
# Single polls are queried in buckets of this length.
_POLL_MS = 1_000


class CountedPolls(NamedTuple):
    """How many polls of a device there were from `start_ms` on, for an hour or a day,
    and how many were answered."""

    key: DeviceKey
    start_ms: int
    polls: int
    answered: int


class DevicesOfDays(NamedTuple):
    """Some devices, and a span of whole days."""

    span: Span
    devices: frozenset[str]

    @property
    def size(self) -> int:
        return (self.span[1] - self.span[0]) // DAY_MS * len(self.devices)


class PollQueries:
    """If `run_query` returns None (the store did not answer), there are no polls."""

    def __init__(
        self,
        run_query: RunQuery,
        subjects: Subjects,
        span: Span,
        progress: Progress = untold,
    ) -> None:
        self._run_query, self._subjects, self._span = run_query, subjects, span
        self._progress = progress

    async def days(self) -> AsyncIterator[CountedPolls]:
        """Yields the days of all devices."""
        pieces = in_pieces(self._span, _DAYS_AT_ONCE)
        for piece in told_parts(self._progress, "counting days", pieces):
            for counted in await self._counts(piece, DAY_MS):
                yield counted

    async def hours(
        self, wanted: Sequence[DevicesOfDays]
    ) -> AsyncIterator[CountedPolls]:
        """Yields the hours of these devices and days, which are in order."""
        begin, last = self._span
        parts = _some_at_once(wanted)
        for some in told_parts(self._progress, "counting hours", parts):
            selections = tuple(
                SelectedSpan(
                    max(span[0], begin),
                    min(span[1], last),
                    self._subjects.tag,
                    tuple(sorted(devices)),
                )
                for span, devices in some
            )
            span = selections[0].from_ms, selections[-1].to_ms
            for counted in await self._counts(span, HOUR_MS, selections):
                yield counted

    async def polls(
        self, spans: Sequence[Span], wanted: Collection[DeviceKey]
    ) -> dict[DeviceKey, list[Poll]]:
        """Returns the polls of these devices one by one, in the order of time. `spans`
        are in order; all ends but the first and the last are whole seconds."""
        if not spans or not wanted:
            return {}
        tag = self._subjects.tag
        devices = tuple(sorted({key[1] for key in wanted}))
        query = Query(
            self._subjects.measurement,
            (Pick("up", "last"),),
            spans[0][0],
            spans[-1][1],
            (),
            ("site", tag),
            _POLL_MS,
            selections=tuple(SelectedSpan(*span, tag, devices) for span in spans),
        )
        polls: dict[DeviceKey, list[Poll]] = {}
        for row in await self._run_query(query) or ():
            up = row.values.get("up_last")
            if row.time_ms is not None and up is not None:
                key = row.tags.get("site", ""), row.tags.get(tag, "")
                poll = Poll(row.time_ms, key[1], bool(up))
                if key in wanted:
                    polls.setdefault(key, []).append(poll)
        return polls

    async def _counts(
        self, span: Span, every_ms: int, selections: tuple[SelectedSpan, ...] = ()
    ) -> Iterator[CountedPolls]:
        tag = self._subjects.tag
        query = Query(
            self._subjects.measurement,
            (Pick("up", "count"), Pick("up", "sum")),
            *span,
            (),
            ("site", tag),
            every_ms,
            selections=selections,
        )
        rows = await self._run_query(query) or ()
        return (
            CountedPolls(
                (row.tags.get("site", ""), row.tags.get(tag, "")),
                row.time_ms,
                int(polls),
                int(row.values.get("up_sum") or 0),
            )
            for row in rows
            if row.time_ms is not None and (polls := row.values.get("up_count"))
        )


def _some_at_once(wanted: Sequence[DevicesOfDays]) -> list[list[DevicesOfDays]]:
    parts: list[list[DevicesOfDays]] = []
    size = 0
    for one in wanted:
        if not parts or size + one.size > _DEVICE_DAYS_AT_ONCE:
            parts.append([])
            size = 0
        parts[-1].append(one)
        size += one.size
    return parts
