"""What the poller counts about itself, and reports in rows of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from collectors.batch import Batch, Schema
from probes.wire.failure import Outcome

_SELF = Schema(
    "self_poll",
    ("process",),
    (
        "period_s",
        "cut_off",
        "expected",
        "done",
        "failed",
        "skipped",
        "late_p99_ms",
        "retries",
    ),
)
# As in the rule `monitor_cut_off`: fewer may well be down at the same time.
_MIN_DEVICES = 3


def without_answered(batches: Iterable[Batch]) -> list[Batch]:
    """`batches` of a poll made while the poller was cut off. Whether the device answers
    is then not known, so no availability on a board counts it. Pure."""
    without = []
    for batch in batches:
        if batch.measurement == "device":
            at = 1 + len(batch.schema.tags) + batch.schema.fields.index("answered")
            columns = [*batch.columns]
            columns[at] = [None] * len(batch)
            batch = msgspec.structs.replace(batch, columns=tuple(columns))
        without.append(batch)
    return without


class PollStats(msgspec.Struct):
    """Counters since start."""

    expected: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    retries: int = 0
    packets: int = 0
    devices: int = 0
    # Devices whose tables have been read.
    learnt: int = 0
    running: int = 0
    by_outcome: dict[str, int] = {}

    def count(self, outcome: Outcome, up: bool, retries: int = 0) -> None:
        """Counts a poll that has ended; one that this machine could not make, as
        skipped."""
        self.retries += retries
        self.by_outcome[outcome.value] = self.by_outcome.get(outcome.value, 0) + 1
        if outcome is Outcome.NO_RESOURCES:
            self.skipped += 1
            return
        self.done += 1
        self.failed += not up


class PollerReport:
    """What was counted between two rows of `process`, and how late polls started."""

    def __init__(self, process: str, period_s: float) -> None:
        self._process, self._period_s = process, period_s
        self._answered: dict[str, bool] = {}
        self._was_cut_off = False
        self._last = PollStats()
        self._lateness_ms: list[float] = []

    def record_start(self, late_ms: float) -> None:
        self._lateness_ms.append(late_ms)

    def record_result(self, device: str, batches: Iterable[Batch]) -> bool:
        """Records the rows of a poll. True if the poller is cut off now and was not
        before, or the other way round: once, however many polls end together."""
        for batch in batches:
            if batch.measurement == "device":
                up = batch.field("up")[-1]
                if up is None:
                    self._answered.pop(device, None)
                else:
                    self._answered[device] = bool(up)
        was, self._was_cut_off = self._was_cut_off, self.is_cut_off
        return was != self._was_cut_off

    def remove(self, device: str) -> None:
        """Ignores a device that is polled no more."""
        self._answered.pop(device, None)

    @property
    def is_cut_off(self) -> bool:
        """True if no device answered its last poll."""
        answered = self._answered.values()
        return len(answered) >= _MIN_DEVICES and not any(answered)

    def row(self, now: PollStats, now_ms: int) -> Batch:
        """The row of what happened since the last row."""
        last, lateness = self._last, sorted(self._lateness_ms)
        self._lateness_ms.clear()
        # Nearest rank, as elsewhere in Towpath.
        p99 = lateness[-(-99 * len(lateness) // 100) - 1] if lateness else None
        values = (
            self._period_s,
            int(self.is_cut_off),
            now.expected - last.expected,
            now.done - last.done,
            now.failed - last.failed,
            now.skipped - last.skipped,
            p99,
            now.retries - last.retries,
        )
        self._last = msgspec.structs.replace(now)
        columns: tuple[list[Any], ...] = (
            [now_ms],
            [self._process],
            *([value] for value in values),
        )
        return Batch(f"self/{self._process}", now_ms, _SELF, columns)
