"""Lists and writes the embedded store's files durably, by one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from collectors.store import file_layout
from collectors.store.file_layout import DAY_MS, StoredFile
from collectors.store.store_errors import Away
from probes.wire.atomic_file import write_new_file
from probes.wire.catalogue import Measurement
from probes.wire.fsync import sync

DAMAGED_SUFFIX = ".aside"
# Every rolled-up day has one of them: what is measured rarely has no five minutes, and
# older versions made no whole days.
_ROLLED = ("5m", "1d")


class StoreFolder:
    """The files below one folder. Writing needs `lock()`; listing does not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: int | None = None

    def measurement_folder(self, declared: Measurement) -> Path:
        return (
            self.root / ("personal" if declared.personal else "shared") / declared.name
        )

    def lock(self) -> None:
        """Makes this process the writer. Raises `Away` if another process is."""
        if self._lock is not None:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        for name in ("shared", "personal", "tmp"):
            (self.root / name).mkdir(exist_ok=True)
        for name in ("personal", "tmp"):
            (self.root / name).chmod(0o700)
        lock = os.open(self.root / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise Away(
                f"{self.root}: another process writes this store; only one may"
            ) from None
        self._lock = lock
        for leftover in (self.root / "tmp").iterdir():
            if leftover.is_file():
                leftover.unlink(missing_ok=True)

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def days(self, declared: Measurement) -> list[tuple[int, Path]]:
        """Returns the days that have files, with their start, oldest first."""
        return self.days_in(self.measurement_folder(declared))

    def days_in(self, folder: Path) -> list[tuple[int, Path]]:
        days = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                start = file_layout.day_start_ms(entry.name)
                if start is not None:
                    days.append((start, Path(entry.path)))
        return sorted(days)

    def files_of_day(self, day: Path, start_ms: int) -> list[StoredFile]:
        """Returns all files of one day, including superseded ones."""
        with contextlib.suppress(FileNotFoundError):
            files = [file_layout.stored_file(path, start_ms) for path in day.iterdir()]
            return [file for file in files if file is not None]
        return []

    def files_between(
        self, declared: Measurement, from_ms: int, to_ms: int
    ) -> Iterator[tuple[int, list[StoredFile]]]:
        """Yields (start, current files) of each day in `[from_ms, to_ms)`, even if its
        files were deleted and only roll-ups are left."""
        days = dict(self.days(declared))
        for label in _ROLLED:
            days |= self.days_in(self.rollup_folder(declared, label))
        for start, day in sorted(days.items()):
            if start < to_ms and from_ms < start + DAY_MS:
                own = self.measurement_folder(declared) / day.name
                yield start, file_layout.current_files(self.files_of_day(own, start))

    def write_files(self, parts: Sequence[tuple[Path, bytes | memoryview]]) -> None:
        """Writes files durably; each gets its name only when it is complete.

        Raises `OSError` if that fails, and leaves no incomplete file.
        """
        written: list[tuple[Path, Path]] = []
        try:
            for number, (target, content) in enumerate(parts):
                tmp = self.root / "tmp" / f"{os.getpid()}-{number}-{target.name}"
                written.append((tmp, target))
                write_new_file(tmp, content, durable=True)
            self.publish(written)
        finally:
            for tmp, _ in written:
                tmp.unlink(missing_ok=True)

    def publish(self, written: list[tuple[Path, Path]]) -> None:
        """Renames complete files (already on disk) durably."""
        folders: dict[Path, None] = {}
        for tmp, target in written:
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                folders |= {
                    target.parent.parent: None,
                    target.parent.parent.parent: None,
                }
            tmp.rename(target)
            folders[target.parent] = None
        for folder in folders:
            sync(folder)

    def rollup_folder(self, declared: Measurement, label: str) -> Path:
        """Returns the folder of rolled-up days of that step."""
        return self.root / f"shared-{label}" / declared.name

    def highest_write(self, catalogue: Iterable[Measurement]) -> int:
        """Returns the highest write number in use."""
        return max(
            (
                file.last
                for declared in catalogue
                for start, day in self.days(declared)
                for file in self.files_of_day(day, start)
            ),
            default=0,
        )
