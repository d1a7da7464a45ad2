"""The embedded store: wide Parquet files that an in-memory DuckDB queries.

One process writes and compacts. Any number of processes read at the same time, without
a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pyarrow as pa
import structlog

from collectors.batch import Batch
from collectors.store import (
    duckdb_sql,
    file_layout,
    hourly_percentiles,
    rollup,
    top_forms,
)
from collectors.store.answer_rows import answer_rows, order_by
from collectors.store.answer_series import AnswerSeries, series_of_table
from collectors.store.arrow_tables import brief_parquet_bytes, tables_by_hour
from collectors.store.compact import Compactor
from collectors.store.duck_queries import (
    Cells,
    DuckDb,
    DuckLimits,
    FileUnreadable,
    FileVanished,
    OutOfMemory,
    run_to_end,
)
from collectors.store.highest_groups import keep_highest
from collectors.store.percentile_sql import NO_VALUES, ValueCounts
from collectors.store.personal_files import count_rows
from collectors.store.query import (
    Query,
    Row,
    check_query,
    counts_query,
    means_query,
)
from collectors.store.query_files import FilesOfQueries, QueryFiles, TopFiles
from collectors.store.recent_rows import MOST_ROWS, NewFile, RecentRows
from collectors.store.store_errors import Away, QueryFailed, TooManyRows
from collectors.store.store_folder import StoreFolder
from collectors.store.top_percentiles import top_percentiles
from probes.wire.catalogue import Catalogue, Measurement, Misfit

_log = structlog.get_logger(__name__)
_RELISTS = 20
_Item = TypeVar("_Item")
_Files = TypeVar("_Files", FilesOfQueries, TopFiles)


class EmbeddedStore:
    """`async with EmbeddedStore(folder, catalogue) as store`.

    Any process can read. The first `write` makes this process the writer; it raises
    `Away` if another process is.
    """

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        limits: DuckLimits | None = None,
        most_recent_rows: int = MOST_ROWS,
    ) -> None:
        if set("*?[") & set(str(folder)):
            raise ValueError(f"store folder {str(folder)!r}: no *, ? or [ in its name")
        self.catalogue = catalogue
        self._folder = StoreFolder(folder)
        self._limits = limits or DuckLimits()
        self._duckdb = DuckDb(self._limits)
        self._writing = asyncio.Lock()
        self._next_number = 0
        self._recent = RecentRows(most_recent_rows)
        self._compactor = Compactor(self._folder, catalogue, self._limits, self._recent)
        self._files = QueryFiles(self._folder)

    async def __aenter__(self) -> EmbeddedStore:
        await self._duckdb.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with self._writing:
            await self._compactor.stop()
            self._folder.unlock()
        await self._duckdb.__aexit__(kind, error, trace)

    async def write(self, batches: list[Batch]) -> None:
        """Returns when the rows are on disk.

        Raises `Away` if the disk is full or another process writes, and Arrow's error
        if a row does not fit the catalogue.
        """
        async with self._writing:
            await run_to_end(asyncio.to_thread(self._write, batches))

    async def query(self, query: Query) -> list[Row]:
        """Answers a query. Raises `Misfit` if it does not fit the catalogue, and
        `QueryFailed`."""
        cells = await self.cells(query)
        return answer_rows(cells, query, self.catalogue.measurement(query.measurement))

    async def series(self, query: Query) -> list[AnswerSeries]:
        """Answers a query of numbers in buckets, group by group. Raises as `query`."""
        check_query(query, self.catalogue)
        await self._check_patterns(query)
        declared = self.catalogue.measurement(query.measurement)

        async def select(files: FilesOfQueries) -> list[AnswerSeries]:
            text = await self._text(query, declared, files)
            return series_of_table(await self._duckdb.table(text), query)

        return await self._answer(
            declared, lambda: self._files.choose(declared, _with_counts(query)), select
        )

    async def cells(self, query: Query, most: int | None = None) -> Cells:
        """Answers a query with a tuple for each row, in the order of every store.

        It has the start of the bucket (if there are buckets), the tags of `group_by`,
        and a value or None for each pick. Raises `TooManyRows` if there are more than
        `most` rows, and what `query` raises.
        """
        check_query(query, self.catalogue)
        await self._check_patterns(query)
        declared = self.catalogue.measurement(query.measurement)
        if top_forms.have_answer(query, declared):
            cells = await self._answer(
                declared,
                lambda: self._files.choose_tops(declared, query),
                lambda files: self._top_cells(query, declared, files, most),
            )
        else:
            cells = await self._plain_cells(query, declared, most)
        if query.highest:
            cells = keep_highest(query, cells)
        if most is not None and len(cells) > most:
            raise TooManyRows(
                f"{query.measurement}: more than {most} rows; query a shorter time, "
                "longer buckets or fewer groups"
            )
        return cells

    async def release_memory(self) -> None:
        """Gives back the memory that queries have used."""
        await self._duckdb.release_memory()

    async def tag_values(self, query: Query, most: int) -> list[str]:
        """Returns the values of the one tag in `group_by` in the rows of `query`,
        which has no picks: at most `most`, in order. Raises as `query` does."""
        declared = self.catalogue.measurement(query.measurement)
        await self._check_patterns(query)

        async def select(files: FilesOfQueries) -> Cells:
            text = rollup.render_tag_values(query, declared, *files.chosen[0])
            return await self._duckdb.rows(f"{text} LIMIT {most}")

        cells = await self._answer(
            declared, lambda: self._files.choose(declared, (query,)), select
        )
        return [value for (value,) in cells]

    async def matching(self, pattern: str, texts: Sequence[str]) -> set[str]:
        """Returns the texts in which a regular expression (RE2, which takes no longer
        than the text is) matches. Raises `Misfit` if it is not one."""
        listed = ", ".join(f"({duckdb_sql.literal(text)})" for text in texts or ("",))
        test = f"regexp_matches(t, {duckdb_sql.literal(pattern)})"
        try:
            cells = await self._duckdb.rows(
                f"SELECT t FROM (VALUES {listed}) AS texts(t) WHERE {test}"
            )
        except FileUnreadable as error:
            raise Misfit(
                f"/{pattern[:200]}/ is not a regular expression: {error}"
            ) from None
        return {text for (text,) in cells}

    async def stored_measurements(self) -> set[str]:
        """Returns the measurements that have files."""
        return await asyncio.to_thread(
            lambda: {
                declared.name
                for declared in self.catalogue
                if self._folder.days(declared)
            }
        )

    async def newest_day_ms(self, measurement: str) -> int | None:
        """Returns the start of the newest day of a measurement; None without rows."""
        declared = self.catalogue.measurement(measurement)
        days = await asyncio.to_thread(self._folder.days, declared)
        return days[-1][0] if days else None

    async def _check_patterns(self, query: Query) -> None:
        for where in query.where:
            if where.pattern:
                await self.matching(where.pattern, ())

    async def _answer(
        self,
        declared: Measurement,
        choose: Callable[[], _Files],
        select: Callable[[_Files], Awaitable[list[_Item]]],
    ) -> list[_Item]:
        """Runs `select` on what `choose` returns, again if files change meanwhile."""
        for _ in range(_RELISTS):
            try:
                files = await asyncio.to_thread(choose)
            except OSError as error:
                raise QueryFailed(f"{error.filename}: {error.strerror}") from None
            if not files.paths:
                return []
            try:
                return await select(files)
            except FileVanished:
                continue
            except OutOfMemory:
                raise QueryFailed(
                    f"{declared.name}: needs more than {self._limits.memory_mb} MB; "
                    "query a shorter time, longer buckets or fewer groups"
                ) from None
            except FileUnreadable as error:
                if await asyncio.to_thread(self._files.find_damaged, files.paths):
                    continue
                raise QueryFailed(f"{self._folder.root}: {error}") from None
            except TimeoutError:
                raise QueryFailed(
                    f"{declared.name}: no answer in {self._limits.timeout_s:g} s; "
                    "query a shorter time or longer buckets"
                ) from None
        raise QueryFailed(f"{self._folder.root}: files kept changing while being read")

    async def _plain_cells(
        self, query: Query, declared: Measurement, most: int | None
    ) -> Cells:
        async def select(files: FilesOfQueries) -> Cells:
            text = await self._text(query, declared, files)
            if most is not None and query.highest is None:
                text += f" LIMIT {most + 1}"
            return await self._duckdb.rows(text)

        return await self._answer(
            declared, lambda: self._files.choose(declared, _with_counts(query)), select
        )

    async def _top_cells(
        self, query: Query, declared: Measurement, files: TopFiles, most: int | None
    ) -> Cells:
        if not files.is_worth:
            return await self._plain_cells(query, declared, most)
        opened: list[TopFiles] = []

        def open_months(months: Collection[str]) -> TopFiles:
            opened.append(self._files.choose_tops(declared, query, months))
            return opened[-1]

        try:
            cells = await top_percentiles(
                self._duckdb.rows,
                query,
                declared,
                files,
                open_months,
                self._limits.memory_mb,
            )
        except OutOfMemory:
            raise
        except FileUnreadable as error:
            # `_answer` looks at the other files.
            known = set(files.paths)
            paths = [p for chosen in opened for p in chosen.paths if p not in known]
            if await asyncio.to_thread(self._files.find_damaged, paths):
                raise FileVanished(str(error)) from None
            raise
        return sorted(cells, key=itemgetter(*range(len(query.group_by))))

    async def _text(
        self, query: Query, declared: Measurement, files: FilesOfQueries
    ) -> str:
        read = means_query(query) if query.mean_step_ms else query
        scan, rolled = files.chosen[0]
        counts = NO_VALUES
        if (counting := counts_query(query)) and scan.files:
            # Few roll-ups have percentiles of rows; those of others are calculated.
            grouped = rollup.render_any(counting, declared, *files.chosen[1])
            counting_text = duckdb_sql.value_counts(counting, grouped)
            (found,) = await self._duckdb.rows(counting_text)
            counts = ValueCounts(*(int(count or 0) for count in found))
        if counting and rolled:
            text = hourly_percentiles.render(read, declared, scan, rolled, counts)
        elif counting:
            text = duckdb_sql.render(read, declared, scan, counts)
        else:
            text = rollup.render_any(read, declared, scan, rolled)
        if query.mean_step_ms:
            text = duckdb_sql.percentiles(query, text)
        return text + order_by(query)

    async def tidy(self, now_ms: int, deletion_ms: int | None = None) -> None:
        """Compacts files and deletes old ones, by `deletion_ms` if that is given; cheap
        if nothing is due.

        Only for the writer. Raises `Away` if the disk is full.
        """
        async with self._writing:
            await run_to_end(asyncio.to_thread(self._lock_folder))
        await self._compactor.tidy(now_ms, deletion_ms)

    async def erase(self, agent: str) -> int:
        """Removes all personal rows of one agent. Returns how many there were.

        Only for the writer; another process uses `Erasures.request`.
        """
        async with self._writing:
            await run_to_end(asyncio.to_thread(self._lock_folder))
            return await self._compactor.erase(agent)

    async def count_rows(self, agent: str) -> int:
        """Returns how many personal rows of one agent there are; for any process."""
        return await asyncio.to_thread(count_rows, self._folder, self.catalogue, agent)

    def _lock_folder(self) -> None:
        self._folder.lock()
        if not self._next_number:
            self._next_number = self._folder.highest_write(self.catalogue) + 1

    def _write(self, batches: list[Batch]) -> None:
        grouped: dict[str, list[Batch]] = {}
        for batch in batches:
            if len(batch):
                grouped.setdefault(batch.measurement, []).append(batch)
        tables = [
            (declared, start, table)
            for declared, own_batches in (
                (self.catalogue.measurement(name), own_batches)
                for name, own_batches in grouped.items()
            )
            for start, table in tables_by_hour(own_batches, declared).items()
        ]
        try:
            self._lock_folder()
            files = [
                (declared, start, self._new_file(declared, start, table))
                for declared, start, table in tables
            ]
            self._folder.write_files(
                [(f.path, brief_parquet_bytes(f.table)) for _, _, f in files]
            )
        except OSError as error:
            self._recent.forget()
            raise Away(f"{self._folder.root}: {error.strerror or error}") from None
        except BaseException:
            self._recent.forget()
            raise
        finally:
            # A number is never used twice, even if only some files got their names.
            if self._next_number:
                self._next_number += 1
        for declared, start, file in files:
            self._compactor.mark_written(declared, start, file)

    def _new_file(
        self, declared: Measurement, start_ms: int, table: pa.Table
    ) -> NewFile:
        folder = self._folder.measurement_folder(declared)
        day = folder / file_layout.day_name(start_ms)
        return self._recent.add(declared, start_ms, table, day, self._next_number)


def _with_counts(query: Query) -> tuple[Query, ...]:
    """Returns the query to answer and, if it needs one, that of its values' counts."""
    read = means_query(query) if query.mean_step_ms else query
    counting = counts_query(query)
    return (read, counting) if counting else (read,)
