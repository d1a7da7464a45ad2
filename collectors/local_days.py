"""Days and months in a time zone, and the times that they begin at. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo


def local_date(time_ms: int, zone: tzinfo) -> date:
    """Returns the day of that time."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone).date()


def midnight_ms(day: date, zone: tzinfo) -> int:
    """Returns when the day begins."""
    at = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(at.timestamp() * 1000)


def add_months(first: date, months: int) -> date:
    """Returns the first of the month so many months after that of `first`."""
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)
