"""Reads what people export of Teams Rooms: devices of the Teams admin centre, rooms and
reports of the Pro Management portal, or audio streams by account of the Call Quality
Dashboard. Pure.

Microsoft does not publish the columns of these exports, so they are found by their
headings in English, or by `--column`. A room is known by its account, never by a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import TypeVar

import msgspec

from collectors.calls.sheet_dates import DateOrder, day_of, order_of
from collectors.calls.sheet_headings import by_heading
from collectors.calls.sheet_numbers import NumberStyle
from collectors.csv_sheet import NotCsv, SheetRow, read_sheet

# Our columns, by headings.
_NAMES = {
    "account": "account username userprincipalname upn signinaddress signinname email "
    "emailaddress smtpaddress roomaccount resourceaccount roomemail roomupn "
    "deviceaccount signedinuser currentuser seconduserprincipalname secondupn "
    "seconduserupn objectid userid userobjectid roomobjectid seconduserobjectid",
    "health": "healthstatus health roomhealth devicehealth roomhealthstatus "
    "devicehealthstatus roomstatus",
    "day": "date day reportdate",
    "healthy": "healthy healthypercentage healthyratio percenthealthy healthytime "
    "timehealthy",
    "meetings": "meetings meetingcount totalmeetings numberofmeetings calls callcount "
    "totalcalls numberofcalls",
    "hours": "meetinghours totalmeetinghours hoursinmeetings callhours totalcallhours "
    "usagehours",
    "maker": "manufacturer devicemanufacturer maker oem",
    "model": "model devicemodel",
    "streams": "audiostreamcount",
    "good": "audiogoodstreamcount",
    "poor": "audiopoorstreamcount",
    "unclassified": "audiounclassifiedstreamcount",
}
COLUMNS = tuple(_NAMES)
_BY_HEADING = by_heading(_NAMES)
_WITH_FIGURES = frozenset({"health", "healthy", "meetings", "hours", "good", "poor"})
_NUMBERS = _WITH_FIGURES - {"health"} | {"streams", "unclassified"}
OFFLINE, FAULTY, LOOK, HEALTHY = range(4)
# Words of Microsoft Graph (teamworkDevice) and of the portal. None: not measured.
_HEALTH: Mapping[str, tuple[int | None, str]] = {
    "offline": (OFFLINE, "offline"),
    "disconnected": (OFFLINE, "offline"),
    "critical": (FAULTY, "critical"),
    "unhealthy": (FAULTY, "unhealthy"),
    "nonurgent": (LOOK, "non-urgent"),
    "misconfigured": (LOOK, "misconfigured"),
    "healthy": (HEALTHY, "healthy"),
    "unknown": (None, "not known to Microsoft"),
    "unmonitored": (None, "not monitored"),
    "notmonitored": (None, "not monitored"),
    "suppressed": (None, "suppressed"),
    "onboarding": (None, "being set up"),
}
_MOST_MODEL = 60
_Value = TypeVar("_Value", int, float)


class RoomLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a row says of one account. None: it does not say it."""

    account: str
    day: date | None
    health: int | None = None
    health_text: str = ""
    healthy: float | None = None
    meetings: int | None = None
    meetings_s: float | None = None
    model: str = ""
    good: int | None = None
    poor: int | None = None
    unclassified: int | None = None


class RoomSheet(msgspec.Struct, frozen=True):
    """The rows, and a remark on each that could not be read, without its account."""

    lines: tuple[RoomLine, ...]
    remarks: tuple[str, ...]


class RoomsRefused(ValueError):
    """The sheet cannot be used. The text says why, in one sentence."""


def read_rooms(
    raw: bytes, headings: Mapping[str, str] = {}, order: DateOrder | None = None
) -> RoomSheet:
    """Returns the rows of a sheet. `headings`: our column → its heading, if that is not
    known. Raises `RoomsRefused`."""
    try:
        sheet = read_sheet(raw, _BY_HEADING, given=headings)
        order = order or order_of(row.get("day", "") for row in sheet.rows)
    except NotCsv as error:
        raise RoomsRefused(f"line {error}") from None
    except ValueError as error:
        raise RoomsRefused(str(error)) from None
    if missing := _missing(sheet.columns):
        named = ", ".join(sheet.headings[:8])
        raise RoomsRefused(
            f"its columns ({named}) lack {missing}; if they are in another language, "
            "export it in English, or say which is which with --column account=HEADING"
        )
    numbers = NumberStyle(
        cell for row in sheet.rows for name, cell in row.items() if name in _NUMBERS
    )
    in_percent = numbers.are_percent(row.get("healthy", "") for row in sheet.rows)
    lines, remarks = [], []
    for row in sheet.rows:
        if "account" not in row:
            continue
        try:
            lines.append(_line(row, sheet.columns, numbers, order, in_percent))
        except ValueError as error:
            remarks.append(f"line {row.line}: {error}")
    return RoomSheet(tuple(lines), tuple(remarks))


def _missing(columns: Iterable[str]) -> str:
    known = set(columns)
    if "account" not in known:
        return (
            "the account of each room, such as Username or UPN, by which the estate "
            "knows it (rooms.accounts)"
        )
    if not known & _WITH_FIGURES or known & {"good", "poor"} == {"good"}:
        return "anything about rooms, such as Health status or Audio Poor Stream Count"
    return ""


def _line(
    row: SheetRow,
    columns: frozenset[str],
    numbers: NumberStyle,
    order: DateOrder | None,
    in_percent: bool,
) -> RoomLine:
    healthy = _figure(
        row,
        "healthy",
        lambda cell: numbers.share(cell, in_percent),
        "a share such as 98.5%",
    )
    health, text = _health(row["health"]) if "health" in row else (None, "")
    hours = _figure(row, "hours", numbers.decimal)
    good, poor, others, streams = (
        _figure(row, name, numbers.whole)
        for name in ("good", "poor", "unclassified", "streams")
    )
    if "poor" in columns and streams is not None:
        if good is None:
            good = streams - (poor or 0) - (others or 0)
        elif others is None:
            others = streams - (poor or 0) - good
        if good < 0 or (others or 0) < 0:
            raise ValueError("more poor streams than there are streams")
    maker, model = row.get("maker", ""), row.get("model", "")
    named = model if maker.casefold() in model.casefold() else f"{maker} {model}"
    return RoomLine(
        account=row["account"].casefold(),
        day=day_of(row["day"], order) if "day" in row else None,
        health=health,
        health_text=text,
        healthy=healthy,
        meetings=_figure(row, "meetings", numbers.whole),
        meetings_s=None if hours is None else hours * 3600,
        model=named.strip()[:_MOST_MODEL],
        good=good,
        poor=poor,
        unclassified=others,
    )


def _health(cell: str) -> tuple[int | None, str]:
    known = _HEALTH.get(re.sub(r"[^a-z]", "", cell.lower()))
    if known is None:
        raise ValueError(
            "its health is none that is known, such as Healthy, Non-urgent, Critical "
            "or Offline"
        )
    return known


def _figure(
    row: SheetRow,
    name: str,
    read: Callable[[str], _Value | None],
    expected: str = "a number",
) -> _Value | None:
    """Returns a cell as `read` has it; None if the row does not have it."""
    if name not in row:
        return None
    value = read(row[name])
    if value is None:
        raise ValueError(f"expected {expected}, not {row[name]!r}")
    return value
