"""What was noted by a clock that was ahead, once it is right again.

Times in the future would stop pages until then: a row is older than the newest, a page
is not due, an alert has lasted for less than nothing. They become now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec

from alerts.alert import Alert
from alerts.evaluation.alert_states import AlertState

# Clocks of other machines that write to the journal differ by less.
FUTURE_MS = 600_000
# No attempt is later than that, and no digest; what waits for opening hours may be.
_LATEST_MS = 86_400_000
_OPENS_MS = 14 * 86_400_000
_TIMES = (
    "bad_ms",
    "newest_ms",
    "firing_ms",
    "clear_ms",
    "resolved_ms",
    "flaps_ms",
    "freed_ms",
    "released_ms",
    "paged_ms",
    "renamed_ms",
)


def states_by(states: Mapping[str, AlertState], now_ms: int) -> dict[str, AlertState]:
    """The states without times after `now_ms`. What began later and paged nobody is
    left out: it begins again. The others keep their beginning, which names their
    episode. Pure."""
    return {
        key: _state_by(state, now_ms)
        for key, state in states.items()
        if state.since_ms <= now_ms or state.is_baseline or state.paged_ms is not None
    }


def _state_by(state: AlertState, now_ms: int) -> AlertState:
    later = {
        name: now_ms
        for name in _TIMES
        if (time_ms := getattr(state, name)) is not None and time_ms > now_ms
    }
    return msgspec.structs.replace(state, **later) if later else state


def alerts_by(
    alerts: Mapping[str, Alert], states: Mapping[str, AlertState]
) -> dict[str, Alert]:
    """The alerts of these states. Pure."""
    episodes = {state.episode for state in states.values()}
    return {key: alert for key, alert in alerts.items() if key in episodes}


def make_due(
    db: sqlite3.Connection, left_out: Mapping[str, AlertState], now_ms: int
) -> None:
    """`left_out`: states that begin again. Notifications that were noted for a time to
    come are due now; what was sent then was sent now, so that reminders and escalations
    follow."""
    for key, state in left_out.items():
        db.execute("DELETE FROM standing WHERE key = ?", (key,))
        db.execute("DELETE FROM alert WHERE episode = ?", (state.episode,))
    at = {"now": now_ms, "latest": now_ms + _LATEST_MS, "opens": now_ms + _OPENS_MS}
    db.execute(
        "UPDATE outbox SET next_ms = :now, due_ms = min(due_ms, :now), deferred = 0 "
        "WHERE state = 'waiting' AND ((created_ms > :now AND NOT deferred) "
        "OR (next_ms > :latest AND NOT deferred) OR next_ms > :opens)",
        at,
    )
    for column in ("created_ms", "ended_ms"):
        db.execute(f"UPDATE outbox SET {column} = :now WHERE {column} > :now", at)
    db.execute(
        "UPDATE outbox SET due_ms = :now WHERE state != 'waiting' AND due_ms > :now", at
    )
    db.execute("UPDATE ack SET at_ms = :now WHERE at_ms > :now", at)
