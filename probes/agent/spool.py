"""Reports wait here, on disk, until the council's server has confirmed them.

One SQLite file, one connection of one process, `synchronous=FULL` with a rollback
journal: after `put` returns, a report survives kill -9 and a power cut, and it is
forgotten only when a `Receipt` names it. Only the agent's user can read the file. It is
limited by bytes and days; the oldest reports are dropped first, and counted. A file
that is no longer a database is moved aside. If the disk is full, the newest reports
wait in memory.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Self

import msgspec

from probes.agent import spool_rows
from probes.agent.private_folder import mend_folder
from probes.agent.settings import SpoolLimits
from probes.agent.spool_file import disk_hint, is_disk_error, open_file
from probes.agent.spool_rows import SpooledReport
from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock
from probes.wire.held_files import while_held
from probes.wire.report import Receipt, Report

_log = logging.getLogger(__name__)

DAY_MS = 86_400_000
IN_MEMORY = 500
RESERVE_BYTES = 262_144
NAME = "spool.sqlite"
_DAY, _MONTH = "%Y-%m-%d", "%Y-%m"


class Spool:
    """`with Spool(folder, limits, now_ms) as spool:`. Raises `InUse` if another process
    has the file open.

    Every method is quick and blocking. A disk that is full or broken never raises:
    `trouble` is a sentence about what is wrong now, or empty, `lost` one about what was
    lost, and both are logged once.

    `clock_error_ms` returns how far `now_ms` is ahead of true time, None if that is not
    known. Until it is known nothing is too old, as a clock that is a year ahead for a
    moment must not empty the spool, and what is put is doubtful until `correct_times`.
    """

    def __init__(
        self,
        folder: Path,
        limits: SpoolLimits,
        now_ms: WallClock,
        clock_error_ms: Callable[[], int | None] = lambda: 0,
    ) -> None:
        self.path = folder / NAME
        self.dropped = 0
        self.trouble = ""
        self.lost = ""
        self._limits = limits
        self._now_ms, self._clock_error_ms = now_ms, clock_error_ms
        self._db: sqlite3.Connection | None = None
        self._in_memory: dict[str, SpooledReport] = {}
        self._to_forget: dict[str, None] = {}

    def __enter__(self) -> Self:
        with self._surviving("opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            warning = mend_folder(self.path.parent)
            if warning:
                _log.warning("state_folder_open_to_others error=%s", warning)
            self._db = open_file(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        if self._db is not None:
            self._db.close()
            self._db = None

    def put(self, report: Report) -> None:
        """Stores `report`: on disk when this returns, or in memory with `trouble`."""
        body = msgspec.json.encode(report)
        error_ms = self._clock_error_ms()
        made_ms = self._now_ms() - (error_ms or 0)
        self._in_memory[report.id] = SpooledReport(
            report.id, made_ms, body, error_ms is None, report.version
        )
        self._write()
        if self._in_memory and not self.trouble:
            # The file has just been started anew; the new one takes it.
            self._write()
        while len(self._in_memory) > IN_MEMORY:
            self._in_memory.pop(next(iter(self._in_memory)))
            self.dropped += 1

    def oldest(
        self, most: int, most_bytes: int, without: Collection[int] = ()
    ) -> list[SpooledReport]:
        """Returns up to `most` reports, oldest first, at least one if any waits; none
        of a version in `without`."""
        batch: list[SpooledReport] = []
        size = 0
        for report in self._waiting(most, without):
            size += len(report.body) + 1
            if batch and size > most_bytes:
                break
            batch.append(report)
        return batch

    def count_doubtful(self) -> int:
        """Returns how many reports were made by a clock that is not compared yet."""
        on_disk = self._query("SELECT count(*) FROM report WHERE doubtful")
        return on_disk + sum(report.doubtful for report in self._in_memory.values())

    def clock_was_set(self, by_ms: int) -> None:
        """Moves the doubtful reports with the clock that they were made by."""
        self._move_doubtful(by_ms, doubtful=True)

    def correct_times(self) -> None:
        """Corrects the times of the doubtful reports, if the clock's error is known.

        Reports that would then be from the future had their clock set unnoticed: all
        of them move together until the newest is from now.
        """
        error_ms = self._clock_error_ms()
        if error_ms is None:
            return
        newest_ms = self._query(
            "SELECT coalesce(max(made_ms), 0) FROM report WHERE doubtful"
        )
        in_memory_ms = [
            report.made_ms for report in self._in_memory.values() if report.doubtful
        ]
        true_ms = self._now_ms() - error_ms
        by_ms = min(-error_ms, true_ms - max([newest_ms, *in_memory_ms]))
        self._move_doubtful(by_ms, doubtful=False)

    def forget(self, receipt: Receipt) -> int:
        """Removes the reports that `receipt` names, accepted or refused. Returns how
        many there were."""
        ids = [*receipt.accepted, *(refusal.id for refusal in receipt.refused)]
        before = self.waiting
        for id in ids:
            self._in_memory.pop(id, None)
            self._to_forget[id] = None
        self._write()
        return before - self.waiting

    @property
    def waiting(self) -> int:
        """How many reports the server has not confirmed."""
        on_disk = self._query("SELECT count(*) FROM report")
        forgotten = sum(
            self._query("SELECT count(*) FROM report WHERE id = ?", id)
            for id in self._to_forget
        )
        return on_disk - forgotten + len(self._in_memory)

    def spend(self, cost_bytes: int, budget: str = "") -> None:
        """Counts network data against this day and month (UTC), each budget
        separately."""
        with self._surviving("written"):
            if self._db is not None and cost_bytes:
                periods = [self._period(form) + budget for form in (_DAY, _MONTH)]
                spool_rows.add_spent(self._db, periods, cost_bytes)

    def spent_bytes(self, budget: str = "") -> int:
        """Returns the network data counted this month against `budget`."""
        return self._spent(self._period(_MONTH) + budget)

    def spent_today_bytes(self) -> int:
        """Returns the network data counted today (UTC)."""
        return self._spent(self._period(_DAY))

    def _spent(self, period: str) -> int:
        return self._query(
            "SELECT coalesce(sum(bytes), 0) FROM spent WHERE month = ?", period
        )

    def _period(self, form: str) -> str:
        now = datetime.datetime.fromtimestamp(self._now_ms() / 1000, datetime.UTC)
        return now.strftime(form)

    def _move_doubtful(self, by_ms: int, doubtful: bool) -> None:
        for id, report in self._in_memory.items():
            if report.doubtful:
                moved = spool_rows.moved_report(report, by_ms)
                self._in_memory[id] = msgspec.structs.replace(moved, doubtful=doubtful)
        with self._surviving("written"):
            if self._db is not None:
                spool_rows.move_doubtful(self._db, by_ms, doubtful)

    def _waiting(self, most: int, without: Collection[int]) -> list[SpooledReport]:
        stored = spool_rows.StoredReports([], [])
        with self._surviving("read"):
            if self._db is not None:
                stored = spool_rows.read_oldest(
                    self._db, most + len(self._to_forget), without
                )
        for id in stored.damaged:
            self._to_forget[id] = None
            self.dropped += 1
        on_disk = [
            report for report in stored.reports if report.id not in self._to_forget
        ]
        in_memory = [
            report
            for report in self._in_memory.values()
            if report.version not in without
        ]
        return [*on_disk, *in_memory][:most]

    def _write(self) -> None:
        """Removes what is to be forgotten and writes what is only in memory."""
        with self._surviving("written"):
            if self._db is None:
                self._db = open_file(self.path)
            db = self._db
            self._delete_forgotten(db)
            spool_rows.insert_reports(db, self._in_memory.values())
            self._in_memory.clear()
            self._trim(db)
            self._keep_reserve()
            if self.trouble:
                _log.info("spool_recovered path=%s", self.path)
                self.trouble = ""

    def _delete_forgotten(self, db: sqlite3.Connection) -> None:
        if not self._to_forget:
            return
        try:
            spool_rows.delete_reports(db, list(self._to_forget))
        except sqlite3.OperationalError:
            # Deleting needs a journal, which needs room: here it is.
            self._reserve.unlink(missing_ok=True)
            spool_rows.delete_reports(db, list(self._to_forget))
        self._to_forget.clear()

    def _trim(self, db: sqlite3.Connection) -> None:
        error_ms = self._clock_error_ms()
        if error_ms is not None:
            oldest_ms = self._now_ms() - error_ms - self._limits.max_days * DAY_MS
            self.dropped += spool_rows.delete_older(db, oldest_ms)
        self.dropped += spool_rows.delete_excess(db, self._limits.max_bytes)

    def _query(self, statement: str, *values: object) -> int:
        with self._surviving("read"):
            if self._db is not None:
                (answer,) = self._db.execute(statement, values).fetchone()
                return int(answer)
        return 0

    @contextlib.contextmanager
    def _surviving(self, action: str) -> Iterator[None]:
        """Turns what SQLite and the disk raise into `trouble`, and starts anew if the
        file is no longer a database."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError, OSError) as error:
            if not is_disk_error(error):
                self._start_anew(error)
            elif not self.trouble:
                # Full, read-only, an I/O error: the file may be intact, keep it.
                self.trouble = (
                    f"the spool {self.path} cannot be {action} ({error})"
                    f"{disk_hint(error)}; the newest {IN_MEMORY} reports are kept in "
                    "memory"
                )
                _log.warning("spool_failed error=%s", self.trouble)

    def _start_anew(self, error: Exception) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        # One broken file is kept for inspection; more would fill the disk.
        corrupt = self.path.with_suffix(".corrupt")
        try:
            while_held(lambda: self.path.replace(corrupt))
            self.path.with_name(NAME + "-journal").unlink(missing_ok=True)
        except OSError as move_error:
            self.trouble = (
                f"the spool {self.path} is broken and cannot be moved aside "
                f"({move_error}); the newest {IN_MEMORY} reports are kept in memory"
            )
            return
        self._to_forget.clear()
        self.lost = (
            f"the spool {self.path} was no longer a database ({_first_line(error)}); "
            f"it was moved to {corrupt.name} and started anew, what it held will not "
            "be sent"
        )
        _log.warning("spool_lost error=%s", self.lost)
        with self._surviving("opened"):
            self._db = open_file(self.path)

    def _keep_reserve(self) -> None:
        """Keeps a small file to delete when the disk is full, so that reports that the
        server has confirmed can still be deleted."""
        with contextlib.suppress(OSError):
            if (
                not self._reserve.exists()
                or self._reserve.stat().st_size < RESERVE_BYTES
            ):
                replace_file(self._reserve, os.urandom(RESERVE_BYTES), durable=True)

    @property
    def _reserve(self) -> Path:
        return self.path.with_name("reserve")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
