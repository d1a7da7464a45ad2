"""Hours of the day as people write them: from one time to another, on some weekdays."""

from __future__ import annotations

from collections.abc import Collection

DAY_MINUTES = 24 * 60


def minute_of(clock: str) -> int:
    """`08:30` as minutes since midnight; `24:00` is 1440, the end of the day."""
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def within(
    opens: int, closes: int, days: Collection[int], weekday: int, minute: int
) -> bool:
    """True if `minute` (of the day) of `weekday` lies from `opens` to before `closes`.

    All three are minutes of the day, weekdays are Monday 0 … Sunday 6. If `opens` is
    after `closes` the hours cross midnight; the night belongs to the day it began on.
    """
    if opens <= closes:
        return weekday in days and opens <= minute < closes
    if minute >= opens:
        return weekday in days
    return minute < closes and (weekday - 1) % 7 in days
