"""Reads what people export from Microsoft's Call Quality Dashboard (CQD), its Power BI
template or its PowerShell module: counts of streams by building (or subnet) and day (or
month). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Literal

import msgspec

from collectors.calls.call_record import Media
from collectors.calls.sheet_dates import DateOrder, day_of, order_of, parsed_day
from collectors.calls.sheet_headings import by_heading
from collectors.calls.sheet_numbers import NumberStyle
from collectors.csv_sheet import NotCsv, SheetRow, column_of, read_sheet
from probes.wire.catalogue import did_you_mean
from probes.wire.counted_text import counted

Step = Literal["day", "month"]
_VERDICTS = ("", "good", "poor", "unclassified")
_MEDIA: dict[str, Media] = {
    "audio": "audio",
    "video": "video",
    "vbss": "screen_sharing",
}
# Our columns, by names of Microsoft's. In calls with its servers the second end is the
# person's, so that comes before the first.
_NAMES = {
    "place": "buildingname building secondbuildingname secondbuilding site sitename",
    "network": "subnet network secondsubnet secondnetwork",
    "day": "date day startdate enddate",
    "month": "monthyear yearmonth month",
    "year": "year",
    "users": "usercount users uniqueusers distinctusers",
    **{
        f"{media}{verdict}": f"{media}{verdict}streamcount {media}{verdict}streams "
        f"{media}{verdict}"
        for media in _MEDIA
        for verdict in _VERDICTS
    },
}
_COLUMNS = by_heading(_NAMES)
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%Y %B", "%Y %b")


class CqdCount(msgspec.Struct, frozen=True):
    """Streams of one medium in one row of the sheet. `day`: the day, or the first of
    the month. `users` is None if the sheet does not have them."""

    line: int
    place: str
    network: str
    day: date
    step: Step
    media: Media
    good: int
    poor: int
    unclassified: int
    users: int | None = None


class CqdSheet(msgspec.Struct, frozen=True):
    """The counts, and a remark on each row that could not be read."""

    counts: tuple[CqdCount, ...]
    remarks: tuple[str, ...]


class CqdRefused(ValueError):
    """The sheet cannot be used. The text says why, in one sentence."""


def read_cqd(raw: bytes, order: DateOrder | None = None) -> CqdSheet:
    """Returns the counts of a sheet. `order`: of dates such as 03/04/2026, if the sheet
    does not show it. Raises `CqdRefused`."""
    try:
        sheet = read_sheet(raw, _COLUMNS)
    except NotCsv as error:
        raise CqdRefused(f"line {error}") from None
    if missing := _missing(sheet.columns):
        headings = ", ".join(sheet.headings[:8])
        # A heading that is nearly one that we know is probably the mistake.
        hint = next((h for name in sheet.headings if (h := _hint(name))), "")
        if not sheet.columns:
            hint = "; if they are in another language, export it in English"
        raise CqdRefused(f"its columns ({headings}) lack {missing}{hint}")
    try:
        order = order or order_of(row.get("day", "") for row in sheet.rows)
    except ValueError as error:
        raise CqdRefused(str(error)) from None
    figures = sheet.columns - {"place", "network", "day", "month", "year"}
    numbers = NumberStyle(
        cell for row in sheet.rows for name, cell in row.items() if name in figures
    )
    counts: list[CqdCount] = []
    remarks = []
    undated = 0
    for row in sheet.rows:
        if not row.keys() & {"day", "month"}:
            # Totals; and the filters that Power BI names at the end have no counts.
            undated += bool(row.keys() & figures)
            continue
        try:
            counts += _counts(row, sheet.columns, order, numbers)
        except ValueError as error:
            remarks.append(f"line {row.line}: {error}")
    if undated:
        rows = counted(undated, "row")
        remarks.append(f"left out without a date, as totals have none: {rows}")
    return CqdSheet(tuple(counts), tuple(remarks))


def _missing(columns: frozenset[str]) -> str:
    if not columns & {"place", "network"}:
        return "a building or subnet, such as Second Building Name"
    if not columns & {"day", "month"}:
        return "a time, such as Date or Month Year"
    if not any(_has_verdicts(media, columns) for media in _MEDIA):
        return "counts, such as Audio Good Stream Count and Audio Poor Stream Count"
    return ""


def _hint(heading: str) -> str:
    return "" if _is_known(heading) else did_you_mean(heading, _HEADINGS)


def _is_known(heading: str) -> bool:
    return column_of(heading, _COLUMNS) is not None


_HEADINGS = (
    "Second Building Name",
    "Second Subnet",
    "Date",
    "Month Year",
    *(
        f"{media} {verdict} Stream Count"
        for media in ("Audio", "Video", "VBSS")
        for verdict in ("Good", "Poor", "Unclassified")
    ),
)


def _has_verdicts(media: str, columns: frozenset[str]) -> bool:
    """Good is known too if all, poor and unclassified are."""
    return f"{media}poor" in columns and (
        f"{media}good" in columns or {media, f"{media}unclassified"} <= columns
    )


def _counts(
    row: SheetRow,
    columns: frozenset[str],
    order: DateOrder | None,
    numbers: NumberStyle,
) -> Iterator[CqdCount]:
    """Yields the counts of one row; an empty cell of a count is none."""
    if not ("place" in row or "network" in row):
        return
    day, step = _time_of(row, order)
    users = _whole(row, "users", numbers) if "users" in row else None
    for prefix, media in _MEDIA.items():
        if not _has_verdicts(prefix, columns):
            continue
        poor = _whole(row, f"{prefix}poor", numbers)
        others = _whole(row, f"{prefix}unclassified", numbers)
        good = _whole(row, f"{prefix}good", numbers)
        if f"{prefix}good" not in columns:
            good = _whole(row, prefix, numbers) - poor - others
        elif f"{prefix}unclassified" not in columns and prefix in columns:
            others = _whole(row, prefix, numbers) - poor - good
        if good < 0 or others < 0:
            raise ValueError(f"{media}: more poor streams than there are streams")
        if not (good or poor or others):
            continue
        yield CqdCount(
            row.line,
            row.get("place", ""),
            row.get("network", ""),
            day,
            step,
            media,
            good,
            poor,
            others,
            users,
        )


def _whole(row: SheetRow, name: str, numbers: NumberStyle) -> int:
    text = row.get(name, "0")
    value = numbers.whole(text)
    if value is None:
        raise ValueError(f"expected a number of streams, not {text!r}")
    return value


def _time_of(row: SheetRow, order: DateOrder | None) -> tuple[date, Step]:
    if "day" in row:
        return day_of(row["day"], order), "day"
    text = row.get("month", "")
    if "year" in row and not re.search(r"\d{4}", text):
        text = f"{text} {row['year']}" if text.isalpha() else f"{text}/{row['year']}"
    for form in _MONTHS:
        try:
            return parsed_day(text, form), "month"
        except ValueError:
            continue
    first = day_of(text, order)
    if first.day != 1:
        raise ValueError(f"expected a month such as 2026-10, not {text!r}")
    return first, "month"
