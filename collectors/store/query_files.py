"""Chooses the files of the embedded store that answer a query: rows, and roll-ups."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from collectors.store import day_tops, file_layout, month_tops, rollup, top_forms
from collectors.store.arrow_tables import is_damaged
from collectors.store.file_layout import Scan, StoredFile
from collectors.store.query import Query, means_query
from collectors.store.rolled_months import (
    RolledDay,
    by_months,
    is_months_label,
    month_file,
    month_of,
)
from collectors.store.store_folder import StoreFolder
from probes.wire.catalogue import Measurement

_log = structlog.get_logger(__name__)


_Version = tuple[int, int, int]


class ChosenFiles(NamedTuple):
    """`rolled` are the roll-ups of days, or of the hours of a day, in the query; `scan`
    has the other rows."""

    scan: Scan
    rolled: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.scan.files, *self.rolled)


class FilesOfQueries(NamedTuple):
    """The files of each of some queries, of which the first is the one to answer."""

    chosen: tuple[ChosenFiles, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Empty if the first has no files."""
        if not self.chosen[0].paths:
            return ()
        return tuple(itertools.chain(*(files.paths for files in self.chosen)))


class TopFiles(NamedTuple):
    """The files of percentiles by tops: of whole months (`2026-10`) their two files
    (`month_tops`); the tops of whole days that are in none of these, all values (means
    or rows) of the same days, and those of `other` days. `days`: how many days there
    are, and how many are `in_months`."""

    months: dict[str, tuple[str, str]]
    tops: dict[int, tuple[str, ...]]
    means: dict[int, ChosenFiles]
    other: ChosenFiles
    days: int
    in_months: int = 0

    @property
    def paths(self) -> tuple[str, ...]:
        chosen = (self.other, *self.means.values())
        return tuple(
            itertools.chain(
                *self.months.values(),
                *self.tops.values(),
                *(files.paths for files in chosen),
            )
        )

    @property
    def is_worth(self) -> bool:
        """Whether most days have tops."""
        return len(self.tops) + self.in_months > self.days / 2


def join_files(parts: Sequence[ChosenFiles]) -> ChosenFiles:
    """Returns the files of several spans of days as one choice."""
    scans = [part.scan for part in parts]
    return ChosenFiles(
        Scan(
            tuple(itertools.chain(*(scan.plain for scan in scans))),
            tuple(itertools.chain(*(scan.mixed for scan in scans))),
            tuple(itertools.chain(*(scan.ranges for scan in scans))),
        ),
        tuple(itertools.chain(*(part.rolled for part in parts))),
    )


def _by_month(starts: Iterable[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for start in starts:
        found.setdefault(month_of(start), []).append(start)
    return found


class QueryFiles:
    """Damaged files are ignored once they are found; those that the writer can make
    again are deleted, so that it does."""

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder
        # Their versions: one that was made again has the same name.
        self._damaged: dict[str, _Version | None] = {}

    def choose(self, declared: Measurement, queries: Sequence[Query]) -> FilesOfQueries:
        """Returns the files of each query, as they are at one time. The queries are of
        the same range. Raises `OSError`."""
        span = queries[0].from_ms, queries[0].to_ms
        days = list(self._folder.files_between(declared, *span))
        return FilesOfQueries(
            tuple(self._choose(declared, query, days) for query in queries)
        )

    def choose_tops(
        self, declared: Measurement, query: Query, opened: Collection[str] = ()
    ) -> TopFiles:
        """Returns the files of a query for which `top_forms.have_answer`; of the months
        `opened`, those of their days. Raises `OSError`."""
        read = means_query(query) if query.mean_step_ms else query
        days = list(self._folder.files_between(declared, query.from_ms, query.to_ms))
        whole: dict[int, tuple[str, ...]] = {}
        for start, current in days:
            end = start + file_layout.DAY_MS
            if query.from_ms <= start and end <= query.to_ms:
                whole[start] = self.tops_of_day(declared, start, current)
        months = {
            month: paths
            for month, starts in _by_month(whole).items()
            if month not in opened
            and (paths := self._month_tops([whole[start] for start in starts]))
        }
        tops = {
            start: paths
            for start, paths in whole.items()
            if paths and month_of(start) not in months
        }
        left = [day for day in days if day[0] not in whole or not whole[day[0]]]
        return TopFiles(
            months,
            tops,
            {d[0]: self._choose(declared, read, [d]) for d in days if d[0] in tops},
            self._choose(declared, read, left),
            len(days),
            len(days) - len(tops) - len(left),
        )

    def _month_tops(self, days: Sequence[tuple[str, ...]]) -> tuple[str, str] | None:
        """Returns the files of a month with the tops of exactly these days."""
        if not all(days):
            return None
        series = month_file(sorted(Path(path) for paths in days for path in paths))
        both = series, month_tops.lists_file(series)
        if not all(map(self._is_usable, both)):
            return None
        return str(both[0]), str(both[1])

    def find_damaged(self, paths: Sequence[str]) -> bool:
        """Ignores damaged files from now on. Returns True if there are any."""
        # Several queries may be of the same files, and each is read to its end.
        damaged = [path for path in dict.fromkeys(paths) if is_damaged(path)]
        for path in damaged:
            self._damaged[path] = _version(Path(path))
            is_derived = self._can_be_made_again(Path(path))
            _log.error("store_file_damaged", file=path, is_made_again=is_derived)
            if is_derived:
                with contextlib.suppress(OSError):
                    Path(path).unlink()
        return bool(damaged)

    def _can_be_made_again(self, path: Path) -> bool:
        """Whether it is the file of a month, or a roll-up of rows that there still
        are."""
        day = path.parent
        if is_months_label(day.parent.name):
            return True
        label = day.parent.parent.name.removeprefix("shared-")
        if label not in (*rollup.STEP_OF, day_tops.LABEL):
            return False
        rows = self._folder.root / "shared" / day.parent.name / day.name
        return any(path.name.startswith(file.stem) for file in rows.glob("*.parquet"))

    def _choose(
        self,
        declared: Measurement,
        query: Query,
        days: Sequence[tuple[int, list[StoredFile]]],
    ) -> ChosenFiles:
        steps = rollup.steps_of(query, declared)
        files: list[StoredFile] = []
        rolled: list[RolledDay] = []
        span = query.from_ms, query.to_ms
        for start, current in days:
            end = start + file_layout.DAY_MS
            is_asked = any(a < end and start < b for a, b in query.asked_spans)
            begin, end = max(start, span[0]), min(end, span[1])
            # Of a part of a day, the buckets that are wholly in it.
            inside = [step for step in steps if not (begin % step or end % step)]
            paths, rows = self.rolled_day(
                declared, inside, start, current, inside or steps[-1:]
            )
            rolled += [RolledDay(path, is_asked) for path in paths]
            files += rows if is_asked else []
        chosen = by_months(rolled, self._is_usable)
        scan = file_layout.plan_scan(files, *span)
        return ChosenFiles(scan, tuple(map(str, chosen)))

    def rolled_day(
        self,
        declared: Measurement,
        steps: Sequence[int],
        start: int,
        current: Sequence[StoredFile],
        steps_without_rows: Sequence[int],
    ) -> tuple[list[Path], list[StoredFile]]:
        """Returns the roll-ups of a day, each by the longest step that there is, and
        the files of the rows that are in none. `current`: the day's files."""
        usable = [file for file in current if file.path not in self._damaged]
        paths = self._without_rows(declared, steps_without_rows, start, current)
        if len(current) == len(usable) == 1:
            source = Path(current[0].path)
            if path := self._rolled_up(declared, steps, source):
                return [*paths, path], []
        return paths, usable

    def tops_of_day(
        self, declared: Measurement, start: int, current: Sequence[StoredFile]
    ) -> tuple[str, ...]:
        """Returns the tops of a day; nothing unless all its means have some."""
        if len(current) > 1:
            return ()
        fives = self._day_folder(declared, "5m", start)
        rolled: list[Path] = []
        with contextlib.suppress(FileNotFoundError):
            rolled = rollup.without_source(fives.iterdir(), current, start)
        form = top_forms.form_of(declared)
        if rolled and (form is None or form.step_ms is None):
            # If the tops do not have the answer, nothing else has.
            return ()
        names = [path.name for path in rolled]
        names += [rollup.file_name(Path(file.path).name, declared) for file in current]
        folder = self._day_folder(declared, day_tops.LABEL, start)
        paths = [folder / day_tops.file_name(name) for name in names]
        if all(map(self._is_usable, paths)):
            return tuple(map(str, paths))
        return ()

    def _day_folder(self, declared: Measurement, label: str, start: int) -> Path:
        folder = self._folder.rollup_folder(declared, label)
        return folder / file_layout.day_name(start)

    def _rolled_up(
        self, declared: Measurement, steps: Sequence[int], source: Path
    ) -> Path | None:
        """Returns the roll-up of a day by the longest step that there is."""
        name = rollup.file_name(source.name, declared)
        for step_ms in steps:
            folder = self._folder.rollup_folder(declared, rollup.STEPS_MS[step_ms])
            path = folder / source.parent.name / name
            if self._is_usable(path):
                return path
        return None

    def _is_usable(self, path: Path) -> bool:
        found = self._damaged.get(str(path))
        return path.exists() if found is None else _version(path) not in (None, found)

    def _without_rows(
        self,
        declared: Measurement,
        steps: Sequence[int],
        start: int,
        current: Sequence[StoredFile],
    ) -> list[Path]:
        """Returns the roll-ups of a day's rows that have been deleted, by the longest
        step that there is."""
        for step_ms in steps:
            folder = self._day_folder(declared, rollup.STEPS_MS[step_ms], start)
            with contextlib.suppress(FileNotFoundError):
                paths = list(folder.iterdir())
                kept = rollup.without_source(paths, current, start)
                if usable := [path for path in kept if self._is_usable(path)]:
                    return usable
        return []


def _version(path: Path) -> _Version | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
