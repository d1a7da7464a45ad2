"""`towpath alerts rooms`: the rooms of the estate, and their events."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from alerts.alert_config import AlertConfig
from alerts.clock_text import clock_text
from alerts.live_events.event_feeds import saved_states, schedule_of
from alerts.live_events.event_schedule import event_text
from collectors.estate.estate_model import Estate

_SHOWN = 3


def rooms_list(
    config: AlertConfig,
    estate: Estate,
    now_ms: int,
    out: Callable[[str], None] = print,
) -> int:
    """Lists the rooms with their next events, and locations that name no room. Returns
    1 if a calendar could not be fetched or read."""
    if not estate.rooms:
        out("The estate has no rooms: add [[rooms]] with what each needs.")
    if not config.events:
        out("No calendar of events is configured (alerts.events).")
    zone, states = ZoneInfo(config.timezone), saved_states(config)
    schedule = schedule_of(config.events, states, estate, zone)
    for room in estate.rooms:
        events = [e for e in schedule.events.get(room.id, ()) if e.end_ms > now_ms]
        out(f"{room.id}: {room.name or room.id}, at {estate.site(room.site).name}")
        for event in events[:_SHOWN]:
            day = clock_text(event.start_ms, zone).rpartition(" ")[0]
            out(f"  {day}: {event_text(event, zone)}")
        if not events:
            out("  no event in the next 35 days")
    for sentence in schedule.unplaced:
        out(f"Not used: {sentence}.")
    troubles = [
        state.trouble(f"of events {name}", now_ms) for name, state in states.items()
    ]
    problems = [problem for state in states.values() for problem in state.problems]
    for sentence in filter(None, [*troubles, *problems]):
        out(sentence)
    return int(any(troubles))
