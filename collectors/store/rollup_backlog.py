"""`RollUpBacklog`: which buckets of which roll-ups are missing or out of date.

A bucket is in the file before the position of its rows is saved, and is removed after
its roll-up is written. So a crash can only cause a bucket to be rolled up again, which
changes nothing. It is used from one thread, except for `save`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from collectors.batch import Batch
from collectors.store.rolled_measurements import (
    DAY,
    DAY_MS,
    HOUR_MS,
    STEPS_MS,
    rolled_steps,
)
from collectors.store.rollup_files import RollUpState
from probes.wire.atomic_file import replace_file
from probes.wire.catalogue import Catalogue

# A bucket is rolled up when no row has come for this long, so that a replay of hours
# is not rolled up after each of its writes.
_SETTLED_MS = 30_000


@dataclasses.dataclass(frozen=True)
class RollUpSpan:
    """Buckets of one measurement that follow each other: [from, to) in ms."""

    measurement: str
    steps: tuple[str, ...]
    from_ms: int
    to_ms: int


class RollUpBacklog:
    """`state`: what it begins with. `path`: its file, which `save` replaces."""

    def __init__(self, path: Path, catalogue: Catalogue, state: RollUpState) -> None:
        self._path, self._catalogue = path, catalogue
        self.history, self.days = state.history, state.whole_days
        # (measurement, step) → start → number of the latest mark, and its time.
        self._marks: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}
        self._number = itertools.count()
        for name, steps in state.pending.items():
            for step, starts in steps.items():
                self._marks[name, step] = dict.fromkeys(starts, (-1, 0))

    def mark(self, batches: list[Batch], now_ms: int) -> bool:
        """Marks the buckets of rows that have been written. Returns whether one of them
        is not in the file yet."""
        is_new = False
        for batch in batches:
            declared = self._catalogue.measurement(batch.measurement)
            for step, length in rolled_steps(declared).items():
                marks = self._marks.setdefault((batch.measurement, step), {})
                for start in {time - time % length for time in batch.times_ms}:
                    is_new = is_new or start not in marks
                    marks[start] = (next(self._number), now_ms)
        return is_new

    def due(self, now_ms: int) -> list[RollUpSpan]:
        """Returns the spans that are over and to which no rows are coming, the shortest
        steps first, because days are calculated from hours and five minutes."""
        return self._in_order(self._spans(now_ms, is_over=True))

    def growing(self, now_ms: int) -> list[RollUpSpan]:
        """Returns the spans that are not over or still get rows, in the same order."""
        return self._in_order(self._spans(now_ms, is_over=False))

    @staticmethod
    def _in_order(spans: Iterator[RollUpSpan]) -> list[RollUpSpan]:
        return sorted(spans, key=lambda span: span.steps == (DAY,))

    def numbers(self, span: RollUpSpan) -> dict[tuple[str, int], int]:
        """Returns the latest mark of each bucket of a span, to compare with when it is
        rolled up."""
        return {
            (step, start): number
            for step in span.steps
            for start, (number, _) in self._marks.get(
                (span.measurement, step), {}
            ).items()
            if span.from_ms <= start < span.to_ms
        }

    def done(
        self, span: RollUpSpan, numbers: dict[tuple[str, int], int], now_ms: int
    ) -> bool:
        """Removes the buckets of a span that are over and have not been marked since
        `numbers` were taken. Returns whether there were any."""
        removed = False
        for (step, start), number in numbers.items():
            marks = self._marks[span.measurement, step]
            is_over = start + STEPS_MS[step] <= now_ms
            if is_over and marks.get(start, (None, 0))[0] == number:
                del marks[start]
                removed = True
        return removed

    def oldest_spans(self) -> list[RollUpSpan]:
        """Returns the latest hour of each measurement's older rows, and the latest day
        of which all hours are done."""
        spans = []
        for name, (from_ms, to_ms) in self.history.items():
            if name not in self._catalogue:
                continue
            steps = rolled_steps(self._catalogue.measurement(name))
            hourly = tuple(step for step in steps if step != DAY)
            if from_ms < to_ms and hourly:
                spans.append(RollUpSpan(name, hourly, to_ms - HOUR_MS, to_ms))
            first_ms, last_ms = self.days.get(name, (0, 0))
            if first_ms < last_ms and (from_ms >= to_ms or to_ms <= last_ms - DAY_MS):
                spans.append(RollUpSpan(name, (DAY,), last_ms - DAY_MS, last_ms))
        return spans

    def history_done(self, span: RollUpSpan) -> bool:
        """Removes a span from the older rows. Returns whether it was the last one."""
        left = self.days if span.steps == (DAY,) else self.history
        from_ms, _ = left[span.measurement]
        left[span.measurement] = (from_ms, span.from_ms)
        return from_ms >= span.from_ms

    def _spans(self, now_ms: int, is_over: bool) -> Iterator[RollUpSpan]:
        for (name, step), marks in self._marks.items():
            if name not in self._catalogue:
                continue
            declared = self._catalogue.measurement(name)
            length, late = STEPS_MS[step], declared.lateness_s * 1000
            starts = sorted(
                start
                for start, (_, marked_ms) in marks.items()
                if is_over
                is (
                    now_ms >= start + length + late
                    and now_ms - marked_ms >= _SETTLED_MS
                )
            )
            yield from _joined(name, step, starts)

    def encoded(self) -> bytes:
        """Returns what `save` writes."""
        pending: dict[str, dict[str, list[int]]] = {}
        for (name, step), marks in self._marks.items():
            if marks:
                pending.setdefault(name, {})[step] = sorted(marks)
        return msgspec.json.encode(RollUpState(pending, self.history, self.days))

    def save(self, content: bytes, durable: bool) -> None:
        """Replaces the file (blocking). Raises `OSError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, content, durable=durable)


def _joined(name: str, step: str, starts: list[int]) -> Iterator[RollUpSpan]:
    """Yields buckets that follow each other as one span, an hour at most."""
    length = STEPS_MS[step]
    first: int | None = None
    for at, start in enumerate(starts):
        first = start if first is None else first
        is_last = at + 1 == len(starts) or starts[at + 1] != start + length
        if is_last or start + length - first >= HOUR_MS:
            yield RollUpSpan(name, (step,), first, start + length)
            first = None
