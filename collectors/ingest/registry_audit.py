"""Who made and withdrew enrolment tokens, gave stop orders, looked up serial numbers,
and exported, revoked, restored, moved or erased laptops.

Kept for a year. When a laptop is erased, its pseudonym goes from the older lines too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

KEPT_DAYS = 366
ERASED = "a deleted laptop"


class RegistryDeed(msgspec.Struct, frozen=True):
    """`who` did `what` to `subject`, such as a token's id or a pseudonym."""

    time_ms: int
    who: str
    what: str
    subject: str


def note(
    connection: sqlite3.Connection, time_ms: int, who: str, what: str, subject: str
) -> None:
    """Adds an entry, in the transaction that does it."""
    connection.execute(
        "INSERT INTO audit (time_ms, who, what, subject) VALUES (?, ?, ?, ?)",
        (time_ms, who, what, subject),
    )


def forget_agents(connection: sqlite3.Connection, agents: Sequence[str]) -> None:
    """Removes deleted agents' pseudonyms from what is kept about them."""
    names = [(agent,) for agent in agents]
    connection.executemany(
        f"UPDATE audit SET subject = '{ERASED}' WHERE subject = ?", names
    )
    connection.executemany("DELETE FROM retired WHERE agent = ?", names)


def read_audit(connection: sqlite3.Connection) -> list[RegistryDeed]:
    """Every entry, newest first."""
    rows = connection.execute(
        "SELECT time_ms, who, what, subject FROM audit"
        " ORDER BY time_ms DESC, rowid DESC"
    ).fetchall()
    return [RegistryDeed(*row) for row in rows]
