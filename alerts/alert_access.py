"""What other processes do with the alert engine's file: the status page, the command
line and reports. Every function opens and closes it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from alerts.alert import Acknowledgement, Alert
from alerts.alert_file import connect, has_tables, prepare
from alerts.alert_store import insert_silence, read_positions, silences_from
from alerts.outbox import undelivered
from alerts.outbox_entry import Undelivered, decode_alert
from alerts.replicated_rows import STANDING_BY, UNATTENDED, is_unattended
from alerts.silence import Silence
from collectors.journal import Positions
from collectors.sqlite_files import transaction
from probes.wire.counted_text import counted


def open_alerts(path: Path) -> list[Alert]:
    """Pending and firing alerts, oldest first; empty if there is no file yet."""
    return _select_alerts(path, "a.open = 1 ORDER BY a.since_ms", ())


def recent_alerts(path: Path, since_ms: int) -> list[Alert]:
    """Open alerts and those that ended at or after `since_ms`, newest first."""
    return _select_alerts(
        path, "a.open = 1 OR a.resolved_ms >= ? ORDER BY a.since_ms DESC", (since_ms,)
    )


def start_positions(path: Path) -> Positions | None:
    """Where the engine's journal reader begins: far enough back to fill the window."""
    if not has_tables(path):
        return None
    with opened(path, read_only=True) as db:
        return read_positions(db, "floor")


def overdue_notifications(path: Path, now_ms: int) -> list[Undelivered]:
    """Channels that refuse notifications or have failed for minutes."""
    if not has_tables(path):
        return []
    with opened(path, read_only=True) as db:
        return list(undelivered(db, now_ms))


def overdue_sentences(path: Path, now_ms: int) -> list[str]:
    """Says of each such channel how much it has not accepted."""
    return [
        f"The channel {overdue.channel} has not accepted "
        f"{counted(overdue.count, 'notification')}."
        for overdue in overdue_notifications(path, now_ms)
    ]


def add_silence(path: Path, wanted: Silence) -> Silence:
    """Adds the silence and returns it with its id."""
    if wanted.until_ms <= wanted.from_ms:
        raise ValueError("a silence ends after it begins")
    with opened(path) as db, transaction(db):
        return msgspec.structs.replace(wanted, id=insert_silence(db, wanted))


def end_silence(path: Path, id: int, now_ms: int, who: str = "") -> bool:
    """Ends it now, or cancels it if it has not begun; returns False if there is no such
    silence or it has ended."""
    with opened(path) as db, transaction(db):
        # The row stays, so that a window that recurs does not plan this time again.
        done = db.execute(
            "UPDATE silence SET until_ms = max(from_ms, ?), ended_by = ? "
            "WHERE id = ? AND until_ms > ? AND until_ms > from_ms",
            (now_ms, who or "somebody", id, now_ms),
        )
        return done.rowcount > 0


def list_silences(path: Path, from_ms: int) -> list[Silence]:
    """Silences that end at or after `from_ms`: for lists, and for reports, which show
    planned maintenance apart."""
    if not has_tables(path):
        return []
    with opened(path, read_only=True) as db:
        return silences_from(db, from_ms)


def _select_alerts(path: Path, where: str, values: tuple[int, ...]) -> list[Alert]:
    if not has_tables(path):
        return []
    with opened(path, read_only=True) as db:
        rows = db.execute(
            "SELECT a.body, ack.at_ms, ack.who, ack.why FROM alert a "
            f"LEFT JOIN ack ON ack.episode = a.episode WHERE {where}",
            values,
        ).fetchall()
    return [
        decode_alert(body).acknowledged(Acknowledgement(*ack))
        if ack[0] is not None
        else decode_alert(body)
        for body, *ack in rows
    ]


@contextlib.contextmanager
def opened(path: Path, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection of another process than the engine's, or of another task. Raises
    `OSError` for a write on a machine that stands by, or whose engine was killed."""
    db = connect(path, "ro" if read_only else "rwc")
    try:
        if not read_only:
            prepare(db)
            if is_unattended(path, db):
                raise OSError(UNATTENDED)
        yield db
    except sqlite3.IntegrityError as error:
        if str(error) == STANDING_BY:
            raise OSError(STANDING_BY) from None
        raise
    finally:
        db.close()
