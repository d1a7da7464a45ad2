"""`AlertFile`: the SQLite file of the alert engine, and a copy in memory while the disk
cannot be written.

SQLite uses a rollback journal, not WAL: several processes open the file (the page, the
command line), there are a few commits a minute, and older builds of SQLite can lose the
reset of a WAL. Other processes use the functions of `alerts.alert_access`.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from alerts.replicated_rows import ENGINE_TABLES, stop_recording
from collectors.sqlite_files import make_private, transaction

_log = structlog.get_logger()
_T = TypeVar("_T")
VERSION = 5
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
  body BLOB NOT NULL, due_ms INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0, instead_of TEXT NOT NULL DEFAULT '',
  unacknowledged_ms INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0,
  UNIQUE (episode, kind, channel));
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (state, channel, next_ms);
CREATE TABLE IF NOT EXISTS said (
  id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS silence (
  id INTEGER PRIMARY KEY AUTOINCREMENT, from_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL, site TEXT NOT NULL, device TEXT NOT NULL,
  rule TEXT NOT NULL, why TEXT NOT NULL, who TEXT NOT NULL,
  planned INTEGER NOT NULL, line TEXT NOT NULL DEFAULT '',
  supplier TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT '',
  uid TEXT NOT NULL DEFAULT '', ended_by TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX IF NOT EXISTS silence_time ON silence (source, uid, from_ms)
  WHERE source != '';
CREATE TABLE IF NOT EXISTS maintenance (
  id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, ended_ms INTEGER);
CREATE TABLE IF NOT EXISTS used_link (
  nonce TEXT PRIMARY KEY, until_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ack (
  episode TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL,
  why TEXT NOT NULL);
"""
# What was so when a device was first seen, and what engineers decided about it; new in
# version 4.
_BASELINE = """
CREATE TABLE IF NOT EXISTS first_seen (owner TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS baseline (key TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS baseline_choice (
  key TEXT PRIMARY KEY, choice TEXT NOT NULL, at_ms INTEGER NOT NULL,
  who TEXT NOT NULL, why TEXT NOT NULL);
"""
# Version 1 lacked columns for when a page was first due, whether it was refused, and
# which channel it replaces.
_FROM_1 = """
ALTER TABLE outbox ADD COLUMN due_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN instead_of TEXT NOT NULL DEFAULT '';
UPDATE outbox SET due_ms = created_ms;
"""
# Version 2 had no maintenance that recurs, no links and no reminders.
_FROM_2 = """
ALTER TABLE outbox ADD COLUMN unacknowledged_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE silence ADD COLUMN line TEXT NOT NULL DEFAULT '';
ALTER TABLE silence ADD COLUMN supplier TEXT NOT NULL DEFAULT '';
ALTER TABLE silence ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE silence ADD COLUMN uid TEXT NOT NULL DEFAULT '';
ALTER TABLE silence ADD COLUMN ended_by TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX silence_time ON silence (source, uid, from_ms) WHERE source != '';
CREATE TABLE maintenance (
  id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, ended_ms INTEGER);
CREATE TABLE used_link (nonce TEXT PRIMARY KEY, until_ms INTEGER NOT NULL);
"""
# Version 4 lacked a column for what waits for a digest.
_FROM_4 = """
ALTER TABLE outbox ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
"""
# What leads from each version to the next; 0 is an empty file.
_UPDATES = {1: _FROM_1, 2: _FROM_2, 3: _BASELINE, 4: _FROM_4}
_NO_SPACE_BYTES = 64 << 10


class Replication(Protocol):
    """What another machine must know before it takes effect here."""

    def prepare(self, db: sqlite3.Connection) -> None: ...

    def ship(self, db: sqlite3.Connection) -> None:
        """Ships what the transaction has changed; if it raises, nothing is written."""

    def fail_disk(self, error: Exception) -> None: ...

    @property
    def may_act(self) -> bool:
        """False if another machine may have taken over meanwhile."""


class AlertFile:
    """The engine's connection. Blocking, for one thread at a time.

    `write` never fails because of the disk: it then works on a copy in memory, and
    `write_back` writes that to disk once it can be written again. `disk_error` is why
    the disk is not written; empty while it is. With a `replication`, `write` raises
    instead: another machine takes over.
    """

    def __init__(self, path: Path, replication: Replication | None = None) -> None:
        self._path, self._replication = path, replication
        self._disk: sqlite3.Connection | None = None
        self._memory: sqlite3.Connection | None = None
        self.disk_error = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._disk = connect(path)
            prepare(self._disk)
            if replication is None:
                stop_recording(self._disk)
            else:
                replication.prepare(self._disk)
        except (sqlite3.OperationalError, OSError) as error:
            if replication is not None or not self._is_full():
                # For example a missing permission: it does not go away by itself.
                raise
            self._leave_disk(error)

    def close(self) -> None:
        for db in (self._memory, self._disk):
            if db is not None:
                db.close()

    @property
    def db(self) -> sqlite3.Connection:
        """The newest state, for reading."""
        db = self._memory or self._disk
        assert db is not None
        return db

    @property
    def shared(self) -> sqlite3.Connection:
        """What other processes write to: the file, if it can be opened."""
        return self._disk or self.db

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Does `work` in one transaction: all of it, or nothing if it raises."""
        if self._replication is not None:
            return self._write_replicated(work, self._replication)
        if self._memory is None and self._disk is not None:
            try:
                with transaction(self._disk) as db:
                    return work(db)
            except sqlite3.OperationalError as error:
                # Full, read-only, damaged, or locked by a process that does not finish.
                self._leave_disk(error)
        with transaction(self.db) as db:
            return work(db)

    def replicate(self) -> None:
        """Ships what other processes have written."""
        if self._replication is not None:
            self.write(lambda db: None)

    def _write_replicated(
        self, work: Callable[[sqlite3.Connection], _T], replication: Replication
    ) -> _T:
        try:
            with transaction(self.db) as db:
                done = work(db)
                replication.ship(db)
            return done
        except sqlite3.OperationalError as error:
            replication.fail_disk(error)
            raise

    def write_back(self) -> bool:
        """Writes what is in memory to disk; True if all of it is on disk."""
        if self._memory is None:
            return True
        try:
            self._reopen()
            self._copy_to_disk(self._memory)
        except (sqlite3.OperationalError, OSError) as error:
            self.disk_error = str(error)
            return False
        self._memory.close()
        self._memory, self.disk_error = None, ""
        _log.info("alerts_on_disk_again", file=str(self._path))
        return True

    def _leave_disk(self, error: Exception) -> None:
        memory = sqlite3.connect(":memory:", isolation_level=None)
        if self._disk is not None:
            with contextlib.suppress(sqlite3.OperationalError):
                # A full disk can still be read.
                self._disk.backup(memory)
        prepare(memory)
        self._memory, self.disk_error = memory, str(error)
        _log.error("alerts_in_memory_only", file=str(self._path), error=str(error))

    def _reopen(self) -> None:
        if self._disk is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._disk = connect(self._path)
        prepare(self._disk)

    def _copy_to_disk(self, memory: sqlite3.Connection) -> None:
        memory.execute("ATTACH ? AS disk", (str(self._path),))
        try:
            with transaction(memory):
                for table, key in ENGINE_TABLES.items():
                    memory.execute(
                        f"DELETE FROM disk.{table} WHERE {key} NOT IN "
                        f"(SELECT {key} FROM main.{table})"
                    )
                    memory.execute(
                        f"INSERT OR REPLACE INTO disk.{table} "
                        f"SELECT * FROM main.{table} EXCEPT SELECT * FROM disk.{table}"
                    )
        finally:
            memory.execute("DETACH disk")

    def _is_full(self) -> bool:
        try:
            return shutil.disk_usage(self._path.parent).free < _NO_SPACE_BYTES
        except OSError:
            return False


def connect(path: Path, mode: str = "rwc") -> sqlite3.Connection:
    try:
        return _connect(path, mode)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
    # Killed in the middle of a transaction: only who may write can roll it back.
    _connect(path, "rw").close()
    return _connect(path, mode)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if "c" in mode:
        # It names people, and what they did. SQLite has the better error.
        with contextlib.suppress(OSError):
            make_private(path)
    # Autocommit: every transaction is begun explicitly.
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=10,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        db.execute("PRAGMA synchronous = FULL")
    except sqlite3.OperationalError:
        db.close()
        raise
    return db


def has_tables(path: Path) -> bool:
    """Whether there is a file, and the engine has made its tables: it makes the file
    first, and may be killed in between."""
    if not path.exists():
        return False
    with contextlib.closing(connect(path, "ro")) as db:
        return _version(db) > 0


def prepare(db: sqlite3.Connection) -> None:
    """Creates the tables, or updates those of an older version; writes nothing if they
    are up to date."""
    db.execute("PRAGMA journal_mode = TRUNCATE")
    if _version(db) >= VERSION:
        return
    with transaction(db):
        # Another process may have done it while this one waited for the lock.
        version = _version(db)
        updates = [SCHEMA, _BASELINE] if not version else []
        updates += [_UPDATES[n] for n in range(version or VERSION, VERSION)]
        for statement in ";".join(updates).split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
