"""`AlertStore`: the state of the alert engine that must survive a restart.

Alerts, notifications still to be sent and the position in the journal change in one
transaction, so that a restart neither loses nor repeats anything. Only the engine opens
an `AlertStore`; the lock of the journal's reader ensures that there is one engine.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from alerts import outbox
from alerts.acknowledgement_rows import open_acknowledgements
from alerts.alert import Acknowledgement, Alert
from alerts.alert_file import AlertFile, Replication
from alerts.clock_set_back import make_due, states_by
from alerts.escalation import NextSend, next_sends
from alerts.escalation_entries import add_sends, needless, sent_pages, withdraw
from alerts.evaluation.alert_states import AlertState, StateChanges
from alerts.evaluation.learning import FirstSeen
from alerts.notify.routing import FollowUp
from alerts.outbox import Outbox
from alerts.outbox_entry import OutboxEntry, decode_alert
from alerts.silence import Silence
from alerts.update_entries import add_updates
from collectors.journal import Position, Positions
from probes.wire.sample import Sample

HISTORY_MS = 400 * 86_400_000
SILENCE_COLUMNS = ", ".join(Silence.__struct_fields__)
_SENT_KEPT_MS = 30 * 86_400_000
_encode = msgspec.msgpack.encode
_entry = msgspec.msgpack.Decoder(AlertState)
_first_seen = msgspec.msgpack.Decoder(FirstSeen)
_sample = msgspec.msgpack.Decoder(Sample)
_positions = msgspec.msgpack.Decoder(dict[str, tuple[int, int]])


class BaselineChanges(msgspec.Struct, frozen=True):
    """What changes in the baseline: `parts`, key → what entered it, or None for what
    left it; `first_seen`, owner → when, or None for what is forgotten; `learnt`, the
    owners that engineers wanted to be learnt again and that now are."""

    parts: Mapping[str, Alert | None] = {}
    first_seen: Mapping[str, FirstSeen | None] = {}
    learnt: Sequence[str] = ()


class CycleChanges(msgspec.Struct, frozen=True):
    """What one cycle changes, written at once. `ended`: episodes whose pages get a
    resolution, from `over_at_ms` on, like the `updates` of others. `dropped`: those
    that never fired, which leave no history."""

    changes: StateChanges
    alerts: dict[str, Alert]
    pages: Sequence[OutboxEntry]
    ended: Sequence[str]
    dropped: Sequence[str]
    over_at_ms: int
    samples: Sequence[Sample]
    positions: Positions
    floor: Positions
    baseline: BaselineChanges = BaselineChanges()
    updates: Mapping[str, Alert] = {}


class Decisions(msgspec.Struct, frozen=True):
    """What engineers and their calendars decided: `silences` in force and planned,
    `baseline_choices` by key, and `acks`, episode → who handles it."""

    silences: list[Silence]
    baseline_choices: dict[str, str]
    acks: dict[str, Acknowledgement]


class AlertStore:
    """Every method blocks, and is called from one thread at a time."""

    def __init__(self, path: Path, replication: Replication | None = None) -> None:
        self._file = AlertFile(path, replication)
        self.outbox = Outbox(self._file)
        self._silences: list[Silence] = []
        self._choices: dict[str, str] = {}
        self._acks: dict[str, Acknowledgement] = {}

    def close(self) -> None:
        self._file.close()

    @property
    def disk_error(self) -> str:
        """Why nothing is written to disk; empty if it is."""
        return self._file.disk_error

    def write_back(self) -> bool:
        """Writes to disk what is only in memory; True if all of it is on disk."""
        return self._file.write_back()

    def states(self) -> dict[str, AlertState]:
        rows = self._file.db.execute("SELECT key, body FROM standing")
        return {key: _entry.decode(body) for key, body in rows}

    def positions(self) -> tuple[Positions | None, Positions | None]:
        """Returns the position read up to, and the one to refill the window from."""
        return (
            read_positions(self._file.db, "positions"),
            read_positions(self._file.db, "floor"),
        )

    def open_alerts(self) -> dict[str, Alert]:
        """Episode → the open alerts as last shown."""
        rows = self._file.db.execute("SELECT episode, body FROM alert WHERE open = 1")
        return {episode: decode_alert(body) for episode, body in rows}

    def write(self, changes: CycleChanges, now_ms: int) -> None:
        """Writes all of `changes` or, if this raises, nothing."""

        def work(db: sqlite3.Connection) -> None:
            for key, alert_state in changes.changes.items():
                if alert_state is None:
                    db.execute("DELETE FROM standing WHERE key = ?", (key,))
                else:
                    db.execute(
                        "INSERT INTO standing VALUES (?, ?) ON CONFLICT (key) "
                        "DO UPDATE SET body = excluded.body",
                        (key, _encode(alert_state)),
                    )
            for episode, alert in changes.alerts.items():
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
            for episode in changes.dropped:
                db.execute("DELETE FROM alert WHERE episode = ?", (episode,))
            for page in changes.pages:
                outbox.add_entry(db, page, now_ms)
            for episode, alert in changes.updates.items():
                add_updates(db, episode, alert, changes.over_at_ms, now_ms)
            for episode in changes.ended:
                ended = changes.alerts.get(episode)
                outbox.add_resolutions(db, episode, ended, changes.over_at_ms, now_ms)
            for sample in changes.samples:
                db.execute("INSERT INTO said (body) VALUES (?)", (_encode(sample),))
            _write_baseline(db, changes.baseline)
            _write_positions(db, "positions", changes.positions)
            _write_positions(db, "floor", changes.floor)

        self._file.write(work)

    def unsent_samples(self) -> list[tuple[int, Sample]]:
        """Samples that may not be in the journal yet, by their row id."""
        rows = self._file.db.execute(
            "SELECT id, body FROM said ORDER BY id LIMIT 10000"
        )
        return [(id, _sample.decode(body)) for id, body in rows]

    def delete_samples(self, up_to: int) -> None:
        self._file.write(
            lambda db: db.execute("DELETE FROM said WHERE id <= ?", (up_to,))
        )

    def decisions(self, now_ms: int) -> Decisions:
        """What engineers decided; of what cannot be read, the last known."""
        self._file.replicate()
        return Decisions(
            self.silences(now_ms),
            self.baseline_choices(),
            self.acknowledgements(),
        )

    def silences(self, now_ms: int) -> list[Silence]:
        """Silences in force and planned; the last known ones if reading fails."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._silences = silences_from(self._file.shared, now_ms)
        return self._silences

    def first_seen(self) -> dict[str, FirstSeen]:
        """Owner → when it was first seen."""
        rows = self._file.db.execute("SELECT owner, body FROM first_seen")
        return {owner: _first_seen.decode(body) for owner, body in rows}

    def baseline_choices(self) -> dict[str, str]:
        """What engineers decided about the baseline; the last known if reading
        fails."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._choices = dict(
                self._file.shared.execute("SELECT key, choice FROM baseline_choice")
            )
        return self._choices

    def acknowledgements(self) -> dict[str, Acknowledgement]:
        """Episode → who handles it, for open alerts; the last known if reading
        fails."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._acks = open_acknowledgements(self._file.shared)
        return self._acks

    def escalate(
        self, waiting: Mapping[str, tuple[Alert, FollowUp]], now_ms: int
    ) -> list[tuple[str, NextSend]]:
        """Adds the reminders and escalations that are due for unacknowledged alerts, by
        episode, and withdraws those that wait for other alerts. Returns what was
        added."""
        sent = sent_pages(self._file.db, waiting)
        sends = [
            (episode, alert, send)
            for episode, (alert, follow_up) in waiting.items()
            for send in next_sends(sent[episode], follow_up, now_ms)
        ]
        ids = needless(self._file.db, waiting)

        def work(db: sqlite3.Connection) -> None:
            add_sends(db, sends, now_ms)
            withdraw(db, ids, now_ms)

        if sends or ids:
            self._file.write(work)
        return [(episode, send) for episode, _, send in sends]

    def make_due(self, now_ms: int) -> dict[str, AlertState]:
        """Corrects what was noted by a clock that was ahead. Returns the states that
        stay, without times after `now_ms`."""
        states = self.states()
        kept = states_by(states, now_ms)
        left_out = {key: state for key, state in states.items() if key not in kept}
        self._file.write(lambda db: make_due(db, left_out, now_ms))
        return kept

    def delete_old(self, now_ms: int) -> None:
        """Deletes alerts and notifications older than what is kept."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "DELETE FROM alert WHERE open = 0 AND resolved_ms < ?",
                (now_ms - HISTORY_MS,),
            )
            db.execute("DELETE FROM silence WHERE until_ms < ?", (now_ms - HISTORY_MS,))
            db.execute("DELETE FROM used_link WHERE until_ms < ?", (now_ms,))
            db.execute(
                "DELETE FROM ack WHERE episode NOT IN (SELECT episode FROM alert)"
            )
            db.execute(
                """DELETE FROM outbox WHERE ended_ms < ? AND NOT EXISTS (
                     SELECT 1 FROM alert a WHERE a.episode = outbox.episode
                       AND a.open = 1)""",
                (now_ms - _SENT_KEPT_MS,),
            )

        if not self.disk_error:
            self._file.write(work)


def _write_baseline(db: sqlite3.Connection, changes: BaselineChanges) -> None:
    for key, part in changes.parts.items():
        if part is None:
            db.execute("DELETE FROM baseline WHERE key = ?", (key,))
            db.execute("DELETE FROM baseline_choice WHERE key = ?", (key,))
        else:
            db.execute(
                "INSERT OR REPLACE INTO baseline VALUES (?, ?)", (key, _encode(part))
            )
    for owner, first_seen in changes.first_seen.items():
        if first_seen is None:
            db.execute("DELETE FROM first_seen WHERE owner = ?", (owner,))
        else:
            db.execute(
                "INSERT OR REPLACE INTO first_seen VALUES (?, ?)",
                (owner, _encode(first_seen)),
            )
    for owner in changes.learnt:
        db.execute("DELETE FROM baseline_choice WHERE key = ?", (owner,))


def silences_from(db: sqlite3.Connection, from_ms: int) -> list[Silence]:
    rows = db.execute(
        f"SELECT {SILENCE_COLUMNS} FROM silence "
        "WHERE until_ms >= ? AND until_ms > from_ms ORDER BY from_ms, id",
        (from_ms,),
    )
    return [Silence(*row) for row in rows]


def insert_silence(db: sqlite3.Connection, silence: Silence) -> int:
    """Returns its number."""
    values = {name: value for name, value in asdict(silence).items() if name != "id"}
    done = db.execute(
        f"INSERT INTO silence ({', '.join(values)}) "
        f"VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    return int(done.lastrowid or 0)


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
