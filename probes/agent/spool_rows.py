"""The rows of the spool's file: one for each report, and one for each month's data.

Every function takes the open connection; what the disk raises is the caller's.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from probes.wire.report import VERSION, Report, moved


class SpooledReport(msgspec.Struct, frozen=True):
    """One report as it will travel: `body` is its JSON. `doubtful`: its times are by a
    clock that has not been compared with the server's yet."""

    id: str
    made_ms: int
    body: bytes
    doubtful: bool = False
    version: int = VERSION


class StoredReports(NamedTuple):
    """`damaged`: the ids of rows that the disk returned changed."""

    reports: list[SpooledReport]
    damaged: list[str]


def insert_reports(db: sqlite3.Connection, reports: Iterable[SpooledReport]) -> None:
    """Stores `reports`; one that is stored already stays as it is."""
    with db:
        db.executemany(
            "INSERT INTO report (id, made_ms, body, crc, doubtful, version)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            [
                (
                    report.id,
                    report.made_ms,
                    report.body,
                    zlib.crc32(report.body),
                    report.doubtful,
                    report.version,
                )
                for report in reports
            ],
        )


def read_oldest(
    db: sqlite3.Connection, most: int, without: Collection[int]
) -> StoredReports:
    """Returns up to `most` reports, oldest first, none of a version in `without`."""
    reports: list[SpooledReport] = []
    damaged: list[str] = []
    marks = ",".join("?" * len(without))
    rows = db.execute(
        "SELECT id, made_ms, body, crc, version FROM report"
        f" WHERE version NOT IN ({marks}) ORDER BY seq LIMIT ?",
        (*without, most),
    )
    for id, made_ms, body, crc, version in rows:
        if isinstance(body, bytes) and zlib.crc32(body) == crc:
            reports.append(SpooledReport(id, made_ms, body, version=version))
        else:
            damaged.append(id)
    return StoredReports(reports, damaged)


def delete_reports(db: sqlite3.Connection, ids: Sequence[str]) -> None:
    with db:
        db.executemany("DELETE FROM report WHERE id = ?", [(id,) for id in ids])


def delete_older(db: sqlite3.Connection, before_ms: int) -> int:
    """Deletes the reports made before `before_ms`, unless their times are doubtful.
    Returns how many."""
    with db:
        return db.execute(
            "DELETE FROM report WHERE made_ms < ? AND NOT doubtful", (before_ms,)
        ).rowcount


def delete_excess(db: sqlite3.Connection, max_bytes: int) -> int:
    """Deletes the oldest reports until the rest fit into `max_bytes`. Returns how
    many."""
    deleted = 0
    with db:
        excess = stored_bytes(db) - max_bytes
        while excess > 0:
            seq, size = db.execute(
                "SELECT seq, length(body) FROM report ORDER BY seq LIMIT 1"
            ).fetchone()
            db.execute("DELETE FROM report WHERE seq = ?", (seq,))
            excess -= size
            deleted += 1
    return deleted


def stored_bytes(db: sqlite3.Connection) -> int:
    """Returns the size of all bodies."""
    (size,) = db.execute("SELECT coalesce(sum(length(body)), 0) FROM report").fetchone()
    return int(size)


def move_doubtful(db: sqlite3.Connection, by_ms: int, doubtful: bool) -> None:
    """Makes the doubtful reports `by_ms` later, and marks them as `doubtful` or not."""
    with db:
        # A row at a time: weeks of reports need not be in memory at once.
        seqs = db.execute("SELECT seq FROM report WHERE doubtful").fetchall()
        for (seq,) in seqs if by_ms else ():
            _move_row(db, seq, by_ms)
        db.execute("UPDATE report SET doubtful = ? WHERE doubtful", (doubtful,))


def moved_report(report: SpooledReport, by_ms: int) -> SpooledReport:
    """Returns `report` made `by_ms` later; unchanged if it cannot be read. Pure."""
    try:
        content = msgspec.json.decode(report.body, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return report
    body = msgspec.json.encode(moved(content, by_ms))
    return msgspec.structs.replace(report, made_ms=report.made_ms + by_ms, body=body)


def add_spent(db: sqlite3.Connection, periods: Sequence[str], cost_bytes: int) -> None:
    """Adds to the data that was used in each of `periods`, a day and a month; days
    before are forgotten. (The column is as old as the first of them.)"""
    with db:
        db.executemany(
            "INSERT INTO spent VALUES (?, ?) ON CONFLICT (month)"
            " DO UPDATE SET bytes = bytes + excluded.bytes",
            [(period, cost_bytes) for period in periods],
        )
        today = periods[0]
        db.execute(
            "DELETE FROM spent WHERE month GLOB '????-??-??*'"
            " AND substr(month, 1, 10) <> ?",
            (today[:10],),
        )


def _move_row(db: sqlite3.Connection, seq: int, by_ms: int) -> None:
    """Makes one row `by_ms` later. A damaged row is left as it is: reading it finds
    out."""
    row = "SELECT id, made_ms, body, crc FROM report WHERE seq = ?"
    id, made_ms, body, crc = db.execute(row, (seq,)).fetchone()
    if isinstance(body, bytes) and zlib.crc32(body) == crc:
        report = moved_report(SpooledReport(id, made_ms, body), by_ms)
        db.execute(
            "UPDATE report SET made_ms = ?, body = ?, crc = ? WHERE seq = ?",
            (report.made_ms, report.body, zlib.crc32(report.body), seq),
        )
