"""Both stores, for the tests: a small catalogue of their own, and rows to put in."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from services import Server

from collectors.batch import Batch, Schema
from collectors.store.duck_queries import Cells
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Pick, Query, Store, Where
from collectors.store.recent_rows import MOST_ROWS
from collectors.store.store_config import StoreConfig
from probes.wire.catalogue import Catalogue, Field, Measurement, Tag

HOUR = 3_600_000
DAY = 24 * HOUR
# Midnight UTC of a Monday.
START = 1_790_553_600_000 - 1_790_553_600_000 % DAY

PLAIN = Measurement(
    name="plain",
    meaning="for tests",
    tags=(Tag("a", "one"), Tag("b", "two")),
    fields=(
        Field("whole", "int", "1", "whole"),
        Field("real", "float", "1", "real"),
        Field("text", "str", "1", "text"),
        Field("never", "float", "1", "never written"),
        Field("share", "float", "ratio", "a share of the calls", weight="calls"),
        Field("calls", "int", "1", "how many calls"),
    ),
    period_s=60,
    lateness_s=120,
    retention_days=36_500,
)
PERSONAL = Measurement(
    name="private",
    meaning="for tests, about one laptop",
    tags=(Tag("agent", "who", personal=True), Tag("home_site", "where")),
    fields=(Field("ok", "int", "flag", "well"), Field("rtt_ms", "float", "ms", "trip")),
    period_s=60,
    lateness_s=600,
    retention_days=36_500,
    personal=True,
)
CATALOGUE = Catalogue((PLAIN, PERSONAL))
_names = itertools.count()


def batch(
    *rows: tuple[int, dict[str, str], dict[str, int | float | str | None]],
    measurement: str = "plain",
) -> Batch:
    """Rows of (time, tags, fields)."""
    tags = tuple(dict.fromkeys(name for _, tags, _ in rows for name in tags))
    fields = tuple(dict.fromkeys(name for _, _, fields in rows for name in fields))
    columns = (
        [time for time, _, _ in rows],
        *([t.get(name, "") for _, t, _ in rows] for name in tags),
        *([f.get(name) for _, _, f in rows] for name in fields),
    )
    return Batch("test", 0, Schema(measurement, tags, fields), columns)


def ask(
    *picks: str,
    where: tuple[Where, ...] = (),
    by: tuple[str, ...] = (),
    every: int | None = None,
    span: tuple[int, int] = (START, START + DAY),
    measurement: str = "plain",
) -> Query:
    """`ask("real:mean", by=("a",))`."""
    chosen = tuple(Pick(*pick.split(":")) for pick in picks)  # type: ignore[arg-type]
    return Query(measurement, chosen, *span, where, by, every)


def connection(server: Server) -> InfluxServer:
    return InfluxServer(f"http://127.0.0.1:{server.port}", server.token, server.org)


def influx_config(server: Server, folder: Path, **more: Any) -> StoreConfig:
    """Settings for a running influxd, with its token, if any, in a file."""
    if server.token:
        more["token_file"] = server.folder / "token"
        more["token_file"].write_text(server.token)
    url = f"http://127.0.0.1:{server.port}"
    return StoreConfig(kind="influxdb", folder=folder, url=url, org=server.org, **more)


@contextlib.asynccontextmanager
async def influx(
    server: Server, catalogue: Catalogue = CATALOGUE
) -> AsyncIterator[InfluxStore]:
    """A store in databases of its own on a running influxd."""
    name = f"t{next(_names)}"
    async with InfluxStore(connection(server), name, catalogue) as store:
        yield store


@contextlib.asynccontextmanager
async def embedded(
    folder: Path, catalogue: Catalogue = CATALOGUE, most_recent_rows: int = MOST_ROWS
) -> AsyncIterator[EmbeddedStore]:
    """`most_recent_rows` 0: each write makes files of its own rows alone."""
    own = folder / f"s{next(_names)}"
    async with EmbeddedStore(
        own, catalogue, most_recent_rows=most_recent_rows
    ) as store:
        yield store


async def values(store: Store, query: Query) -> list[tuple[object, ...]]:
    """The answer as (time, tag values…, pick values…), None for what is absent."""
    return [
        (
            *(() if row.time_ms is None else (row.time_ms,)),
            *(row.tags[tag] for tag in query.group_by),
            *(row.values.get(pick.name) for pick in query.picks),
        )
        for row in await store.query(query)
    ]


def note_texts(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL that the store runs from now on."""
    texts: list[str] = []
    run = store._duckdb.rows

    async def noted(sql: str, timeout_s: float | None = None) -> Cells:
        texts.append(sql)
        return await run(sql, timeout_s)

    monkeypatch.setattr(store._duckdb, "rows", noted)
    return texts
