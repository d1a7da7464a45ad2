"""`SupportCodes`: which laptop a code opens, for whom, who has looked, and what a
browser measured for the caller.

One SQLite file beside the registry: the role ingest makes codes for laptops, the role
web opens them for the service desk. Of a code only the hash is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from collectors.sqlite_files import private_transaction
from probes.wire.clock import WallClock
from probes.wire.support_code import VALID_MS, SupportCode, SupportLook, new_code

FILE = "support-codes.sqlite"
KEPT_DAYS = 30
_KEPT_MS = KEPT_DAYS * 86_400_000
# A person who wants one code presses a button a few times; a program does it for ever.
_MOST_PER_HOUR = 10
_MOST_LOOKS = 100
# Of one code; a program that sends more cannot fill the disk.
_MOST_CHECKS = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS code (
  hash BLOB PRIMARY KEY, agent TEXT NOT NULL, made_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS code_of ON code (agent);
CREATE TABLE IF NOT EXISTS look (
  reference TEXT PRIMARY KEY, hash BLOB NOT NULL, agent TEXT NOT NULL,
  at_ms INTEGER NOT NULL, id TEXT NOT NULL, who TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS look_of ON look (agent);
CREATE TABLE IF NOT EXISTS browser_check (
  hash BLOB NOT NULL, agent TEXT NOT NULL, at_ms INTEGER NOT NULL,
  measured BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS browser_check_of ON browser_check (agent);
"""
# Each table, and its column with the time of a line.
_TABLES = {"code": "made_ms", "look": "at_ms", "browser_check": "at_ms"}


class CodesTooOften(Exception):
    """The laptop has asked for too many codes within an hour."""


class CodeRefused(Exception):
    """The code opens nothing for this person. The text is a sentence for them, and
    `detail` for the audit log."""

    def __init__(self, text: str, detail: str) -> None:
        super().__init__(text)
        self.detail = detail


class BrowserCheck(msgspec.Struct, frozen=True):
    """What the page `/check` measured in a browser. A speed or what was lost is None if
    it was not measured; `is_away`: the page was in the background, where browsers delay
    it."""

    rtt_ms: float
    jitter_ms: float
    late_ratio: float
    down_mbps: float | None = None
    up_mbps: float | None = None
    is_away: bool = False
    lost_ratio: float | None = None


class SentCheck(msgspec.Struct, frozen=True):
    """A check that came with a code, and when."""

    at_ms: int
    check: BrowserCheck


class OpenedLaptop(msgspec.Struct, frozen=True):
    """A laptop that a code has opened for one person until `until_ms`. `checks` came
    with that code, the newest first."""

    reference: str
    agent: str
    at_ms: int
    until_ms: int
    checks: tuple[SentCheck, ...] = ()


class SupportCodes:
    """Methods block; they raise `sqlite3.Error` or `OSError`."""

    def __init__(self, path: Path, now_ms: WallClock) -> None:
        self.path, self._now_ms = path, now_ms

    def make(self, agent: str) -> SupportCode:
        """A new code for a laptop; those before are worth nothing any more. Raises
        `CodesTooOften`."""
        now_ms, code = self._now_ms(), new_code()
        with self._db() as db:
            made = db.execute(
                "SELECT count(*) FROM code WHERE agent = ? AND made_ms > ?",
                (agent, now_ms - VALID_MS),
            ).fetchone()[0]
            if made >= _MOST_PER_HOUR:
                raise CodesTooOften
            db.execute("UPDATE code SET ended = 1 WHERE agent = ?", (agent,))
            db.execute("DELETE FROM browser_check WHERE agent = ?", (agent,))
            db.execute(
                "INSERT INTO code (hash, agent, made_ms, until_ms) VALUES (?, ?, ?, ?)",
                (_hash(code), agent, now_ms, now_ms + VALID_MS),
            )
            return SupportCode(code, now_ms + VALID_MS, _looks(db, agent))

    def of_laptop(self, agent: str) -> SupportCode:
        """Until when the laptop's code is good, and who has looked."""
        if not self.path.exists():
            return SupportCode()
        with self._db() as db:
            row = db.execute(
                "SELECT until_ms FROM code WHERE agent = ? AND NOT ended "
                "AND until_ms > ?",
                (agent, self._now_ms()),
            ).fetchone()
            return SupportCode("", row[0] if row else 0, _looks(db, agent))

    def open(self, code: str, id: str, who: str) -> OpenedLaptop:
        """Opens the laptop of a code for one person, and for nobody else from then on.
        Raises `CodeRefused`."""
        now_ms, code_hash = self._now_ms(), _hash(code)
        again = "Ask the caller to read it again, or for a new one"
        with self._good(code_hash, now_ms, again) as (db, agent, until_ms):
            look = db.execute(
                "SELECT reference, at_ms, id FROM look WHERE hash = ?", (code_hash,)
            ).fetchone()
            if look is None:
                look = secrets.token_urlsafe(16), now_ms, id
                db.execute(
                    "INSERT INTO look (reference, hash, agent, at_ms, id, who) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (look[0], code_hash, agent, now_ms, id, who),
                )
            elif look[2] != id:
                raise CodeRefused(
                    "Another person has used this code. Ask the caller for a new one",
                    "another person has used the code",
                )
        return OpenedLaptop(look[0], agent, look[1], until_ms)

    def opened(self, reference: str, id: str) -> OpenedLaptop | None:
        """The laptop that this person has opened, while the code is good."""
        if not self.path.exists():
            return None
        with self._db() as db:
            row = db.execute(
                "SELECT hash, reference, look.agent, at_ms, until_ms "
                "FROM look JOIN code USING (hash) WHERE reference = ? AND id = ? "
                "AND NOT ended AND until_ms > ?",
                (reference, id, self._now_ms()),
            ).fetchone()
            if row is None:
                return None
            code_hash, reference, agent, at_ms, until_ms = row
            checks = _checks(db, "hash", code_hash)
            return OpenedLaptop(reference, agent, at_ms, until_ms, checks)

    def keep_check(self, code: str, check: BrowserCheck) -> None:
        """Keeps what a browser measured, for the person who opens the code while it is
        good. Raises `CodeRefused`."""
        now_ms, code_hash = self._now_ms(), _hash(code)
        again = "Read it from the laptop again, or ask it for a new one"
        with self._good(code_hash, now_ms, again) as (db, agent, _until_ms):
            db.execute(
                "INSERT INTO browser_check (hash, agent, at_ms, measured) "
                "VALUES (?, ?, ?, ?)",
                (code_hash, agent, now_ms, msgspec.json.encode(check)),
            )
            db.execute(
                "DELETE FROM browser_check WHERE hash = ? AND rowid NOT IN (SELECT "
                "rowid FROM browser_check WHERE hash = ? ORDER BY rowid DESC LIMIT ?)",
                (code_hash, code_hash, _MOST_CHECKS),
            )

    @contextlib.contextmanager
    def _good(
        self, code_hash: bytes, now_ms: int, again: str
    ) -> Iterator[tuple[sqlite3.Connection, str, int]]:
        """The file, the laptop of a code that is good, and until when. Raises
        `CodeRefused`, whose text ends with `again`."""
        refused = CodeRefused(
            f"This code is not known or has expired. {again}",
            "the code is not known or has expired",
        )
        if not self.path.exists():
            raise refused
        with self._db() as db:
            row = db.execute(
                "SELECT agent, until_ms FROM code WHERE hash = ? AND NOT ended "
                "AND until_ms > ?",
                (code_hash, now_ms),
            ).fetchone()
            if row is None:
                raise refused
            yield db, *row

    @contextlib.contextmanager
    def _db(self) -> Iterator[sqlite3.Connection]:
        """The file without checks that nobody can read any more."""
        with private_transaction(self.path, _SCHEMA) as db:
            _forget_checks(db, self._now_ms())
            yield db


def support_codes_file(registry: Path) -> Path:
    """Where they are: beside the file of enrolled laptops."""
    return registry.parent / FILE


def erase_support(path: Path, agent: str) -> int:
    """Removes a laptop's codes, who has looked and what browsers sent. Returns how many
    lines there were."""
    with private_transaction(path, _SCHEMA) as db:
        return sum(
            db.execute(f"DELETE FROM {table} WHERE agent = ?", (agent,)).rowcount
            for table in _TABLES
        )


def end_support(path: Path, agent: str) -> None:
    """Ends a laptop's code, and what it opened. Who has looked is kept."""
    if path.exists():
        with private_transaction(path, _SCHEMA) as db:
            db.execute("UPDATE code SET ended = 1 WHERE agent = ?", (agent,))


def count_support(path: Path, agent: str) -> int:
    """How many lines there are about a laptop."""
    return len(read_support(path, agent))


def read_support(path: Path, agent: str) -> list[dict[str, object]]:
    """What the file has about a laptop, without hashes of codes."""
    with private_transaction(path, _SCHEMA) as db:
        codes = db.execute(
            "SELECT made_ms, until_ms, ended FROM code WHERE agent = ?", (agent,)
        ).fetchall()
        looks = _looks(db, agent)
        checks = _checks(db, "agent", agent)
    return [
        *(
            {"agent": agent, "made_ms": made, "until_ms": until, "ended": bool(ended)}
            for made, until, ended in codes
        ),
        *({"agent": agent, "looked_ms": look.at_ms, "who": look.who} for look in looks),
        *(
            {"agent": agent, "checked_ms": sent.at_ms}
            | msgspec.structs.asdict(sent.check)
            for sent in checks
        ),
    ]


def prune_support(path: Path, before_ms: int) -> int:
    """Removes what is older. Returns how many lines that was."""
    with private_transaction(path, _SCHEMA) as db:
        return sum(
            db.execute(f"DELETE FROM {table} WHERE {at} < ?", (before_ms,)).rowcount
            for table, at in _TABLES.items()
        )


def _looks(db: sqlite3.Connection, agent: str) -> tuple[SupportLook, ...]:
    rows = db.execute(
        "SELECT who, at_ms FROM look WHERE agent = ? ORDER BY at_ms DESC LIMIT ?",
        (agent, _MOST_LOOKS),
    )
    return tuple(SupportLook(*row) for row in rows)


def _checks(
    db: sqlite3.Connection, column: str, value: bytes | str
) -> tuple[SentCheck, ...]:
    rows = db.execute(
        f"SELECT at_ms, measured FROM browser_check WHERE {column} = ? "
        "ORDER BY rowid DESC",
        (value,),
    )
    return tuple(
        SentCheck(at_ms, msgspec.json.decode(measured, type=BrowserCheck))
        for at_ms, measured in rows
    )


def _forget_checks(db: sqlite3.Connection, now_ms: int) -> None:
    # Nobody can read a check once its code has ended. The rest is for the laptop's
    # person: `prune_support` deletes it, by a clock that is trusted.
    db.execute("DELETE FROM browser_check WHERE at_ms <= ?", (now_ms - VALID_MS,))


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
