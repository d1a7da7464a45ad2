"""`towpath alerts rota`: who is on call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from alerts.alert_config import AlertConfig
from alerts.calendars.calendar_feed import read_state
from alerts.rota import contacts_of, on_call
from alerts.rota_feeds import rota_feed_name

_SHOWN = 5


def rotas_now(
    config: AlertConfig, now_ms: int, out: Callable[[str], None] = print
) -> int:
    """Lists who is on call now and next. Returns 1 if a rota names nobody now, or its
    calendar could not be fetched or read."""
    if not config.rotas:
        out("No rota is configured (alerts.rotas).")
        return 0
    zone = ZoneInfo(config.timezone)
    troubled = False
    for name, rota in config.rotas.items():
        state = read_state(config.calendar_folder, rota_feed_name(name))
        now = on_call(rota, config.contacts, state.running(now_ms))
        who = ", ".join(now.contacts) or f"nobody ({now.why})"
        out(f"{name}: {who}, by {', '.join(now.channels)}")
        for event in [e for e in state.events if e.start_ms > now_ms][:_SHOWN]:
            named = ", ".join(contacts_of(event, config.contacts))
            begins = datetime.fromtimestamp(event.start_ms / 1000, UTC).astimezone(zone)
            when = f"{begins:%a} {begins.day} {begins:%b %H:%M}"
            out(f"  from {when}: {named or f'no contact is called {event.summary!r}'}")
        sentence = state.trouble(f"of the rota {name}", now_ms)
        if sentence:
            out(f"  {sentence}")
        troubled = troubled or bool(sentence) or not now.contacts
    return int(troubled)
