"""Reports wait here, on disk, until the council's server has said it has them.

One SQLite file, one connection of one process, `synchronous=FULL` with a rollback
journal: a report is there after kill -9 or a power cut once `put` has returned, and is
forgotten only when a `Receipt` names it. Readable by its user alone. Bounded by bytes
and days, oldest dropped first and counted. A file that is no longer a database is
moved aside; a full disk is survived with the newest reports in memory, and said.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Self

import msgspec

from probes.agent.private_folder import mend_folder
from probes.agent.settings import SpoolLimits
from probes.agent.spool_file import is_of_the_disk, open_file
from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock
from probes.wire.report import VERSION, Receipt, Report, moved

log = logging.getLogger(__name__)
DAY_MS = 86_400_000
IN_MEMORY = 500
RESERVE_BYTES = 262_144
NAME = "spool.sqlite"


class SpooledReport(msgspec.Struct, frozen=True):
    """One report as it will travel: `body` is its JSON. `doubtful`: by a clock that
    was not compared yet."""

    id: str
    made_ms: int
    body: bytes
    doubtful: bool = False
    version: int = VERSION


class Spool:
    """`with Spool(folder, limits, now_ms) as spool:`; every method is quick and
    blocking, and none of them raises for a disk that is full or broken: what is wrong
    now is in `trouble` (a sentence, or empty), what was lost in `lost`, and both are
    logged once. `InUse` where another process has it. `wrong_ms`: how far `now_ms` is
    ahead of true time, None where nobody knows: until then nothing is too old (a clock
    that is a year ahead for a moment must not empty the spool), and what is put is in
    doubt until `end_doubt` has put its times right.
    """

    def __init__(
        self,
        folder: Path,
        limits: SpoolLimits,
        now_ms: WallClock,
        wrong_ms: Callable[[], int | None] = lambda: 0,
    ) -> None:
        self.path = folder / NAME
        self.dropped = 0
        self.trouble = ""
        self.lost = ""
        self._limits = limits
        self._now_ms, self._wrong_ms = now_ms, wrong_ms
        self._db: sqlite3.Connection | None = None
        self._bytes = 0
        self._held: dict[str, SpooledReport] = {}
        self._to_forget: dict[str, None] = {}

    def __enter__(self) -> Self:
        with self._surviving("opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            exposed = mend_folder(self.path.parent)
            if exposed:
                log.warning("%s", exposed)
            self._db = self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._settle()
        if self._db is not None:
            self._db.close()
            self._db = None

    def put(self, report: Report) -> None:
        """Takes `report`: on disk when this returns, or in memory with `trouble`."""
        body = msgspec.json.encode(report)
        wrong_ms = self._wrong_ms()
        made_ms = self._now_ms() - (wrong_ms or 0)
        self._held[report.id] = SpooledReport(
            report.id, made_ms, body, wrong_ms is None, report.version
        )
        self._settle()
        if self._held and not self.trouble:
            # The file had to be begun anew just now; the new one takes it.
            self._settle()
        while len(self._held) > IN_MEMORY:
            self._held.pop(next(iter(self._held)))
            self.dropped += 1

    def oldest(
        self, most: int, most_bytes: int, without: Collection[int] = ()
    ) -> list[SpooledReport]:
        """Up to `most` reports, oldest first, at least one if any waits; none of a
        version that is in `without`."""
        found: list[SpooledReport] = []
        size = 0
        for each in self._all(most, without):
            size += len(each.body) + 1
            if found and size > most_bytes:
                break
            found.append(each)
        return found

    def doubts(self) -> int:
        """How many reports were made by a clock that was not compared yet."""
        on_disk = self._ask("SELECT count(*) FROM report WHERE doubtful")
        return on_disk + sum(each.doubtful for each in self._held.values())

    def clock_was_set(self, by_ms: int) -> None:
        """Moves what is in doubt with the clock that it was made by."""
        self._retime(by_ms, doubtful=True)

    def end_doubt(self) -> None:
        """Puts the times of what is in doubt right; nothing happens as long as nobody
        knows them. What would then be from after now had its clock set while nobody
        looked: all of it moves together until the newest is from now."""
        wrong_ms = self._wrong_ms()
        if wrong_ms is None:
            return
        on_disk_ms = self._ask(
            "SELECT coalesce(max(made_ms), 0) FROM report WHERE doubtful"
        )
        held_ms = [each.made_ms for each in self._held.values() if each.doubtful]
        true_ms = self._now_ms() - wrong_ms
        by_ms = min(-wrong_ms, true_ms - max([on_disk_ms, *held_ms]))
        self._retime(by_ms, doubtful=False)

    def _retime(self, by_ms: int, doubtful: bool) -> None:
        for id, each in self._held.items():
            if each.doubtful:
                then = _moved(each, by_ms)
                self._held[id] = msgspec.structs.replace(then, doubtful=doubtful)
        with self._surviving("written"):
            if self._db is None:
                return
            with self._db as db:
                # A row at a time: weeks of reports need not be in memory at once.
                seqs = db.execute("SELECT seq FROM report WHERE doubtful").fetchall()
                for (seq,) in seqs if by_ms else ():
                    _move(db, seq, by_ms)
                db.execute("UPDATE report SET doubtful = ? WHERE doubtful", (doubtful,))
            self._bytes = self._weigh(self._db)

    def forget(self, receipt: Receipt) -> int:
        """Forgets what `receipt` names (accepted or refused); how many there were."""
        named = [*receipt.accepted, *(each.id for each in receipt.refused)]
        before = self.waiting
        for id in named:
            self._held.pop(id, None)
            self._to_forget[id] = None
        self._settle()
        return before - self.waiting

    @property
    def waiting(self) -> int:
        """Reports not yet taken by the server."""
        on_disk = self._ask("SELECT count(*) FROM report")
        gone = sum(
            self._ask("SELECT count(*) FROM report WHERE id = ?", id)
            for id in self._to_forget
        )
        return on_disk - gone + len(self._held)

    @property
    def bytes(self) -> int:
        """What the waiting reports weigh on disk, as they will travel."""
        return self._bytes

    def spend(self, cost_bytes: int, purse: str = "") -> None:
        """Counts network bytes against this month (UTC); each purse for itself."""
        self._do(
            "INSERT INTO spent VALUES (?, ?) ON CONFLICT (month)"
            " DO UPDATE SET bytes = bytes + excluded.bytes",
            (self._month() + purse, cost_bytes),
        )

    def spent_bytes(self, purse: str = "") -> int:
        """Network bytes counted this month in that purse."""
        return self._ask(
            "SELECT coalesce(sum(bytes), 0) FROM spent WHERE month = ?",
            self._month() + purse,
        )

    def _month(self) -> str:
        now = datetime.datetime.fromtimestamp(self._now_ms() / 1000, datetime.UTC)
        return now.strftime("%Y-%m")

    def _all(self, most: int, without: Collection[int]) -> Iterator[SpooledReport]:
        found: list[SpooledReport] = []
        broken: list[str] = []
        with self._surviving("read"):
            if self._db is not None:
                marks = ",".join("?" * len(without))
                rows = self._db.execute(
                    "SELECT id, made_ms, body, crc, version FROM report"
                    f" WHERE version NOT IN ({marks}) ORDER BY seq LIMIT ?",
                    (*without, most + len(self._to_forget)),
                )
                for id, made_ms, body, crc, version in rows:
                    if isinstance(body, bytes) and zlib.crc32(body) == crc:
                        found.append(SpooledReport(id, made_ms, body, version=version))
                    else:
                        broken.append(id)
        for id in broken:
            # The disk gave back something else than was written.
            self._to_forget[id] = None
            self.dropped += 1
        waiting = [each for each in found if each.id not in self._to_forget]
        held = [each for each in self._held.values() if each.version not in without]
        yield from [*waiting, *held][:most]

    def _settle(self) -> None:
        """Removes what may go and writes what is only in memory."""
        with self._surviving("written"):
            if self._db is None:
                self._db = self._connect()
            db = self._db
            self._remove_forgotten(db)
            with db:
                db.executemany(
                    "INSERT OR IGNORE INTO report"
                    " (id, made_ms, body, crc, doubtful, version)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (
                            e.id,
                            e.made_ms,
                            e.body,
                            zlib.crc32(e.body),
                            e.doubtful,
                            e.version,
                        )
                        for e in self._held.values()
                    ],
                )
            self._held.clear()
            self._trim(db)
            self._bytes = self._weigh(db)
            self._keep_reserve()
            if self.trouble:
                log.info("the spool can be written again")
                self.trouble = ""

    def _remove_forgotten(self, db: sqlite3.Connection) -> None:
        if not self._to_forget:
            return
        statement = "DELETE FROM report WHERE id = ?"
        ids = [(id,) for id in self._to_forget]
        try:
            with db:
                db.executemany(statement, ids)
        except sqlite3.OperationalError:
            # Removing needs a journal, which needs room: here it is.
            self._reserve.unlink(missing_ok=True)
            with db:
                db.executemany(statement, ids)
        self._to_forget.clear()

    def _trim(self, db: sqlite3.Connection) -> None:
        wrong_ms = self._wrong_ms()
        with db:
            if wrong_ms is not None:
                oldest_ms = self._now_ms() - wrong_ms - self._limits.max_days * DAY_MS
                self.dropped += db.execute(
                    "DELETE FROM report WHERE made_ms < ? AND NOT doubtful",
                    (oldest_ms,),
                ).rowcount
            excess = self._weigh(db) - self._limits.max_bytes
            while excess > 0:
                seq, size = db.execute(
                    "SELECT seq, length(body) FROM report ORDER BY seq LIMIT 1"
                ).fetchone()
                db.execute("DELETE FROM report WHERE seq = ?", (seq,))
                excess -= size
                self.dropped += 1

    @staticmethod
    def _weigh(db: sqlite3.Connection) -> int:
        (size,) = db.execute(
            "SELECT coalesce(sum(length(body)), 0) FROM report"
        ).fetchone()
        return int(size)

    def _do(self, statement: str, values: tuple[object, ...]) -> None:
        with self._surviving("written"):
            if self._db is not None:
                with self._db:
                    self._db.execute(statement, values)

    def _ask(self, question: str, *values: object) -> int:
        with self._surviving("read"):
            if self._db is not None:
                (answer,) = self._db.execute(question, values).fetchone()
                return int(answer)
        return 0

    @contextlib.contextmanager
    def _surviving(self, what: str) -> Iterator[None]:
        """Turns what SQLite and the disk raise into `trouble`, and begins anew where
        the file is no longer a database."""
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError, OSError) as error:
            if not is_of_the_disk(error):
                self._begin_anew(error)
            elif not self.trouble:
                # Full, read-only, an I/O error: the file may be whole, keep it.
                self.trouble = (
                    f"the spool {self.path} cannot be {what} ({error}): is the disk "
                    f"full? The newest {IN_MEMORY} reports are kept in memory"
                )
                log.warning("%s", self.trouble)

    def _connect(self) -> sqlite3.Connection:
        db = open_file(self.path)
        self._bytes = self._weigh(db)
        return db

    def _begin_anew(self, error: Exception) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        # One is kept for whoever wants to look; more would fill the disk.
        aside = self.path.with_suffix(".corrupt")
        try:
            self.path.replace(aside)
            self.path.with_name(NAME + "-journal").unlink(missing_ok=True)
        except OSError as away:
            self.trouble = (
                f"the spool {self.path} is broken and cannot be moved aside ({away}); "
                f"the newest {IN_MEMORY} reports are kept in memory"
            )
            return
        self._to_forget.clear()
        self.lost = (
            f"the spool {self.path} was not a database any more "
            f"({_first_line(error)}); it was moved to {aside.name} and begun anew, "
            "what it held will not be sent"
        )
        log.warning("%s", self.lost)
        with self._surviving("opened"):
            self._db = self._connect()

    def _keep_reserve(self) -> None:
        """A small file to give up when the disk is full, so that what the server has
        taken can still be removed (removing needs a journal, which needs room)."""
        with contextlib.suppress(OSError):
            if (
                not self._reserve.exists()
                or self._reserve.stat().st_size < RESERVE_BYTES
            ):
                replace_file(self._reserve, os.urandom(RESERVE_BYTES), durable=True)

    @property
    def _reserve(self) -> Path:
        return self.path.with_name("reserve")


def _moved(waiting: SpooledReport, by_ms: int) -> SpooledReport:
    """The same, made `by_ms` later; as it was where it cannot be read. Pure."""
    try:
        report = msgspec.json.decode(waiting.body, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return waiting
    body = msgspec.json.encode(moved(report, by_ms))
    return msgspec.structs.replace(waiting, made_ms=waiting.made_ms + by_ms, body=body)


def _move(db: sqlite3.Connection, seq: int, by_ms: int) -> None:
    """Puts one row's times `by_ms` later. One that the disk gives back otherwise than
    it was written is left, to be found out when it is read."""
    row = "SELECT id, made_ms, body, crc FROM report WHERE seq = ?"
    id, made_ms, body, crc = db.execute(row, (seq,)).fetchone()
    if isinstance(body, bytes) and zlib.crc32(body) == crc:
        now = _moved(SpooledReport(id, made_ms, body), by_ms)
        db.execute(
            "UPDATE report SET made_ms = ?, body = ?, crc = ? WHERE seq = ?",
            (now.made_ms, now.body, zlib.crc32(now.body), seq),
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
