"""Updates in the outbox: what those who have a page must learn of its cause."""

from __future__ import annotations

import sqlite3

from alerts.alert import Alert
from alerts.outbox_entry import encode_alert


def add_updates(
    db: sqlite3.Connection, episode: str, alert: Alert, next_ms: int, now_ms: int
) -> None:
    """Adds an update for each channel that has the page, once. A page that is still to
    be sent for the first time shows the new cause itself."""
    body = encode_alert(alert)
    db.execute(
        "UPDATE outbox SET body = ? WHERE episode = ? AND kind = 'page' "
        "AND state = 'waiting' AND tries = 0",
        (body, episode),
    )
    db.execute(
        "INSERT INTO outbox (episode, kind, channel, state, created_ms, next_ms, "
        "due_ms, deferred, tries, error, body) "
        "SELECT episode, 'update', channel, 'waiting', ?, ?, ?, 0, 0, '', ? "
        "FROM outbox WHERE episode = ? AND kind = 'page' "
        "AND (state = 'delivered' OR (state = 'waiting' AND tries > 0)) "
        "ON CONFLICT (episode, kind, channel) DO NOTHING",
        (now_ms, next_ms, next_ms, body, episode),
    )


def page_threads(
    db: sqlite3.Connection, channel: str, episodes: set[str]
) -> dict[str, tuple[str, ...]]:
    """Episode → all episodes of the message that paged it on `channel`: what follows
    belongs to that message, even if it is about one of them."""
    threads: dict[str, tuple[str, ...]] = {}
    for episode in episodes:
        rows = db.execute(
            "SELECT o.episode FROM outbox p JOIN outbox o ON o.channel = p.channel "
            "AND o.parcel = p.parcel AND o.kind = 'page' WHERE p.episode = ? "
            "AND p.channel = ? AND p.kind = 'page' AND p.parcel != 0",
            (episode, channel),
        )
        together = tuple(sorted(other for (other,) in rows))
        if together:
            threads[episode] = together
    return threads
