"""Calendars of events in rooms, without the people in them. Pure.

A committee's calendar has organisers, attendees and notes. Nothing here needs them, so
they are removed before the calendar is kept, read or counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from alerts.calendars.calendar_feed import CalendarConfig

# Everything that times, titles and rooms of events need, and nothing else.
_KEPT = frozenset(
    b"BEGIN END VERSION CALSCALE UID SEQUENCE STATUS DTSTART DTEND DURATION RRULE "
    b"RDATE EXDATE RECURRENCE-ID SUMMARY LOCATION TZID TZOFFSETFROM TZOFFSETTO "
    b"TZNAME".split()
)
_FOLD = re.compile(rb"\r?\n[ \t]")
_PROPERTY = re.compile(
    rb'(?P<name>[A-Za-z0-9-]+)(?:;(?:[^":]|"[^"]*")*)?:(?P<value>.*)', re.DOTALL
)
_CALLED_OFF = re.compile(rb"\W*(?:event |meeting )?(?:cancel|postpone)", re.IGNORECASE)
_PRIVATE = (b"PRIVATE", b"CONFIDENTIAL")
_Line = tuple[bytes, bytes, bytes]


class EventCalendar(CalendarConfig):
    """`[alerts.events.NAME]`: a calendar of events. `room`: of events that name none,
    as in a calendar of one room. `room_property`: what names the room, if that is not
    LOCATION. `titles`: false for calendars whose titles are names of people, as those
    of bookings often are."""

    room: str = ""
    room_property: Annotated[str, Field(pattern=r"^(X-[A-Za-z0-9-]{1,60})?$")] = ""
    titles: bool = True


def without_people(text: bytes, calendar: EventCalendar) -> bytes:
    """The calendar with nothing but times, titles and rooms. Of a private event there
    is no title either, and an event that is called off in its title is cancelled."""
    wanted = calendar.room_property.upper().encode()
    kept: list[bytes] = []
    event: list[_Line] | None = None
    for line in _lines(text):
        name, value, whole = line
        if name == b"BEGIN" and value.strip().upper() == b"VEVENT":
            event = []
        if event is None:
            if name in _KEPT:
                kept.append(whole)
            continue
        event.append(line)
        if name == b"END" and value.strip().upper() == b"VEVENT":
            kept += _public_event(event, wanted, calendar.titles)
            event = None
    return b"\r\n".join(kept) + b"\r\n"


def _public_event(event: list[_Line], wanted: bytes, titles: bool) -> Iterator[bytes]:
    classes = {value.strip().upper() for name, value, _ in event if name == b"CLASS"}
    has_title = titles and not classes & set(_PRIVATE)
    has_room = any(name == wanted for name, _, _ in event)
    for name, value, whole in event:
        if name == b"SUMMARY" and _CALLED_OFF.match(value):
            yield b"STATUS:CANCELLED"
        elif name == b"STATUS" and _is_called_off(event):
            continue
        elif wanted and name == wanted:
            yield b"LOCATION:" + value
        elif name == b"SUMMARY" and not has_title:
            continue
        elif name in _KEPT and not (name == b"LOCATION" and has_room):
            yield whole


def _is_called_off(event: list[_Line]) -> bool:
    return any(
        name == b"SUMMARY" and _CALLED_OFF.match(value) for name, value, _ in event
    )


def _lines(text: bytes) -> Iterator[_Line]:
    """(name in capitals, value, whole line) of each property, unfolded."""
    for line in _FOLD.sub(b"", text.removeprefix(b"\xef\xbb\xbf")).splitlines():
        parts = _PROPERTY.fullmatch(line)
        if parts is not None:
            yield parts["name"].upper(), parts["value"], line
