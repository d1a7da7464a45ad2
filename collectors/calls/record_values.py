"""Reads single values of a call record. Pure.

A value that cannot be true is left out and counted by its reason in `odd`; the rest of
the record is kept. No reason has the value in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

_Meaning = TypeVar("_Meaning")
Odd = Counter[str]
Json = Mapping[str, object]
_NOTHING: Json = {}
_DURATION = re.compile(
    r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d*)?)S)?)?", re.ASCII
)
_LONGEST_DIGITS = 18
# Times before this are Microsoft's way to write none (0001-01-01).
_FIRST_MS = 946_684_800_000
_FRACTION = re.compile(r"(\.\d{6})\d+", re.ASCII)


def as_object(value: object) -> Json:
    """Returns the JSON object, or an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def as_objects(value: object) -> list[Json]:
    """Returns the objects of a JSON array; nothing if it is none."""
    if not isinstance(value, list):
        return []
    return [entry for entry in value if isinstance(entry, dict)]


def as_text(value: object) -> str:
    """Returns the text, or an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object, low: float, high: float, name: str, odd: Odd) -> float | None:
    """Returns a number from `low` to `high`, or None."""
    if value is None:
        return None
    if type(value) in (int, float) and low <= value <= high:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    odd[f"{name}_out_of_range"] += 1
    return None


def duration_ms(value: object, high_ms: float, name: str, odd: Odd) -> float | None:
    """Returns an ISO 8601 duration of days or less, such as PT0.035S, in ms."""
    if value is None:
        return None
    text = as_text(value)
    found = _DURATION.fullmatch(text) if len(text) <= 4 * _LONGEST_DIGITS else None
    if found is not None and text[-1] not in "PT":
        sign, days, hours, minutes, seconds = found.groups()
        whole = (int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)
        length_ms = (whole * 60 + float(seconds or 0)) * 1000
        if length_ms <= high_ms and not (sign and length_ms):
            return length_ms
    odd[f"{name}_out_of_range"] += 1
    return None


def time_ms(value: object, odd: Odd) -> int | None:
    """Returns a time with up to seven digits of a second as ms since 1970 UTC."""
    if value is None or value == "":
        return None
    try:
        read = datetime.fromisoformat(_FRACTION.sub(r"\1", as_text(value)))
        if read.tzinfo is None:
            read = read.replace(tzinfo=UTC)
        ms = int(read.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        odd["unreadable_time"] += 1
        return None
    return ms if ms >= _FIRST_MS else None


def one_of(
    value: object, known: Mapping[str, _Meaning], none: _Meaning, name: str, odd: Odd
) -> _Meaning:
    """Returns what an enumeration's member means; `none` if there is none, or a new
    one."""
    if value is None or value == "":
        return none
    meaning = known.get(as_text(value))
    if meaning is None:
        odd[f"unknown_{name}"] += 1
        return none
    return meaning
