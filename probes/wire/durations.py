"""Lengths of time, as people write them in settings and commands, and read them."""

from __future__ import annotations

import re

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WORDS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def parse_duration_ms(text: str) -> int:
    """Returns the milliseconds of `90s`, `5m`, `1.5h`, `7d` or `250ms`.

    A number without a unit is in seconds. Raises `ValueError` with a sentence for
    anything else.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|[smhd]?)", text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a length of time, expected such as 5m, 90s, 1h or 7d"
        )
    return round(float(match[1]) * _UNITS_MS[match[2] or "s"])


def duration_text(seconds: float) -> str:
    """Returns `250 ms`, `45 s`, `12 min`, `1 h 30 min`, `2 days 18 h` or `20 days`.

    Nothing below zero: that is `0 s`.
    """
    if 0 < seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120 and seconds % 60:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 1:
        return "0 s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    text = _counted(days, "day")
    return f"{text} {hours} h" if hours and days < 10 else text


def rough_duration_text(seconds: float) -> str:
    """Returns one unit, rounded: `40 seconds`, `90 minutes`, `3 hours`, `5 days`."""
    size, unit = 1, "second"
    for least, larger, larger_unit in (
        (60, 60, "minute"),
        (2 * 3_600, 3_600, "hour"),
        (2 * 86_400, 86_400, "day"),
    ):
        if seconds >= least:
            size, unit = larger, larger_unit
    return _counted(round(seconds / size), unit)


def exact_duration_text(seconds: int) -> str:
    """Returns a whole number of the largest unit: `10 minutes`, `1 hour`, `90 days`."""
    for size, unit in _WORDS:
        if seconds >= size and seconds % size == 0:
            return _counted(seconds // size, unit)
    return _counted(seconds, "second")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
