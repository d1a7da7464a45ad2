"""iCalendar texts for tests, and times in them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from alerts.calendars.calendar_events import CalendarReading

LONDON = ZoneInfo("Europe/London")


def calendar_text(*events: str) -> bytes:
    """A calendar of these events, each a few lines without BEGIN and END."""
    body = "".join(f"BEGIN:VEVENT\n{event.strip()}\nEND:VEVENT\n" for event in events)
    head = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//EN\n"
    return f"{head}{body}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def utc_ms(text: str) -> int:
    """`2026-10-25 01:30`, in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def local_ms(text: str) -> int:
    """`2026-10-25 01:30`, in London."""
    moment = datetime.fromisoformat(text).replace(tzinfo=LONDON)
    return round(moment.timestamp() * 1000)


def utc_text(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def hours_of(reading: CalendarReading) -> list[tuple[str, float]]:
    """(start in UTC, hours) of each event."""
    return [
        (utc_text(event.start_ms), (event.end_ms - event.start_ms) / 3_600_000)
        for event in reading.events
    ]
