"""Calls as Microsoft recorded them at a room's site, during past events in the room.
Pure: times in, `Query` values out, and figures from their rows.

Microsoft's record and the calendar have only the time and the site in common. So these
are all calls of groups at the site at that time, and those of the room's own account;
not only the calls of the event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from collectors.call_measurements import PERIOD_S
from collectors.calls.stream_figures import FEW_STREAMS
from collectors.estate.estate_model import Room
from collectors.natural_order import natural_order
from collectors.store.query import Pick, Query, Row, Where
from dashboards.row_values import float_value, weighted_mean

EventState = Literal["measured", "too few", "not shown", "not yet", "no record"]
_STEP_MS = PERIOD_S * 1000
# An event ends within a step after its last whole one; a call counts when it ended, and
# people leave late.
_AFTER_MS = _STEP_MS + 30 * 60_000
# Microsoft's record is written hours later.
_LATE_MS = 4 * 3_600_000
# A room that is not measured for a while has no other event.
_LONGEST_GAP_MS = 3_600_000
_WHY: dict[EventState, str] = {
    "measured": "",
    "too few": f"fewer than {FEW_STREAMS} streams with a verdict",
    "not shown": "no figure: no group of enough people had calls there",
    "not yet": "no figure yet: Microsoft's record comes hours later",
    "no record": "no figure: no record of Microsoft's is read",
}


class PastEvent(NamedTuple):
    """`text` is its title and local times. `from_ms` and `to_ms` are those of the whole
    steps in which it lasted."""

    room: str
    text: str
    from_ms: int
    to_ms: int


class EventCalls(NamedTuple):
    """Audio at the site during an event, and of the room's own account. `poor`: of the
    `streams` with a verdict."""

    event: PastEvent
    site: str
    state: EventState
    poor: float | None = None
    streams: int = 0
    room_poor: float | None = None
    room_streams: int = 0

    @property
    def why(self) -> str:
        """Why there is no figure, or why it says little; empty if neither."""
        return _WHY[self.state]


def event_queries(span: tuple[int, int], rooms: Sequence[Room]) -> tuple[Query, ...]:
    """Returns the queries whose answers `event_calls` takes, in that order."""
    of_rooms = Where("room", tuple(room.id for room in rooms))
    sites = tuple(sorted({room.site for room in rooms}))
    shares = (Pick("poor_ratio", "mean"), Pick("classified", "sum"))
    audio = Where("media", ("audio",))
    at_sites = (Where("by", ("site",)), Where("group", sites), audio)
    events = (Pick("at_event", "min"), Pick("event_text", "last"))
    return (
        Query("room", events, *span, (of_rooms,), ("room",), _STEP_MS),
        Query("teams_calls", shares, *span, at_sites, ("group",), _STEP_MS),
        Query("room_calls", shares, *span, (of_rooms, audio), ("room",), _STEP_MS),
        Query("self_calls", (Pick("reading", "max"),), *span),
    )


def event_calls(
    rooms: Sequence[Room], answers: Sequence[Sequence[Row]], now_ms: int
) -> tuple[EventCalls, ...]:
    """Returns the events, the latest first, with the calls at their time."""
    events, at_sites, of_rooms, read = answers
    sites = {room.id: room.site for room in rooms}
    found = []
    for event in past_events(events):
        site = sites.get(event.room, "")
        poor, streams = weighted_mean(
            _during(event, at_sites, "group", site), "poor_ratio", "classified"
        )
        room_poor, room_streams = weighted_mean(
            _during(event, of_rooms, "room", event.room), "poor_ratio", "classified"
        )
        state: EventState = "measured" if streams >= FEW_STREAMS else "too few"
        if poor is None and not (read or at_sites):
            state = "no record"
        elif poor is None:
            is_late = now_ms < event.to_ms + _AFTER_MS + _LATE_MS
            state = "not yet" if is_late else "not shown"
        found.append(
            EventCalls(event, site, state, poor, streams, room_poor, room_streams)
        )
    return tuple(
        sorted(
            found, key=lambda one: (-one.event.from_ms, natural_order(one.event.room))
        )
    )


def past_events(rows: Iterable[Row]) -> list[PastEvent]:
    """Returns the events of each room by the steps that were wholly in one."""
    found: list[PastEvent] = []
    steps = (row for row in rows if row.time_ms is not None)
    for row in sorted(steps, key=lambda row: (row.tags["room"], row.time_ms)):
        room, text = row.tags["room"], str(row.values.get("event_text_last") or "")
        if float_value(row, "at_event_min") != 1 or not text:
            continue
        begin_ms = row.time_ms or 0
        last = found[-1] if found else None
        if (
            last is not None
            and (last.room, last.text) == (room, text)
            and begin_ms - last.to_ms <= _LONGEST_GAP_MS
        ):
            found[-1] = last._replace(to_ms=begin_ms + _STEP_MS)
        else:
            found.append(PastEvent(room, text, begin_ms, begin_ms + _STEP_MS))
    return found


def _during(event: PastEvent, rows: Iterable[Row], tag: str, name: str) -> list[Row]:
    return [
        row
        for row in rows
        if row.tags[tag] == name
        and event.from_ms <= (row.time_ms or 0) < event.to_ms + _AFTER_MS
    ]
