"""The embedded store's files: listing, writing durably, and who may write."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from collectors.store import file_layout
from collectors.store.file_layout import DAY_MS, StoredFile
from collectors.store.store_errors import Away
from probes.wire.atomic_file import sync, write_new_file
from probes.wire.catalogue import Measurement

DAMAGED_SUFFIX = ".aside"


class StoreFolder:
    """The files under one folder. Listing needs nothing; writing needs `own()`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: int | None = None

    def measurement_folder(self, declared: Measurement) -> Path:
        return (
            self.root / ("personal" if declared.personal else "shared") / declared.name
        )

    def lock(self) -> None:
        """Become the one writer; `Away` while another process is."""
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
        for left in (self.root / "tmp").iterdir():
            if left.is_file():
                left.unlink(missing_ok=True)

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def days(self, declared: Measurement) -> list[tuple[int, Path]]:
        """The days there are, by their start, oldest first."""
        return self.days_in(self.measurement_folder(declared))

    def days_in(self, folder: Path) -> list[tuple[int, Path]]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                start = file_layout.day_start_ms(entry.name)
                if start is not None:
                    found.append((start, Path(entry.path)))
        return sorted(found)

    def files_of_day(self, day: Path, start_ms: int) -> list[StoredFile]:
        """All files of one day, superseded ones too."""
        with contextlib.suppress(FileNotFoundError):
            named = [file_layout.stored_file(path, start_ms) for path in day.iterdir()]
            return [each for each in named if each is not None]
        return []

    def files_between(
        self, declared: Measurement, from_ms: int, to_ms: int
    ) -> Iterator[tuple[int, list[StoredFile]]]:
        """(start, standing files) of each day that `[from_ms, to_ms)` touches."""
        for start, day in self.days(declared):
            if start < to_ms and from_ms < start + DAY_MS:
                yield start, file_layout.current_files(self.files_of_day(day, start))

    def write_files(self, parts: Sequence[tuple[Path, bytes | memoryview]]) -> None:
        """Makes files of these contents, durably: each has its name only when whole.

        `OSError` where that fails; nothing half-written is left.
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
        """Gives whole files (already on disk) their names, durably."""
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
        """Where rolled-up days of that step lie."""
        return self.root / f"shared-{label}" / declared.name

    def highest_write(self, catalogue: Iterable[Measurement]) -> int:
        """The highest number any write has had."""
        return max(
            (
                each.last
                for declared in catalogue
                for start, day in self.days(declared)
                for each in self.files_of_day(day, start)
            ),
            default=0,
        )
