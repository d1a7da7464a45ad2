"""Keeping the embedded store small: compaction, roll-ups, retention, erasure; by the
writer alone. Small files of an hour become one, then the hours of a day become one."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from collectors.store import duckdb_sql, file_layout, rollup
from collectors.store.arrow_tables import is_damaged, metadata, tags_of
from collectors.store.duck_queries import (
    DuckDb,
    DuckLimits,
    FileUnreadable,
    FileVanished,
    run_to_end,
)
from collectors.store.erasure import Erasures
from collectors.store.file_layout import DAY_MS, HOUR_MS, StoredFile
from collectors.store.personal_files import erase_rows
from collectors.store.store_errors import Away
from collectors.store.store_folder import DAMAGED_SUFFIX, StoreFolder
from probes.wire.atomic_file import sync
from probes.wire.catalogue import Catalogue, Measurement

_log = structlog.get_logger(__name__)
FAN = 12
LATE_FILES = 24
HOUR_GRACE_MS = 5 * 60_000
DAY_GRACE_MS = 60 * 60_000
WALK_MS = 60 * 60_000
RETRY_MS = 10 * 60_000
# A reader that listed a superseded file must be able to open it still.
SUPERSEDED_S = 30.0
_MERGE_S = 1800.0


class Merge(msgspec.Struct, frozen=True):
    """Files to be made one: of one hour, or of a whole day."""

    pieces: tuple[StoredFile, ...]
    start_ms: int
    whole_day: bool


def due_merges(
    standing: Iterable[StoredFile], day_ms: int, now_ms: int, patient: bool = False
) -> list[Merge]:
    """What should be merged of a day's standing files. Pure.

    Every `FAN` files of about one size become one, so a row is rewritten a few times
    only; an hour or day that is over becomes one file. `patient`: late rows for what
    has been merged already wait until they are `LATE_FILES`.
    """
    listed = sorted(standing, key=lambda each: each.last)
    if now_ms >= day_ms + DAY_MS + DAY_GRACE_MS:
        merged = any(each.is_day for each in listed)
        enough = 1 + LATE_FILES if patient and merged else 2
        if len(listed) >= enough:
            return [Merge(tuple(listed), day_ms, True)]
        return []
    hours: dict[int, list[StoredFile]] = {}
    for each in listed:
        if not each.is_day:
            hours.setdefault(each.start_ms, []).append(each)
    merges = []
    for start, pieces in hours.items():
        over = now_ms >= start + HOUR_MS + HOUR_GRACE_MS
        few = 2 if over and not patient else FAN
        run = pieces if over and len(pieces) >= few else _run(pieces)
        if len(run) > 1:
            merges.append(Merge(tuple(run), start, False))
    return merges


def _run(pieces: list[StoredFile]) -> list[StoredFile]:
    """The newest files, where there are `FAN` of the largest size among them."""
    for size in range(5, -1, -1):
        run: list[StoredFile] = []
        for each in reversed(pieces):
            if _size(each) > size:
                break
            run.insert(0, each)
        if sum(_size(each) == size for each in run) >= FAN:
            return run
    return []


def _size(piece: StoredFile) -> int:
    return int(math.log(piece.last - piece.first + 1, FAN) + 1e-9)


class Compactor:
    """The upkeep of one store's files."""

    def __init__(
        self, folder: StoreFolder, catalogue: Catalogue, limits: DuckLimits
    ) -> None:
        self._folder, self._catalogue = folder, catalogue
        self._erasures = Erasures(folder.root)
        self._limits = msgspec.structs.replace(limits, threads=1, at_once=1)
        self._days: set[tuple[str, int]] = set()
        # (measurement, start, whole day) of what was merged when it was over: late
        # rows for it gather before it is merged again.
        self._closed: set[tuple[str, int, bool]] = set()
        self._walked_ms: int | None = None
        self._busy = asyncio.Lock()
        self._failed_ms: dict[tuple[str, ...], int] = {}

    def mark_changed(self, declared: Measurement, start_ms: int) -> None:
        """Rows were written there: it is worth looking at."""
        self._days.add((declared.name, start_ms // DAY_MS * DAY_MS))

    async def tidy(self, now_ms: int) -> None:
        async with self._busy:
            try:
                await self._tidy(now_ms)
            except OSError as error:
                raise Away(f"{self._folder.root}: {error.strerror or error}") from None

    async def erase(self, agent: str) -> int:
        async with self._busy:
            return await run_to_end(asyncio.to_thread(self._erase, agent))

    async def stop(self) -> None:
        """Returns when nothing is being changed."""
        async with self._busy:
            pass

    async def _tidy(self, now_ms: int) -> None:
        await run_to_end(asyncio.to_thread(self._fulfil_requests))
        walk = self._walked_ms is None or now_ms - self._walked_ms >= WALK_MS
        if walk:
            await run_to_end(asyncio.to_thread(self._walk, now_ms))
            self._walked_ms = now_ms
        for name, day_ms in sorted(self._days):
            declared = self._catalogue.measurement(name)
            day = self._folder.measurement_folder(declared) / file_layout.day_name(
                day_ms
            )
            pieces = await run_to_end(asyncio.to_thread(self._clear, day, day_ms))
            merges = {
                (name, merge.start_ms, merge.whole_day): merge
                for merge in due_merges(pieces, day_ms, now_ms, patient=True)
            }
            for merge in due_merges(pieces, day_ms, now_ms):
                key = (name, merge.start_ms, merge.whole_day)
                if walk or key not in self._closed:
                    merges[key] = merge
            for key, merge in merges.items():
                if await self._merge(merge, day, now_ms):
                    self._closed.add(key)
            if now_ms < day_ms + DAY_MS + DAY_GRACE_MS:
                continue
            await run_to_end(asyncio.to_thread(self._roll_up, declared, day, day_ms))
            if not self._unfinished(declared, day, day_ms):
                self._days.discard((name, day_ms))

    def _walk(self, now_ms: int) -> None:
        """Looks at every day: deletes those too old, finds those not yet compacted."""
        self._closed = {key for key in self._closed if key[1] > now_ms - 7 * DAY_MS}
        for declared in self._catalogue:
            keep_ms = declared.retention_days * DAY_MS
            for start, day in self._folder.days(declared):
                if start + DAY_MS + keep_ms <= now_ms:
                    _remove(day)
                    self._days.discard((declared.name, start))
                    _log.info("store_day_deleted", day=str(day))
                elif self._unfinished(declared, day, start):
                    self._days.add((declared.name, start))
            for label in rollup.STEPS_MS.values():
                made = self._folder.rollup_folder(declared, label)
                for _, day in self._folder.days_in(made):
                    if not (
                        self._folder.measurement_folder(declared) / day.name
                    ).exists():
                        _remove(day)

    def _clear(self, day: Path, day_ms: int) -> list[StoredFile]:
        """The standing files of a day; deletes those long superseded."""
        pieces = self._folder.files_of_day(day, day_ms)
        standing = file_layout.current_files(pieces)
        kept = {each.path for each in standing}
        for each in pieces:
            if each.path in kept:
                continue
            newer = [other for other in standing if other.supersedes(each)]
            with contextlib.suppress(FileNotFoundError):
                if all(_age_s(other) > SUPERSEDED_S for other in newer):
                    Path(each.path).unlink(missing_ok=True)
        return standing

    def _unfinished(self, declared: Measurement, day: Path, day_ms: int) -> bool:
        """True where a day that is over is more than one file, or not rolled up."""
        pieces = self._folder.files_of_day(day, day_ms)
        return len(pieces) > 1 or any(
            not self._rolled(declared, label, piece).exists()
            for piece in pieces
            if not declared.personal
            for label in rollup.STEPS_MS.values()
        )

    def _rolled(self, declared: Measurement, label: str, piece: StoredFile) -> Path:
        path = Path(piece.path)
        name = rollup.file_name(path.name, declared)
        return self._folder.rollup_folder(declared, label) / path.parent.name / name

    def _roll_up(self, declared: Measurement, day: Path, day_ms: int) -> None:
        """Of a day that is one file."""
        standing = file_layout.current_files(self._folder.files_of_day(day, day_ms))
        if declared.personal or len(standing) != 1:
            return
        for step_ms, label in rollup.STEPS_MS.items():
            target = self._rolled(declared, label, standing[0])
            if target.exists():
                continue
            tmp = self._folder.root / "tmp" / f"roll-{secrets.token_hex(8)}.parquet"
            try:
                weights = rollup.weights_of(declared)
                rollup.roll_up(standing[0].path, tmp, step_ms, weights)
                sync(tmp)
                self._folder.publish([(tmp, target)])
            except pa.ArrowException as error:
                _log.warning("store_day_not_rolled_up", day=str(day), why=str(error))
                return
            finally:
                tmp.unlink(missing_ok=True)
            for other in target.parent.iterdir():
                if other != target:
                    other.unlink(missing_ok=True)

    async def _merge(self, merge: Merge, day: Path, now_ms: int) -> bool:
        paths = tuple(each.path for each in merge.pieces)
        if now_ms - self._failed_ms.get(paths, -RETRY_MS) < RETRY_MS:
            return False
        tmp = self._folder.root / "tmp" / f"merge-{secrets.token_hex(8)}.parquet"
        target = day / file_layout.stored_file_name(
            merge.start_ms,
            merge.whole_day,
            min(each.first for each in merge.pieces),
            max(each.last for each in merge.pieces),
        )
        try:
            copy = await asyncio.to_thread(_copy_sql, merge, tmp)
            async with DuckDb(self._limits, spill=self._folder.root / "tmp") as duck:
                await duck.rows(copy, timeout_s=_MERGE_S)
            await asyncio.to_thread(sync, tmp)
            await run_to_end(asyncio.to_thread(self._folder.publish, [(tmp, target)]))
        except (FileUnreadable, FileVanished, TimeoutError, ValueError) as error:
            if not await run_to_end(asyncio.to_thread(self._set_aside, paths)):
                self._failed_ms[paths] = now_ms
                _log.warning(
                    "store_files_not_merged",
                    day=str(day),
                    why=str(error) or "it took too long",
                )
            return False
        else:
            self._failed_ms.pop(paths, None)
            return True
        finally:
            tmp.unlink(missing_ok=True)

    def _set_aside(self, paths: Iterable[str]) -> bool:
        """Renames damaged files so that nothing reads them; True where some were."""
        found = [path for path in paths if is_damaged(path)]
        for path in found:
            Path(path).rename(path + DAMAGED_SUFFIX)
            _log.error("store_file_set_aside", file=path + DAMAGED_SUFFIX)
        return bool(found)

    def _fulfil_requests(self) -> None:
        for path, request in self._erasures.pending():
            rows = self._erase(request.agent)
            self._erasures.finish(path)
            _log.info("agent_erased", rows=rows)

    def _erase(self, agent: str) -> int:
        return erase_rows(self._folder, self._catalogue, agent)


def _copy_sql(merge: Merge, target: Path) -> str:
    """One COPY: the rows of the files, each once, sorted, as one file."""
    tags: dict[str, None] = {}
    fields: dict[str, str] = {}
    kinds = {"int64": "int", "double": "float", "string": "str", "large_string": "str"}
    for each in merge.pieces:
        try:
            about = pq.read_metadata(each.path)
        except FileNotFoundError as error:
            raise FileVanished(str(error)) from None
        except Exception as error:  # noqa: BLE001 - pyarrow has many for a bad file
            raise FileUnreadable(f"{each.path}: {error}") from None
        schema = about.schema.to_arrow_schema().with_metadata(about.metadata)
        tags |= dict.fromkeys(tags_of(schema))
        for column in schema:
            if column.name != duckdb_sql.TIME and column.name not in tags:
                kind = kinds.get(str(column.type))
                if kind is None:
                    raise FileUnreadable(f"{each.path}: {column.name} is {column.type}")
                fields.setdefault(column.name, kind)
    for tag in tags:
        fields.pop(tag, None)
    end = merge.start_ms + (DAY_MS if merge.whole_day else HOUR_MS)
    scan = file_layout.plan_scan(merge.pieces, merge.start_ms, end)
    rows = duckdb_sql.source(scan, list(tags), fields)
    order = ", ".join([*(duckdb_sql.name(tag) for tag in tags), duckdb_sql.TIME])
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
    for each in day.iterdir():
        each.unlink(missing_ok=True)
    day.rmdir()


def _age_s(piece: StoredFile) -> float:
    return time.time() - Path(piece.path).stat().st_mtime
