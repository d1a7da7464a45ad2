"""Reads who handles which alert from the alert engine's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from alerts.alert import Acknowledgement


def acknowledgements(
    db: sqlite3.Connection, episodes: Collection[str]
) -> dict[str, Acknowledgement]:
    """Episode → who handles it; empty if that cannot be read: messages must go on."""
    marks = ", ".join("?" * len(episodes))
    try:
        rows = db.execute(
            f"SELECT episode, at_ms, who, why FROM ack WHERE episode IN ({marks})",
            tuple(episodes),
        ).fetchall()
    except sqlite3.OperationalError:
        return {}
    return {episode: Acknowledgement(*values) for episode, *values in rows}


def open_acknowledgements(db: sqlite3.Connection) -> dict[str, Acknowledgement]:
    """Episode → who handles it, for open alerts."""
    rows = db.execute(
        "SELECT k.episode, k.at_ms, k.who, k.why FROM ack k "
        "JOIN alert a ON a.episode = k.episode WHERE a.open = 1"
    )
    return {episode: Acknowledgement(*values) for episode, *values in rows}
