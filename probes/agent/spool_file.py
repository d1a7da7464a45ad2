"""The spool's file: its tables, how it is opened, and which errors are the disk's.

One SQLite file of one process, with a rollback journal and `synchronous=FULL`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

_DISK_CODES = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS report (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    made_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL,
    doubtful INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE IF NOT EXISTS spent (month TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
"""


class InUse(Exception):
    """Another agent runs with this folder."""


def open_file(path: Path) -> sqlite3.Connection:
    """Opens the file, creates it if it is missing, and locks it until the connection
    closes. Raises `InUse`, and `sqlite3.DatabaseError` if the file is no spool."""
    if path.is_dir():
        raise sqlite3.DatabaseError("a folder is in its place")
    # Created before SQLite opens it: SQLite gives its journal the file's permissions.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    db = sqlite3.connect(path, timeout=2, check_same_thread=False)
    db.text_factory = _decode
    try:
        # One process at a time: the lock is held until the connection closes.
        db.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
        db.execute("PRAGMA journal_mode=DELETE").fetchone()
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA cache_size=-512")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        db.executescript(_SCHEMA)
        _add_columns(db)
        _check_columns(db)
        with db:
            db.execute("BEGIN EXCLUSIVE")
        _shrink(db)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise InUse(f"another towpath-agent runs with {path}") from None
        raise
    return db


def _shrink(db: sqlite3.Connection) -> None:
    """Returns room to the disk after weeks offline, if most pages are free."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    if free > 1000 and free > pages // 2:
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("VACUUM")


def _add_columns(db: sqlite3.Connection) -> None:
    """Adds the columns that older agents did not have: they doubted no clock, and their
    reports had one version."""
    columns = {name for _, name, *_ in db.execute("PRAGMA table_info(report)")}
    if "crc" not in columns:
        return
    for name, default in (("doubtful", 0), ("version", 1)):
        if name not in columns:
            column = f"{name} INTEGER NOT NULL DEFAULT {default}"
            with db:
                db.execute(f"ALTER TABLE report ADD COLUMN {column}")


def _check_columns(db: sqlite3.Connection) -> None:
    """Raises `sqlite3.OperationalError` for a file with other columns: it is broken, or
    of another version, and must not be written to."""
    db.execute(
        "SELECT seq, id, made_ms, body, crc, doubtful, version FROM report LIMIT 0"
    ).fetchall()
    db.execute("SELECT month, bytes FROM spent LIMIT 0").fetchall()


def disk_hint(error: Exception) -> str:
    """What probably keeps the spool from the disk, as a question; empty if nothing
    is likely."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = error.errno if isinstance(error, OSError) else None
    # SQLite reports a quota as an I/O error.
    full = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
    if code in full or number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return ": is the disk full?"
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM} or number in {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
    }:
        return ": may this user write there?"
    return ""


def is_disk_error(error: Exception) -> bool:
    """Returns True if the disk is at fault, not the content of the file.

    SQLite raises the same class for both; its result code tells them apart. A broken
    file can break even SQLite's message about it (`UnicodeDecodeError`).
    """
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _DISK_CODES
    return isinstance(error, OSError)


def _decode(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
