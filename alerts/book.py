"""`Book`: the file of the alert engine. Standing, what is to be said, and how far the
journal was read change in one transaction, so that a restart neither forgets nor
repeats.

SQLite with a rollback journal, not WAL: several processes open the file (the page, the
command line), commits are a few a minute, and older builds of SQLite can lose a WAL's
reset. Other processes use the functions of `alerts.standing`; only the engine holds a
`Book`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from alerts.alert import Alert
from alerts.evaluate import Changes, Entry
from alerts.suppress import Silence
from collectors.journal import Position, Positions
from probes.sample import Sample

Kind = Literal["page", "resolution"]
HISTORY_MS = 400 * 86_400_000
_OWED_AGAIN_MS = 600_000
_SENT_KEPT_MS = 30 * 86_400_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS standing (key TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS alert (
  episode TEXT PRIMARY KEY, key TEXT NOT NULL, open INTEGER NOT NULL,
  since_ms INTEGER NOT NULL, resolved_ms INTEGER, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS alert_open ON alert (open, since_ms);
CREATE TABLE IF NOT EXISTS outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, episode TEXT NOT NULL, kind TEXT NOT NULL,
  channel TEXT NOT NULL, state TEXT NOT NULL, created_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL, deferred INTEGER NOT NULL, tries INTEGER NOT NULL,
  error TEXT NOT NULL, ended_ms INTEGER, parcel INTEGER NOT NULL DEFAULT 0,
  body BLOB NOT NULL, UNIQUE (episode, kind, channel));
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (state, channel, next_ms);
CREATE TABLE IF NOT EXISTS said (
  id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS silence (
  id INTEGER PRIMARY KEY AUTOINCREMENT, from_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL, site TEXT NOT NULL, device TEXT NOT NULL,
  rule TEXT NOT NULL, why TEXT NOT NULL, who TEXT NOT NULL,
  planned INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ack (
  episode TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL,
  why TEXT NOT NULL);
PRAGMA user_version = 1;
"""
_encode = msgspec.msgpack.encode
_entry = msgspec.msgpack.Decoder(Entry)
decode_alert = msgspec.msgpack.Decoder(Alert).decode
_sample = msgspec.msgpack.Decoder(Sample)
_positions = msgspec.msgpack.Decoder(dict[str, tuple[int, int]])


class Post(msgspec.Struct, frozen=True):
    """One thing to be said on one channel. `next_ms`: not before. `deferred`: it waits
    for business hours, and is dropped when all is well by then. What was once sent
    together has the same `parcel` and is sent together again."""

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


class Effect(msgspec.Struct, frozen=True):
    """What one evaluation changes, written at once. `ended` are episodes whose pages
    are to be called off, from `over_at_ms` on; `dropped` those that never fired and
    are not history."""

    changes: Changes
    alerts: dict[str, Alert]
    pages: Sequence[Post]
    ended: Sequence[str]
    dropped: Sequence[str]
    over_at_ms: int
    samples: Sequence[Sample]
    positions: Positions
    floor: Positions


class Book:
    """The engine's own connection; every method is blocking and is called from one
    thread at a time. That there is one engine the journal reader's lock sees to."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = connect(path)
        self._db.executescript("PRAGMA journal_mode = TRUNCATE;" + SCHEMA)

    def close(self) -> None:
        self._db.close()

    def standing(self) -> dict[str, Entry]:
        rows = self._db.execute("SELECT key, body FROM standing")
        return {key: _entry.decode(body) for key, body in rows}

    def positions(self) -> tuple[Positions | None, Positions | None]:
        """(how far was read, from where to read again to fill the window)."""
        return read_positions(self._db, "positions"), read_positions(self._db, "floor")

    def shown(self) -> dict[str, Alert]:
        """Episode -> the open alerts as last shown."""
        rows = self._db.execute("SELECT episode, body FROM alert WHERE open = 1")
        return {episode: decode_alert(body) for episode, body in rows}

    def write(self, effect: Effect, now_ms: int) -> None:
        """All of `effect` or, where this raises, nothing of it."""
        with transaction(self._db) as db:
            for key, entry in effect.changes.items():
                if entry is None:
                    db.execute("DELETE FROM standing WHERE key = ?", (key,))
                else:
                    db.execute(
                        "INSERT INTO standing VALUES (?, ?) ON CONFLICT (key) "
                        "DO UPDATE SET body = excluded.body",
                        (key, _encode(entry)),
                    )
            for episode, alert in effect.alerts.items():
                db.execute(
                    "INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (episode) "
                    "DO UPDATE SET open = excluded.open, body = excluded.body, "
                    "resolved_ms = excluded.resolved_ms",
                    (
                        episode,
                        alert.key,
                        int(alert.state != "resolved"),
                        alert.since_ms,
                        alert.resolved_ms,
                        _encode(alert),
                    ),
                )
            for episode in effect.dropped:
                db.execute("DELETE FROM alert WHERE episode = ?", (episode,))
            for post in effect.pages:
                _post(db, post, now_ms)
            for episode in effect.ended:
                _call_off(db, episode, effect, now_ms)
            for sample in effect.samples:
                db.execute("INSERT INTO said (body) VALUES (?)", (_encode(sample),))
            _write_positions(db, "positions", effect.positions)
            _write_positions(db, "floor", effect.floor)

    def said(self) -> list[tuple[int, Sample]]:
        """Samples that are not known to be in the journal yet."""
        rows = self._db.execute("SELECT id, body FROM said ORDER BY id LIMIT 10000")
        return [(id, _sample.decode(body)) for id, body in rows]

    def forget_said(self, up_to: int) -> None:
        with transaction(self._db) as db:
            db.execute("DELETE FROM said WHERE id <= ?", (up_to,))

    def due(self, channel: str, now_ms: int, limit: int = 200) -> list[Post]:
        """What may be said now, in order; a resolution only after its page."""
        rows = self._db.execute(
            """SELECT o.id, o.episode, o.kind, o.body, o.next_ms, o.deferred, o.tries,
                      o.created_ms, o.parcel
               FROM outbox o WHERE o.state = 'waiting' AND o.channel = ?
                 AND o.next_ms <= ? AND (o.kind = 'page' OR EXISTS (
                   SELECT 1 FROM outbox p WHERE p.episode = o.episode
                     AND p.channel = o.channel AND p.kind = 'page'
                     AND p.state = 'delivered'))
               ORDER BY o.id LIMIT ?""",
            (channel, now_ms, limit),
        )
        return [
            Post(
                episode=episode,
                kind=kind,
                channel=channel,
                alert=decode_alert(body),
                next_ms=next_ms,
                deferred=deferred,
                tries=tries,
                created_ms=created_ms,
                parcel=parcel,
                id=id,
            )
            for (
                id,
                episode,
                kind,
                body,
                next_ms,
                deferred,
                tries,
                created_ms,
                parcel,
            ) in rows
        ]

    def begin(self, posts: Sequence[Post]) -> None:
        """A try begins. After a crash it is not known whether it arrived: it is sent
        again as the same message, which receivers can tell by its id."""
        parcel = posts[0].parcel or posts[0].id
        with transaction(self._db) as db:
            db.executemany(
                "UPDATE outbox SET tries = tries + 1, deferred = 0, parcel = ? "
                "WHERE id = ?",
                [(parcel, post.id) for post in posts],
            )

    def delivered(self, posts: Sequence[Post], now_ms: int) -> None:
        self._finish(posts, "delivered", "", now_ms)

    def refused(self, posts: Sequence[Post], error: str, now_ms: int) -> None:
        """It will never arrive; nor is its resolution sent. A resolution is tried
        again: whoever took the page is owed it."""
        owed = [post for post in posts if post.kind == "resolution"]
        self.retry(owed, error, now_ms + _OWED_AGAIN_MS)
        self._finish(
            [post for post in posts if post.kind == "page"], "refused", error, now_ms
        )

    def give_up(self, posts: Sequence[Post], error: str, now_ms: int) -> None:
        """It was tried for long enough."""
        self._finish(posts, "refused", error, now_ms)

    def retry(self, posts: Sequence[Post], error: str, next_ms: int) -> None:
        with transaction(self._db) as db:
            db.executemany(
                "UPDATE outbox SET next_ms = ?, error = ? WHERE id = ?",
                [(next_ms, error, post.id) for post in posts],
            )

    def waiting(self) -> dict[str, int]:
        """Channel -> what is not delivered yet (what waits for business hours not)."""
        rows = self._db.execute(
            "SELECT channel, count(*) FROM outbox WHERE state = 'waiting' "
            "AND deferred = 0 GROUP BY channel"
        )
        return dict(rows)

    def silences(self, now_ms: int) -> list[Silence]:
        return silences_from(self._db, now_ms)

    def tidy(self, now_ms: int) -> None:
        """Drops what is older than anybody asks for."""
        with transaction(self._db) as db:
            db.execute(
                "DELETE FROM alert WHERE open = 0 AND resolved_ms < ?",
                (now_ms - HISTORY_MS,),
            )
            db.execute(
                "DELETE FROM ack WHERE episode NOT IN (SELECT episode FROM alert)"
            )
            db.execute(
                """DELETE FROM outbox WHERE ended_ms < ? AND NOT EXISTS (
                     SELECT 1 FROM alert a WHERE a.episode = outbox.episode
                       AND a.open = 1)""",
                (now_ms - _SENT_KEPT_MS,),
            )

    def _finish(
        self, posts: Sequence[Post], state: str, error: str, now_ms: int
    ) -> None:
        with transaction(self._db) as db:
            for post in posts:
                db.execute(
                    "UPDATE outbox SET state = ?, error = ?, ended_ms = ? WHERE id = ?",
                    (state, error, now_ms, post.id),
                )
                if state == "refused" and post.kind == "page":
                    db.execute(
                        "UPDATE outbox SET state = 'cancelled', ended_ms = ? WHERE "
                        "episode = ? AND channel = ? AND kind = 'resolution' "
                        "AND state = 'waiting'",
                        (now_ms, post.episode, post.channel),
                    )


def _post(db: sqlite3.Connection, post: Post, now_ms: int) -> None:
    # The same episode is never paged twice on a channel, whatever happens above.
    db.execute(
        "INSERT INTO outbox (episode, kind, channel, state, created_ms, next_ms, "
        "deferred, tries, error, body) VALUES (?, ?, ?, 'waiting', ?, ?, ?, 0, '', ?) "
        "ON CONFLICT (episode, kind, channel) DO NOTHING",
        (
            post.episode,
            post.kind,
            post.channel,
            now_ms,
            post.next_ms,
            post.deferred,
            _encode(post.alert),
        ),
    )


def _call_off(
    db: sqlite3.Connection, episode: str, effect: Effect, now_ms: int
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
            said = effect.alerts.get(episode) or decode_alert(body)
            over = Post(episode, "resolution", channel, said, effect.over_at_ms)
            _post(db, over, now_ms)


def silences_from(db: sqlite3.Connection, from_ms: int) -> list[Silence]:
    rows = db.execute(
        "SELECT id, from_ms, until_ms, site, device, rule, why, who, planned "
        "FROM silence WHERE until_ms >= ? ORDER BY from_ms, id",
        (from_ms,),
    )
    return [Silence(*row) for row in rows]


def read_positions(db: sqlite3.Connection, name: str) -> Positions | None:
    row = db.execute("SELECT body FROM meta WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    return {log: Position(*at) for log, at in _positions.decode(row[0]).items()}


def _write_positions(db: sqlite3.Connection, name: str, positions: Positions) -> None:
    body = _encode({log: (at.segment, at.offset) for log, at in positions.items()})
    db.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) "
        "DO UPDATE SET body = excluded.body",
        (name, body),
    )


def connect(path: Path, mode: str = "rwc") -> sqlite3.Connection:
    # Autocommit: transactions are begun by hand, so nothing is begun behind our back.
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=10,
        isolation_level=None,
        check_same_thread=False,
    )
    db.execute("PRAGMA synchronous = FULL")
    return db


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
