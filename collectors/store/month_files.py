"""Joins the roll-ups of a month that is over to one file, because opening a file with
some hundreds of columns costs more than reading a small day of it.

It has exactly the rows of the days' roll-ups, which are kept. What its name says is in
`collectors.store.rolled_months`. So, as a roll-up, it can be missing but never wrong.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from collectors.store import rollup, top_forms
from collectors.store.arrow_tables import metadata, tags_of
from collectors.store.day_tops import LABEL
from collectors.store.file_layout import DAY_MS, HOUR_MS, StoredFile
from collectors.store.month_tops import lists_file, write_month
from collectors.store.query_files import QueryFiles
from collectors.store.rolled_months import month_file, month_of, months_label
from collectors.store.rollup_writer import parquet_writer, row_groups
from collectors.store.store_folder import StoreFolder
from probes.wire.catalogue import Catalogue, Measurement
from probes.wire.fsync import sync

_log = structlog.get_logger(__name__)
STEPS_MS = (DAY_MS, HOUR_MS)
# Larger days cost much more to read than to open.
MOST_DAY_BYTES = 1_000_000
# Rows of the last days of a month may still be late.
_GRACE_MS = 2 * DAY_MS
# Other work of the writer waits meanwhile; the rest is for the next time.
_MOST_S = 20.0
# The starts of days and their current files of rows.
_Days = list[tuple[int, list[StoredFile]]]


class MonthFiles:
    """The months of one store. Only for the writer. `tidy` takes about `most_s`."""

    def __init__(
        self, folder: StoreFolder, catalogue: Catalogue, most_s: float = _MOST_S
    ) -> None:
        self._folder, self._catalogue, self._most_s = folder, catalogue, most_s
        # Files of months that cannot be made of the days that there are.
        self._failed: set[Path] = set()

    def tidy(self, now_ms: int) -> None:
        """Writes the files of months that lack theirs, and deletes those that nothing
        reads. Blocking. Raises `OSError`."""
        end_s = time.monotonic() + self._most_s
        for declared in self._catalogue:
            if declared.personal:
                continue
            months = self._months(declared, now_ms)
            if top_forms.form_of(declared):
                self._tidy_tops(declared, months, end_s)
            for step_ms in STEPS_MS:
                kept: set[Path] = set()
                for days in months:
                    if paths := self._roll_ups(declared, step_ms, days):
                        kept.add(target := month_file(paths))
                        if time.monotonic() < end_s:
                            self._make(paths, [target], partial(_join, paths))
                self._delete_others(declared, rollup.STEPS_MS[step_ms], kept)

    def _tidy_tops(
        self, declared: Measurement, months: Sequence[_Days], end_s: float
    ) -> None:
        kept: set[Path] = set()
        files = QueryFiles(self._folder)
        for days in months:
            found = [
                files.tops_of_day(declared, start, current) for start, current in days
            ]
            if not all(found):
                continue
            paths = sorted(Path(path) for own in found for path in own)
            target = month_file(paths)
            lists = lists_file(target)
            kept |= {target, lists}
            if time.monotonic() < end_s:
                write = partial(write_month, paths, declared)
                self._make(paths, [target, lists], write)
        self._delete_others(declared, LABEL, kept)

    def _months(self, declared: Measurement, now_ms: int) -> list[_Days]:
        """Returns the days of each month that is over and not yet too old."""
        growing = month_of(now_ms - _GRACE_MS)
        oldest = now_ms - declared.retention_days * DAY_MS
        months: dict[str, _Days] = {}
        for start, current in self._folder.files_between(declared, 0, now_ms):
            if (month := month_of(start)) < growing:
                months.setdefault(month, []).append((start, current))
        # The first days of a month that is too old are about to go, one by one.
        return [
            days for days in months.values() if len(days) > 1 and days[0][0] > oldest
        ]

    def _roll_ups(self, declared: Measurement, step_ms: int, days: _Days) -> list[Path]:
        """Returns the roll-ups of all `days`, as a query would read them; none if it
        would read rows of one of them, or if they are large."""
        files, steps = QueryFiles(self._folder), [step_ms]
        paths: list[Path] = []
        for start, current in days:
            found, rows = files.rolled_day(declared, steps, start, current, steps)
            if rows:
                return []
            paths += found
        size = sum(path.stat().st_size for path in paths)
        return sorted(paths) if size <= MOST_DAY_BYTES * len(days) else []

    def _make(
        self,
        paths: Sequence[Path],
        targets: Sequence[Path],
        write: Callable[..., None],
    ) -> None:
        """Writes files of `paths` that only count together, if one is missing."""
        if targets[0] in self._failed or all(path.exists() for path in targets):
            return
        begin = self._folder.root / "tmp" / f"month-{secrets.token_hex(8)}"
        parts = [begin.with_suffix(f".{n}.parquet") for n in range(len(targets))]
        try:
            write(*parts)
            for part in parts:
                sync(part)
            self._folder.publish(list(zip(parts, targets, strict=True)))
        except FileNotFoundError:
            # A day was deleted meanwhile.
            return
        except (pa.ArrowException, duckdb.Error, OSError) as error:
            # Arrow's error for a damaged file has no number; those of a disk have one.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            _log.warning("store_month_not_joined", file=targets[0], error=str(error))
            QueryFiles(self._folder).find_damaged([str(path) for path in paths])
            # A damaged day that is gone now is made again.
            if all(path.exists() for path in paths):
                self._failed.add(targets[0])
        finally:
            for part in parts:
                part.unlink(missing_ok=True)

    def _delete_others(
        self, declared: Measurement, label: str, kept: set[Path]
    ) -> None:
        folder = self._folder.rollup_folder(declared, months_label(label))
        if folder.is_dir():
            for path in folder.iterdir():
                if path not in kept:
                    # A query that has chosen it is planned again.
                    path.unlink(missing_ok=True)


def _join(paths: Sequence[Path], target: Path) -> None:
    """Writes the rows of all files to one. A column that a file lacks is empty."""
    schemas = [pq.read_schema(path) for path in paths]
    tags = dict.fromkeys(tag for schema in schemas for tag in tags_of(schema))
    schema = pa.unify_schemas(schemas).with_metadata(metadata(tags))
    with parquet_writer(target, schema) as writer:
        for group in row_groups(_parts(paths, schema.empty_table())):
            writer.write_table(group, len(group) or 1)


def _parts(paths: Sequence[Path], empty: pa.Table) -> Iterator[pa.Table]:
    """Yields the row groups of all files, each with the columns of `empty`."""
    for path in paths:
        file = pq.ParquetFile(path)
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number)
            yield pa.concat_tables([empty, rows], promote_options="default")
