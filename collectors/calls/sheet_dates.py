"""Days as spreadsheets write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Literal

DateOrder = Literal["dmy", "mdy"]
_DAYS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d %B %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%B %d, %Y",
    "%A, %B %d, %Y",
    "%A, %d %B %Y",
)
_SLASHED = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})")
_CLOCK = re.compile(r"[T ]\d{1,2}:.*$")


def order_of(cells: Iterable[str]) -> DateOrder | None:
    """Returns in which order dates such as 03/04/2026 have day and month; None if none
    shows it. Raises `ValueError` if there are both."""
    found: set[DateOrder] = set()
    for cell in cells:
        if match := _SLASHED.match(cell):
            if int(match[1]) > 12:
                found.add("dmy")
            elif int(match[2]) > 12:
                found.add("mdy")
    if len(found) > 1:
        raise ValueError("some of its dates begin with the day, others with the month")
    return next(iter(found), None)


def parsed_day(text: str, form: str) -> date:
    return datetime.strptime(text, form).replace(tzinfo=UTC).date()


def day_of(cell: str, order: DateOrder | None) -> date:
    text = _CLOCK.sub("", cell)
    if match := _SLASHED.fullmatch(text):
        first, second, year = (int(part) for part in match.groups())
        if order is None and first != second:
            raise ValueError(
                f"{text} may begin with the day or with the month; say which with "
                "--dates dmy or --dates mdy"
            )
        day, month = (second, first) if order == "mdy" else (first, second)
        try:
            return date(year, month, day)
        except ValueError:
            raise ValueError(f"there is no day {text!r}") from None
    for form in _DAYS:
        try:
            return parsed_day(text, form)
        except ValueError:
            continue
    raise ValueError(f"expected a date such as 2026-10-31, not {cell!r}")
