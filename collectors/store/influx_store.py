"""The InfluxDB store: two databases on one server, one of them for personal rows."""

from __future__ import annotations

from collections import deque
from types import TracebackType

import msgspec
import structlog

from collectors.batch import Batch
from collectors.store.databases import create_database
from collectors.store.influx_http import (
    InfluxSeries,
    InfluxServer,
    NoDatabase,
    RejectedLines,
    WriteTooLarge,
)
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
from collectors.store.store_errors import Away, QueryFailed, RowsRefused
from probes.wire.catalogue import Catalogue, Measurement
from probes.wire.sample import Value

_log = structlog.get_logger(__name__)
LINES = 5_000
# So many requests may be spent on finding the refused lines of one write.
_SEARCH = 200


class InfluxStore:
    """`async with InfluxStore(server, database, catalogue) as store`.

    Shared measurements are in `database`, personal ones in `database`_personal, each
    with the longest retention the catalogue names for it.
    """

    def __init__(
        self, server: InfluxServer, database: str, catalogue: Catalogue
    ) -> None:
        self._server, self.catalogue = server, catalogue
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
        """Returns when the server has confirmed the rows. `Away` where it cannot now;
        `RowsRefused` where it will never take some of them, and has the others."""
        refused: list[Batch] = []
        whys: list[str] = []
        for personal in (False, True):
            rows = _Rows(self.catalogue, batches, personal)
            await self._prepare(personal, bool(rows.lines))
            search = _SEARCH
            numbers: list[int] = []
            # In order: of the same row twice the later must win.
            todo = deque(
                (at, min(at + LINES, len(rows.lines)))
                for at in range(0, len(rows.lines), LINES)
            )
            while todo:
                first, last = todo.popleft()
                try:
                    told = await self._send(personal, rows.lines[first:last])
                except WriteTooLarge:
                    told = RejectedLines("the line is too large for the server")
                if told is None:
                    continue
                bad = _bad(told, first, last)
                search -= 1
                if bad is None and search <= 0 and told.dropped:
                    # The others of these lines are in: only which is not known.
                    bad = range(first, last)
                if bad is None:
                    middle = (first + last) // 2
                    todo.extendleft([(middle, last), (first, middle)])
                    continue
                numbers += bad
                whys.append(told.why)
            if numbers:
                refused += rows.of(set(numbers))
        if refused:
            raise RowsRefused(f"{self._server.url}: {whys[0]}", refused)

    async def query(self, query: Query) -> list[Row]:
        """`Misfit` for what the catalogue does not know, `QueryFailed` otherwise."""
        check_query(query, self.catalogue)
        if query.spans:
            return sort_rows(await self._ask_spans(query), query)
        declared = self.catalogue.measurement(query.measurement)
        database = self.databases[declared.personal]
        text = render(_with_weights(query, declared), declared)
        try:
            series = await self._server.query(database, text)
        except NoDatabase:
            # Nothing was written yet: the first write makes it.
            return []
        return sort_rows(
            [row for each in series for row in _rows(each, query, declared)], query
        )

    async def _ask_spans(self, query: Query) -> list[Row]:
        """One question a span: InfluxQL knows no buckets but of equal length."""
        return [
            msgspec.structs.replace(row, time_ms=begin)
            for begin, end in query.spans
            for row in await self.query(
                msgspec.structs.replace(query, from_ms=begin, to_ms=end, spans=())
            )
        ]

    async def tidy(self, now_ms: int) -> None:
        """Nothing: the server keeps its own house."""

    async def count_rows(self, agent: str) -> int:
        """How many personal rows of one agent there are. `QueryFailed`."""
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
                # A count of each field; every row has some field.
                rows += sum(max(map(int, each.values[0][1:])) for each in counted)
        return rows

    async def erase(self, agent: str) -> int:
        """Removes all personal rows of one agent; how many there were.

        `QueryFailed` where the server has no way to (3 Core) or may not.
        """
        database = self.databases[True]
        version = await self._server.version()
        if version.major >= 3:
            raise QueryFailed(
                f"{self._server.url} (InfluxDB {version.text}) cannot delete rows: "
                "they go when their retention ends, or drop the database"
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
        """Makes the database with its retention, once, where the server lets us."""
        database = self.databases[personal]
        if not needed or database in self._prepared:
            return
        days = max(
            (
                each.retention_days
                for each in self.catalogue
                if each.personal == personal
            ),
            default=0,
        )
        try:
            await create_database(self._server, database, days)
        except (QueryFailed, NoDatabase) as error:
            # It may be there already, made by someone with more rights.
            _log.warning("database_not_looked_after", database=database, why=str(error))
        self._prepared.add(database)


class _Rows:
    """The lines of batches, and which row of which batch each is."""

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

    def of(self, numbers: set[int]) -> list[Batch]:
        """The rows of these lines, as batches of their own."""
        found = []
        ends = [start for start, _ in self._starts[1:]] + [len(self.lines)]
        for (start, batch), end in zip(self._starts, ends, strict=True):
            inside = {number - start for number in numbers if start <= number < end}
            if not inside:
                continue
            # Rows without a value have no line.
            first = 1 + len(batch.schema.tags)
            rows = [
                row
                for row in zip(*batch.columns, strict=True)
                if any(cell is not None for cell in row[first:])
            ]
            kept = [rows[at] for at in sorted(inside)]
            columns = tuple(list(column) for column in zip(*kept, strict=True))
            found.append(msgspec.structs.replace(batch, columns=columns))
        return found


def _bad(told: RejectedLines, first: int, last: int) -> range | tuple[int, ...] | None:
    """Which lines were refused, where that is known."""
    if last - first == 1 or told.dropped == last - first:
        return range(first, last)
    if told.numbers:
        return tuple(first + number for number in told.numbers)
    return None


def _with_weights(query: Query, declared: Measurement) -> Query:
    """`query`, and what stands behind each of its weighted means."""
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
            # Some versions count nothing as 0, and some divide by it.
            if cell is not None and counted:
                values[pick.name] = types[pick](cell)
        if values:
            rows.append(Row(int(cells[0]) if query.every_ms else None, tags, values))
    return rows
