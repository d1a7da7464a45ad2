"""Chooses the files of the embedded store that answer a query: rows, and roll-ups of
whole days."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from collectors.store import file_layout, rollup
from collectors.store.arrow_tables import is_damaged
from collectors.store.file_layout import Scan, StoredFile
from collectors.store.query import Query
from collectors.store.store_folder import StoreFolder
from probes.wire.catalogue import Measurement

_log = structlog.get_logger(__name__)


class ChosenFiles(NamedTuple):
    """`rolled` are the roll-ups of whole days in the query; `scan` has the other
    rows."""

    scan: Scan
    rolled: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.scan.files, *self.rolled)


class QueryFiles:
    """Damaged files are ignored once they are found."""

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder
        self._damaged: set[str] = set()

    def choose(
        self, declared: Measurement, queries: Sequence[Query]
    ) -> list[ChosenFiles]:
        """Returns the files of each query, as they are at one time. The queries are of
        the same range. Raises `OSError`."""
        span = queries[0].from_ms, queries[0].to_ms
        days = list(self._folder.files_between(declared, *span))
        return [self._choose(declared, query, days) for query in queries]

    def find_damaged(self, paths: Sequence[str]) -> bool:
        """Ignores damaged files from now on. Returns True if there are any."""
        damaged = [path for path in paths if is_damaged(path)]
        for path in damaged:
            self._damaged.add(path)
            _log.error("store_file_damaged", file=path)
        return bool(damaged)

    def _choose(
        self,
        declared: Measurement,
        query: Query,
        days: Sequence[tuple[int, list[StoredFile]]],
    ) -> ChosenFiles:
        steps = rollup.steps_of(query, declared)
        files: list[StoredFile] = []
        rolled: list[str] = []
        span = query.from_ms, query.to_ms
        for start, current in days:
            end = start + file_layout.DAY_MS
            if query.spans and not any(a < end and start < b for a, b in query.spans):
                continue
            usable = [file for file in current if file.path not in self._damaged]
            is_whole = span[0] <= start and end <= span[1]
            # Of a part of a day the shortest buckets.
            chosen = steps if is_whole else steps[-1:]
            rolled += self._without_rows(declared, chosen, start, current)
            if is_whole and len(current) == len(usable) == 1:
                source = Path(current[0].path)
                if path := self._rolled_up(declared, steps, source):
                    rolled.append(path)
                    continue
            files += usable
        return ChosenFiles(file_layout.plan_scan(files, *span), tuple(rolled))

    def _rolled_up(
        self, declared: Measurement, steps: Sequence[int], source: Path
    ) -> str:
        """Returns the roll-up of a day by the longest step that there is, or ""."""
        name = rollup.file_name(source.name, declared)
        for step_ms in steps:
            folder = self._folder.rollup_folder(declared, rollup.STEPS_MS[step_ms])
            path = folder / source.parent.name / name
            if path.exists() and str(path) not in self._damaged:
                return str(path)
        return ""

    def _without_rows(
        self,
        declared: Measurement,
        steps: Sequence[int],
        start: int,
        current: Sequence[StoredFile],
    ) -> list[str]:
        """Returns the roll-ups of a day's rows that have been deleted, by the longest
        step that there is."""
        for step_ms in steps:
            folder = self._folder.rollup_folder(declared, rollup.STEPS_MS[step_ms])
            with contextlib.suppress(FileNotFoundError):
                paths = list((folder / file_layout.day_name(start)).iterdir())
                kept = map(str, rollup.without_source(paths, current, start))
                if usable := [path for path in kept if path not in self._damaged]:
                    return usable
        return []
