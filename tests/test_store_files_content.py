"""What the embedded store's files hold: sorted rows, and no row of an erased agent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from stored_files import (
    DAY_END,
    age_files,
    row_files,
    struct_fields,
)
from stores import CATALOGUE, DAY, HOUR, PLAIN, START, ask, batch, embedded, values

from collectors.store.erasure import Erasures
from collectors.store.parquet_store import EmbeddedStore
from probes.wire.catalogue import Catalogue, Field, Tag


async def test_rows_of_a_merged_file_are_sorted_by_tags_then_time(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path, most_recent_rows=0) as store:
        rows = [(START + n % 7, {"a": "xyz"[n % 3]}, {"whole": n}) for n in range(40)]
        await store.write([batch(*rows[:30])])
        await store.write([batch(*rows[30:])])
        await store.tidy(START + 2 * HOUR)
        age_files(tmp_path)
        await store.tidy(START + 2 * HOUR)
        (path,) = row_files(tmp_path)
        table = pq.read_table(path)
        keys = list(
            zip(
                *(table[name].to_pylist() for name in ("a", "b", "time_ms")),
                strict=True,
            )
        )
        assert keys == sorted(set(keys))


async def test_a_day_is_deleted_when_its_retention_is_over(tmp_path: Path) -> None:
    short = [
        type(declared)(**{**struct_fields(declared), "retention_days": days})
        for declared, days in zip(CATALOGUE, (400, 30), strict=True)
    ]
    async with embedded(tmp_path, Catalogue(short)) as store:
        await store.write(
            [
                batch((START, {"a": "x"}, {"whole": 1})),
                batch((START, {"agent": "p"}, {"ok": 1}), measurement="private"),
                batch((START + DAY, {"agent": "p"}, {"ok": 1}), measurement="private"),
            ]
        )
        await store.tidy(START + 31 * DAY - 1)
        assert len(row_files(tmp_path)) == 3
        await store.tidy(START + 31 * DAY + HOUR)
        kept = [path.parts[-4:-1] for path in row_files(tmp_path)]
        assert [parts[:2] for parts in kept] == [
            ("personal", "private"),
            ("shared", "plain"),
        ]
        await store.tidy(START + 402 * DAY)
        assert row_files(tmp_path) == []


async def test_erased_rows_are_in_no_file(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        for n in range(30):
            rows = [
                (START + n * 60_000, {"agent": f"laptop-{k}"}, {"ok": 1})
                for k in range(3)
            ]
            await store.write([batch(*rows, measurement="private")])
        # Files that are superseded but not deleted yet hold the rows too.
        await store.tidy(START + 2 * HOUR)
        (root,) = [path.parents[3] for path in row_files(tmp_path)[:1]]
        erasures = Erasures(root)
        assert await store.count_rows("laptop-1") == 30
        erasures.request("laptop-1", START + 2 * HOUR)
        await store.tidy(START + 2 * HOUR + 1)
        for path in row_files(tmp_path):
            assert "laptop-1" not in pq.read_table(path)["agent"].to_pylist()
        query = ask("ok:count", by=("agent",), measurement="private")
        assert await values(store, query) == [("laptop-0", 30), ("laptop-2", 30)]
        assert await store.count_rows("laptop-1") == 0
        assert erasures.pending() == []
        assert erasures.known() == {"laptop-1": START + 2 * HOUR}
        await store.tidy(DAY_END)
        assert await values(store, query) == [("laptop-0", 30), ("laptop-2", 30)]


async def test_files_without_a_new_tag_or_field_are_read_too(
    tmp_path: Path,
) -> None:
    newer = type(PLAIN)(
        **{
            **struct_fields(PLAIN),
            "tags": (*PLAIN.tags, Tag("c", "new")),
            "fields": (*PLAIN.fields, Field("extra", "int", "1", "new")),
        }
    )
    old = batch((START, {"a": "x"}, {"whole": 1}))
    new = batch(
        (START, {"a": "x"}, {"whole": 2, "extra": 5}),
        (START + 1, {"a": "x", "c": "z"}, {"whole": 4, "extra": 7}),
    )
    folder = tmp_path / "s"
    async with EmbeddedStore(folder, CATALOGUE) as before:
        await before.write([old])
    query = ask("whole:sum", "extra:sum", by=("c",))
    async with EmbeddedStore(folder, Catalogue([newer])) as after:
        assert await values(after, query) == [("", 1, None)]
        await after.write([new])
        both = [("", 2, 5), ("z", 4, 7)]
        assert await values(after, query) == both
    async with EmbeddedStore(folder, CATALOGUE) as before:
        # The older version reads the newer files, and compacts them without loss.
        assert await values(before, ask("whole:sum")) == [(6,)]
        await before.tidy(DAY_END)
        assert await values(before, ask("whole:sum")) == [(6,)]
    async with EmbeddedStore(folder, Catalogue([newer])) as after:
        assert await values(after, query) == both


def test_the_files_are_plain_parquet_for_any_tool(tmp_path: Path) -> None:
    async def fill() -> None:
        async with EmbeddedStore(tmp_path, CATALOGUE) as store:
            await store.write([batch((START, {"a": "é"}, {"whole": 7, "real": 0.5}))])

    asyncio.run(fill())
    files = f"'{tmp_path}/shared/plain/*/*.parquet'"
    rows = duckdb.sql(
        f"SELECT epoch_ms(time_ms), a, whole, real FROM {files}"
    ).fetchall()
    assert [row[1:] for row in rows] == [("é", 7, 0.5)]
    assert (rows[0][0].year, rows[0][0].hour) == (2026, 0)
