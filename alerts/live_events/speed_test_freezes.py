"""No speed tests at a site while a live event is there: they would fill its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from alerts.alert_config import AlertConfig
from alerts.calendars.calendar_feed import state_file
from alerts.live_events.event_feeds import event_feed_name, saved_states, schedule_of
from alerts.live_events.event_schedule import EventSchedule, RoomEvent
from collectors.estate.estate_model import Estate
from probes.wire.policy import MAX_FREEZES, SpeedTestFreeze

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
# From so long before an event. A test takes half a minute; laptops hear of a new event
# with their next report, so this is not for them.
FREEZE_LEAD_MS = 15 * _MINUTE_MS
# How many days laptops know ahead: one that fetches no policy for hours obeys, too.
_DAYS_AHEAD = 2


def frozen_span(start_ms: int, end_ms: int) -> tuple[int, int]:
    """From when until when no speed tests are run for an event at that time."""
    return start_ms - FREEZE_LEAD_MS, end_ms


def speed_test_freezes(
    schedule: EventSchedule, estate: Estate, now_ms: int
) -> tuple[SpeedTestFreeze, ...]:
    """Returns the freezes of the events of today and tomorrow (UTC), soonest first.
    Pure. They change when events do, and once a day: each change is a request of every
    laptop. Times of a site that touch are one."""
    today_ms = now_ms // _DAY_MS * _DAY_MS
    sites = {room.id: room.site for room in estate.rooms}
    spans: dict[str, list[tuple[int, int]]] = {}
    for event in _events(schedule):
        from_ms, until_ms = frozen_span(event.start_ms, event.end_ms)
        is_near = from_ms < today_ms + _DAYS_AHEAD * _DAY_MS and until_ms > today_ms
        if is_near and event.room in sites:
            spans.setdefault(sites[event.room], []).append((from_ms, until_ms))
    freezes = [
        SpeedTestFreeze(site, max(from_ms, 0), until_ms, _reflectors(estate, site))
        for site, own in spans.items()
        for from_ms, until_ms in _joined(own)
    ]
    freezes.sort(key=lambda freeze: (freeze.from_ms, freeze.site))
    return tuple(freezes[:MAX_FREEZES])


def _events(schedule: EventSchedule) -> Iterator[RoomEvent]:
    for events in schedule.events.values():
        yield from events


def _reflectors(estate: Estate, site: str) -> tuple[str, ...]:
    """The reflectors whose tests go through the line of `site`."""
    own = (reflector.id for reflector in estate.reflectors if reflector.site == site)
    return tuple(own)[:16]


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for from_ms, until_ms in sorted(spans):
        if joined and from_ms <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], until_ms)
        else:
            joined.append((from_ms, until_ms))
    return joined


class EventFreezes:
    """`freezes(now_ms)` returns them by the calendars that the alert engine has kept on
    this machine; none if there are none. They are calculated again if the file of a
    calendar or the estate has changed, and each day: each report of a laptop asks."""

    def __init__(self, config: AlertConfig, estate: Callable[[], Estate]) -> None:
        self._config, self._estate = config, estate
        self._files: list[Path] = [
            state_file(config.calendar_folder, event_feed_name(name))
            for name in config.events
        ]
        self._of: tuple[object, ...] = ()
        self._freezes: tuple[SpeedTestFreeze, ...] = ()

    def __call__(self, now_ms: int) -> tuple[SpeedTestFreeze, ...]:
        if not self._files:
            return ()
        estate, times = self._estate(), tuple(map(_changed_ns, self._files))
        of = (estate, now_ms // _DAY_MS, *times)
        if self._of != of:
            states = saved_states(self._config)
            schedule = schedule_of(
                self._config.events, states, estate, ZoneInfo(self._config.timezone)
            )
            self._freezes = speed_test_freezes(schedule, estate, now_ms)
            self._of = of
        return self._freezes


def _changed_ns(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
