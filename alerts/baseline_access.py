"""What other processes do with the baseline in the alert engine's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import msgspec

from alerts.alert import Alert
from alerts.alert_access import opened
from alerts.alert_file import has_tables
from alerts.outbox_entry import decode_alert
from collectors.sqlite_files import transaction

BaselineChoice = Literal["accept", "alert", "learn"]


class BaselinePart(msgspec.Struct, frozen=True):
    """Something that was so when its device was first seen, and what an engineer
    decided about it; `choice` is empty until then."""

    alert: Alert
    choice: str = ""
    who: str = ""
    why: str = ""
    at_ms: int = 0


def baseline_parts(path: Path) -> list[BaselinePart]:
    """The baseline, oldest first; empty if there is no file yet."""
    if not has_tables(path):
        return []
    try:
        with opened(path, read_only=True) as db:
            rows = db.execute(
                "SELECT b.body, c.choice, c.who, c.why, c.at_ms FROM baseline b "
                "LEFT JOIN baseline_choice c ON c.key = b.key"
            ).fetchall()
    except sqlite3.OperationalError:
        # The file is of a version before there was a baseline.
        return []
    parts = [
        BaselinePart(decode_alert(body), choice or "", who or "", why or "", at_ms or 0)
        for body, choice, who, why, at_ms in rows
    ]
    return sorted(parts, key=lambda part: (part.alert.since_ms, part.alert.key))


def choose_for_baseline(
    path: Path,
    keys: Collection[str],
    choice: BaselineChoice,
    who: str,
    why: str,
    now_ms: int,
) -> None:
    """Records what an engineer decided; the engine follows it within a second."""
    with opened(path) as db, transaction(db):
        db.executemany(
            "INSERT OR REPLACE INTO baseline_choice VALUES (?, ?, ?, ?, ?)",
            [(key, choice, now_ms, who, why) for key in keys],
        )
