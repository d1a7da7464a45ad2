"""Reminders and escalations in the outbox: read, added, and withdrawn."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from alerts.alert import Alert
from alerts.escalation import NextSend, SentPage
from alerts.outbox_entry import encode_alert


def sent_pages(
    db: sqlite3.Connection, episodes: Collection[str]
) -> dict[str, list[SentPage]]:
    """Episode → its pages and reminders on all channels."""
    found: dict[str, list[SentPage]] = {episode: [] for episode in episodes}
    rows = db.execute(
        "SELECT o.episode, o.channel, o.kind, o.state, o.due_ms FROM outbox o "
        "JOIN alert a ON a.episode = o.episode "
        "WHERE a.open = 1 AND o.kind IN ('page', 'reminder')"
    )
    for episode, *values in rows:
        if episode in found:
            found[episode].append(SentPage(*values))
    return found


def add_sends(
    db: sqlite3.Connection,
    sends: Iterable[tuple[str, Alert, NextSend]],
    now_ms: int,
) -> None:
    """Adds what is due, for alerts that are still open. An escalation that was
    withdrawn, and each further reminder, uses its row again."""
    for episode, alert, send in sends:
        db.execute(
            "INSERT INTO outbox (episode, kind, channel, state, created_ms, next_ms, "
            "due_ms, deferred, tries, error, body, unacknowledged_ms) "
            "SELECT :episode, :kind, :channel, 'waiting', :now_ms, :now_ms, :now_ms, "
            "0, 0, '', :body, :unacknowledged_ms "
            "WHERE EXISTS (SELECT 1 FROM alert WHERE episode = :episode AND open = 1) "
            "ON CONFLICT (episode, kind, channel) DO UPDATE SET state = 'waiting', "
            "created_ms = excluded.created_ms, next_ms = excluded.next_ms, "
            "due_ms = excluded.due_ms, tries = 0, error = '', refused = 0, parcel = 0, "
            "ended_ms = NULL, body = excluded.body, "
            "unacknowledged_ms = excluded.unacknowledged_ms "
            "WHERE state = 'cancelled' OR (kind = 'reminder' AND state != 'waiting')",
            {
                "episode": episode,
                "kind": send.kind,
                "channel": send.channel,
                "now_ms": now_ms,
                "body": encode_alert(alert),
                "unacknowledged_ms": send.unacknowledged_ms,
            },
        )


def needless(db: sqlite3.Connection, waiting: Collection[str]) -> list[int]:
    """The ids of reminders and escalations of alerts that need nobody any more. A page
    that may have arrived stays, because its end must follow."""
    rows = db.execute(
        "SELECT id, episode FROM outbox WHERE state = 'waiting' "
        "AND unacknowledged_ms > 0 AND (tries = 0 OR kind = 'reminder')"
    )
    return [id for id, episode in rows if episode not in waiting]


def withdraw(db: sqlite3.Connection, ids: Iterable[int], now_ms: int) -> None:
    db.executemany(
        "UPDATE outbox SET state = 'cancelled', ended_ms = ? "
        "WHERE id = ? AND state = 'waiting'",
        [(now_ms, id) for id in ids],
    )
