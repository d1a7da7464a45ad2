"""`Disks`: the free space where Towpath writes, and the hours until it is full.

Folders on the same file system share a row.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from probes.wire.sample import Sample, Value

HOUR_MS = 3_600_000
# A trend needs at least half an hour, and uses the last six hours.
_LEAST_MS = HOUR_MS // 2
_MOST_MS = 6 * HOUR_MS
_LEAST_POINTS = 10
# With less than this, Towpath cannot write.
FULL_BYTES = 1 << 20

Point = tuple[int, int]
"""(time in ms, bytes free)"""


class FreeSpace(NamedTuple):
    """The free space of a file system. `files_left` is None if that is unknown."""

    free_bytes: int
    size_bytes: int
    files_left: int | None

    @property
    def full(self) -> bool:
        return self.free_bytes < FULL_BYTES or self.files_left == 0


class Disks:
    """`folders`: name → path; a folder need not exist yet."""

    def __init__(self, folders: Mapping[str, Path], process: str) -> None:
        self._folders, self._process = folders, process
        self._past: dict[str, deque[Point]] = {}

    def samples(self, now_ms: int) -> list[Sample]:
        """Rows of `self_disk`, one for each file system."""
        return [
            self._sample(folder, room, now_ms) for folder, room in self._rooms().items()
        ]

    def troubles(self) -> list[str]:
        """A sentence for each file system that is full."""
        return [
            f"The disk that holds {folder} is full: {room.free_bytes >> 10} kB left."
            if room.free_bytes < FULL_BYTES
            else f"The disk that holds {folder} takes no more files: no inodes left."
            for folder, room in self._rooms().items()
            if room.full
        ]

    def _sample(self, folder: str, room: FreeSpace, now_ms: int) -> Sample:
        past = self._past.setdefault(folder, deque())
        past.append((now_ms, room.free_bytes))
        while past[0][0] < now_ms - _MOST_MS:
            past.popleft()
        fields: dict[str, Value] = {
            "free_bytes": room.free_bytes,
            "size_bytes": room.size_bytes,
            "full": int(room.full),
        }
        left = hours_left(past)
        if left is not None:
            fields["hours_left"] = left
        tags = {"process": self._process, "folder": folder}
        return Sample("self_disk", tags, fields, now_ms)

    def _rooms(self) -> dict[str, FreeSpace]:
        """Names of the folders on each file system, such as `state, reports` → its
        space.

        A folder inside another one is not named. A folder without access is left out.
        """
        names: dict[int, list[str]] = {}
        rooms: dict[int, FreeSpace] = {}
        for name, folder in self._folders.items():
            existing = nearest_existing(folder)
            try:
                device = existing.stat().st_dev
                rooms[device] = _free_space(existing)
            except OSError:
                continue
            names.setdefault(device, []).append(name)
        return {", ".join(self._outer(names[at])): room for at, room in rooms.items()}

    def _outer(self, names: Sequence[str]) -> list[str]:
        # The first name of each folder.
        folders = {self._folders[name]: name for name in reversed(names)}
        return [
            name
            for name in names
            if folders.get(self._folders[name]) == name
            and not folders.keys() & set(self._folders[name].parents)
        ]


def hours_left(past: Sequence[Point]) -> float | None:
    """Hours until nothing is free, by a least-squares line through the past. Pure.

    None if the past is too short or the disk is not filling.
    """
    if len(past) < _LEAST_POINTS or past[-1][0] - past[0][0] < _LEAST_MS:
        return None
    hours = [(at_ms - past[0][0]) / HOUR_MS for at_ms, _ in past]
    middle = sum(hours) / len(hours)
    mean = sum(free for _, free in past) / len(past)
    spread = sum((hour - middle) ** 2 for hour in hours)
    slope = (
        sum(
            (hour - middle) * (free - mean)
            for hour, (_, free) in zip(hours, past, strict=True)
        )
        / spread
    )
    return past[-1][1] / -slope if slope < 0 else None


def nearest_existing(folder: Path) -> Path:
    """`folder`, or its nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _free_space(folder: Path) -> FreeSpace:
    stats = os.statvfs(folder)
    # Some file systems (btrfs) do not count files: then both are 0.
    files_left = stats.f_favail if stats.f_files else None
    return FreeSpace(
        stats.f_bavail * stats.f_frsize, stats.f_blocks * stats.f_frsize, files_left
    )
