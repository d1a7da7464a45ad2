"""The file of sessions, local users and the audit log. Pages and commands open it for
each use. It is readable by its owner only."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from collectors.sqlite_files import opened_private_file, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
  hash BLOB PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, roles TEXT NOT NULL,
  source TEXT NOT NULL, id_token TEXT NOT NULL, made_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS session_of ON session (id);
CREATE TABLE IF NOT EXISTS confirmation (
  hash BLOB PRIMARY KEY, subject TEXT NOT NULL, provider_session TEXT NOT NULL,
  refresh_token BLOB NOT NULL, confirmed_ms INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS session_over AFTER DELETE ON session BEGIN
  DELETE FROM confirmation WHERE hash = OLD.hash; END;
CREATE TABLE IF NOT EXISTS logout (id BLOB PRIMARY KEY, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS user (
  name TEXT PRIMARY KEY, shown TEXT NOT NULL, roles TEXT NOT NULL, hash TEXT NOT NULL,
  made_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT NOT NULL,
  id TEXT NOT NULL, action TEXT NOT NULL, about TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at_ms);
"""


@contextlib.contextmanager
def opened_sign_in_file(
    path: Path, writes: bool = True
) -> Iterator[sqlite3.Connection]:
    """One transaction in the file, or none to read one thing. Raises `sqlite3.Error`
    or `OSError`."""
    with (
        opened_private_file(path, _SCHEMA) as db,
        transaction(db) if writes else contextlib.nullcontext(),
    ):
        yield db
