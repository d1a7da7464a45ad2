"""`InfluxQueries`: answers InfluxQL from the embedded store, as InfluxDB 1.8 would.

It never writes. Time, points and queries at once are bounded, so that a clumsy query
ends with a sentence instead of taking the memory of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from collectors.store.influx_answer import Series, TooLarge, series_of
from collectors.store.influx_metadata import Metadata, database_series
from collectors.store.influxql_conditions import NotSupported
from collectors.store.influxql_parser import parse
from collectors.store.influxql_reader import read_select
from collectors.store.influxql_syntax import Select, Show, Statement
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.store_errors import QueryFailed
from probes.wire.catalogue import Catalogue, Misfit
from probes.wire.clock import WallClock, wall_ms

Result = dict[str, Any]


class QueryLimits(msgspec.Struct, frozen=True):
    """A request may take `timeout_s`, including its wait, and have `points` points.

    `at_once` requests are answered at a time, and `waiting` may wait for their turn.
    """

    timeout_s: float = 30.0
    points: int = 200_000
    at_once: int = 2
    waiting: int = 200


class Overloaded(RuntimeError):
    """Too many queries are waiting already."""


class InfluxQueries:
    """Answers for the databases of one store.

    `databases` are their names; `personal` says which has the rows of single laptops.
    """

    def __init__(
        self,
        store: EmbeddedStore,
        databases: Mapping[bool, str],
        limits: QueryLimits,
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._store, self._limits, self._now_ms = store, limits, now_ms
        self._catalogues = {
            name: Catalogue(one for one in store.catalogue if one.personal == personal)
            for personal, name in databases.items()
        }
        self._slots = asyncio.Semaphore(limits.at_once)
        self._waiting = 0

    async def answer(
        self, text: str, database: str, epoch: str, allowed: frozenset[str]
    ) -> bytes:
        """Returns the JSON of the answer to all statements of `text`.

        `allowed` are the databases that the sender may read. Raises `InfluxqlError` if
        it is not InfluxQL, and `Overloaded`. Other errors are part of the answer.
        """
        statements = parse(text)
        if self._waiting >= self._limits.waiting:
            raise Overloaded(
                f"{self._waiting} queries are waiting already; try again later"
            )
        results: list[Result] = []
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.timeout_s), self._slots:
                points = self._limits.points
                for number, statement in enumerate(statements):
                    result = await self._result(
                        statement, database, epoch, allowed, points
                    )
                    points -= sum(
                        len(series["values"]) for series in result.get("series", ())
                    )
                    results.append({"statement_id": number, **result})
                return await asyncio.to_thread(_encoded, results)
        except TimeoutError:
            results.append(
                {
                    "statement_id": len(results),
                    "error": f"no answer in {self._limits.timeout_s:g} s; query a "
                    "shorter time, longer buckets or fewer groups",
                }
            )
            return _encoded(results)
        finally:
            self._waiting -= 1

    async def _result(
        self,
        statement: Statement,
        database: str,
        epoch: str,
        allowed: frozenset[str],
        points: int,
    ) -> Result:
        try:
            series = await self._series(statement, database, epoch, allowed, points)
        except (NotSupported, Misfit, QueryFailed) as error:
            return {"error": str(error)}
        except TooLarge:
            return {
                "error": f"more than {self._limits.points} points in one answer; query "
                "a shorter time, longer buckets or fewer groups"
            }
        return {"series": series} if series else {}

    async def _series(
        self,
        statement: Statement,
        database: str,
        epoch: str,
        allowed: frozenset[str],
        points: int,
    ) -> list[Series]:
        if isinstance(statement, Show):
            if statement.what == "DATABASES":
                return [database_series(allowed & set(self._catalogues))]
            database = statement.database or database
            catalogue = self._catalogue(database, allowed)
            return await Metadata(self._store, database, catalogue).answer(
                statement, self._now_ms()
            )
        return await self._select(
            statement, self._catalogue(database, allowed), epoch, points
        )

    async def _select(
        self, select: Select, catalogue: Catalogue, epoch: str, points: int
    ) -> list[Series]:
        selection = read_select(select, catalogue, self._now_ms())
        if selection.is_empty:
            return []
        cells = await self._store.cells(selection.query, points)
        return await asyncio.to_thread(series_of, selection, cells, epoch, points)

    def _catalogue(self, database: str, allowed: frozenset[str]) -> Catalogue:
        if not database:
            raise NotSupported("database name required")
        # A database that the sender may not read is not there for them.
        if database not in allowed or database not in self._catalogues:
            raise NotSupported(f"database not found: {database}")
        return self._catalogues[database]


def _encoded(results: list[Result]) -> bytes:
    return msgspec.json.encode({"results": results}) + b"\n"
