"""Where the embedded store's rows lie: names of files, and what a question must read.

    <folder>/shared/<measurement>/<YYYY-MM-DD>/<HH or day>-<first>-<last>-<rev>.parquet
    <folder>/personal/…                       the same, for what is about one laptop

Day and hour are of the rows' own time (UTC). `first` and `last` number the writes whose
rows a file holds: a compacted file covers the numbers of those it was made from, which
it thereby supersedes, so at no moment does a reader see a row twice or not at all.
`rev` counts rewrites (erasure). Files never change once they have their name. Rolled-up
rows lie beside `shared` as `shared-5m` and `shared-1h`, under the name of the one file
of the day they were made from. Pure.
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
# More separate ranges than this are read as one, from the first to the last.
_MAX_RANGES = 16

Range = tuple[int, int]


class StoredFile(msgspec.Struct, frozen=True):
    """One file. `start_ms`, `end_ms`: the hour or day its rows are of, half-open."""

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
        """True where all of `other`'s rows are in this one too."""
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
    """What to read: `plain` files hold a row once; in the `ranges` of time the same row
    may be in several of the `mixed` files, and the highest number wins."""

    plain: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.plain, *self.mixed)))


def day_name(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // DAY_MS * 86_400, UTC).strftime("%Y-%m-%d")


def day_start_ms(name: str) -> int | None:
    """Start of the day of that name; None where it is not the name of a day."""
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
    """The piece a file is, by its name; None for any other file."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    hour, first, last, revision = match.groups()
    start = day_ms if hour == "day" else day_ms + int(hour) * HOUR_MS
    end = start + (DAY_MS if hour == "day" else HOUR_MS)
    return StoredFile(str(path), start, end, int(first), int(last), int(revision))


def current_files(pieces: Iterable[StoredFile]) -> list[StoredFile]:
    """`pieces` (of one day) without those another one supersedes, oldest first."""
    listed = sorted(pieces, key=lambda each: (each.last, each.start_ms))
    return [p for p in listed if not any(other.supersedes(p) for other in listed)]


def plan_scan(pieces: Iterable[StoredFile], from_ms: int, to_ms: int) -> Scan:
    """What a question about `[from_ms, to_ms)` must read of standing `pieces`."""
    within = [p for p in pieces if p.start_ms < to_ms and from_ms < p.end_ms]
    covered: Counter[int] = Counter()
    for each in within:
        covered.update(range(each.start_ms, each.end_ms, HOUR_MS))
    ranges: list[Range] = []
    for hour in sorted(hour for hour, count in covered.items() if count > 1):
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = (ranges[-1][0], hour + HOUR_MS)
        else:
            ranges.append((hour, hour + HOUR_MS))
    if len(ranges) > _MAX_RANGES:
        ranges = [(ranges[0][0], ranges[-1][1])]
    plain, mixed = [], []
    for each in within:
        inside = sum(
            max(0, min(each.end_ms, end) - max(each.start_ms, start))
            for start, end in ranges
        )
        if inside:
            mixed.append(each.path)
        if inside < each.end_ms - each.start_ms:
            plain.append(each.path)
    return Scan(tuple(plain), tuple(mixed), tuple(ranges))
