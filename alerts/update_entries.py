"""What follows a page in the outbox: its new cause, its end, and what begins again."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

import msgspec

from alerts.alert import Alert
from alerts.outbox_entry import OutboxEntry, encode_alert


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


def in_threads(
    db: sqlite3.Connection, channel: str, entries: Sequence[OutboxEntry]
) -> list[OutboxEntry]:
    """The entries with the page that each follows on `channel`."""
    episodes = {entry.episode for entry in entries}
    before = {entry.alert.follows for entry in entries} - {""}
    threads = _page_threads(db, channel, episodes | before)
    known = {
        episode
        for episode in before & threads.keys()
        if _has_page(db, channel, episode)
    }
    return [
        msgspec.structs.replace(
            entry,
            thread=threads.get(entry.alert.follows if follows else entry.episode, ()),
            again=follows and entry.kind != "resolution",
        )
        for entry in entries
        for follows in [entry.alert.follows in known]
    ]


def _has_page(db: sqlite3.Connection, channel: str, episode: str) -> bool:
    page = db.execute(
        "SELECT 1 FROM outbox WHERE episode = ? AND channel = ? AND kind = 'page' "
        "AND state = 'delivered'",
        (episode, channel),
    )
    return page.fetchone() is not None


def _page_threads(
    db: sqlite3.Connection, channel: str, episodes: Collection[str]
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
