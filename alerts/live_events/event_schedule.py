"""Which events are in which room, and which of them matters now. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alerts.calendars.calendar_events import CalendarEvent
from alerts.event_calendar import EventCalendar
from collectors.estate.estate_model import Estate, Room
from probes.wire.display import displayable, shortened

_LONGEST_TITLE = 120
_UNTITLED = "An event"
_MOST_UNPLACED = 20


class RoomEvent(NamedTuple):
    """One event in one room."""

    room: str
    start_ms: int
    end_ms: int
    title: str


class EventSchedule(NamedTuple):
    """Room → its events, the earliest first. `unplaced`: why an event is in no room:
    its location names none of the estate, or more than one, or it has no times."""

    events: Mapping[str, tuple[RoomEvent, ...]] = {}
    unplaced: tuple[str, ...] = ()


class _Label(NamedTuple):
    """One way to write a room in a location."""

    pattern: re.Pattern[str]
    room: Room


def schedule_events(
    calendars: Iterable[tuple[EventCalendar, Sequence[CalendarEvent]]],
    estate: Estate,
    zone: ZoneInfo,
) -> EventSchedule:
    """The events of all calendars by room. One that is in several calendars counts
    once. One of whole days in `zone` is left out, as it does not show when people meet:
    a room that is dark at night would page, and a committee that evening would have no
    card."""
    labels = list(_labels(estate))
    placed: dict[str, set[RoomEvent]] = {}
    unplaced: dict[str, None] = {}
    places: dict[str, tuple[list[str], str]] = {}
    for calendar, events in calendars:
        for event in events:
            if event.location not in places:
                places[event.location] = _rooms_at(event.location, labels, estate)
            rooms, problem = places[event.location]
            if not rooms and calendar.room:
                rooms, problem = [calendar.room], ""
            if problem:
                unplaced[f"the location {problem}"] = None
            title = shortened(displayable(event.summary), _LONGEST_TITLE) or _UNTITLED
            if rooms and _is_of_whole_days(event, zone):
                unplaced[f"{title!r} lasts whole days: expected its times"] = None
                continue
            for room in rooms:
                placed.setdefault(room, set()).add(
                    RoomEvent(room, event.start_ms, event.end_ms, title)
                )
    ordered = {
        room: tuple(sorted(events, key=lambda e: (e.start_ms, e.end_ms, e.title)))
        for room, events in placed.items()
    }
    return EventSchedule(ordered, tuple(unplaced)[:_MOST_UNPLACED])


def _is_of_whole_days(event: CalendarEvent, zone: ZoneInfo) -> bool:
    """Also as Exchange publishes them: from midnight to midnight."""
    edges = (
        datetime.fromtimestamp(ms / 1000, zone) for ms in (event.start_ms, event.end_ms)
    )
    return event.end_ms > event.start_ms and all(
        edge.time() == time.min for edge in edges
    )


def event_at(events: Iterable[RoomEvent], now_ms: int) -> RoomEvent | None:
    """The current event, the one that began last if there are several; else the next.
    A room may be booked all afternoon for the committee in the evening."""
    running = [e for e in events if e.start_ms <= now_ms < e.end_ms]
    if running:
        return max(running, key=lambda event: (event.start_ms, event.end_ms))
    coming = (event for event in events if event.start_ms > now_ms)
    return min(coming, key=lambda event: event.start_ms, default=None)


def is_due(event: RoomEvent | None, now_ms: int, lead_ms: int) -> bool:
    """Whether the event begins within `lead_ms`, or lasts."""
    return event is not None and event.start_ms - lead_ms <= now_ms < event.end_ms


def event_text(event: RoomEvent, zone: ZoneInfo) -> str:
    """`Planning committee, 14:00 to 16:00`, in local time; with the day on which it
    ends, if that is another."""
    start, end = (
        datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
        for ms in (event.start_ms, event.end_ms)
    )
    day = "" if start.date() == end.date() else f"{end:%a} {end.day} {end:%b}, "
    return f"{event.title}, {start:%H:%M} to {day}{end:%H:%M}"


def _labels(estate: Estate) -> Iterator[_Label]:
    for room in estate.rooms:
        for name in dict.fromkeys((room.name, *room.names)):
            words = [re.escape(word) for word in name.casefold().split()]
            if words:
                pattern = r"(?<!\w)" + r"\s+".join(words) + r"(?!\w)"
                yield _Label(re.compile(pattern), room)


def _rooms_at(
    location: str, labels: Sequence[_Label], estate: Estate
) -> tuple[list[str], str]:
    """The rooms that a location names, and a sentence if it names none or it is not
    clear which. `Council chamber` is not the room that is called `Chamber`."""
    text = location.casefold()
    ids = [room.id for room in estate.rooms if room.id == location.strip()]
    if ids or not text.strip():
        return ids, ""
    hits = [
        (match.start(), match.end(), label.room)
        for label in labels
        for match in label.pattern.finditer(text)
    ]
    longest = [
        (start, end, room)
        for start, end, room in hits
        if not any(
            s <= start and end <= e and (s, e) != (start, end) for s, e, _ in hits
        )
    ]
    if not longest:
        return (
            [],
            f"{shortened(displayable(location), 100)!r} names no room of the estate",
        )
    rooms: list[str] = []
    problem = ""
    for place in dict.fromkeys((start, end) for start, end, _ in longest):
        named = {room.id: room for s, e, room in longest if (s, e) == place}
        if len(named) > 1:
            at_site = [r for r in named.values() if _names_site(text, r.site, estate)]
            named = {room.id: room for room in at_site} if at_site else named
        if len(named) > 1:
            problem = (
                f"{shortened(displayable(location), 100)!r} may be any of "
                f"{', '.join(sorted(named))}: expected its site as well"
            )
            continue
        rooms += named
    return list(dict.fromkeys(rooms)), problem


def _names_site(text: str, id: str, estate: Estate) -> bool:
    site = estate.site(id)
    return any(
        re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", text)
        for name in (site.id, site.name)
    )
