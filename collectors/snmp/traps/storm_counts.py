"""Storms: equal events are one row a second and then one every ten, with a count.

What is equal is (device, event, port, about). The first of a kind is due at once; what
follows is counted in memory until the row after it is due. Nothing is dropped: beyond
the bounds what comes is counted under a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from collectors.batch import Batch, Schema
from collectors.estate.estate_model import Device
from collectors.snmp.traps.trap_events import Event
from collectors.snmp.traps.trap_text import LEVELS, Severity

EVENT = Schema(
    "event",
    ("device", "site", "role", "event", "port", "about"),
    (
        "severity",
        "level",
        "text",
        "count",
        "active",
        "first_ms",
        "last_ms",
        "trap",
        "name",
    ),
)
SHORTEST_S, LONGEST_S = 1.0, 10.0
# Who waits for the answer to an inform asks again after a second.
_INFORM_S = 0.2
MOST_KINDS = 20_000
MOST_OF_A_DEVICE = 500
# The name of what comes when there are too many kinds to keep apart.
BEYOND = "further_traps"

Key = tuple[str, str, str, str]


class EventRow(msgspec.Struct):
    """What is to become one row of `event`. `waiting`: whom to answer afterwards."""

    key: Key
    device: Device
    severity: Severity
    text: str
    trap: str
    name: str
    active: int | None
    count: int
    first_ms: int
    last_ms: int
    waiting: list[Any]
    time_ms: int = 0

    def follow(self, later: EventRow) -> None:
        """Takes in what came after."""
        self.severity, self.text = later.severity, later.text
        self.trap, self.name, self.active = later.trap, later.name, later.active
        self.count += later.count
        self.last_ms = later.last_ms
        self.waiting += later.waiting


class _Kind(msgspec.Struct):
    """One key: what is not written yet, and when it may be. `open`: what was last
    written of something that only happens, until it is said to be over."""

    row: EventRow | None = None
    due_s: float = 0.0
    gap_s: float = SHORTEST_S
    heard_s: float = 0.0
    time_ms: int = 0
    transient: bool = False
    quiet_s: float = 0.0
    open: EventRow | None = None


class StormCounts:
    """Counts events until their rows are due. Not for several tasks at once."""

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._kinds: dict[Key, _Kind] = {}
        self._dirty: dict[Key, _Kind] = {}
        self._of_device: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def waiting(self) -> int:
        """Kinds of events that have something to write."""
        return len(self._dirty)

    def add(
        self,
        device: Device,
        event: Event,
        port: str,
        now_ms: int,
        now_s: float,
        waiting: Any = None,
    ) -> None:
        """Counts one event, and what it clears. `waiting` is answered once durable."""
        key = (device.id, event.event, port, event.about)
        if key not in self._kinds and self._is_full(device.id):
            key = (device.id, BEYOND, "", "")
        happens = event.active is None and not event.clears
        transient = happens or bool(event.quiet_s)
        row = EventRow(
            key,
            device,
            event.severity,
            event.text,
            event.trap,
            event.name,
            1 if happens else event.active,
            1,
            now_ms,
            now_ms,
            [] if waiting is None else [waiting],
        )
        self._put(row, now_s, transient, event.quiet_s or self._quiet_s)
        for cleared in event.clears:
            # Whether it was there is not known after a restart: said in any case.
            key = (device.id, cleared, port, event.about)
            if key in self._kinds or not self._is_full(device.id):
                ending = _ending(row, key, event.text, now_ms)
                self._put(ending, now_s, False, self._quiet_s)

    def due(self, now_s: float, now_ms: int, every: bool = False) -> list[EventRow]:
        """Rows to be written now; `every` one that there is, before stopping."""
        rows = []
        for key, kind in list(self._dirty.items()):
            if kind.row is None or (kind.due_s > now_s and not every):
                continue
            row, kind.row = kind.row, None
            del self._dirty[key]
            # Rows of one kind have times of their own, or one would hide the other.
            row.time_ms = kind.time_ms = max(now_ms, kind.time_ms + 1)
            if now_s - kind.due_s > LONGEST_S:
                kind.gap_s = SHORTEST_S
            kind.due_s = now_s + kind.gap_s
            kind.gap_s = min(LONGEST_S, 2 * kind.gap_s)
            kind.open = row if kind.transient and row.count else None
            rows.append(row)
        return rows

    def put_back(self, rows: Iterable[EventRow]) -> None:
        """What could not be written waits for the next try, still counted."""
        for row in rows:
            kind = self._kind(row.key)
            if kind.row is not None:
                row.follow(kind.row)
            kind.row = row
            self._dirty[row.key] = kind

    def quieten(self, now_s: float, now_ms: int, every: bool = False) -> None:
        """Ends what only happens and has stopped happening, and forgets what was not
        heard for long. `every` one, before stopping: nobody would end it later."""
        for key, kind in list(self._kinds.items()):
            if not every and now_s - kind.heard_s < kind.quiet_s:
                continue
            if kind.row is not None:
                if every and kind.transient:
                    # Its last count and its end in one.
                    kind.row.active = 0
            elif kind.open is not None:
                kind.row = _ending(kind.open, key, "it has not come again", now_ms)
                kind.open = None
                self._dirty[key] = kind
            elif not every:
                self._forget(key)

    def _put(
        self, row: EventRow, now_s: float, transient: bool, quiet_s: float
    ) -> None:
        kind = self._kind(row.key)
        kind.heard_s, kind.transient, kind.quiet_s = now_s, transient, quiet_s
        if kind.row is None:
            kind.row = row
        else:
            kind.row.follow(row)
        if row.waiting:
            kind.due_s = min(kind.due_s, now_s + _INFORM_S)
        self._dirty[row.key] = kind

    def _kind(self, key: Key) -> _Kind:
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind()
            self._of_device[key[0]] = self._of_device.get(key[0], 0) + 1
        return kind

    def _is_full(self, device: str) -> bool:
        return (
            len(self._kinds) >= MOST_KINDS
            or self._of_device.get(device, 0) >= MOST_OF_A_DEVICE
        )

    def _forget(self, key: Key) -> None:
        del self._kinds[key]
        left = self._of_device[key[0]] - 1
        if left:
            self._of_device[key[0]] = left
        else:
            del self._of_device[key[0]]


def _ending(row: EventRow, key: Key, text: str, now_ms: int) -> EventRow:
    """What says that `key` is over; it counts no further notification."""
    return EventRow(
        key, row.device, "ok", text, row.trap, row.name, 0, 0, now_ms, now_ms, []
    )


def batch(rows: list[EventRow], source: str, received_ms: int) -> Batch:
    """`rows` as a batch of `event`."""
    columns: tuple[list[Any], ...] = (
        [row.time_ms for row in rows],
        [row.device.id for row in rows],
        [row.device.site for row in rows],
        [row.device.role for row in rows],
        [row.key[1] for row in rows],
        [row.key[2] for row in rows],
        [row.key[3] for row in rows],
        [row.severity for row in rows],
        [LEVELS[row.severity] for row in rows],
        [row.text for row in rows],
        [row.count for row in rows],
        [row.active for row in rows],
        [row.first_ms for row in rows],
        [row.last_ms for row in rows],
        [row.trap for row in rows],
        [row.name for row in rows],
    )
    return Batch(source, received_ms, EVENT, columns)
