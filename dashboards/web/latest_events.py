"""Events that devices reported, as pages list them. Pure: rows in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from collectors.snmp.traps.trap_text import LEVELS
from collectors.store.query import Row


@dataclass(frozen=True)
class LatestEvent:
    """The latest event of one kind from a device, and how many there were."""

    device: str
    event: str
    port: str
    text: str
    level: str
    word: str
    last_ms: int
    count: int


def notable_events(rows: Iterable[Row], limit: int) -> list[LatestEvent]:
    """Returns the events that matter at a site, newest first; those still active come
    before all others. Everyday notices are left out: desk ports go down at night, and
    ports have a table of their own."""
    events = [
        event
        for row in rows
        if _number(row, "level_max") >= LEVELS["warning"]
        and row.tags.get("event") != "link_down"
        and (event := _latest_event(row)).count
    ]
    events.sort(key=lambda event: (event.word != "Active", -event.last_ms))
    return events[:limit]


def every_event(rows: Iterable[Row]) -> list[LatestEvent]:
    """Returns all events, newest first."""
    events = [event for row in rows if (event := _latest_event(row)).count]
    return sorted(events, key=lambda event: -event.last_ms)


def _latest_event(row: Row) -> LatestEvent:
    level, active = _number(row, "level_max"), _number(row, "active_last")
    shown = (
        "bad"
        if level >= LEVELS["critical"]
        else "warn"
        if level >= LEVELS["warning"]
        else "none"
    )
    return LatestEvent(
        device=row.tags.get("device", ""),
        event=row.tags.get("event", ""),
        port=row.tags.get("port", ""),
        text=str(row.values.get("text_last", "")),
        level=shown if active else "ok",
        word="Active" if active else "Ended",
        last_ms=_number(row, "last_ms_max"),
        count=_number(row, "count_sum"),
    )


def _number(row: Row, name: str) -> int:
    value = row.values.get(name)
    return int(value) if isinstance(value, int | float) else 0
