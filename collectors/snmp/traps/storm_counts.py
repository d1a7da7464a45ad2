"""Limits storms: equal events become one row a second, later one in ten, with a count.

Events are equal if (device, event, port, about) are. The first row is due at once;
later events are counted in memory until the next row is due. Nothing is dropped: beyond
the limits, events are counted as `further_traps`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from collectors.batch import Batch, Schema
from collectors.estate.estate_model import Device
from collectors.snmp.traps.trap_events import TrapEvent
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
MIN_GAP_S, MAX_GAP_S = 1.0, 10.0
# The sender of an inform repeats it after a second without a response.
_INFORM_S = 0.2
MAX_KEYS = 20_000
MAX_KEYS_OF_A_DEVICE = 500
# The event name of what arrives beyond the limits.
OVERFLOW_EVENT = "further_traps"

Key = tuple[str, str, str, str]


class EventRow(msgspec.Struct):
    """A future row of `event`. `waiting`: informs to answer once it is stored."""

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

    def merge(self, later: EventRow) -> None:
        """Merge a later row of the same key into this one."""
        self.severity, self.text = later.severity, later.text
        self.trap, self.name, self.active = later.trap, later.name, later.active
        self.count += later.count
        self.last_ms = later.last_ms
        self.waiting += later.waiting


class _EventCount(msgspec.Struct):
    """The count of one key: its unwritten row, and when that is due. `open`: the last
    written row of an event without an end of its own, until that end is written."""

    row: EventRow | None = None
    due_s: float = 0.0
    gap_s: float = MIN_GAP_S
    last_s: float = 0.0
    time_ms: int = 0
    transient: bool = False
    quiet_s: float = 0.0
    open: EventRow | None = None


class StormCounts:
    """Counts events until their rows are due. Not safe for concurrent tasks."""

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._counts: dict[Key, _EventCount] = {}
        self._unwritten: dict[Key, _EventCount] = {}
        self._of_device: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def waiting(self) -> int:
        """Return how many keys have an unwritten row."""
        return len(self._unwritten)

    def add(
        self,
        device: Device,
        event: TrapEvent,
        port: str,
        now_ms: int,
        now_s: float,
        waiting: Any = None,
    ) -> None:
        """Count one event, and end the events that it clears. `waiting`, an inform, is
        answered once its row is durable."""
        key = (device.id, event.event, port, event.about)
        if key not in self._counts and self._is_full(device.id):
            key = (device.id, OVERFLOW_EVENT, "", "")
        endless = event.active is None and not event.clears
        transient = endless or bool(event.quiet_s)
        row = EventRow(
            key,
            device,
            event.severity,
            event.text,
            event.trap,
            event.name,
            1 if endless else event.active,
            1,
            now_ms,
            now_ms,
            [] if waiting is None else [waiting],
        )
        self._add_row(row, now_s, transient, event.quiet_s or self._quiet_s)
        for cleared in event.clears:
            # After a restart it is not known whether the event was active, so its end
            # is always written.
            key = (device.id, cleared, port, event.about)
            if key in self._counts or not self._is_full(device.id):
                ending = _end_row(row, key, event.text, now_ms)
                self._add_row(ending, now_s, False, self._quiet_s)

    def take_due(
        self, now_s: float, now_ms: int, every: bool = False
    ) -> list[EventRow]:
        """Remove and return the rows to write now; all of them with `every`, before
        stopping."""
        rows = []
        for key, count in list(self._unwritten.items()):
            if count.row is None or (count.due_s > now_s and not every):
                continue
            row, count.row = count.row, None
            del self._unwritten[key]
            # Rows of one key need different times, or one would overwrite the other.
            row.time_ms = count.time_ms = max(now_ms, count.time_ms + 1)
            if now_s - count.due_s > MAX_GAP_S:
                count.gap_s = MIN_GAP_S
            count.due_s = now_s + count.gap_s
            count.gap_s = min(MAX_GAP_S, 2 * count.gap_s)
            count.open = row if count.transient and row.count else None
            rows.append(row)
        return rows

    def put_back(self, rows: Iterable[EventRow]) -> None:
        """Put rows that could not be written back, to be merged and tried again."""
        for row in rows:
            count = self._get_count(row.key)
            if count.row is not None:
                row.merge(count.row)
            count.row = row
            self._unwritten[row.key] = count

    def end_quiet(self, now_s: float, now_ms: int, every: bool = False) -> None:
        """End events that have no end of their own and have not come again, and forget
        old keys. With `every`, before stopping, end all of them."""
        for key, count in list(self._counts.items()):
            if not every and now_s - count.last_s < count.quiet_s:
                continue
            if count.row is not None:
                if every and count.transient:
                    # One row has both the last count and the end.
                    count.row.active = 0
            elif count.open is not None:
                count.row = _end_row(count.open, key, "no further trap came", now_ms)
                count.open = None
                self._unwritten[key] = count
            elif not every and now_ms > count.time_ms:
                # A key that is forgotten in the millisecond of its last row could get
                # another row with the same time.
                self._forget(key)

    def _add_row(
        self, row: EventRow, now_s: float, transient: bool, quiet_s: float
    ) -> None:
        count = self._get_count(row.key)
        count.last_s, count.transient, count.quiet_s = now_s, transient, quiet_s
        if count.row is None:
            count.row = row
        else:
            count.row.merge(row)
        if row.waiting:
            count.due_s = min(count.due_s, now_s + _INFORM_S)
        self._unwritten[row.key] = count

    def _get_count(self, key: Key) -> _EventCount:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _EventCount()
            self._of_device[key[0]] = self._of_device.get(key[0], 0) + 1
        return count

    def _is_full(self, device: str) -> bool:
        return (
            len(self._counts) >= MAX_KEYS
            or self._of_device.get(device, 0) >= MAX_KEYS_OF_A_DEVICE
        )

    def _forget(self, key: Key) -> None:
        del self._counts[key]
        left = self._of_device[key[0]] - 1
        if left:
            self._of_device[key[0]] = left
        else:
            del self._of_device[key[0]]


def _end_row(row: EventRow, key: Key, text: str, now_ms: int) -> EventRow:
    """Return the row that ends `key`; it adds nothing to the count."""
    return EventRow(
        key, row.device, "ok", text, row.trap, row.name, 0, 0, now_ms, now_ms, []
    )


def to_batch(rows: list[EventRow], source: str, received_ms: int) -> Batch:
    """Return `rows` as a batch of `event`."""
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
