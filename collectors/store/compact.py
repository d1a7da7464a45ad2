"""Keeps the embedded store small: compaction, roll-ups, retention and erasure.

Only the writer does this. The small files of an hour are merged into one, and later the
hours of a day.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import structlog

from collectors.store import duckdb_sql, file_layout
from collectors.store.arrow_tables import is_damaged, metadata, tags_of
from collectors.store.day_rollups import LABELS, DayRollUps
from collectors.store.duck_queries import (
    DuckDb,
    DuckLimits,
    FileUnreadable,
    FileVanished,
    run_to_end,
)
from collectors.store.erasure import Erasures
from collectors.store.file_layout import DAY_MS, HOUR_MS, StoredFile
from collectors.store.merge_plan import (
    Merge,
    NextLook,
    due_merges,
    is_day_over,
    is_hour_over,
    next_look,
)
from collectors.store.month_files import MonthFiles
from collectors.store.personal_files import erase_rows
from collectors.store.recent_rows import NewFile, RecentRows
from collectors.store.store_errors import Away
from collectors.store.store_folder import DAMAGED_SUFFIX, StoreFolder
from probes.wire.catalogue import Catalogue, Measurement
from probes.wire.fsync import sync

_log = structlog.get_logger(__name__)
CHECK_ALL_MS = 60 * 60_000
RETRY_MS = 10 * 60_000
# A reader that has listed a superseded file must still be able to open it.
SUPERSEDED_S = 30.0
_MERGE_S = 1800.0
# Days are rolled up for so long at a time, the latest first: merging hours and erasing
# a laptop's rows do not wait until a year has been caught up with.
_ROLLED_S = 60.0


class Compactor:
    """Compacts, rolls up and deletes one store's files, except those of `recent`."""

    def __init__(
        self,
        folder: StoreFolder,
        catalogue: Catalogue,
        limits: DuckLimits,
        recent: RecentRows,
    ) -> None:
        self._folder, self._catalogue = folder, catalogue
        self._recent = recent
        self._erasures = Erasures(folder.root)
        self._rollups = DayRollUps(folder)
        self._months = MonthFiles(folder, catalogue)
        self._limits = msgspec.structs.replace(limits, threads=1, at_once=1)
        # Opened for the first merge, because that costs more than most merges.
        self._duckdb: DuckDb | None = None
        # Days with something to do, and when to look at them; None is now.
        self._days: dict[tuple[str, int], NextLook | None] = {}
        # Superseded files, and the file that supersedes each.
        self._replaced: deque[tuple[Path, Path]] = deque()
        # (measurement, start, whole day) of hours and days that are over and merged:
        # late rows for them are collected before they are merged again.
        self._closed: set[tuple[str, int, bool]] = set()
        self._checked_all_ms: int | None = None
        self._busy = asyncio.Lock()
        self._failed_ms: dict[tuple[str, ...], int] = {}

    def mark_written(self, declared: Measurement, start_ms: int, file: NewFile) -> None:
        """Notes that a file with rows of that hour was written."""
        key = (declared.name, start_ms // DAY_MS * DAY_MS)
        look = self._days.setdefault(key, None)
        if file.replaces:
            self._replaced.append((Path(file.replaces), file.path))
        elif look is not None:
            self._days[key] = NextLook(look.files - 1, look.at_ms)

    async def tidy(self, now_ms: int, deletion_ms: int | None = None) -> None:
        async with self._busy:
            try:
                await self._tidy(now_ms, now_ms if deletion_ms is None else deletion_ms)
            except OSError as error:
                raise Away(f"{self._folder.root}: {error.strerror or error}") from None

    async def erase(self, agent: str) -> int:
        async with self._busy:
            return await run_to_end(asyncio.to_thread(self._erase, agent))

    async def stop(self) -> None:
        """Waits until no file is being changed."""
        async with self._busy:
            await self._close_duckdb()

    async def _close_duckdb(self) -> None:
        if self._duckdb is not None:
            await self._duckdb.__aexit__(None, None, None)
            self._duckdb = None

    async def _tidy(self, now_ms: int, deletion_ms: int) -> None:
        check_all = (
            self._checked_all_ms is None
            or not 0 <= now_ms - self._checked_all_ms < CHECK_ALL_MS
        )
        if check_all:
            await run_to_end(asyncio.to_thread(self._delete_days, deletion_ms))
        due = await run_to_end(asyncio.to_thread(self._look, check_all, now_ms))
        if check_all:
            self._checked_all_ms = now_ms
        for name, day_ms, merges in due:
            declared = self._catalogue.measurement(name)
            day = self._day_folder(declared, day_ms)
            for merge in merges:
                if await self._merge(merge, declared, day, now_ms):
                    self._closed.add((name, merge.start_ms, merge.whole_day))
        over = [
            (day_ms, name) for name, day_ms, _ in due if is_day_over(day_ms, now_ms)
        ]
        end_s = time.monotonic() + _ROLLED_S
        for day_ms, name in sorted(over, reverse=True):
            declared = self._catalogue.measurement(name)
            day = self._day_folder(declared, day_ms)
            roll_up = partial(self._rollups.roll_up, declared, day, day_ms)
            await run_to_end(asyncio.to_thread(roll_up))
            if not self._is_unfinished(declared, day, day_ms):
                self._days.pop((name, day_ms), None)
            if time.monotonic() >= end_s:
                break
        if check_all:
            await run_to_end(asyncio.to_thread(self._months.tidy, now_ms))

    def _look(self, check_all: bool, now_ms: int) -> list[tuple[str, int, list[Merge]]]:
        """Deletes what is to be deleted. Returns the days with something to do:
        (measurement, start, merges)."""
        self._fulfil_requests()
        self._delete_replaced()
        if check_all:
            self._check_all_days(now_ms)
        due = []
        for (name, day_ms), look in sorted(self._days.items()):
            if look and look.files > 0 and now_ms < look.at_ms and not check_all:
                continue
            day = self._day_folder(self._catalogue.measurement(name), day_ms)
            files, is_tidy = self._delete_superseded(day, day_ms)
            growing = self._recent.paths
            files = [
                file
                for file in files
                if file.path not in growing or is_hour_over(file.start_ms, now_ms)
            ]
            merges = {
                (merge.start_ms, merge.whole_day): merge
                for merge in due_merges(files, day_ms, now_ms, patient=True)
            }
            for merge in due_merges(files, day_ms, now_ms):
                key = (merge.start_ms, merge.whole_day)
                if check_all or (name, *key) not in self._closed:
                    merges[key] = merge
            is_over = is_day_over(day_ms, now_ms)
            if merges or is_over:
                due.append((name, day_ms, list(merges.values())))
            is_quiet = is_tidy and not (merges or is_over)
            self._days[name, day_ms] = next_look(files, now_ms) if is_quiet else None
        return due

    def _day_folder(self, declared: Measurement, day_ms: int) -> Path:
        return self._folder.measurement_folder(declared) / file_layout.day_name(day_ms)

    def _delete_days(self, deletion_ms: int) -> None:
        """Deletes days that are too old."""
        for declared in self._catalogue:
            keep_ms = declared.retention_days * DAY_MS
            for start, day in self._folder.days(declared):
                if start + DAY_MS + keep_ms <= deletion_ms:
                    _remove(day)
                    self._days.pop((declared.name, start), None)
                    _log.info("store_day_deleted", day=str(day))
            for label in LABELS:
                rollups = self._folder.rollup_folder(declared, label)
                for start, day in self._folder.days_in(rollups):
                    # Their rows may have been deleted earlier.
                    if start + DAY_MS + keep_ms <= deletion_ms:
                        _remove(day)

    def _check_all_days(self, now_ms: int) -> None:
        """Finds days that are not compacted."""
        self._closed = {key for key in self._closed if key[1] > now_ms - 7 * DAY_MS}
        for declared in self._catalogue:
            for start, day in self._folder.days(declared):
                if self._is_unfinished(declared, day, start):
                    self._days.setdefault((declared.name, start), None)

    def _delete_replaced(self) -> None:
        """Deletes the files that writes have superseded some time ago."""
        while self._replaced:
            old, newer = self._replaced[0]
            # If the newer one is gone too, it was damaged, or merged meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if _age_s(newer) <= SUPERSEDED_S:
                    return
                old.unlink()
            self._replaced.popleft()

    def _delete_superseded(
        self, day: Path, day_ms: int
    ) -> tuple[list[StoredFile], bool]:
        """Deletes files superseded some time ago. Returns the current ones, and whether
        there are no others."""
        files = self._folder.files_of_day(day, day_ms)
        current = file_layout.current_files(files)
        kept = {file.path for file in current}
        expected = {str(old) for old, _ in list(self._replaced)}
        is_tidy = True
        for file in files:
            if file.path in kept:
                continue
            newer = [other for other in current if other.supersedes(file)]
            with contextlib.suppress(FileNotFoundError):
                if all(_age_s(Path(other.path)) > SUPERSEDED_S for other in newer):
                    Path(file.path).unlink(missing_ok=True)
                elif file.path not in expected:
                    is_tidy = False
        return current, is_tidy

    def _is_unfinished(self, declared: Measurement, day: Path, day_ms: int) -> bool:
        """Returns True if a day that is over has several files or no roll-up."""
        files = self._folder.files_of_day(day, day_ms)
        return len(files) > 1 or self._rollups.are_missing(declared, files)

    async def _merge(
        self, merge: Merge, declared: Measurement, day: Path, now_ms: int
    ) -> bool:
        paths = tuple(file.path for file in merge.files)
        if now_ms - self._failed_ms.get(paths, -RETRY_MS) < RETRY_MS:
            return False
        tmp = self._folder.root / "tmp" / f"merge-{secrets.token_hex(8)}.parquet"
        target = day / file_layout.stored_file_name(
            merge.start_ms,
            merge.whole_day,
            min(file.first for file in merge.files),
            max(file.last for file in merge.files),
        )
        try:
            copy = await asyncio.to_thread(_copy_sql, merge, declared, tmp)
            if self._duckdb is None:
                opened = DuckDb(self._limits, spill=self._folder.root / "tmp")
                self._duckdb = await opened.__aenter__()
            await self._duckdb.rows(copy, timeout_s=_MERGE_S)
            await asyncio.to_thread(sync, tmp)
            await run_to_end(asyncio.to_thread(self._folder.publish, [(tmp, target)]))
        except (FileUnreadable, FileVanished, TimeoutError, ValueError) as error:
            # After some errors a DuckDB answers nothing more.
            await self._close_duckdb()
            if not await run_to_end(asyncio.to_thread(self._rename_damaged, paths)):
                self._failed_ms[paths] = now_ms
                _log.warning(
                    "store_files_not_merged",
                    day=str(day),
                    error=str(error) or "it took too long",
                )
            return False
        else:
            self._failed_ms.pop(paths, None)
            return True
        finally:
            tmp.unlink(missing_ok=True)

    def _rename_damaged(self, paths: Iterable[str]) -> bool:
        """Renames damaged files so that nothing reads them. True if any are."""
        damaged = [path for path in paths if is_damaged(path)]
        for path in damaged:
            Path(path).rename(path + DAMAGED_SUFFIX)
            _log.error("store_file_set_aside", file=path + DAMAGED_SUFFIX)
        return bool(damaged)

    def _fulfil_requests(self) -> None:
        for path, request in self._erasures.pending():
            rows = self._erase(request.agent)
            self._erasures.finish(path)
            _log.info("agent_erased", rows=rows)

    def _erase(self, agent: str) -> int:
        return erase_rows(self._folder, self._catalogue, agent)


def _copy_sql(merge: Merge, declared: Measurement, target: Path) -> str:
    """Returns the COPY that writes the rows of the files, sorted and once, to one."""
    tags: dict[str, None] = {}
    fields: dict[str, str] = {}
    kinds = {"int64": "int", "double": "float", "string": "str", "large_string": "str"}
    for file in merge.files:
        try:
            about = pq.read_metadata(file.path)
        except FileNotFoundError as error:
            raise FileVanished(str(error)) from None
        except Exception as error:  # noqa: BLE001 - pyarrow raises many kinds
            raise FileUnreadable(f"{file.path}: {error}") from None
        schema = about.schema.to_arrow_schema().with_metadata(about.metadata)
        tags |= dict.fromkeys(tags_of(schema))
        for column in schema:
            if column.name != duckdb_sql.TIME and column.name not in tags:
                kind = kinds.get(str(column.type))
                if kind is None:
                    raise FileUnreadable(f"{file.path}: {column.name} is {column.type}")
                fields.setdefault(column.name, kind)
    for tag in tags:
        fields.pop(tag, None)
    end = merge.start_ms + (DAY_MS if merge.whole_day else HOUR_MS)
    scan = file_layout.plan_scan(merge.files, merge.start_ms, end)
    rows = duckdb_sql.source(scan, list(tags), fields)
    # The rows of a subject stay together, in order of time, if its description changes.
    described = [tag for tag in tags if tag in declared.descriptions]
    keys = [*(tag for tag in tags if tag not in described), duckdb_sql.TIME, *described]
    order = ", ".join(map(duckdb_sql.name, keys))
    about = ", ".join(
        f"{duckdb_sql.literal(key)}: {duckdb_sql.literal(value)}"
        for key, value in metadata(tags).items()
    )
    named = [duckdb_sql.TIME]
    named += [
        f"coalesce({duckdb_sql.name(t)}, '') AS {duckdb_sql.name(t)}" for t in tags
    ]
    named += [duckdb_sql.name(field) for field in fields]
    return (
        f"COPY (SELECT {', '.join(named)} FROM ({rows}) ORDER BY {order})"
        f" TO {duckdb_sql.literal(str(target))}"
        " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880,"
        f" KV_METADATA {{{about}}})"
    )


def _remove(day: Path) -> None:
    for file in day.iterdir():
        file.unlink(missing_ok=True)
    day.rmdir()


def _age_s(file: Path) -> float:
    return time.time() - file.stat().st_mtime
