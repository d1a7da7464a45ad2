"""The file of the API's answers to writes, which a program may ask for again: some of
them name a laptop.

`WrittenRequests` of the API writes it; erasing and exporting a laptop read it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from collectors.sqlite_files import private_transaction

WRITTEN_FILE = "api-requests.sqlite"
WRITTEN_SCHEMA = """
CREATE TABLE IF NOT EXISTS written (
  caller TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL,
  at_ms INTEGER NOT NULL, answer BLOB, PRIMARY KEY (caller, key));
"""
_NAMING = "FROM written WHERE instr(answer, CAST(? AS BLOB))"


def erase_answers(path: Path, agent: str) -> int:
    """Removes the answers that name that laptop. Returns how many there were."""
    with private_transaction(path, WRITTEN_SCHEMA) as db:
        return db.execute(f"DELETE {_NAMING}", (agent,)).rowcount


def count_answers(path: Path, agent: str) -> int:
    """How many answers name that laptop."""
    return len(read_answers(path, agent))


def read_answers(path: Path, agent: str) -> list[dict[str, object]]:
    """The answers that name that laptop, and who got them."""
    with private_transaction(path, WRITTEN_SCHEMA) as db:
        rows = db.execute(f"SELECT at_ms, caller, answer {_NAMING}", (agent,))
        return [
            {"at_ms": at_ms, "caller": caller, "answer": _body(answer)}
            for at_ms, caller, answer in rows
        ]


def prune_answers(path: Path, before_ms: int) -> int:
    """Removes answers from before that time. Returns how many there were."""
    with private_transaction(path, WRITTEN_SCHEMA) as db:
        old = db.execute("DELETE FROM written WHERE at_ms < ?", (before_ms,))
        return old.rowcount


def _body(answer: bytes) -> str:
    kept = msgspec.msgpack.decode(answer)
    return bytes(kept["body"]).decode("utf-8", "replace")
