"""Which files of the embedded store are merged, and when to look again. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from collectors.store.file_layout import DAY_MS, HOUR_MS, StoredFile

FAN = 24
LATE_FILES = 24
HOUR_GRACE_MS = 5 * 60_000
DAY_GRACE_MS = 60 * 60_000


class Merge(msgspec.Struct, frozen=True):
    """Files of one hour, or of a whole day, to merge into one."""

    files: tuple[StoredFile, ...]
    start_ms: int
    whole_day: bool


class NextLook(msgspec.Struct, frozen=True):
    """When a day must be looked at again: after so many more files, or at that time."""

    files: int
    at_ms: int


def due_merges(
    current: Iterable[StoredFile], day_ms: int, now_ms: int, patient: bool = False
) -> list[Merge]:
    """Returns what to merge of a day's current files.

    Every `FAN` files of similar size are merged, so that a row is rewritten only a few
    times. An hour or day that is over becomes one file. `patient`: late rows for a
    merged file wait until they are in `LATE_FILES` files.
    """
    ordered = sorted(current, key=lambda file: file.last)
    if is_day_over(day_ms, now_ms):
        merged = any(file.is_day for file in ordered)
        enough = 1 + LATE_FILES if patient and merged else 2
        if len(ordered) >= enough:
            return [Merge(tuple(ordered), day_ms, True)]
        return []
    hours: dict[int, list[StoredFile]] = {}
    for file in ordered:
        if not file.is_day:
            hours.setdefault(file.start_ms, []).append(file)
    merges = []
    for start, files in hours.items():
        over = is_hour_over(start, now_ms)
        few = 2 if over and not patient else FAN
        run = files if over and len(files) >= few else _run(files)
        if len(run) > 1:
            merges.append(Merge(tuple(run), start, False))
    return merges


def next_look(current: Sequence[StoredFile], now_ms: int) -> NextLook:
    """Returns when something may be due, of a day's files of which nothing is due and
    that is not over. Late rows may wait for longer."""
    smallest = Counter(file.start_ms for file in current if _size(file) == 0)
    fullest = max(smallest.values(), default=0)
    hours_over = (now_ms - HOUR_GRACE_MS) // HOUR_MS
    at_ms = (hours_over + 1) * HOUR_MS + HOUR_GRACE_MS
    return NextLook(max(1, FAN - fullest), at_ms)


def is_hour_over(start_ms: int, now_ms: int) -> bool:
    return now_ms >= start_ms + HOUR_MS + HOUR_GRACE_MS


def is_day_over(start_ms: int, now_ms: int) -> bool:
    return now_ms >= start_ms + DAY_MS + DAY_GRACE_MS


def _run(files: list[StoredFile]) -> list[StoredFile]:
    """Returns the newest files, if `FAN` of them have the largest size among them."""
    for size in range(5, -1, -1):
        run: list[StoredFile] = []
        for file in reversed(files):
            if _size(file) > size:
                break
            run.insert(0, file)
        if sum(_size(file) == size for file in run) >= FAN:
            return run
    return []


def _size(file: StoredFile) -> int:
    return int(math.log(file.last - file.first + 1, FAN) + 1e-9)
