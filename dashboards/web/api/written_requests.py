"""`WrittenRequests`: answers to writes, kept for a day by their `Idempotency-Key`.

A program that did not receive an answer sends the request again with the same key, and
gets the first answer; nothing is done twice, also after a restart (as
draft-ietf-httpapi-idempotency-key-header-07).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from alerts.alert_file import connect
from collectors.sqlite_files import transaction
from collectors.written_answers import WRITTEN_FILE, WRITTEN_SCHEMA
from dashboards.web.api.api_problem import ApiProblem

KEPT_MS = 86_400_000
_MOST = 20_000
LONGEST_KEY = 100
# Also with the quotes that the draft has around it.
KEY = "^[!-~]+$"


class WrittenAnswer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


class WrittenRequests:
    """In one file, which several processes may open. Methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(
        self, caller: str, key: str, request: bytes, now_ms: int
    ) -> WrittenAnswer | None:
        """Notes that a request begins; returns its answer if it was done before. Raises
        `ApiProblem` if the key is of another request, or of one without an answer."""
        if len(key) > LONGEST_KEY or not re.fullmatch(KEY, key):
            raise ApiProblem(
                400,
                f"Idempotency-Key: expected 1 to {LONGEST_KEY} visible ASCII "
                "characters without spaces",
            )
        digest = hashlib.sha256(request).digest()
        with self._opened() as db, transaction(db):
            db.execute("DELETE FROM written WHERE at_ms < ?", (now_ms - KEPT_MS,))
            row = db.execute(
                "SELECT request, answer FROM written WHERE caller = ? AND key = ?",
                (caller, key),
            ).fetchone()
            if row is None:
                db.execute(
                    "DELETE FROM written WHERE rowid IN (SELECT rowid FROM written "
                    "ORDER BY at_ms DESC LIMIT -1 OFFSET ?)",
                    (_MOST - 1,),
                )
                db.execute(
                    "INSERT INTO written VALUES (?, ?, ?, ?, NULL)",
                    (caller, key, digest, now_ms),
                )
                return None
        known, answer = row
        if known != digest:
            raise ApiProblem(422, "Idempotency-Key: another request has used this key")
        if answer is None:
            raise ApiProblem(
                409,
                "Idempotency-Key: this request is being done, or was interrupted: look "
                "whether it was done before you send it with another key",
            )
        return msgspec.msgpack.decode(answer, type=WrittenAnswer)

    def end(self, caller: str, key: str, answer: WrittenAnswer | None) -> None:
        """Keeps the answer; None: nothing was done, and the key may be used again."""
        with self._opened() as db, transaction(db):
            if answer is None:
                db.execute(
                    "DELETE FROM written WHERE caller = ? AND key = ?", (caller, key)
                )
            else:
                db.execute(
                    "UPDATE written SET answer = ? WHERE caller = ? AND key = ?",
                    (msgspec.msgpack.encode(answer), caller, key),
                )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        db = connect(self._path)
        try:
            db.executescript(WRITTEN_SCHEMA)
            # Some answers name a laptop: none is left in free pages.
            db.execute("PRAGMA secure_delete = ON")
            yield db
        finally:
            db.close()


def written_file(standing: Path) -> Path:
    """Where they are kept: beside the alert engine's file."""
    return standing.parent / WRITTEN_FILE
