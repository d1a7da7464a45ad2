"""Answers InfluxQL's SHOW statements from the catalogue and the embedded store's files.

Grafana uses them for variables, in its query editor, and to test a data source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from collectors.store.influx_answer import Series
from collectors.store.influxql_conditions import NotSupported, read_conditions
from collectors.store.influxql_syntax import Limits, Regex, Show
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Query
from probes.wire.catalogue import Catalogue, Measurement, UnknownName

# SHOW TAG VALUES without a time reads the newest days.
NEWEST_DAYS = 30
_DAY_MS = 86_400_000
_MOST_VALUES = 100_000
_TYPES = {"int": "integer", "float": "float", "str": "string"}


class Metadata:
    """What one database has: `name` is the database, `catalogue` its measurements."""

    def __init__(self, store: EmbeddedStore, name: str, catalogue: Catalogue) -> None:
        self._store, self._name, self._catalogue = store, name, catalogue

    async def answer(self, show: Show, now_ms: int) -> list[Series]:
        """Returns the series of a SHOW statement. Raises `NotSupported` and
        `QueryFailed`."""
        match show.what:
            case "RETENTION POLICIES":
                return [self._policies()]
            case "MEASUREMENTS":
                names = [[one.name] for one in await self._measurements(show, now_ms)]
                return list(_series("measurements", ("name",), names, show.limits))
            case "TAG KEYS":
                return [
                    series
                    for one in await self._measurements(show, now_ms)
                    for series in _series(
                        one.name,
                        ("tagKey",),
                        sorted([tag.name] for tag in one.tags),
                        show.limits,
                    )
                ]
            case "FIELD KEYS":
                return [
                    series
                    for one in await self._measurements(show, now_ms)
                    for series in _series(
                        one.name,
                        ("fieldKey", "fieldType"),
                        sorted(
                            [field.name, _TYPES[field.type]] for field in one.fields
                        ),
                        show.limits,
                    )
                ]
            case "TAG VALUES":
                return [
                    series
                    for one in await self._measurements(show, now_ms)
                    for series in await self._tag_values(show, one, now_ms)
                ]
        raise NotSupported(f"SHOW {show.what} is not supported")

    async def _measurements(self, show: Show, now_ms: int) -> list[Measurement]:
        """Returns the measurements of a statement that have rows, by name."""
        tags = {where.tag for where in read_conditions(show.where, now_ms).where}
        chosen: Iterable[Measurement] = self._catalogue
        if isinstance(show.source, Regex):
            names = [one.name for one in self._catalogue]
            matching = await self._store.matching(show.source.pattern, names)
            chosen = [one for one in self._catalogue if one.name in matching]
        elif show.source:
            try:
                chosen = [self._catalogue.measurement(show.source)]
            except UnknownName as unknown:
                raise NotSupported(str(unknown)) from None
        stored = await self._store.stored_measurements()
        return sorted(
            (
                one
                for one in chosen
                if one.name in stored and tags <= {tag.name for tag in one.tags}
            ),
            key=lambda one: one.name,
        )

    async def _tag_values(
        self, show: Show, declared: Measurement, now_ms: int
    ) -> list[Series]:
        conditions = read_conditions(show.where, now_ms)
        if conditions.never:
            return []
        newest_ms = await self._store.newest_day_ms(declared.name)
        if newest_ms is None:
            return []
        to_ms = newest_ms + _DAY_MS
        if conditions.to_ms is not None:
            to_ms = min(to_ms, conditions.to_ms)
        from_ms = to_ms - NEWEST_DAYS * _DAY_MS
        if conditions.from_ms is not None:
            from_ms = conditions.from_ms
        if from_ms >= to_ms:
            return []
        rows: list[list[str]] = []
        for tag in await self._chosen_keys(show, declared):
            query = Query(declared.name, (), from_ms, to_ms, conditions.where, (tag,))
            values = await self._store.tag_values(query, _MOST_VALUES)
            rows += [[tag, value] for value in values if value]
        return list(_series(declared.name, ("key", "value"), rows, show.limits))

    async def _chosen_keys(self, show: Show, declared: Measurement) -> list[str]:
        names = sorted(tag.name for tag in declared.tags)
        if isinstance(show.keys, Regex):
            chosen = await self._store.matching(show.keys.pattern, names)
        else:
            chosen = set(show.keys)
        is_wanted = show.keys_sign in ("=", "=~")
        return [name for name in names if (name in chosen) == is_wanted]

    def _policies(self) -> Series:
        """InfluxDB 1.x's default policy, which is the only one."""
        days = max((one.retention_days for one in self._catalogue), default=0)
        columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"]
        row: list[Any] = ["autogen", f"{days * 24}h0m0s", "24h0m0s", 1, True]
        return {"columns": columns, "values": [row]}


def database_series(names: Iterable[str]) -> Series:
    """Returns the answer to SHOW DATABASES."""
    values = [[name] for name in sorted(names)]
    return {"name": "databases", "columns": ["name"], "values": values}


def _series(
    name: str, columns: tuple[str, ...], rows: list[list[str]], limits: Limits
) -> Iterator[Series]:
    first = limits.skipped_points
    after = None if limits.points is None else first + limits.points
    if rows := rows[first:after]:
        yield {"name": name, "columns": list(columns), "values": rows}
