"""What calendar programs write: new versions, Outlook's time zones, dates for times."""

from __future__ import annotations

import pytest
from ical_texts import calendar_text, hours_of, utc_ms

from alerts.calendars.calendar_events import CalendarReading, read_events


def _read(
    *events: str, since: str = "2026-06-01", until: str = "2026-07-01"
) -> CalendarReading:
    text = calendar_text(*events)
    return read_events(text, utc_ms(since), utc_ms(until), "Europe/London")


WEEKLY = (
    "UID:w\nSUMMARY:usual\nDTSTART;TZID=Europe/London:20260604T180000\nDURATION:PT1H\n"
    "RRULE:FREQ=WEEKLY"
)


def test_a_new_version_of_this_and_all_future_times_is_followed() -> None:
    onwards = (
        "UID:w\nSUMMARY:later\n"
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/London:20260611T180000\n"
        "DTSTART;TZID=Europe/London:20260612T200000\nDURATION:PT2H"
    )
    single = (
        "UID:w\nSUMMARY:single\nRECURRENCE-ID;TZID=Europe/London:20260618T180000\n"
        "DTSTART;TZID=Europe/London:20260618T120000\nDURATION:PT1H"
    )
    reading = _read(WEEKLY, onwards, single)
    assert reading.problems == ()
    assert [event.summary for event in reading.events] == [
        *("usual", "later", "single", "later")
    ]
    assert hours_of(reading) == [
        ("2026-06-04 17:00", 1),
        ("2026-06-12 19:00", 2),
        ("2026-06-18 11:00", 1),
        ("2026-06-26 19:00", 2),
    ]
    # After the clocks have changed it is the same time of day.
    winter = _read(WEEKLY, onwards, since="2026-10-20", until="2026-11-01")
    assert hours_of(winter) == [("2026-10-23 19:00", 2), ("2026-10-30 20:00", 2)]


def test_all_future_times_may_be_cancelled() -> None:
    cancelled = (
        "UID:w\nSTATUS:CANCELLED\n"
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/London:20260618T180000\n"
        "DTSTART;TZID=Europe/London:20260618T180000\nDURATION:PT1H"
    )
    assert hours_of(_read(WEEKLY, cancelled)) == [
        ("2026-06-04 17:00", 1),
        ("2026-06-11 17:00", 1),
    ]


@pytest.mark.parametrize(
    "zone",
    [
        "GMT Standard Time",
        '"GMT Standard Time"',
        "Europe/London",
        "GB",
    ],
)
def test_the_names_that_outlook_gives_to_time_zones_are_known(zone: str) -> None:
    event = f"UID:o\nDTSTART;TZID={zone}:20260604T180000\nDURATION:PT1H"
    reading = _read(event)
    assert hours_of(reading) == [("2026-06-04 17:00", 1)]
    assert reading.problems == ()


CUSTOM_ZONE = """BEGIN:VTIMEZONE
TZID:tzone://Microsoft/Custom
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:-0500
TZOFFSETTO:-0500
END:STANDARD
END:VTIMEZONE
""".replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    "name", ["tzone://Microsoft/Custom", '"tzone://Microsoft/Custom"']
)
def test_a_time_zone_that_the_calendar_describes_itself_is_used(name: str) -> None:
    event = f"UID:o\nDTSTART;TZID={name}:20260604T180000\nDURATION:PT1H"
    text = calendar_text(event)
    text = text.replace(b"BEGIN:VEVENT", CUSTOM_ZONE + b"BEGIN:VEVENT", 1)
    reading = read_events(
        text, utc_ms("2026-06-01"), utc_ms("2026-07-01"), "Europe/London"
    )
    assert hours_of(reading) == [("2026-06-04 23:00", 1)]


def test_an_unknown_time_zone_is_used_as_the_calendars_and_reported() -> None:
    event = "UID:o\nSUMMARY:x\nDTSTART;TZID=Nowhere/Land:20260604T180000\nDURATION:PT1H"
    reading = _read(event)
    assert hours_of(reading) == [("2026-06-04 17:00", 1)]
    assert reading.problems == (
        "'x' names the time zone 'Nowhere/Land', which is unknown: read as "
        "Europe/London",
    )


def test_a_date_stands_for_the_time_of_that_day() -> None:
    without = f"{WEEKLY}\nEXDATE;VALUE=DATE:20260611"
    moved = (
        "UID:w\nSUMMARY:moved\nRECURRENCE-ID;VALUE=DATE:20260618\n"
        "DTSTART;TZID=Europe/London:20260619T180000\nDURATION:PT1H"
    )
    assert hours_of(_read(without, moved)) == [
        ("2026-06-04 17:00", 1),
        ("2026-06-19 17:00", 1),
        ("2026-06-25 17:00", 1),
    ]


def test_of_two_versions_of_an_event_the_newer_counts() -> None:
    versions = [
        f"UID:v\nSEQUENCE:{n}\nDTSTART:2026060{n}T180000Z\nDURATION:PT1H"
        for n in (1, 3, 2)
    ]
    assert hours_of(_read(*versions)) == [("2026-06-03 18:00", 1)]


def test_a_whole_day_that_ends_on_its_day_lasts_it() -> None:
    day = "UID:d\nDTSTART;VALUE=DATE:20260604\nDTEND;VALUE=DATE:20260604"
    assert hours_of(_read(day)) == [("2026-06-03 23:00", 24)]
