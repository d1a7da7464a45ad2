"""`AccessAudit`: who signed in, who was refused, and who did what, for a year.

It has names, and no addresses: who did something is enough. A name that no user has
is not kept, as people type their passwords there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from dashboards.web.sign_in.sign_in_file import opened_sign_in_file
from probes.wire.clock import WallClock

KEPT_DAYS = 365
_DAY_MS = 86_400_000
_LONGEST = 300


class AccessEntry(msgspec.Struct, frozen=True):
    """`action` is what was tried, `about` what it was done to, `outcome` how it
    ended. `id` stays the same if `who` changes the name."""

    at_ms: int
    who: str
    id: str
    action: str
    about: str = ""
    outcome: str = "done"


class AccessAudit:
    """The record in one file. Methods block."""

    def __init__(self, path: Path, now_ms: WallClock) -> None:
        self.path, self._now_ms = path, now_ms

    def record(
        self, who: str, id: str, action: str, about: str = "", outcome: str = "done"
    ) -> None:
        """Raises `sqlite3.Error` or `OSError`: what cannot be recorded is not done."""
        now_ms = self._now_ms()
        texts = [_line(text) for text in (who, id, action, about, outcome)]
        with opened_sign_in_file(self.path) as db:
            db.execute(
                "INSERT INTO audit (at_ms, who, id, action, about, outcome) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (now_ms, *texts),
            )

    def forget_entries(self, before_ms: int) -> int:
        """Deletes what was done before that time. Returns how many entries."""
        if not self.path.exists():
            return 0
        with opened_sign_in_file(self.path) as db:
            done = db.execute("DELETE FROM audit WHERE at_ms < ?", (before_ms,))
            return done.rowcount

    def entries(
        self, limit: int, before: int | None = None, who: str = ""
    ) -> tuple[Sequence[AccessEntry], int | None]:
        """The newest first, from before an entry's number; and the number to go on
        with, None at the end. `who` is part of a name."""
        found = self._read(0, limit + 1, who, before)
        more = found[limit - 1][0] if len(found) > limit else None
        return [entry for _, entry in found[:limit]], more

    def since(
        self, since_ms: int, limit: int, who: str = ""
    ) -> Sequence[tuple[int, AccessEntry]]:
        """The newest first, each with its number."""
        return self._read(since_ms, limit, who)

    def _read(
        self, since_ms: int, limit: int, who: str, before: int | None = None
    ) -> list[tuple[int, AccessEntry]]:
        if not self.path.exists():
            return []
        since_ms = max(since_ms, self._now_ms() - KEPT_DAYS * _DAY_MS)
        with opened_sign_in_file(self.path, writes=False) as db:
            rows = db.execute(
                "SELECT number, at_ms, who, id, action, about, outcome FROM audit "
                "WHERE number < ? AND at_ms >= ? AND instr(lower(who), lower(?)) "
                "ORDER BY number DESC LIMIT ?",
                (before or 1 << 62, since_ms, who, limit),
            ).fetchall()
        return [(row[0], AccessEntry(*row[1:])) for row in rows]


def _line(text: str) -> str:
    flat = " ".join(text.split())[:_LONGEST]
    return flat.encode(errors="replace").decode()
