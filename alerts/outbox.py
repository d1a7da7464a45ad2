"""`Outbox`: pages and resolutions until each channel has taken them.

What a channel refuses is kept and tried again like what it could not take; meanwhile it
goes to another channel. Nothing goes twice to one channel under different ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from alerts.alert import Alert
from alerts.alert_file import AlertFile

Kind = Literal["page", "resolution"]
# A page that is not delivered this long after it was due is overdue.
OVERDUE_MS = 120_000
# Overdue so long, it goes to another channel even if the first may only be slow.
FALL_BACK_AFTER_MS = 300_000
_encode = msgspec.msgpack.encode
decode_alert = msgspec.msgpack.Decoder(Alert).decode
# A resolution only after its page.
_MAY_GO = """(o.kind = 'page' OR EXISTS (
  SELECT 1 FROM outbox p WHERE p.episode = o.episode AND p.channel = o.channel
    AND p.kind = 'page' AND p.state = 'delivered'))"""
_UNDELIVERED = f"""o.state = 'waiting' AND o.due_ms <= :now_ms AND {_MAY_GO} AND (
  o.refused OR o.due_ms <= :now_ms - {OVERDUE_MS})"""


class OutboxEntry(msgspec.Struct, frozen=True):
    """One thing to be said on one channel.

    `next_ms`: not before; `due_ms`: the same before any try. `deferred`: it waits for
    business hours, and is dropped when all is well by then. What was once sent together
    has the same `parcel` and is sent together again. `instead_of`: the channel that did
    not take it.
    """

    episode: str
    kind: Kind
    channel: str
    alert: Alert
    next_ms: int
    deferred: int = 0
    tries: int = 0
    created_ms: int = 0
    parcel: int = 0
    id: int = 0
    due_ms: int = 0
    instead_of: str = ""


class WaitingDelivery(NamedTuple):
    """What a channel has not taken yet: `total`, and of these `overdue`: refused, or
    due for more than two minutes."""

    total: int = 0
    overdue: int = 0


class Undelivered(msgspec.Struct, frozen=True):
    """Overdue notifications of a channel: how many, since when, and why."""

    channel: str
    count: int
    since_ms: int
    error: str


class Outbox:
    """Every method is blocking and is called from one thread at a time."""

    def __init__(self, file: AlertFile) -> None:
        self._file = file

    def due(self, channel: str, now_ms: int, limit: int = 200) -> list[OutboxEntry]:
        """What may be said now, in order."""
        rows = self._file.db.execute(
            f"""SELECT o.episode, o.kind, o.channel, o.body, o.next_ms, o.deferred,
                  o.tries, o.created_ms, o.parcel, o.id, o.due_ms, o.instead_of
                FROM outbox o WHERE o.state = 'waiting' AND o.channel = ?
                  AND o.next_ms <= ? AND {_MAY_GO} ORDER BY o.id LIMIT ?""",
            (channel, now_ms, limit),
        )
        return [
            OutboxEntry(episode, kind, channel, decode_alert(body), *rest)
            for episode, kind, channel, body, *rest in rows
        ]

    def begin(self, posts: Sequence[OutboxEntry]) -> None:
        """A try begins. After a crash it is not known whether it arrived: it is sent
        again as the same message, which receivers can tell by its id."""
        parcel = posts[0].parcel or posts[0].id
        self._change("tries = tries + 1, deferred = 0, parcel = ?", posts, parcel)

    def delivered(self, posts: Sequence[OutboxEntry], now_ms: int) -> None:
        self._change("state = 'delivered', ended_ms = ?", posts, now_ms)

    def retry(
        self,
        posts: Sequence[OutboxEntry],
        error: str,
        next_ms: int,
        refused: bool = False,
    ) -> None:
        """The channel did not take it; `refused` if it said that it never will."""
        self._change(
            "error = ?, next_ms = ?, refused = ?", posts, error, next_ms, int(refused)
        )

    def hurry(self, channel: str, now_ms: int) -> None:
        """The channel takes pages again: what it had not taken need not wait longer."""
        self._file.write(
            lambda db: db.execute(
                "UPDATE outbox SET next_ms = min(next_ms, ?) WHERE channel = ? "
                "AND state = 'waiting' AND error != ''",
                (now_ms, channel),
            )
        )

    def fall_back(
        self,
        posts: Sequence[OutboxEntry],
        channels: Sequence[str],
        anyway: bool,
        now_ms: int,
    ) -> list[str]:
        """Says pages on `channels`, too; returns the channels that get any.

        Without `anyway` only what no channel has taken or is about to: who was told
        need not be told by a stranger.
        """

        def work(db: sqlite3.Connection) -> set[str]:
            told = set()
            for post in posts:
                if not anyway and _is_in_good_hands(db, post):
                    continue
                for channel in channels:
                    if _stand_in(db, post, channel, now_ms):
                        told.add(channel)
            return told

        return sorted(self._file.write(work)) if channels else []

    def give_up(self, posts: Sequence[OutboxEntry], error: str, now_ms: int) -> None:
        """It was tried for long enough; nor is the resolution of a page sent."""

        def work(db: sqlite3.Connection) -> None:
            for post in posts:
                db.execute(
                    "UPDATE outbox SET state = 'refused', error = ?, ended_ms = ? "
                    "WHERE id = ?",
                    (error, now_ms, post.id),
                )
                if post.kind == "page":
                    db.execute(
                        "UPDATE outbox SET state = 'cancelled', ended_ms = ? WHERE "
                        "episode = ? AND channel = ? AND kind = 'resolution' "
                        "AND state = 'waiting'",
                        (now_ms, post.episode, post.channel),
                    )

        self._file.write(work)

    def waiting(self, now_ms: int) -> dict[str, WaitingDelivery]:
        """By channel; what waits for business hours is left out."""
        rows = self._file.db.execute(
            f"SELECT o.channel, count(*), sum({_UNDELIVERED}) FROM outbox o "
            "WHERE o.state = 'waiting' AND o.deferred = 0 GROUP BY o.channel",
            {"now_ms": now_ms},
        )
        return {
            channel: WaitingDelivery(total, overdue) for channel, total, overdue in rows
        }

    def _change(
        self, change: str, posts: Sequence[OutboxEntry], *values: object
    ) -> None:
        self._file.write(
            lambda db: db.executemany(
                f"UPDATE outbox SET {change} WHERE id = ?",
                [(*values, post.id) for post in posts],
            )
        )


def undelivered(db: sqlite3.Connection, now_ms: int) -> Iterator[Undelivered]:
    """By channel, those with any; for the status page and the command line."""
    rows = db.execute(
        f"SELECT o.channel, count(*), min(o.due_ms), max(o.error) FROM outbox o "
        f"WHERE {_UNDELIVERED} GROUP BY o.channel ORDER BY o.channel",
        {"now_ms": now_ms},
    )
    return (Undelivered(*row) for row in rows)


def add(db: sqlite3.Connection, post: OutboxEntry, now_ms: int) -> bool:
    """True if it is new: one episode is never paged twice on a channel, whatever
    happens above."""
    done = db.execute(
        "INSERT INTO outbox (episode, kind, channel, state, created_ms, next_ms, "
        "due_ms, deferred, tries, error, body, instead_of) "
        "VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?, 0, '', ?, ?) "
        "ON CONFLICT (episode, kind, channel) DO NOTHING",
        (
            post.episode,
            post.kind,
            post.channel,
            now_ms,
            post.next_ms,
            post.next_ms,
            post.deferred,
            _encode(post.alert),
            post.instead_of,
        ),
    )
    return done.rowcount > 0


def call_off(
    db: sqlite3.Connection,
    episode: str,
    alert: Alert | None,
    over_at_ms: int,
    now_ms: int,
) -> None:
    """A resolution for every page that was, or may have been, or will be delivered."""
    pages = db.execute(
        "SELECT id, channel, state, deferred, tries, body FROM outbox "
        "WHERE episode = ? AND kind = 'page'",
        (episode,),
    ).fetchall()
    for id, channel, state, deferred, tries, body in pages:
        if state == "waiting" and deferred and not tries:
            db.execute(
                "UPDATE outbox SET state = 'cancelled', ended_ms = ? WHERE id = ?",
                (now_ms, id),
            )
        elif state in ("waiting", "delivered"):
            said = alert or decode_alert(body)
            add(
                db,
                OutboxEntry(episode, "resolution", channel, said, over_at_ms),
                now_ms,
            )


def _is_in_good_hands(db: sqlite3.Connection, post: OutboxEntry) -> bool:
    """True if another channel has this, or has not failed to take it yet."""
    others = db.execute(
        "SELECT 1 FROM outbox WHERE episode = ? AND kind = ? AND channel != ? "
        "AND (state = 'delivered' "
        "OR (state = 'waiting' AND error = '' AND NOT deferred)) LIMIT 1",
        (post.episode, post.kind, post.channel),
    )
    return others.fetchone() is not None


def _stand_in(
    db: sqlite3.Connection, post: OutboxEntry, channel: str, now_ms: int
) -> bool:
    stand_in = OutboxEntry(
        post.episode,
        post.kind,
        channel,
        post.alert,
        now_ms,
        instead_of=post.channel,
    )
    if not add(db, stand_in, now_ms):
        return False
    # It may have ended already: whoever is told of it is told of its end.
    over = db.execute(
        "SELECT body, due_ms FROM outbox WHERE episode = ? AND channel = ? "
        "AND kind = 'resolution'",
        (post.episode, post.channel),
    ).fetchone()
    if over is not None:
        end = OutboxEntry(
            post.episode, "resolution", channel, decode_alert(over[0]), over[1]
        )
        add(db, end, now_ms)
    return True
