"""Reads the date of an HTTP header (RFC 9110 section 5.6.7) in any of its three forms,
and writes it in the first.

`email.utils` does so too, but a laptop's agent would load a megabyte with it.
"""

from __future__ import annotations

import datetime
import re

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun",
           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # fmt: skip
_MONTH, _TIME = r"(?P<month>[A-Za-z]{3})", r"(?P<time>\d\d:\d\d:\d\d)"
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"[A-Za-z]{{3}}, (?P<day>\d\d?) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"[A-Za-z]{{6,9}}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"[A-Za-z]{{3}} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)


def http_date(time_s: float) -> str:
    """Returns the header's text for seconds since 1970 UTC, in English whatever the
    laptop's language. Pure."""
    at = datetime.datetime.fromtimestamp(time_s, datetime.UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at:%Y %H:%M:%S} GMT"


def http_date_s(text: str) -> float | None:
    """Returns the seconds since 1970 UTC; None if `text` is no such date. Pure."""
    match = next(filter(None, (form.fullmatch(text.strip()) for form in _FORMS)), None)
    if match is None or match["month"] not in _MONTHS:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    month, day = _MONTHS.index(match["month"]) + 1, int(match["day"])
    hour, minute, second = (int(part) for part in match["time"].split(":"))
    # A leap second is the one before.
    second = 59 if second == 60 else second
    try:
        date = datetime.datetime(
            year, month, day, hour, minute, second, tzinfo=datetime.UTC
        )
    except ValueError:
        return None
    return date.timestamp()
