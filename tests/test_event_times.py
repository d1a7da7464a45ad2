"""When an event is in a room: local times, whole days, and which of several counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from test_live_events import CALENDAR, ESTATE, HOUR_MS, ICS, LONDON

from alerts.calendars.calendar_events import read_events
from alerts.event_calendar import without_people
from alerts.live_events.event_schedule import (
    RoomEvent,
    event_at,
    event_text,
    schedule_events,
)


@pytest.mark.parametrize(
    "times",
    [
        "DTSTART;VALUE=DATE:20261025\r\nDTEND;VALUE=DATE:20261026",
        # Exchange; that day has 25 hours.
        "DTSTART:20261024T230000Z\r\nDTEND:20261026T000000Z",
    ],
    ids=["date", "midnight"],
)
def test_an_event_of_whole_days_is_listed_and_pages_nobody_at_night(times: str) -> None:
    text = ICS.replace(
        b"DTSTART;TZID=Europe/London:20260504T140000\r\n"
        b"DTEND;TZID=Europe/London:20260504T160000",
        times.encode(),
    )
    from_ms = round(datetime(2026, 10, 20, tzinfo=UTC).timestamp() * 1000)
    to_ms = from_ms + 20 * 24 * HOUR_MS
    reading = read_events(
        without_people(text, CALENDAR), from_ms, to_ms, "Europe/London"
    )
    schedule = schedule_events([(CALENDAR, reading.events)], ESTATE, LONDON)
    sentence = "'Planning committee' lasts whole days: expected its times"
    assert schedule == ({}, (sentence,))


def test_the_event_that_is_there_comes_before_the_next() -> None:
    long = RoomEvent("r", 0, 100, "long")
    late = RoomEvent("r", 50, 80, "late")
    coming = RoomEvent("r", 100, 200, "coming")
    at = [event_at((long, late, coming), ms) for ms in (0, 60, 99, 100, 200)]
    assert at == [long, late, long, coming, None]
    assert event_at((coming,), 5) == coming


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        # Clocks go back at 02:00 summer time: both times are local.
        ((2026, 10, 24, 23), (2026, 10, 25, 3), "M, 00:00 to 03:00"),
        ((2026, 5, 4, 21), (2026, 5, 5, 0), "M, 22:00 to Tue 5 May, 01:00"),
    ],
)
def test_times_of_events_are_local(
    start: tuple[int, ...], end: tuple[int, ...], text: str
) -> None:
    ms = [round(datetime(*t, tzinfo=UTC).timestamp() * 1000) for t in (start, end)]  # type: ignore[misc,arg-type]
    assert event_text(RoomEvent("r", *ms, "M"), LONDON) == text


def test_a_weekly_event_keeps_its_local_time_when_the_clocks_change() -> None:
    text = b"""BEGIN:VCALENDAR\r
BEGIN:VEVENT\r
UID:w\r
DTSTART;TZID=Europe/London:20261019T140000\r
DTEND;TZID=Europe/London:20261019T160000\r
RRULE:FREQ=WEEKLY;COUNT=2\r
SUMMARY:Cabinet\r
LOCATION:Council Chamber\r
END:VEVENT\r
END:VCALENDAR\r
"""
    from_ms = round(datetime(2026, 10, 18, tzinfo=UTC).timestamp() * 1000)
    reading = read_events(
        without_people(text, CALENDAR), from_ms, from_ms + 20 * 86_400_000, "UTC"
    )
    placed = schedule_events([(CALENDAR, reading.events)], ESTATE, LONDON).events[
        "chamber"
    ]
    assert {event_text(event, LONDON) for event in placed} == {
        "Cabinet, 14:00 to 16:00"
    }
    assert placed[1].start_ms - placed[0].start_ms == 7 * 86_400_000 + HOUR_MS
