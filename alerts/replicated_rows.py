"""The rows of the alert engine's file that have changed, here or on another machine.

Triggers in the file record the key of each row that any process changes. While this
machine stands by, they refuse what other processes would write: it would be lost.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec

from collectors.process_lock import is_locked
from collectors.sqlite_files import transaction

STANDING_BY = (
    "this machine stands by: silence alerts on the machine that evaluates them"
)
UNATTENDED = (
    "nothing is taken up here now, because the process that evaluates alerts on this "
    "machine has ended or stands still: silence alerts on the machine that evaluates "
    "them"
)
# Every table with its key. Only the engine writes its own; other processes write
# silences, acknowledgements and what becomes of the baseline.
ENGINE_TABLES = {
    "meta": "name",
    "standing": "key",
    "alert": "episode",
    "outbox": "id",
    "said": "id",
    "first_seen": "owner",
    "baseline": "key",
}
_ENGINEER_TABLES = {
    "silence": "id",
    "maintenance": "id",
    "used_link": "nonce",
    "ack": "episode",
    "baseline_choice": "key",
}
TABLES = ENGINE_TABLES | _ENGINEER_TABLES
_TABLES = """
CREATE TABLE IF NOT EXISTS replica (name TEXT PRIMARY KEY, body);
CREATE TABLE IF NOT EXISTS changed_row (
  name TEXT NOT NULL, key NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID;
"""
# The process that evaluates says so each second.
_SILENT_S = 15.0
_KINDS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))


class ChangedRows(msgspec.Struct, frozen=True):
    """Rows as they are now: (table, key, values), without values if it is gone.
    `columns`: of each table. `numbers`: the last number that a table has given."""

    columns: dict[str, list[str]]
    rows: list[tuple[str, Any, list[Any] | None]]
    numbers: dict[str, int]


def record_changes(db: sqlite3.Connection) -> None:
    """Makes the triggers; call it in a transaction."""
    for statement in _TABLES.strip().split(";"):
        db.execute(statement)
    for table, key in TABLES.items():
        for kind, row in _KINDS:
            db.execute(
                f"CREATE TRIGGER IF NOT EXISTS changed_{table}_{kind.lower()} "
                f"AFTER {kind} ON {table} BEGIN INSERT OR IGNORE INTO changed_row "
                f"VALUES ('{table}', {row}.{key}); END"
            )
    for table in _ENGINEER_TABLES:
        for kind, _ in _KINDS:
            db.execute(
                f"CREATE TRIGGER IF NOT EXISTS refused_{table}_{kind.lower()} "
                f"BEFORE {kind} ON {table} WHEN (SELECT body FROM replica "
                "WHERE name = 'role') = 'standby' "
                f"BEGIN SELECT RAISE(ABORT, '{STANDING_BY}'); END"
            )


def stop_recording(db: sqlite3.Connection) -> None:
    """Removes what `record_changes` has made, if it has."""
    if not is_recorded(db):
        return
    with transaction(db):
        for table in TABLES:
            for kind, _ in _KINDS:
                for what in ("changed", "refused"):
                    db.execute(f"DROP TRIGGER IF EXISTS {what}_{table}_{kind.lower()}")
        db.execute("DROP TABLE IF EXISTS replica")
        db.execute("DROP TABLE IF EXISTS changed_row")


def is_recorded(db: sqlite3.Connection) -> bool:
    return (
        db.execute("SELECT 1 FROM sqlite_master WHERE name = 'changed_row'").fetchone()
        is not None
    )


def lock_path(path: Path) -> Path:
    """The lock beside the file of the process that evaluates. The system frees it
    however that ends; the role in the file stays what it was."""
    return path.with_name(f"{path.name}.active.lock")


def is_unattended(path: Path, db: sqlite3.Connection) -> bool:
    """Whether the process that evaluates on this machine was killed or stands still: no
    process takes up what is written, and it is undone if another machine has taken
    over."""
    if not is_recorded(db):
        return False
    role = db.execute("SELECT body FROM replica WHERE name = 'role'").fetchone()
    lock = lock_path(path)
    return role == ("active",) and not (is_locked(lock) and _is_fresh(lock))


def say_attended(lock: int) -> None:
    """Marks the lock: its process runs."""
    os.utime(lock)


def _is_fresh(lock: Path) -> bool:
    # Either may be the older one after a step of the clock.
    return abs(time.time() - lock.stat().st_mtime) < _SILENT_S


def has_changes(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM changed_row LIMIT 1").fetchone() is not None


def take_changes(db: sqlite3.Connection) -> ChangedRows:
    """The rows that changed since the last call; they count as known from now on."""
    keys = db.execute("SELECT name, key FROM changed_row").fetchall()
    db.execute("DELETE FROM changed_row")
    columns = {table: _columns(db, table) for table in {name for name, _ in keys}}
    rows = []
    for table, key in keys:
        row = db.execute(
            f"SELECT {', '.join(columns[table])} FROM {table} "
            f"WHERE {TABLES[table]} = ?",
            (key,),
        ).fetchone()
        rows.append((table, key, None if row is None else list(row)))
    return ChangedRows(columns, rows, _numbers(db))


def all_rows(db: sqlite3.Connection) -> ChangedRows:
    """Every row; changes up to now count as known."""
    db.execute("DELETE FROM changed_row")
    columns = {table: _columns(db, table) for table in TABLES}
    rows: list[tuple[str, Any, list[Any] | None]] = []
    for table, key in TABLES.items():
        at = columns[table].index(key)
        found = db.execute(f"SELECT {', '.join(columns[table])} FROM {table}")
        rows += [(table, row[at], list(row)) for row in found]
    return ChangedRows(columns, rows, _numbers(db))


def apply_rows(db: sqlite3.Connection, changed: ChangedRows, are_all: bool) -> None:
    """Writes rows of another machine; call it in a transaction. `are_all`: in place of
    all that there is."""
    if are_all:
        for table in TABLES:
            db.execute(f"DELETE FROM {table}")
    else:
        # First all that go: a row may take the place of another one.
        for table, key, _ in changed.rows:
            db.execute(f"DELETE FROM {table} WHERE {TABLES[table]} = ?", (key,))
    for table, _, values in changed.rows:
        if values is not None:
            columns = changed.columns[table]
            db.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"VALUES ({', '.join('?' * len(columns))})",
                values,
            )
    for table, number in changed.numbers.items():
        # The number of a row that is gone is not given again.
        db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        db.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, number))
    db.execute("DELETE FROM changed_row")


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _numbers(db: sqlite3.Connection) -> dict[str, int]:
    return dict(db.execute("SELECT name, seq FROM sqlite_sequence"))
