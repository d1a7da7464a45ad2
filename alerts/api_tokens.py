"""`ApiTokens`: which programs may use the API, for what, and what each did.

A token is random, shown once, and only its hash is kept (decision 022). It has scopes,
ends at a time, and can be revoked. The file is beside the alert engine's, so that an
engine without a disk cannot lose who did what.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from alerts.alert_file import connect
from collectors.sqlite_files import transaction

PREFIX = "towpath-"
# What every token could do before tokens had scopes; the commands and addresses of the
# API of alerts still need it.
ALERT_SCOPES = ("see-status", "act-on-alerts")
AUDIT_DAYS = 400
_DAY_MS = 86_400_000
_LONGEST_NAME = 40
_SCHEMA = """
CREATE TABLE IF NOT EXISTS token (
  name TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, made_ms INTEGER NOT NULL,
  made_by TEXT NOT NULL, until_ms INTEGER NOT NULL, revoked_ms INTEGER,
  revoked_by TEXT NOT NULL DEFAULT '', used_ms INTEGER,
  scopes TEXT NOT NULL DEFAULT 'see-status act-on-alerts');
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, token TEXT NOT NULL,
  action TEXT NOT NULL, about TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
  outcome TEXT NOT NULL);
"""
# Files of earlier versions have no scopes.
_SCOPES = """
ALTER TABLE token ADD COLUMN scopes TEXT NOT NULL DEFAULT 'see-status act-on-alerts'
"""
_COLUMNS = "name, made_ms, made_by, until_ms, revoked_ms, revoked_by, used_ms, scopes"


class TokenRefused(Exception):
    """The token may do nothing. The text is a sentence for its sender."""


class ApiToken(msgspec.Struct, frozen=True):
    """A token without its secret. Times in ms since 1970 UTC."""

    name: str
    made_ms: int
    made_by: str
    until_ms: int
    revoked_ms: int | None = None
    revoked_by: str = ""
    used_ms: int | None = None
    scopes: frozenset[str] = frozenset(ALERT_SCOPES)

    def refusal(self, now_ms: int) -> str:
        """Why it may do nothing, as a sentence; empty if it may."""
        if self.revoked_ms is not None:
            return f"the token {self.name!r} was revoked"
        if now_ms >= self.until_ms:
            return f"the token {self.name!r} has expired"
        return ""


class AuditEntry(msgspec.Struct, frozen=True):
    """What was asked with a token, and what became of it."""

    at_ms: int
    token: str
    action: str
    about: str
    who: str
    why: str
    outcome: str


class ApiTokens:
    """The tokens in one file. Methods block; each opens and closes the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(
        self,
        name: str,
        made_by: str,
        until_ms: int,
        now_ms: int,
        scopes: Iterable[str] = ALERT_SCOPES,
    ) -> str:
        """Returns the secret of a new token. Raises `ValueError` with a sentence."""
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ValueError(
                f"{name!r} is no name: expected 1 to {_LONGEST_NAME} characters"
            )
        if until_ms <= now_ms:
            raise ValueError("a token ends after it is made")
        secret = f"{PREFIX}{secrets.token_urlsafe(32)}"
        with self._opened() as db, transaction(db):
            done = db.execute(
                "INSERT INTO token (name, hash, made_ms, made_by, until_ms, scopes) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
                (
                    name,
                    secret_hash(secret),
                    now_ms,
                    made_by,
                    until_ms,
                    " ".join(sorted(set(scopes))),
                ),
            )
            if not done.rowcount:
                raise ValueError(
                    f"there is a token called {name!r} already: names are not used "
                    "again, so that the audit stays clear"
                )
        return secret

    def check(self, secret: str, now_ms: int) -> ApiToken:
        """Returns the token, and notes its use. Raises `TokenRefused`."""
        token = self.find(secret_hash(secret))
        if token is None:
            raise TokenRefused("this token is not known")
        self.note_use(token.name, now_ms)
        if refusal := token.refusal(now_ms):
            raise TokenRefused(refusal)
        return token

    def find(self, hash: bytes) -> ApiToken | None:
        """The token whose secret has this hash, whether it is still valid or not."""
        if not self.path.exists():
            return None
        with self._opened() as db:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM token WHERE hash = ?", (hash,)
            ).fetchone()
        return None if row is None else _token(row)

    def note_use(self, name: str, now_ms: int) -> None:
        with self._opened() as db, transaction(db):
            db.execute("UPDATE token SET used_ms = ? WHERE name = ?", (now_ms, name))

    def revoke(self, name: str, who: str, now_ms: int) -> bool:
        """Returns False if there is no such token, or it was revoked before."""
        if not self.path.exists():
            return False
        with self._opened() as db, transaction(db):
            done = db.execute(
                "UPDATE token SET revoked_ms = ?, revoked_by = ? "
                "WHERE name = ? AND revoked_ms IS NULL",
                (now_ms, who, name),
            )
            return done.rowcount > 0

    def tokens(self) -> list[ApiToken]:
        """All of them, the newest first."""
        if not self.path.exists():
            return []
        with self._opened() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM token ORDER BY made_ms DESC")
            return [_token(row) for row in rows]

    def record(self, entry: AuditEntry) -> None:
        """Adds what was done; `forget_entries` deletes it after `AUDIT_DAYS`."""
        with self._opened() as db, transaction(db):
            db.execute(
                "INSERT INTO audit (at_ms, token, action, about, who, why, outcome) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                msgspec.structs.astuple(entry),
            )

    def forget_entries(self, before_ms: int) -> int:
        """Deletes what was done before that time. Returns how many entries."""
        if not self.path.exists():
            return 0
        with self._opened() as db, transaction(db):
            done = db.execute("DELETE FROM audit WHERE at_ms < ?", (before_ms,))
            return done.rowcount

    def audit(self, since_ms: int = 0) -> list[AuditEntry]:
        """What was done since then, the newest first."""
        if not self.path.exists():
            return []
        with self._opened() as db:
            rows = db.execute(
                "SELECT at_ms, token, action, about, who, why, outcome FROM audit "
                "WHERE at_ms >= ? ORDER BY id DESC",
                (since_ms,),
            )
            return [AuditEntry(*row) for row in rows]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        db = connect(self.path)
        try:
            db.executescript(_SCHEMA)
            columns = {row[1] for row in db.execute("PRAGMA table_info(token)")}
            if "scopes" not in columns:
                with contextlib.suppress(sqlite3.OperationalError):
                    # Another process may have added it in the meantime.
                    db.execute(_SCOPES)
            yield db
        finally:
            db.close()


def tokens_file(standing: Path) -> Path:
    """Where the tokens are: beside the alert engine's file."""
    return standing.parent / "api-tokens.sqlite"


def acting_name(token: str, person: str) -> str:
    """Whom pages and audits name: the program, and the person it does it for."""
    return f"{person} (API: {token})" if person else f"API: {token}"


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _token(row: tuple[Any, ...]) -> ApiToken:
    token = ApiToken(*row[:-1])
    return msgspec.structs.replace(token, scopes=frozenset(row[-1].split()))
