"""Transactions in SQLite, and files that are private and opened for each use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

_WAIT_S = 5.0


@contextlib.contextmanager
def transaction(
    db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE"
) -> Iterator[sqlite3.Connection]:
    """Commits when the block ends, and rolls back if it raises. Open
    `db` with `isolation_level=None`, so that it begins no transaction of its own."""
    db.execute(begin)
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        # If the disk was full, SQLite has already rolled back.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def make_private(path: Path) -> None:
    """Makes a file that only its owner can read, if it is missing: SQLite would make it
    with the modes that the umask leaves. Raises `OSError`."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


@contextlib.contextmanager
def opened_private_file(path: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """A file that only its owner can read; it is made if it is missing. Raises
    `sqlite3.Error` or `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    make_private(path)
    db = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        db.executescript(schema)
        yield db
    finally:
        db.close()


@contextlib.contextmanager
def private_transaction(path: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """One transaction in a private file with personal data: what it removes is not left
    in free pages."""
    with opened_private_file(path, schema) as db:
        db.execute("PRAGMA secure_delete = ON")
        with transaction(db):
            yield db
