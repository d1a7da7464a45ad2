"""`Outbox`: pages and resolutions, kept until each channel has delivered them.

What a channel refuses is kept and tried again, like what failed to arrive; meanwhile it
goes to another channel. Nothing goes twice to one channel under different ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from alerts.alert import Alert
from alerts.alert_file import AlertFile

NotificationKind = Literal["page", "resolution"]
# A page that is not delivered this long after it was due is overdue.
OVERDUE_MS = 120_000
# Overdue for this long, it goes to another channel even if the first may only be slow.
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
    """One notification for one channel.

    `next_ms`: the earliest time to send it; `due_ms`: the same before any attempt.
    `deferred`: it waits for business hours, and is dropped if all is well by then.
    Entries once sent as one message share a `batch_id` and are sent together again.
    `instead_of`: the channel that failed to deliver it.
    """

    episode: str
    kind: NotificationKind
    channel: str
    alert: Alert
    next_ms: int
    deferred: int = 0
    tries: int = 0
    created_ms: int = 0
    batch_id: int = 0
    id: int = 0
    due_ms: int = 0
    instead_of: str = ""


class WaitingDelivery(NamedTuple):
    """What a channel has yet to deliver: `total`, and those `overdue`: refused, or due
    for more than two minutes."""

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
        """The entries that may be sent now, in order."""
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

    def start_attempt(self, entries: Sequence[OutboxEntry]) -> None:
        """Records an attempt. After a crash nobody knows whether it arrived, so it is
        sent again as the same message; receivers recognise its id."""
        batch_id = entries[0].batch_id or entries[0].id
        self._change("tries = tries + 1, deferred = 0, parcel = ?", entries, batch_id)

    def delivered(self, entries: Sequence[OutboxEntry], now_ms: int) -> None:
        self._change("state = 'delivered', ended_ms = ?", entries, now_ms)

    def retry(
        self,
        entries: Sequence[OutboxEntry],
        error: str,
        next_ms: int,
        refused: bool = False,
    ) -> None:
        """Schedules another attempt; `refused` if the channel will never accept it."""
        self._change(
            "error = ?, next_ms = ?, refused = ?", entries, error, next_ms, int(refused)
        )

    def retry_now(self, channel: str, now_ms: int) -> None:
        """The channel works again: what it failed to deliver is due at once."""
        self._file.write(
            lambda db: db.execute(
                "UPDATE outbox SET next_ms = min(next_ms, ?) WHERE channel = ? "
                "AND state = 'waiting' AND error != ''",
                (now_ms, channel),
            )
        )

    def fall_back(
        self,
        entries: Sequence[OutboxEntry],
        channels: Sequence[str],
        anyway: bool,
        now_ms: int,
    ) -> list[str]:
        """Adds pages to other `channels`; returns those that get any.

        Without `anyway`, only pages that no channel has delivered or is about to
        deliver: one recipient is enough.
        """

        def work(db: sqlite3.Connection) -> set[str]:
            channels_used = set()
            for entry in entries:
                if not anyway and _is_handled_elsewhere(db, entry):
                    continue
                for channel in channels:
                    if _add_to_fallback(db, entry, channel, now_ms):
                        channels_used.add(channel)
            return channels_used

        return sorted(self._file.write(work)) if channels else []

    def give_up(self, entries: Sequence[OutboxEntry], error: str, now_ms: int) -> None:
        """Gives up after enough attempts. A page's resolution is not sent either."""

        def work(db: sqlite3.Connection) -> None:
            for entry in entries:
                db.execute(
                    "UPDATE outbox SET state = 'refused', error = ?, ended_ms = ? "
                    "WHERE id = ?",
                    (error, now_ms, entry.id),
                )
                if entry.kind == "page":
                    db.execute(
                        "UPDATE outbox SET state = 'cancelled', ended_ms = ? WHERE "
                        "episode = ? AND channel = ? AND kind = 'resolution' "
                        "AND state = 'waiting'",
                        (now_ms, entry.episode, entry.channel),
                    )

        self._file.write(work)

    def count_waiting(self, now_ms: int) -> dict[str, WaitingDelivery]:
        """Counts by channel, without those that wait for business hours."""
        rows = self._file.db.execute(
            f"SELECT o.channel, count(*), sum({_UNDELIVERED}) FROM outbox o "
            "WHERE o.state = 'waiting' AND o.deferred = 0 GROUP BY o.channel",
            {"now_ms": now_ms},
        )
        return {
            channel: WaitingDelivery(total, overdue) for channel, total, overdue in rows
        }

    def _change(
        self, change: str, entries: Sequence[OutboxEntry], *values: object
    ) -> None:
        self._file.write(
            lambda db: db.executemany(
                f"UPDATE outbox SET {change} WHERE id = ?",
                [(*values, entry.id) for entry in entries],
            )
        )


def undelivered(db: sqlite3.Connection, now_ms: int) -> Iterator[Undelivered]:
    """The channels with undelivered notifications, for page and command line."""
    rows = db.execute(
        f"SELECT o.channel, count(*), min(o.due_ms), max(o.error) FROM outbox o "
        f"WHERE {_UNDELIVERED} GROUP BY o.channel ORDER BY o.channel",
        {"now_ms": now_ms},
    )
    return (Undelivered(*row) for row in rows)


def add_entry(db: sqlite3.Connection, entry: OutboxEntry, now_ms: int) -> bool:
    """Adds it unless it is there; returns whether it was added. One episode is never
    paged twice on a channel, whatever happens above."""
    cursor = db.execute(
        "INSERT INTO outbox (episode, kind, channel, state, created_ms, next_ms, "
        "due_ms, deferred, tries, error, body, instead_of) "
        "VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?, 0, '', ?, ?) "
        "ON CONFLICT (episode, kind, channel) DO NOTHING",
        (
            entry.episode,
            entry.kind,
            entry.channel,
            now_ms,
            entry.next_ms,
            entry.next_ms,
            entry.deferred,
            _encode(entry.alert),
            entry.instead_of,
        ),
    )
    return cursor.rowcount > 0


def add_resolutions(
    db: sqlite3.Connection,
    episode: str,
    alert: Alert | None,
    over_at_ms: int,
    now_ms: int,
) -> None:
    """Adds a resolution for every page that was, may have been or will be delivered."""
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
            add_entry(
                db,
                OutboxEntry(
                    episode,
                    "resolution",
                    channel,
                    alert or decode_alert(body),
                    over_at_ms,
                ),
                now_ms,
            )


def _is_handled_elsewhere(db: sqlite3.Connection, entry: OutboxEntry) -> bool:
    """True if another channel has delivered this, or has not yet failed to."""
    others = db.execute(
        "SELECT 1 FROM outbox WHERE episode = ? AND kind = ? AND channel != ? "
        "AND (state = 'delivered' "
        "OR (state = 'waiting' AND error = '' AND NOT deferred)) LIMIT 1",
        (entry.episode, entry.kind, entry.channel),
    )
    return others.fetchone() is not None


def _add_to_fallback(
    db: sqlite3.Connection, entry: OutboxEntry, channel: str, now_ms: int
) -> bool:
    fallback = OutboxEntry(
        entry.episode,
        entry.kind,
        channel,
        entry.alert,
        now_ms,
        instead_of=entry.channel,
    )
    if not add_entry(db, fallback, now_ms):
        return False
    # The alert may have ended already. Every page is followed by its resolution.
    resolution = db.execute(
        "SELECT body, due_ms FROM outbox WHERE episode = ? AND channel = ? "
        "AND kind = 'resolution'",
        (entry.episode, entry.channel),
    ).fetchone()
    if resolution is not None:
        end = OutboxEntry(
            entry.episode,
            "resolution",
            channel,
            decode_alert(resolution[0]),
            resolution[1],
        )
        add_entry(db, end, now_ms)
    return True
