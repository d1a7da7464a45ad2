"""`Outbox`: pages and resolutions, kept until each channel has delivered them.

What a channel refuses is kept and tried again, like what failed to arrive; meanwhile it
goes to another channel. Nothing goes twice to one channel under different ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from alerts.acknowledgement_rows import acknowledgements
from alerts.alert import Acknowledgement, Alert
from alerts.alert_file import AlertFile
from alerts.outbox_entry import (
    OutboxEntry,
    StandingEntry,
    Undelivered,
    WaitingDelivery,
    decode_alert,
    encode_alert,
)
from alerts.update_entries import in_threads

# A page that is not delivered this long after it was due is overdue.
OVERDUE_MS = 120_000
# Overdue for this long, it goes to another channel even if the first may only be slow.
FALL_BACK_AFTER_MS = 300_000
# A resolution only after its page.
_MAY_GO = """(o.kind = 'page' OR EXISTS (
  SELECT 1 FROM outbox p WHERE p.episode = o.episode AND p.channel = o.channel
    AND p.kind = 'page' AND p.state = 'delivered'))"""
_UNDELIVERED = f"""o.state = 'waiting' AND o.due_ms <= :now_ms AND {_MAY_GO} AND (
  o.refused OR o.due_ms <= :now_ms - {OVERDUE_MS})"""


class Outbox:
    """Every method is blocking and is called from one thread at a time."""

    def __init__(self, file: AlertFile) -> None:
        self._file = file

    def due(self, channel: str, now_ms: int, limit: int = 2000) -> list[OutboxEntry]:
        """The entries that may be sent now, in order."""
        rows = self._file.db.execute(
            f"""SELECT o.episode, o.kind, o.channel, o.body, o.next_ms, o.deferred,
                  o.tries, o.created_ms, o.parcel, o.id, o.due_ms, o.instead_of,
                  o.held, o.unacknowledged_ms, e.body
                FROM outbox o LEFT JOIN outbox e ON o.kind = 'page'
                  AND e.episode = o.episode AND e.channel = o.channel
                  AND e.kind = 'resolution' AND e.state = 'waiting'
                WHERE o.state = 'waiting' AND o.channel = ?
                  AND o.next_ms <= ? AND {_MAY_GO} ORDER BY o.id LIMIT ?""",
            (channel, now_ms, limit),
        ).fetchall()
        acks = acknowledgements(self._file.shared, {row[0] for row in rows})

        def decoded(episode: str, body: bytes) -> Alert:
            alert = decode_alert(body)
            known = acks.get(episode)
            return alert.acknowledged(known) if known else alert

        entries = [
            OutboxEntry(
                episode,
                kind,
                channel,
                decoded(episode, body),
                *(*rest, decoded(episode, end) if end else None, unacknowledged_ms),
            )
            for episode, kind, channel, body, *rest, unacknowledged_ms, end in rows
        ]
        return in_threads(self._file.db, channel, entries)

    def start_attempt(self, entries: Sequence[OutboxEntry]) -> None:
        """Records an attempt. After a crash nobody knows whether it arrived, so it is
        sent again as the same message; receivers recognise its id."""
        batch_id = entries[0].batch_id or entries[0].id
        self._change("tries = tries + 1, deferred = 0, parcel = ?", entries, batch_id)

    def delivered(self, entries: Sequence[OutboxEntry], now_ms: int) -> None:
        """Records that the message has arrived, with the ends that it reported."""

        def work(db: sqlite3.Connection) -> None:
            for entry in entries:
                db.execute(
                    "UPDATE outbox SET state = 'delivered', ended_ms = ? WHERE id = ?",
                    (now_ms, entry.id),
                )
                if entry.kind == "page":
                    _add_missed_resolution(db, entry, now_ms)
                if entry.end is not None:
                    batch_id = entry.batch_id or entries[0].id
                    db.execute(
                        "UPDATE outbox SET state = 'delivered', ended_ms = ?, "
                        "parcel = ? WHERE episode = ? AND channel = ? "
                        "AND kind = 'resolution' AND state = 'waiting'",
                        (now_ms, batch_id, entry.episode, entry.channel),
                    )

        self._file.write(work)

    def retry(
        self,
        entries: Sequence[OutboxEntry],
        error: str,
        next_ms: int,
        refused: bool = False,
        as_one: bool = True,
    ) -> None:
        """Schedules another attempt; `refused` if the channel will never accept it.
        `as_one`: as the same message, because it may have arrived."""
        self._change(
            "error = ?, next_ms = ?, refused = ?" + ("" if as_one else ", parcel = 0"),
            entries,
            error,
            next_ms,
            int(refused),
        )

    def hold(self, entries: Sequence[OutboxEntry], until_ms: int, now_ms: int) -> None:
        """Keeps them for a digest at `until_ms`: until then they are not late."""
        self._change(
            "held = CASE held WHEN 0 THEN ? ELSE held END, next_ms = ?, due_ms = ?, "
            "parcel = 0",
            entries,
            now_ms,
            until_ms,
            until_ms,
        )

    def split(self, entries: Sequence[OutboxEntry], now_ms: int) -> None:
        """Makes two messages of one that is too large; both are due at once."""
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            self._change("parcel = ?, next_ms = ?", half, half[0].id, now_ms)

    def sent_times(
        self, channels: Iterable[str], since_ms: int
    ) -> dict[str, list[int]]:
        """Channel → when it delivered each of its messages since then."""
        times: dict[str, list[int]] = {}
        for channel in channels:
            rows = self._file.db.execute(
                "SELECT max(ended_ms) FROM outbox WHERE state = 'delivered' "
                "AND channel = ? AND ended_ms >= ? GROUP BY parcel",
                (channel, since_ms),
            )
            times[channel] = [ended_ms for (ended_ms,) in rows]
        return times

    def standing(self, channel: str) -> list[StandingEntry]:
        """The pages that were delivered by `channel` whose alert is still open."""
        rows = self._file.db.execute(
            """SELECT o.episode, o.body, o.next_ms, o.id, o.due_ms, a.body, k.at_ms,
                 k.who, k.why FROM alert a JOIN outbox o ON o.episode = a.episode
                 LEFT JOIN ack k ON k.episode = a.episode WHERE a.open = 1 AND
                 o.kind = 'page' AND o.channel = ? AND o.state = 'delivered'
                 ORDER BY a.since_ms, o.id""",
            (channel,),
        )
        return [
            StandingEntry(
                OutboxEntry(
                    episode,
                    "page",
                    channel,
                    decode_alert(told),
                    next_ms,
                    id=id,
                    due_ms=due_ms,
                ),
                decode_alert(now).acknowledged(Acknowledgement(*ack))
                if ack[0] is not None
                else decode_alert(now),
            )
            for episode, told, next_ms, id, due_ms, now, *ack in rows
        ]

    def told(self, standing: Sequence[StandingEntry]) -> None:
        """Records that the channel knows these alerts as they are now."""
        changed = [pair for pair in standing if pair.entry.alert != pair.now]
        if changed:
            self._file.write(
                lambda db: db.executemany(
                    "UPDATE outbox SET body = ? WHERE id = ?",
                    [(encode_alert(pair.now), pair.entry.id) for pair in changed],
                )
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
            encode_alert(entry.alert),
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
    """Adds a resolution for every page that was, may have been or will be delivered;
    reminders and updates that wait are not sent."""
    db.execute(
        "UPDATE outbox SET state = 'cancelled', ended_ms = ? "
        "WHERE episode = ? AND kind IN ('reminder', 'update') AND state = 'waiting'",
        (now_ms, episode),
    )
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


def _add_missed_resolution(
    db: sqlite3.Connection, entry: OutboxEntry, now_ms: int
) -> None:
    """The end of an alert whose page was withdrawn when it was on its way already."""
    ended = db.execute(
        "SELECT body FROM alert WHERE episode = ? AND open = 0 AND NOT EXISTS ("
        "SELECT 1 FROM outbox WHERE episode = ? AND channel = ? "
        "AND kind = 'resolution')",
        (entry.episode, entry.episode, entry.channel),
    ).fetchone()
    if ended is not None:
        over = decode_alert(ended[0])
        end = OutboxEntry(entry.episode, "resolution", entry.channel, over, now_ms)
        add_entry(db, end, now_ms)


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
