"""The InfluxDB store: two databases on one server, one for personal rows."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType

import msgspec
import structlog

from collectors.batch import Batch
from collectors.store import latest_rows
from collectors.store.databases import create_database
from collectors.store.highest_groups import keep_highest_rows
from collectors.store.influx_http import (
    InfluxSeries,
    InfluxServer,
    NoDatabase,
    RejectedLines,
    WriteTooLarge,
)
from collectors.store.influx_rollups import InfluxRollUps
from collectors.store.influxql import identifier, literal, render
from collectors.store.line_protocol import lines
from collectors.store.query import (
    Pick,
    Query,
    Row,
    check_query,
    sort_rows,
    value_converter,
    weight_field,
)
from collectors.store.rolled_buckets import RolledBuckets
from collectors.store.rolled_queries import RolledQueries
from collectors.store.rollup_files import RollUpFiles
from collectors.store.store_errors import Away, QueryFailed, RowsRefused
from collectors.store.store_parts import StorePart
from probes.wire.catalogue import Catalogue, Measurement
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Value

_log = structlog.get_logger(__name__)
LINES = 5_000
# How many requests may be used to find the refused lines of one write.
_SEARCH_REQUESTS = 200


class InfluxStore:
    """`async with InfluxStore(server, database, catalogue) as store`.

    Shared measurements are in `database`, personal ones in `database`_personal. Each
    has the longest retention of its measurements in the catalogue. With `folder` the
    shared ones are rolled up, and the folder has a file about what is to be done. With
    a `part` it rolls up the subjects of that part.
    """

    def __init__(
        self,
        server: InfluxServer,
        database: str,
        catalogue: Catalogue,
        folder: Path | None = None,
        now_ms: WallClock = wall_ms,
        part: StorePart | None = None,
    ) -> None:
        self._server, self.catalogue, self._now_ms = server, catalogue, now_ms
        self._rollups: InfluxRollUps | None = None
        self._rolled: RolledQueries | None = None
        if folder is not None:
            files = RollUpFiles(folder, database)
            self._rollups = InfluxRollUps(
                server, database, catalogue, files, part or StorePart()
            )
            self._rolled = RolledQueries(
                server, database, RolledBuckets(files), self._answer, now_ms
            )
        self.databases = {False: database, True: f"{database}_personal"}
        self._prepared: set[str] = set()

    async def __aenter__(self) -> InfluxStore:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    async def write(self, batches: list[Batch]) -> None:
        """Returns when the server has confirmed the rows.

        Raises `Away` if it cannot write now, and `RowsRefused` if it will never accept
        some of the rows and has written the others.
        """
        refused: list[Batch] = []
        reasons: list[str] = []
        lines = {
            personal: _Lines(self.catalogue, batches, personal)
            for personal in self.databases
        }
        for personal, rows in lines.items():
            # Also a database that gets no rows yet: boards that query it would show
            # an error instead of nothing.
            await self._prepare(personal, bool(rows.lines))
        for personal, rows in lines.items():
            search = _SEARCH_REQUESTS
            numbers: list[int] = []
            # In order, because a later row replaces the same row before it.
            todo = deque(
                (at, min(at + LINES, len(rows.lines)))
                for at in range(0, len(rows.lines), LINES)
            )
            while todo:
                first, last = todo.popleft()
                try:
                    rejected = await self._send(personal, rows.lines[first:last])
                except WriteTooLarge:
                    rejected = RejectedLines("the line is too large for the server")
                if rejected is None:
                    continue
                bad = _bad_lines(rejected, first, last)
                search -= 1
                if bad is None and search <= 0 and rejected.dropped:
                    # The other lines were written, but it is not known which.
                    bad = range(first, last)
                if bad is None:
                    middle = (first + last) // 2
                    todo.extendleft([(middle, last), (first, middle)])
                    continue
                numbers += bad
                reasons.append(rejected.why)
            if numbers:
                refused += rows.batches(set(numbers))
        if self._rollups is not None:
            await self._rollups.mark(batches, self._now_ms())
        if refused:
            raise RowsRefused(f"{self._server.url}: {reasons[0]}", refused)

    async def query(self, query: Query) -> list[Row]:
        """Answers a query. Raises `Misfit` if it does not fit the catalogue, and
        `QueryFailed`."""
        check_query(query, self.catalogue)
        if query.spans:
            return sort_rows(await self._query_spans(query), query)
        if query.selections:
            return sort_rows(await self._query_selections(query), query)
        declared = self.catalogue.measurement(query.measurement)
        try:
            if self._rolled is None or declared.personal:
                rows = await self._answer(query)
            else:
                rows = await self._rolled.answer(query, declared)
        except NoDatabase:
            # Nothing has been written yet; the first write creates it.
            return []
        return sort_rows(keep_highest_rows(query, rows), query)

    async def _answer(self, query: Query, text: str = "") -> list[Row]:
        """Returns the rows of the answer to `query` by `text`: by default its own."""
        declared = self.catalogue.measurement(query.measurement)
        database = self.databases[declared.personal]
        if not text and latest_rows.are_of_rows(query, declared):
            text = latest_rows.rows_text(query, declared)
            return [
                row
                for one in await self._server.query(database, text)
                for row in latest_rows.latest_rows(one, query, declared)
            ]
        text = text or render(_with_weights(query, declared), declared)
        series = await self._server.query(database, text)
        return [row for one in series for row in _rows(one, query, declared)]

    async def _query_spans(self, query: Query) -> list[Row]:
        """Asks once for each span, as the buckets of InfluxQL are all equally long."""
        return [
            msgspec.structs.replace(row, time_ms=begin)
            for begin, end in query.spans
            for row in await self.query(
                msgspec.structs.replace(query, from_ms=begin, to_ms=end, spans=())
            )
        ]

    async def _query_selections(self, query: Query) -> list[Row]:
        """Asks once for each selection, as a query in InfluxQL has one time range."""
        return [
            row
            for one in query.selections
            for row in await self.query(
                msgspec.structs.replace(
                    query,
                    from_ms=one.from_ms,
                    to_ms=one.to_ms,
                    where=(*query.where, one.where),
                    selections=(),
                )
            )
        ]

    async def tidy(self, now_ms: int, deletion_ms: int | None = None) -> None:
        """Rolls up rows. The server compacts and deletes by itself. Raises `Away` and
        `QueryFailed`."""
        if self._rollups is not None:
            await self._rollups.run(now_ms)

    async def count_rows(self, agent: str) -> int:
        """Returns the number of an agent's personal rows. Raises `QueryFailed`."""
        database, rows = self.databases[True], 0
        for declared in self.catalogue:
            if declared.personal:
                counting = (
                    f"SELECT count(*) FROM {identifier(declared.name)}"
                    f' WHERE "agent" = {literal(agent)}'
                )
                try:
                    counted = await self._server.query(database, counting)
                except NoDatabase:
                    return 0
                # A count of each field; every row has at least one field.
                rows += sum(max(map(int, s.values[0][1:])) for s in counted)
        return rows

    async def erase(self, agent: str) -> int:
        """Removes all personal rows of one agent. Returns how many there were.

        Raises `QueryFailed` if the server cannot delete (3 Core) or refuses to.
        """
        database = self.databases[True]
        version = await self._server.version()
        if version.major >= 3:
            raise QueryFailed(
                f"{self._server.url} (InfluxDB {version.text}) cannot delete rows: "
                "they are deleted when their retention ends, or drop the database"
            )
        rows = await self.count_rows(agent)
        if version.major == 1:
            where = f'"agent" = {literal(agent)}'
            await self._server.query(database, f"DROP SERIES WHERE {where}")
            return rows
        status, answer = await self._server.call(
            "POST",
            "/api/v2/delete",
            {"org": self._server.org, "bucket": database},
            {
                "start": "1970-01-01T00:00:00Z",
                "stop": "2200-01-01T00:00:00Z",
                "predicate": "agent=" + msgspec.json.encode(agent).decode(),
            },
        )
        if status >= 300:
            raise QueryFailed(
                f"{self._server.url}: erasing answered {status}: {answer}"
            )
        return rows

    async def _send(self, personal: bool, text: list[str]) -> RejectedLines | None:
        try:
            return await self._server.write(self.databases[personal], text)
        except WriteTooLarge:
            if len(text) > 1:
                return RejectedLines("too many lines for one request")
            raise
        except NoDatabase as missing:
            self._prepared.discard(self.databases[personal])
            await self._prepare(personal, True)
            try:
                return await self._server.write(self.databases[personal], text)
            except NoDatabase:
                raise Away(f"{missing}; create it, or let the token do so") from None

    async def _prepare(self, personal: bool, needed: bool) -> None:
        """Creates the database with its retention, once, if the server allows it.
        `needed`: there are rows for it."""
        database = self.databases[personal]
        if database in self._prepared:
            return
        days = max(
            (
                declared.retention_days
                for declared in self.catalogue
                if declared.personal == personal
            ),
            default=0,
        )
        try:
            await create_database(self._server, database, days)
        except (QueryFailed, NoDatabase) as error:
            # An account with more rights may have created it.
            tell = _log.warning if needed else _log.info
            tell("database_not_checked", database=database, error=str(error))
        self._prepared.add(database)


class _Lines:
    """The lines of batches, and the row of a batch that each line is of."""

    def __init__(
        self, catalogue: Catalogue, batches: list[Batch], personal: bool
    ) -> None:
        self.lines: list[str] = []
        self._starts: list[tuple[int, Batch]] = []
        for batch in batches:
            declared = catalogue.measurement(batch.measurement)
            if declared.personal == personal and len(batch):
                self._starts.append((len(self.lines), batch))
                self.lines += lines(batch, declared)

    def batches(self, numbers: set[int]) -> list[Batch]:
        """Returns the rows of these lines as batches."""
        selected = []
        ends = [start for start, _ in self._starts[1:]] + [len(self.lines)]
        for (start, batch), end in zip(self._starts, ends, strict=True):
            inside = {number - start for number in numbers if start <= number < end}
            if not inside:
                continue
            # Rows without values have no line.
            first = 1 + len(batch.schema.tags)
            rows = [
                row
                for row in zip(*batch.columns, strict=True)
                if any(cell is not None for cell in row[first:])
            ]
            kept = [rows[at] for at in sorted(inside)]
            columns = tuple(list(column) for column in zip(*kept, strict=True))
            selected.append(msgspec.structs.replace(batch, columns=columns))
        return selected


def _bad_lines(
    rejected: RejectedLines, first: int, last: int
) -> range | tuple[int, ...] | None:
    """Returns which lines were refused, if that is known."""
    if last - first == 1 or rejected.dropped == last - first:
        return range(first, last)
    if rejected.numbers:
        return tuple(first + number for number in rejected.numbers)
    return None


def _with_weights(query: Query, declared: Measurement) -> Query:
    """Returns `query` with the weight of each of its weighted means."""
    weights = [
        Pick(pick.field, "weight")
        for pick in query.picks
        if weight_field(pick, declared)
    ]
    picks = tuple(dict.fromkeys((*query.picks, *weights)))
    return msgspec.structs.replace(query, picks=picks)


def _rows(series: InfluxSeries, query: Query, declared: Measurement) -> list[Row]:
    tags = {tag: series.tags.get(tag, "") for tag in query.group_by}
    at = {name: number for number, name in enumerate(series.columns)}
    types = {
        p: value_converter(p, declared, bool(query.mean_step_ms)) for p in query.picks
    }
    rows = []
    for cells in series.values:
        values: dict[str, Value] = {}
        for pick in query.picks:
            cell = cells[at[pick.name]]
            counted = cell
            if weight_field(pick, declared):
                counted = cells[at[Pick(pick.field, "weight").name]]
            elif pick.aggregate not in ("count", "weight"):
                counted = 1
            # Some versions return a count of 0 for nothing, and some divide by it.
            if cell is not None and counted:
                values[pick.name] = types[pick](cell)
        if values:
            rows.append(Row(int(cells[0]) if query.every_ms else None, tags, values))
    return rows
