"""The times of iCalendar events: recurrences, changes of clocks, hostile texts."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ical_texts import (
    LONDON,
    calendar_text,
    hours_of,
    local_ms,
    utc_ms,
    utc_text,
)

from alerts.calendars.calendar_events import (
    CalendarReading,
    NotACalendar,
    read_events,
)
from alerts.calendars.reading_process import CalendarUnreadable, read_calendar


def _read(
    *events: str, since: str = "2026-01-01", until: str = "2026-12-31"
) -> CalendarReading:
    text = calendar_text(*events)
    return read_events(text, utc_ms(since), utc_ms(until), "Europe/London")


NIGHTLY = "UID:n\nSUMMARY:n\nDTSTART;TZID=Europe/London:{}\n{}\nRRULE:FREQ=DAILY"


def test_two_at_night_in_london_is_the_same_local_time_on_both_sides_of_a_change() -> (
    None
):
    nightly = NIGHTLY.format("20260101T020000", "DURATION:PT2H")
    spring = hours_of(_read(nightly, since="2026-03-28", until="2026-03-30 12:00"))
    assert spring == [
        ("2026-03-28 02:00", 2),
        ("2026-03-29 01:00", 2),
        ("2026-03-30 01:00", 2),
    ]
    autumn = hours_of(_read(nightly, since="2026-10-24", until="2026-10-26 12:00"))
    assert autumn == [
        ("2026-10-24 01:00", 2),
        ("2026-10-25 02:00", 2),
        ("2026-10-26 02:00", 2),
    ]


def test_a_time_that_the_clocks_skip_is_an_hour_later_by_summer_time() -> None:
    nightly = NIGHTLY.format("20260101T013000", "DURATION:PT1H")
    reading = _read(nightly, since="2026-03-28 12:00", until="2026-03-29 12:00")
    assert hours_of(reading) == [("2026-03-29 01:30", 1)]
    assert (
        datetime.fromtimestamp(reading.events[0].start_ms / 1000, LONDON).strftime(
            "%H:%M"
        )
        == "02:30"
    )


def test_of_a_time_that_comes_twice_the_first_counts_once() -> None:
    nightly = NIGHTLY.format("20260101T013000", "DURATION:PT1H")
    reading = _read(nightly, since="2026-10-24 12:00", until="2026-10-25 12:00")
    assert hours_of(reading) == [("2026-10-25 00:30", 1)]


def test_a_window_over_the_change_keeps_its_length() -> None:
    over = NIGHTLY.format("20260101T000000", "DTEND;TZID=Europe/London:20260101T040000")
    reading = _read(over, since="2026-03-28 12:00", until="2026-03-29 12:00")
    assert hours_of(reading) == [("2026-03-29 00:00", 4)]


def test_a_leap_day_recurs_in_leap_years_only() -> None:
    leap = "UID:l\nDTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY"
    reading = _read(leap, since="2024-01-01", until="2032-12-31")
    assert hours_of(reading) == [
        ("2024-02-29 00:00", 24),
        ("2028-02-29 00:00", 24),
        ("2032-02-29 00:00", 24),
    ]
    monthly = "UID:m\nDTSTART:20240131T020000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY"
    reading = _read(monthly, until="2027-01-01")
    months = [utc_text(event.start_ms)[5:7] for event in reading.events]
    assert months == ["01", "03", "05", "07", "08", "10", "12"]


def test_a_whole_day_is_a_local_day_even_if_it_has_23_or_25_hours() -> None:
    day = "UID:d\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY"
    spring = _read(day, since="2026-03-29 06:00", until="2026-03-29 07:00")
    autumn = _read(day, since="2026-10-25 06:00", until="2026-10-25 07:00")
    assert hours_of(spring) == [("2026-03-29 00:00", 23)]
    assert hours_of(autumn) == [("2026-10-24 23:00", 25)]


@pytest.mark.parametrize("ends", ["DTEND:99991231T235959Z", "DURATION:PT9999999H"])
def test_an_event_without_an_end_ends_at_a_time_that_can_be_shown(ends: str) -> None:
    [event] = _read(f"UID:f\nDTSTART:20260601T020000Z\n{ends}").events
    assert utc_text(event.end_ms) == "2100-01-01 00:00"


def test_exceptions_additions_and_moved_times_are_followed() -> None:
    weekly = (
        "UID:w\nDTSTART;TZID=Europe/London:20260601T020000\nDURATION:PT1H\n"
        "RRULE:FREQ=WEEKLY;UNTIL=20260629T010000Z\n"
        "EXDATE;TZID=Europe/London:20260608T020000\n"
        "RDATE;TZID=Europe/London:20260610T020000"
    )
    moved = (
        "UID:w\nRECURRENCE-ID;TZID=Europe/London:20260615T020000\n"
        "DTSTART;TZID=Europe/London:20260616T030000\nDURATION:PT3H"
    )
    dropped = (
        "UID:w\nRECURRENCE-ID;TZID=Europe/London:20260622T020000\nSTATUS:CANCELLED\n"
        "DTSTART;TZID=Europe/London:20260622T020000\nDURATION:PT1H"
    )
    assert hours_of(_read(weekly, moved, dropped)) == [
        ("2026-06-01 01:00", 1),
        ("2026-06-10 01:00", 1),
        ("2026-06-16 02:00", 3),
        ("2026-06-29 01:00", 1),
    ]


def test_a_time_that_began_before_the_span_and_lasts_into_it_is_found() -> None:
    long = "UID:x\nDTSTART:20260101T000000Z\nDURATION:P10D\nRRULE:FREQ=MONTHLY"
    reading = _read(long, since="2026-05-09", until="2026-05-10")
    assert hours_of(reading) == [("2026-05-01 00:00", 240)]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("DTSTART:20260102T020000Z\nDTEND:20260102T010000Z", "ends before it begins"),
        ("DTSTART:20260102T020000Z", "has no length: give it an end"),
        ("DTEND:20260102T020000Z", "has no DTSTART"),
        (
            "DTSTART:20260102T020000Z\nDURATION:PT1H\nRRULE:FREQ=SECONDLY",
            "recurs SECONDLY: expected hourly or slower",
        ),
        (
            "DTSTART:20200102T020000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY",
            "recurs more than 1000 times in the span",
        ),
        (
            "DTSTART:20260102T020000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;INTERVAL=0",
            "recurs with an INTERVAL below 1",
        ),
        ("DTSTART;VALUE=DATE:20260102\nDTEND:20260102T020000Z", "begins on a day and"),
        (
            "DTSTART:20260102T020000Z\nDURATION:PT1H\nRRULE:FREQ=DAYLI",
            "'works' cannot be read: its RRULE: expected frequency, got: DAYLI",
        ),
        (
            "DTSTART:yesterday\nDURATION:PT1H",
            "'works' cannot be read: its DTSTART: expected datetime, date, or time",
        ),
    ],
)
def test_an_event_that_cannot_be_used_is_one_sentence_and_costs_no_other(
    event: str, said: str
) -> None:
    good = "UID:g\nDTSTART:20260601T020000Z\nDURATION:PT1H\nSUMMARY:good"
    reading = _read(f"UID:b\nSUMMARY:works\n{event}", good)
    [problem] = reading.problems
    assert said in problem
    assert problem.startswith("'works' ")
    assert [event.summary for event in reading.events] == ["good"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"<html>Sign in</html>", "is not iCalendar"),
        (b"", "is not iCalendar"),
        (calendar_text("UID:x")[:-20], "is incomplete"),
    ],
)
def test_what_is_not_a_calendar_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(NotACalendar, match=said):
        read_events(text, 0, 1, "Europe/London")


def test_a_calendar_with_too_many_times_is_refused() -> None:
    daily = [
        f"UID:{n}\nDTSTART:20200101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY"
        for n in range(15)
    ]
    with pytest.raises(NotACalendar, match="has more than 5000 times in 364 days"):
        _read(*daily)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    text = b"BEGIN:VCALENDAR\r\n" + noise + b"\r\nEND:VCALENDAR"
    with contextlib.suppress(NotACalendar):
        assert read_events(text, 0, 10**13, "Europe/London").events == ()


_LINES = st.sampled_from(
    [
        "DTSTART:20260102T020000Z",
        "DTSTART;TZID=Nowhere/Land:20260329T013000",
        "DTSTART;VALUE=DATE:20240229",
        "DTEND:20260102T010000Z",
        "DURATION:-PT1H",
        "DURATION:P400D",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=3",
        "RRULE:FREQ=WEEKLY;UNTIL=20260101",
        "RRULE:FREQ=MONTHLY;BYDAY=5SU;UNTIL=20270101T000000Z",
        "RDATE;VALUE=PERIOD:20260105T000000Z/PT2H",
        "EXDATE;VALUE=DATE:20260102",
        "RECURRENCE-ID:20260102T020000Z",
        "RECURRENCE-ID:never",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260109T020000Z",
        "SEQUENCE:3",
        "SEQUENCE:many",
        "STATUS:CANCELLED",
        "UID:a",
        "SUMMARY:x",
        "ATTENDEE;CN=Ada:mailto:ada@example.gov.uk",
    ]
)


@given(st.lists(st.lists(_LINES, max_size=7), max_size=4))
def test_every_mix_of_lines_gives_times_in_order_within_the_span(
    events: list[list[str]],
) -> None:
    from_ms, to_ms = utc_ms("2026-01-01"), utc_ms("2026-12-31")
    text = calendar_text(*("\n".join(lines) for lines in events))
    reading = read_events(text, from_ms, to_ms, "Europe/London")
    starts = [event.start_ms for event in reading.events]
    assert starts == sorted(starts)
    for event in reading.events:
        assert event.start_ms < event.end_ms
        assert event.start_ms < to_ms
        assert event.end_ms > from_ms


@given(
    st.dates(datetime(2024, 1, 1).date(), datetime(2030, 12, 31).date()),  # noqa: DTZ001
    st.times(),
    st.integers(1, 14),
)
def test_a_recurring_time_is_the_same_local_time_except_where_the_clocks_skip_it(
    day: object, at: object, every: int
) -> None:
    start = datetime.combine(day, at).replace(second=0, microsecond=0)  # type: ignore[arg-type]
    event = (
        f"UID:a\nDTSTART;TZID=Europe/London:{start:%Y%m%dT%H%M%S}\nDURATION:PT1H\n"
        f"RRULE:FREQ=DAILY;INTERVAL={every};COUNT=40"
    )
    reading = _read(event, since="2023-12-01", until="2033-01-01")
    expected = []
    for n in range(40):
        local = (start + timedelta(days=n * every)).replace(tzinfo=LONDON)
        expected.append(round(local.astimezone(UTC).timestamp() * 1000))
    assert [event.start_ms for event in reading.events] == expected
    assert {event.end_ms - event.start_ms for event in reading.events} == {3_600_000}


async def test_a_recurrence_without_a_date_that_fits_costs_a_process_and_no_more() -> (
    None
):
    never = (
        "UID:n\nDTSTART:20260101T020000Z\nDURATION:PT1H\n"
        "RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30"
    )
    text = calendar_text(*[never] * 20)
    with pytest.raises(CalendarUnreadable, match="recur without end"):
        await read_calendar(text, 0, local_ms("2026-12-01"), "Europe/London", cpu_s=1)


async def test_a_calendar_is_read_in_a_process_of_its_own() -> None:
    text = calendar_text("UID:a\nDTSTART:20260601T020000Z\nDURATION:PT1H\nSUMMARY:s")
    span = (utc_ms("2026-01-01"), utc_ms("2026-12-31"), "Europe/London")
    reading = await read_calendar(text, *span)
    assert reading == read_events(text, *span)
    with pytest.raises(CalendarUnreadable, match="is not iCalendar"):
        await read_calendar(b"x", *span)
