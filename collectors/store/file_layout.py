"""The embedded store's file names, and which files a query must read. Pure.

    <folder>/shared/<measurement>/<YYYY-MM-DD>/<HH or day>-<first>-<last>-<rev>.parquet
    <folder>/personal/…                       the same, for rows about one laptop

Day and hour are those of the rows (UTC). `first` and `last` are the numbers of the
writes whose rows a file has. A compacted file covers the numbers of the files it was
made from and supersedes them, so a reader never sees a row twice or not at all. `rev`
counts rewrites (erasure). A file never changes once it has its name. Rolled-up rows are
beside `shared` in `shared-5m`, `shared-1h` and `shared-1d`, and the highest five-minute
means of each day in `shared-tops`, under the name of the day's file that they were
made from. Months are in `shared-1h-months`, `shared-1d-months` and `shared-tops-months`
(`collectors.store.rolled_months`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_NAME = re.compile(r"(\d\d|day)-(\d{12})-(\d{12})-(\d\d)\.parquet")
# More ranges than this are read as one, from the first to the last.
_MAX_RANGES = 16

Range = tuple[int, int]


class StoredFile(msgspec.Struct, frozen=True):
    """One file; `[start_ms, end_ms)` is the hour or day of its rows."""

    path: str
    start_ms: int
    end_ms: int
    first: int
    last: int
    revision: int = 0

    @property
    def is_day(self) -> bool:
        return self.end_ms - self.start_ms == DAY_MS

    def supersedes(self, other: StoredFile) -> bool:
        """Returns True if all rows of `other` are in this file too."""
        covers = (
            self.start_ms <= other.start_ms
            and other.end_ms <= self.end_ms
            and self.first <= other.first
            and other.last <= self.last
        )
        return covers and self._rank() > other._rank()

    def _rank(self) -> tuple[int, int, int]:
        return (self.end_ms - self.start_ms, self.last - self.first, self.revision)


class Scan(msgspec.Struct, frozen=True):
    """The files to read for a query.

    Rows of `plain` files occur once. In the `ranges` of time the same row may be in
    several of the `mixed` files, and the one with the highest write number counts.
    """

    plain: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.plain, *self.mixed)))


def day_name(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // DAY_MS * 86_400, UTC).strftime("%Y-%m-%d")


def day_start_ms(name: str) -> int | None:
    """Returns the start of the day of that name, or None if it is not a day."""
    try:
        day = datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * 1000


def stored_file_name(
    start_ms: int, whole_day: bool, first: int, last: int, revision: int = 0
) -> str:
    hour = "day" if whole_day else f"{start_ms % DAY_MS // HOUR_MS:02d}"
    return f"{hour}-{first:012d}-{last:012d}-{revision:02d}.parquet"


def stored_file(path: Path, day_ms: int) -> StoredFile | None:
    """Parses a file's name. Returns None for any other file."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    hour, first, last, revision = match.groups()
    start = day_ms if hour == "day" else day_ms + int(hour) * HOUR_MS
    end = start + (DAY_MS if hour == "day" else HOUR_MS)
    return StoredFile(str(path), start, end, int(first), int(last), int(revision))


def current_files(files: Iterable[StoredFile]) -> list[StoredFile]:
    """Returns the files of one day that no other file supersedes, oldest first."""
    ordered = sorted(files, key=lambda file: (file.last, file.start_ms))
    return [
        file for file in ordered if not any(other.supersedes(file) for other in ordered)
    ]


def plan_scan(files: Iterable[StoredFile], from_ms: int, to_ms: int) -> Scan:
    """Returns what a query of `[from_ms, to_ms)` must read of the current `files`."""
    within = [f for f in files if f.start_ms < to_ms and from_ms < f.end_ms]
    covered: Counter[int] = Counter()
    for file in within:
        covered.update(range(file.start_ms, file.end_ms, HOUR_MS))
    ranges: list[Range] = []
    for hour in sorted(hour for hour, count in covered.items() if count > 1):
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = (ranges[-1][0], hour + HOUR_MS)
        else:
            ranges.append((hour, hour + HOUR_MS))
    if len(ranges) > _MAX_RANGES:
        ranges = [(ranges[0][0], ranges[-1][1])]
    plain, mixed = [], []
    for file in within:
        inside = sum(
            max(0, min(file.end_ms, end) - max(file.start_ms, start))
            for start, end in ranges
        )
        if inside:
            mixed.append(file.path)
        if inside < file.end_ms - file.start_ms:
            plain.append(file.path)
    return Scan(tuple(plain), tuple(mixed), tuple(ranges))
