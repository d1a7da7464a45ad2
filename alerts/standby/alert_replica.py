"""`AlertReplica`: the alert engine's file as the sum of a log that all machines share.

The active machine publishes the rows of each transaction before it commits them, as the
next entry after the last one that it knows. So if two machines believe that they are
active, only one can go on: the other one's entry does not follow the last, nothing is
committed, and nothing that it decided takes effect. A machine takes over by an entry of
its own. Until the next entry every file is what the log says up to its position.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec
import structlog

from alerts.alert_file import VERSION, connect, prepare
from alerts.replicated_rows import (
    ChangedRows,
    all_rows,
    apply_rows,
    has_changes,
    lock_path,
    record_changes,
    say_attended,
    take_changes,
)
from collectors.process_lock import LockTaken, take_lock
from collectors.sqlite_files import transaction

_log = structlog.get_logger()
_PART_BYTES = 512 << 10
# After this many entries, all rows are written again in place of them.
_MOST_ENTRIES = 2000


class NotReplicated(OSError):
    """Nothing was written: this machine is not the active one, or no longer is."""


class LogOvertaken(Exception):
    """Another entry came first."""


class LogState(NamedTuple):
    """`made`: another number once the log was made again."""

    made: int
    first: int
    last: int


class LogPart(NamedTuple):
    """One message: a part of an entry. `id` is the same for all its parts."""

    sequence: int
    id: str
    number: int
    of: int
    body: bytes


class AlertLog(Protocol):
    """Blocking. Raises `OSError` while it cannot be reached."""

    def state(self) -> LogState: ...

    def append(self, part: LogPart, after: int) -> int:
        """Returns its sequence. Raises `LogOvertaken` if `after` is not the last."""
        ...

    def read(self, sequence: int) -> LogPart | None:
        """None if that part is gone."""
        ...

    def drop_before(self, sequence: int) -> None: ...


class LogEntry(msgspec.Struct, frozen=True):
    """`begins`: its machine takes over. `are_all`: in place of all before."""

    machine: str
    version: int
    changed: ChangedRows
    begins: bool = False
    are_all: bool = False


class AlertReplica:
    """Blocking. `ship` is called by the engine's thread; `follow`, `take_over` and
    `stand_down` by one other."""

    def __init__(self, path: Path, log: AlertLog, machine: str) -> None:
        self._path, self._shared_log, self._machine = path, log, machine
        self.on_lost: Callable[[], object] = lambda: None
        # Whether its lease lasts.
        self.holds_lease: Callable[[], bool] = lambda: True
        self._session = secrets.token_hex(8)
        self._count = self._first = 0
        self._short_last: int | None = None
        self.is_active = False
        self.disk_error = ""
        # Other processes see by it that this one was not killed.
        self._lock: int | None = None

    def prepare(self, db: sqlite3.Connection) -> None:
        """Makes the file record its changes. What was not shipped before a crash stays
        recorded."""
        with transaction(db):
            record_changes(db)
            _set(db, "role", "standby")

    def ship(self, db: sqlite3.Connection) -> None:
        """Publishes what the transaction has changed. Raises `NotReplicated`: then it
        is to be rolled back."""
        if not self.is_active:
            raise NotReplicated("another machine evaluates")
        if not has_changes(db):
            return
        try:
            is_long = _applied(db) - self._first >= _MOST_ENTRIES
            entry = LogEntry(
                self._machine,
                VERSION,
                all_rows(db) if is_long else take_changes(db),
                are_all=is_long,
            )
            self._publish(db, entry, _applied(db))
        except BaseException as error:
            # Only the log tells whether the entry is there.
            self._lose()
            if isinstance(error, LogOvertaken):
                raise NotReplicated("another machine has taken over") from None
            if isinstance(error, OSError):
                raise NotReplicated(f"the log of alerts: {error}") from error
            raise

    @property
    def may_act(self) -> bool:
        return self.is_active and self.holds_lease()

    def fail_disk(self, error: Exception) -> None:
        """The engine could not write its file."""
        self.disk_error = str(error)
        self._lose()

    def stand_down(self) -> None:
        """Other processes write no more. Raises `sqlite3.Error`."""
        self.is_active = False
        self.free_lock()
        db = connect(self._path)
        try:
            with transaction(db):
                _set(db, "role", "standby")
        finally:
            db.close()

    def say_attended(self) -> None:
        """Other processes may write: this one takes it up."""
        if self._lock is not None:
            say_attended(self._lock)

    def free_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def follow(self) -> None:
        """Applies what is new in the log. Raises `OSError` or `sqlite3.Error`."""
        db = connect(self._path)
        try:
            self._follow(db)
        finally:
            db.close()

    def take_over(self) -> bool:
        """Becomes active, unless another machine was first. Raises `OSError` or
        `sqlite3.Error`."""
        # What it has decided does not take account of what it reads in the log now.
        self.is_active = False
        self._take_lock()
        db = connect(self._path)
        try:
            applied, at = self._follow(db)
            with transaction(db):
                state = self._shared_log.state()
                # No machine can follow a log whose first entry was never finished.
                is_new = not applied or at > state.last
                changed = all_rows(db) if is_new else take_changes(db)
                entry = LogEntry(self._machine, VERSION, changed, True, is_new)
                _set(db, "made", state.made)
                _set(db, "role", "active")
                self._first = state.first
                self._publish(db, entry, min(at, state.last))
        except LogOvertaken:
            return False
        finally:
            db.close()
        self.is_active, self.disk_error = True, ""
        return True

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        try:
            self._lock = take_lock(lock_path(self._path))
        except LockTaken as taken:
            raise OSError(
                f"the process {taken.holder} evaluates alerts on this machine already"
            ) from None
        say_attended(self._lock)

    def _lose(self) -> None:
        self.is_active = False
        self.on_lost()

    def _publish(self, db: sqlite3.Connection, entry: LogEntry, after: int) -> None:
        body = zlib.compress(msgspec.msgpack.encode(entry), 1)
        pieces = [
            body[at : at + _PART_BYTES] for at in range(0, len(body), _PART_BYTES)
        ]
        self._count += 1
        id, first = f"{self._session}-{self._count}", 0
        for number, piece in enumerate(pieces):
            part = LogPart(0, id, number, len(pieces), piece)
            after = self._shared_log.append(part, after)
            first = first or after
        _set(db, "applied", after)
        if entry.are_all:
            self._first = first
            if first > 1:
                self._shared_log.drop_before(first)

    def _follow(self, db: sqlite3.Connection) -> tuple[int, int]:
        """Returns the last sequences that were applied, and that were read."""
        prepare(db)
        state = self._shared_log.state()
        applied = at = self._known_position(db, state)
        if not applied and state.last:
            at = state.first - 1
        parts: list[LogPart] = []
        while at < state.last:
            part = self._shared_log.read(at + 1)
            if part is None:
                raise OSError("the log of alerts has changed meanwhile")
            at = part.sequence
            if parts and (part.id, part.number) != (parts[0].id, len(parts)):
                # Its machine was killed in the middle.
                parts = []
            if part.number == len(parts):
                parts.append(part)
            if parts and len(parts) == part.of:
                entry = _decoded(b"".join(part.body for part in parts))
                parts = []
                if applied and has_changes(db):
                    _log.warning("decisions_lost", machine=self._machine)
                    with transaction(db):
                        _set(db, "applied", 0)
                    return self._follow(db)
                if applied or entry.are_all:
                    self._apply(db, entry, state.made, at)
                    applied = at
        return applied, at

    def _known_position(self, db: sqlite3.Connection, state: LogState) -> int:
        """The position of the file; 0 if it must be built again."""
        applied = _applied(db)
        if not state.last:
            return 0
        if _get(db, "made") != state.made or 0 < applied < state.first - 1:
            return 0
        if applied > state.last:
            # The log has lost its end. At a take-over all rows are written again.
            if self._short_last is None:
                self._short_last = state.last
            return applied if self._short_last == state.last else 0
        self._short_last = None
        return applied

    def _apply(
        self, db: sqlite3.Connection, entry: LogEntry, made: int, sequence: int
    ) -> None:
        with transaction(db):
            # Within one transaction: other processes never see this role.
            _set(db, "role", "applying")
            apply_rows(db, entry.changed, entry.are_all)
            _set(db, "made", made)
            _set(db, "applied", sequence)
            _set(db, "role", "standby")


_Name = Literal["role", "made", "applied"]


def _applied(db: sqlite3.Connection) -> int:
    return int(_get(db, "applied") or 0)


def _get(db: sqlite3.Connection, name: _Name) -> str | int | None:
    row = db.execute("SELECT body FROM replica WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _set(db: sqlite3.Connection, name: _Name, body: str | int) -> None:
    db.execute("INSERT OR REPLACE INTO replica VALUES (?, ?)", (name, body))


def _decoded(body: bytes) -> LogEntry:
    """Raises `OSError` if another version of Towpath wrote it."""
    try:
        entry = msgspec.msgpack.decode(zlib.decompress(body), type=LogEntry)
    except (zlib.error, msgspec.DecodeError, msgspec.ValidationError):
        raise OSError("the log of alerts is of another version of Towpath") from None
    if entry.version != VERSION:
        raise OSError(
            f"the log of alerts is of version {entry.version}, expected {VERSION}: "
            "run one version of Towpath on both machines"
        )
    return entry
