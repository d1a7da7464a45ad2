"""`RegistryFile`: the SQLite file of enrolled laptops and enrolment tokens.

One file without WAL, one connection per process, short transactions: several processes
and the command line use it at the same time. A generation number in the file changes
with every enrolment and revocation, so that other processes notice.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collectors.ingest.registry_records import RegistryRefused
from collectors.sqlite_files import make_private, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS token (
  hash TEXT PRIMARY KEY, site TEXT NOT NULL, uses INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS agent (
  agent TEXT PRIMARY KEY, secret_hash BLOB NOT NULL, broker_hash TEXT NOT NULL,
  home_site TEXT NOT NULL, token TEXT NOT NULL, enrolled_ms INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS generation (number INTEGER NOT NULL) STRICT;
INSERT INTO generation SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM generation);
"""


# From format 1: laptops may belong to a team of the estate.
_TEAMS = """
ALTER TABLE token ADD COLUMN team TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN team TEXT NOT NULL DEFAULT '';
"""
# From format 2: rings and networks of tokens, and who did what.
_RINGS = """
ALTER TABLE token ADD COLUMN ring TEXT NOT NULL DEFAULT '';
ALTER TABLE token ADD COLUMN sources TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN ring TEXT NOT NULL DEFAULT '';
CREATE TABLE audit (
  time_ms INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
  subject TEXT NOT NULL
) STRICT;
"""
# From format 3: secrets are replaced in time, and computers have a number.
_IDENTITIES = """
ALTER TABLE agent ADD COLUMN pending_hash BLOB;
ALTER TABLE agent ADD COLUMN pending_broker_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN machine TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN replaced_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agent ADD COLUMN shares INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agent ADD COLUMN copied_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agent ADD COLUMN moves INTEGER NOT NULL DEFAULT 0;
CREATE INDEX agent_machine ON agent (machine);
CREATE TABLE retired (
  secret_hash BLOB PRIMARY KEY, agent TEXT NOT NULL, time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX retired_agent ON retired (agent);
"""
# From format 4: the version of each laptop's agent.
_SOFTWARE = """
ALTER TABLE agent ADD COLUMN software TEXT NOT NULL DEFAULT '';
"""
# From format 5: the version of the policy that each has fetched.
_POLICY = """
ALTER TABLE agent ADD COLUMN policy TEXT NOT NULL DEFAULT '';
"""
# From format 6: which key the hashes of computers' numbers were made with.
_MACHINE_KEY = """
CREATE TABLE machine_key (id TEXT NOT NULL) STRICT;
"""
# Format → what makes it of the one before.
UPDATES = {
    1: _SCHEMA,
    2: _TEAMS,
    3: _RINGS,
    4: _IDENTITIES,
    5: _SOFTWARE,
    6: _POLICY,
    7: _MACHINE_KEY,
}
_SCHEMA_VERSION = max(UPDATES)


class NotOpen(RuntimeError):
    """The registry was used before it was opened or after it was closed."""


class RegistryFile:
    """Opens the file, creates its tables and runs transactions, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Raises `RegistryRefused`, `OSError` or `sqlite3.Error`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        make_private(self._path)
        self._connection = sqlite3.connect(
            self._path, timeout=10, isolation_level=None, check_same_thread=False
        )
        # Overwrites deleted rows, so that no forgotten laptop stays in unused pages.
        self._connection.execute("PRAGMA secure_delete = ON")
        self._create_tables()

    def close(self) -> None:
        # A thread may still be in a transaction.
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def changed_at_ns(self) -> int | None:
        """When the file was last written; None if it cannot be read."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None

    def rows(self, statement: str) -> list[Any]:
        """The rows of a SELECT."""
        with self._lock:
            return self._opened().execute(statement).fetchall()

    @contextlib.contextmanager
    def transaction(
        self, begin: str = "BEGIN IMMEDIATE"
    ) -> Iterator[sqlite3.Connection]:
        """Commits when the block ends, and rolls back if it raises."""
        with self._lock, transaction(self._opened(), begin) as connection:
            yield connection

    def _create_tables(self) -> None:
        if self._version() == _SCHEMA_VERSION:
            return
        with self.transaction() as connection:
            # Another process may have done it meanwhile.
            version = self._version(connection)
            for number, statements in UPDATES.items():
                if version < number:
                    for statement in filter(str.strip, statements.split(";")):
                        connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def _version(self, connection: sqlite3.Connection | None = None) -> int:
        """The file's format. Raises `RegistryRefused` if it is too new."""
        (version,) = (
            (connection or self._opened()).execute("PRAGMA user_version").fetchone()
        )
        if version > _SCHEMA_VERSION:
            raise RegistryRefused(
                f"registry {self._path} is from a newer Towpath (format {version}, "
                f"expected {_SCHEMA_VERSION})"
            )
        return int(version)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise NotOpen("the registry is not open (with Registry(config): …)")
        return self._connection


def next_generation(connection: sqlite3.Connection) -> int:
    """Tells other processes that agents or tokens have changed; returns the number of
    the change."""
    (number,) = connection.execute(
        "UPDATE generation SET number = number + 1 RETURNING number"
    ).fetchone()
    return int(number)
