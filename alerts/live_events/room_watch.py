"""`RoomWatch`: follows calendars of events, and records the state of every room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Self
from zoneinfo import ZoneInfo

from alerts.alert_config import AlertConfig
from alerts.calendars.followed_feeds import FollowedFeeds
from alerts.live_events.event_feeds import event_feeds, schedule_of
from alerts.live_events.event_schedule import (
    EventSchedule,
    RoomEvent,
    event_at,
    is_due,
)
from alerts.live_events.room_limits import room_limits
from alerts.live_events.room_state import RoomReadings, room_row
from alerts.live_events.stream_watch import StreamWatch
from alerts.rule import Rule
from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch, batch_samples
from collectors.estate.estate_model import Estate
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.wake_times import sleep_with_others
from probes.wire.clock import WallClock
from probes.wire.sample import Sample

# A row of a poll counts as current for two and a half periods, and a minute at least.
_PERIODS, _SHORTEST_PERIOD_S = 2.5, 60.0
# From when the stream of an event is looked at: encoders are tried an hour before.
_STREAM_LEAD_MS = 3_600_000
# Twice a period, so that what a poll finds is known soon.
_EVERY_S = 30.0


class RoomWatch:
    """`async with RoomWatch(…)`: appends rows of `room` until it is left.

    `poll_s`: the period of polls. `rules` say from where on a room is damaged. `add`
    takes every batch that is read.
    """

    def __init__(
        self,
        config: AlertConfig,
        estate: Callable[[], Estate],
        append: Append,
        now_ms: WallClock,
        poll_s: float,
        rules: Iterable[Rule],
        period_s: float = _EVERY_S,
    ) -> None:
        self._calendars, self._zone = config.events, ZoneInfo(config.timezone)
        self._estate, self._append, self._now_ms = estate, append, now_ms
        self._period_s, self._limits = period_s, room_limits(rules)
        reach_s = _PERIODS * max(poll_s, _SHORTEST_PERIOD_S)
        self._readings = RoomReadings(round(reach_s * 1000))
        self._followed = FollowedFeeds(event_feeds(config), "events", now_ms)
        self._schedule = EventSchedule()
        self._scheduled_of: tuple[object, ...] = ()
        self._streams = StreamWatch(now_ms)
        self._failures = FailureLog("rooms_not_recorded", "rooms_recorded_again")
        self._stream_failures = FailureLog("streams_not_looked_at")
        self._tasks = BackgroundTasks()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._followed)
            self._tasks.start(self._run(), "rooms")
            stack.push_async_callback(self._tasks.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def add(self, batch: Batch) -> None:
        """Keeps what the batch has about rooms."""
        self._readings.follow(self._estate())
        self._readings.add(batch)

    def rows(self, now_ms: int) -> list[Sample]:
        """A row for each room of the estate."""
        estate = self._estate()
        self._readings.follow(estate)
        events = self._next_events(estate, now_ms)
        return [
            room_row(
                room,
                self._readings,
                self._limits,
                estate,
                events[room.id],
                self._zone,
                now_ms,
                self._streams.now(room.id),
            )
            for room in estate.rooms
        ]

    def _next_events(self, estate: Estate, now_ms: int) -> dict[str, RoomEvent | None]:
        """Room → the event that is there or is next."""
        states = {n: feed.state for n, feed in self._followed.feeds.items()}
        counted = (estate, *(state.counted_ms for state in states.values()))
        if counted != self._scheduled_of:
            self._schedule = schedule_of(self._calendars, states, estate, self._zone)
            self._scheduled_of = counted
        events = self._schedule.events
        return {
            room.id: event_at(events.get(room.id, ()), now_ms) for room in estate.rooms
        }

    async def look_at_streams(self) -> None:
        """Fetches the manifest of each room's stream whose event is near."""
        estate, now_ms = self._estate(), self._now_ms()
        events = self._next_events(estate, now_ms)
        await self._streams.look(
            room
            for room in estate.rooms
            if is_due(events[room.id], now_ms, _STREAM_LEAD_MS)
        )

    async def _run(self) -> None:
        while True:
            await sleep_with_others(self._period_s)
            try:
                now_ms = self._now_ms()
                if rows := self.rows(now_ms):
                    await self._append.append(*batch_samples(rows, "rooms", now_ms))
            except Exception as error:  # noqa: BLE001 - the next round may work
                self._failures.failed(error)
            else:
                self._failures.recovered()
            # After the rows, as it may take long: they have what the last look found.
            try:
                await self.look_at_streams()
            except Exception as error:  # noqa: BLE001 - the next look may work
                self._stream_failures.failed(error)
            else:
                self._stream_failures.recovered()
