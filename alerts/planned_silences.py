"""Keeps the times of maintenance windows as rows of the alert engine's file.

There the engine, the pages, the boards and the report find them, whoever planned them.
A time that is over stays, for the report; one that is no longer planned goes, or ends
if it is in force. What somebody has ended by hand stays ended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from alerts.alert_access import opened
from alerts.alert_store import SILENCE_COLUMNS, insert_silence
from alerts.maintenance_windows import MaintenanceWindow
from alerts.silence import Silence
from collectors.sqlite_files import transaction

SETTINGS = "settings"
COMMAND = "command"


class PlanChanges(NamedTuple):
    added: int = 0
    changed: int = 0
    removed: int = 0


def plan_silences(
    path: Path, source: str, wanted: Iterable[Silence], now_ms: int
) -> PlanChanges:
    """Makes the rows of `source` those of `wanted`, from `now_ms` on."""
    with opened(path) as db, transaction(db):
        return _plan(db, source, wanted, now_ms)


def forget_sources(path: Path, known: Collection[str], now_ms: int) -> None:
    """Ends what was planned by sources that are no longer in the settings."""
    with opened(path) as db:
        sources = {
            row[0]
            for row in db.execute(
                "SELECT DISTINCT source FROM silence WHERE until_ms > ?", (now_ms,)
            )
        }
        for source in sources - {"", COMMAND, *known}:
            with transaction(db):
                _plan(db, source, (), now_ms)


def _plan(
    db: sqlite3.Connection, source: str, wanted: Iterable[Silence], now_ms: int
) -> PlanChanges:
    rows = db.execute(
        f"SELECT {SILENCE_COLUMNS}, ended_by FROM silence WHERE source = ?", (source,)
    ).fetchall()
    known = {(s.uid, s.from_ms): (s, by) for *row, by in rows for s in [Silence(*row)]}
    added = changed = removed = 0
    for silence in wanted:
        before, ended_by = known.pop((silence.uid, silence.from_ms), (None, ""))
        if before is None:
            if silence.until_ms > now_ms:
                insert_silence(db, silence)
                added += 1
        elif ended_by or msgspec.structs.replace(before, id=0) == silence:
            continue
        elif max(before.until_ms, silence.until_ms) > now_ms:
            _update(db, before.id, silence)
            changed += 1
    for gone, _ in known.values():
        if gone.from_ms > now_ms:
            db.execute("DELETE FROM silence WHERE id = ?", (gone.id,))
        elif gone.until_ms > now_ms:
            db.execute(
                "UPDATE silence SET until_ms = ? WHERE id = ?", (now_ms, gone.id)
            )
        else:
            continue
        removed += 1
    return PlanChanges(added, changed, removed)


def _update(db: sqlite3.Connection, id: int, silence: Silence) -> None:
    values = msgspec.structs.asdict(silence)
    del values["id"]
    assignments = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE silence SET {assignments} WHERE id = ?", (*values.values(), id))


def add_window(path: Path, window: MaintenanceWindow) -> int:
    """Records a window that recurs, and returns its number."""
    with opened(path) as db, transaction(db):
        body = window.model_dump_json().encode()
        done = db.execute("INSERT INTO maintenance (body) VALUES (?)", (body,))
        return int(done.lastrowid or 0)


def end_window(path: Path, id: int, now_ms: int) -> bool:
    """False if no window that recurs has that number, or it has ended."""
    with opened(path) as db, transaction(db):
        done = db.execute(
            "UPDATE maintenance SET ended_ms = ? WHERE id = ? AND ended_ms IS NULL",
            (now_ms, id),
        )
        return done.rowcount > 0


def recurring_windows(path: Path) -> dict[str, MaintenanceWindow]:
    """Number → the windows that were added by command and have not been ended."""
    if not path.exists():
        return {}
    with opened(path) as db:
        rows = db.execute("SELECT id, body FROM maintenance WHERE ended_ms IS NULL")
        return {
            str(id): MaintenanceWindow.model_validate_json(body) for id, body in rows
        }
