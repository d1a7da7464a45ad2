"""Roll-ups of the embedded store: they answer as the rows do, or not at all."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stores import CATALOGUE, DAY, HOUR, PLAIN, START, ask, batch, embedded

from collectors.store.arrow_tables import metadata
from collectors.store.file_layout import DAY_MS, day_name
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Aggregate, Pick, Query, Row, Where
from collectors.store.rollup import STEPS_MS, steps_of
from collectors.store.rollup_writer import roll_up
from probes.wire.catalogue import Catalogue, Measurement
from probes.wire.sample import Value

MINUTE = 60_000
EXACT: tuple[Aggregate, ...] = (
    "mean",
    "min",
    "max",
    "sum",
    "count",
    "last",
    "weight",
)
CLOSED = START + 2 * DAY + 95 * MINUTE


def files(folder: Path, label: str) -> list[Path]:
    """All files of the roll-ups of that step."""
    return sorted(folder.rglob(f"shared-{label}/*/*/*.parquet"))


def question(every_ms: int | None, *picks: Pick, by: tuple[str, ...] = ()) -> Query:
    return Query(
        "plain",
        picks,
        START - 7 * MINUTE,
        START + 2 * DAY + 3 * HOUR,
        group_by=by,
        every_ms=every_ms,
    )


def near(value: Value) -> object:
    """Sums of floats in another order differ in their last digits."""
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def same(rows: list[Row]) -> list[object]:
    return [
        (r.time_ms, r.tags, {name: near(v) for name, v in r.values.items()})
        for r in rows
    ]


def plain(rows: list[Row]) -> list[object]:
    return [(r.time_ms, r.tags, r.values) for r in rows]


def age(folder: Path) -> None:
    """Superseded files are deleted only after a while."""
    old = time.time() - 3600
    for path in folder.rglob("*.parquet"):
        os.utime(path, (old, old))


def some_rows(chance: random.Random, first: int, last: int, count: int) -> list[object]:
    rows: list[object] = []
    for _ in range(count):
        fields: dict[str, object] = {}
        if chance.random() < 0.8:
            fields["share"] = chance.random()
        if chance.random() < 0.8:
            fields["calls"] = chance.randrange(0, 40)
        if chance.random() < 0.9:
            fields["whole"] = chance.randrange(-1000, 1000)
        if chance.random() < 0.7:
            fields["real"] = chance.uniform(-1, 1)
        if chance.random() < 0.5 or not fields:
            fields["text"] = chance.choice(["é", "b", "'c'"])
        tags = {"a": chance.choice("xyz"), "b": chance.choice(["1", ""])}
        rows.append((chance.randrange(first, last), tags, fields))
    return rows


@pytest.mark.parametrize("seed", [1, 2])
async def test_rolled_up_days_answer_every_query_as_the_rows_do(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    numbers = [Pick(f, a) for f in ("whole", "real") for a in EXACT]
    numbers += [Pick("share", "mean"), Pick("share", "weight")]
    texts = [Pick("text", "last"), Pick("text", "count"), Pick("never", "mean")]
    queries = [
        question(every, *numbers, *texts, by=by)
        for every in (None, 5 * MINUTE, HOUR, 6 * HOUR, DAY, 2 * DAY)
        for by in ((), ("b", "a"))
    ]
    for minutes in (7, 5, 60):
        edges = [START + n * minutes * MINUTE for n in (0, 9, 12, 13, 24, 25, 28)]
        spans = tuple(zip(edges[::2], [*edges[1::2], START + 2 * DAY], strict=True))
        queries.append(
            msgspec.structs.replace(
                question(None, *numbers, *texts, by=("a",)),
                from_ms=START,
                to_ms=START + 2 * DAY,
                spans=spans,
            )
        )
    queries.append(
        Query(
            "plain",
            (Pick("whole", "sum"), Pick("whole", "p95")),
            START,
            START + 2 * DAY,
            where=(Where("a", ("x",)),),
        )
    )
    async with embedded(tmp_path) as store:
        # Two days that are over, and the beginning of a third.
        for _ in range(6):
            rows = some_rows(chance, START, START + 2 * DAY + 2 * HOUR, 100)
            await store.write([batch(*rows)])  # type: ignore[arg-type]
        before = [await store.query(query) for query in queries]
        await store.tidy(CLOSED)
        labels = STEPS_MS.values()
        assert [len(files(tmp_path, label)) for label in labels] == [2, 2, 2]
        for query, expected in zip(queries, before, strict=True):
            assert plain(await store.query(query)) == same(expected), query
        # As after an upgrade from a version that had no whole days.
        for path in files(tmp_path, "1d"):
            path.unlink()
        for query, expected in zip(queries, before, strict=True):
            assert plain(await store.query(query)) == same(expected), query
        await store.tidy(CLOSED + 2 * HOUR)
        assert len(files(tmp_path, "1d")) == 2


async def test_late_rows_are_seen_at_once_and_rolled_up_again(tmp_path: Path) -> None:
    query = ask("whole:sum", "whole:count", span=(START, START + DAY))
    async with embedded(tmp_path) as store:
        rows = [(START + n * MINUTE, {"a": "x"}, {"whole": 1}) for n in range(1440)]
        await store.write([batch(*rows[:700])])
        await store.write([batch(*rows[700:])])
        await store.tidy(CLOSED)
        (rolled,) = files(tmp_path, "1h")
        assert (await store.query(query))[0].values["whole_sum"] == 1440

        late = (START + 30, {"a": "x"}, {"whole": 5})
        changed = (START, {"a": "x"}, {"whole": 100})
        await store.write([batch(late, changed)])
        values_before = (await store.query(query))[0].values
        assert values_before == {"whole_sum": 1440 + 5 + 99, "whole_count": 1441}

        age(tmp_path)
        await store.tidy(CLOSED + 2 * HOUR)
        age(tmp_path)
        await store.tidy(CLOSED + 4 * HOUR)
        (again,) = files(tmp_path, "1h")
        assert again.name != rolled.name
        assert (await store.query(query))[0].values == values_before


async def test_a_damaged_or_missing_roll_up_only_costs_time(
    tmp_path: Path,
) -> None:
    query = ask("whole:sum", span=(START, START + DAY))
    async with embedded(tmp_path) as store:
        await store.write([batch((START, {"a": "x"}, {"whole": 7}))])
        await store.tidy(CLOSED)
        for label in STEPS_MS.values():
            (rolled,) = files(tmp_path, label)
            rolled.write_bytes(b"PAR1 not really PAR1")
            assert (await store.query(query))[0].values == {"whole_sum": 7}
            # Deleted, so that it is made again.
            assert not rolled.exists()
            assert (await store.query(query))[0].values == {"whole_sum": 7}


async def test_a_roll_up_made_before_its_weights_were_declared_is_made_again(
    tmp_path: Path,
) -> None:
    unweighted = msgspec.structs.replace(
        PLAIN,
        fields=tuple(msgspec.structs.replace(f, weight="") for f in PLAIN.fields),
    )
    rows = (
        (START, {"a": "x"}, {"share": 1.0, "calls": 1}),
        (START + 1, {"a": "x"}, {"share": 0.0, "calls": 9}),
    )
    query = ask("share:mean", span=(START, START + DAY))
    async with EmbeddedStore(tmp_path, Catalogue((unweighted,))) as store:
        await store.write([batch(*rows)])
        await store.tidy(CLOSED)
        (old,) = files(tmp_path, "1h")
        assert (await store.query(query))[0].values == {"share_mean": 0.5}
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        assert (await store.query(query))[0].values == {"share_mean": 0.1}
        await store.tidy(CLOSED)
        (new,) = files(tmp_path, "1h")
        assert new != old
        assert (await store.query(query))[0].values == {"share_mean": 0.1}


async def test_a_rolled_up_day_is_read(tmp_path: Path) -> None:
    """A roll-up with another value is returned: so the roll-up is what was read."""
    async with embedded(tmp_path / "a") as changed, embedded(tmp_path / "b") as other:
        for store, value in ((changed, 7), (other, 8)):
            await store.write([batch((START, {"a": "x"}, {"whole": value}))])
            await store.tidy(CLOSED)
        (mine,), (theirs,) = files(tmp_path / "a", "1d"), files(tmp_path / "b", "1d")
        mine.write_bytes(theirs.read_bytes())
        whole = ask("whole:sum", span=(START, START + DAY))
        part = ask("whole:sum", span=(START, START + DAY - 1))
        ranked = ask("whole:p50", span=(START, START + DAY))
        assert (await changed.query(whole))[0].values == {"whole_sum": 8}
        assert (await changed.query(part))[0].values == {"whole_sum": 7}
        assert (await changed.query(ranked))[0].values == {"whole_p50": 7}


def test_the_parts_of_a_day_are_joined_to_few_row_groups(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "time_ms": [START + n * 150_000 for n in range(576)] * 200,
            "a": [f"series {n // 576:03d}" for n in range(576 * 200)],
            "whole": list(range(576 * 200)),
        }
    ).replace_schema_metadata(metadata(["a"]))
    made = []
    for row_group in (1001, 576 * 200):
        source, target = tmp_path / f"{row_group}", tmp_path / f"{row_group}-5m"
        pq.write_table(rows, source, row_group_size=row_group)
        roll_up(str(source), target, 5 * MINUTE, PLAIN)
        made.append(pq.ParquetFile(target))
    assert [file.num_row_groups for file in made] == [2, 1]
    in_parts, at_once = (
        file.read().sort_by([("a", "ascending"), ("time_ms", "ascending")])
        for file in made
    )
    # Two rows of each five minutes, also of those that two parts share.
    assert set(in_parts["whole:n"].to_pylist()) == {2}
    assert in_parts.equals(at_once)


async def test_roll_ups_go_with_their_days_and_laptops_have_none(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as store:
        await store.write(
            [
                batch((START, {"a": "x"}, {"whole": 7})),
                batch(
                    (START, {"agent": "p", "home_site": "h"}, {"ok": 1}),
                    measurement="private",
                ),
            ]
        )
        await store.tidy(CLOSED)
        assert len(files(tmp_path, "5m")) == 1
        assert "private" not in str(files(tmp_path, "5m"))
        await store.tidy(START + (PLAIN.retention_days + 2) * DAY_MS)
        assert files(tmp_path, "5m") == []


def test_the_longest_step_that_is_exact_is_chosen() -> None:
    def of(every_ms: int | None, aggregate: Aggregate = "mean") -> int | None:
        return first(question(every_ms, Pick("whole", aggregate)))

    def first(query: Query, declared: Measurement = PLAIN) -> int | None:
        return next(iter(steps_of(query, declared)), None)

    day, hour, five = STEPS_MS
    assert (day, hour, five) == (DAY, HOUR, 5 * MINUTE)
    assert [of(e) for e in (None, DAY, 2 * DAY)] == [day] * 3
    assert [of(e) for e in (HOUR, 3 * HOUR, 36 * HOUR)] == [hour] * 3
    assert [of(e) for e in (5 * MINUTE, 10 * MINUTE, 90 * MINUTE)] == [five] * 3
    assert [of(e) for e in (MINUTE, 7 * MINUTE)] == [None, None]
    assert {a for a in get_args(Aggregate) if of(HOUR, a) is None} == {
        "p50",
        "p95",
        "p99",
    }
    in_spans = question(None, Pick("whole"))
    for start, step in ((HOUR, hour), (10 * MINUTE, five), (MINUTE, None)):
        spans = ((0, start), (2 * HOUR, 3 * HOUR))
        assert first(msgspec.structs.replace(in_spans, spans=spans)) == step
    private = CATALOGUE.measurement("private")
    assert first(question(HOUR, Pick("ok", "mean")), private) is None


def delete_rows(folder: Path, day: str) -> None:
    for path in folder.rglob(f"shared/plain/{day}/*.parquet"):
        path.unlink()


async def test_a_day_whose_rows_were_deleted_is_answered_by_its_roll_ups(
    tmp_path: Path,
) -> None:
    whole = ask("whole:sum", "whole:last", span=(START, START + 2 * DAY))
    part = ask("whole:sum", span=(START + 12 * HOUR, START + 2 * DAY))
    rows = [(START + n * MINUTE, {"a": "x"}, {"whole": 1}) for n in range(2 * 1440)]
    async with embedded(tmp_path) as store:
        await store.write([batch(*rows)])
        await store.tidy(CLOSED)
        delete_rows(tmp_path, day_name(START))
        for now_ms in (CLOSED, CLOSED + 2 * HOUR):
            await store.tidy(now_ms)
            [answer] = await store.query(whole)
            assert answer.values == {"whole_sum": 2880, "whole_last": 1}
            [answer] = await store.query(part)
            assert answer.values == {"whole_sum": 2880 - 720}
            assert await store.tag_values(
                ask(by=("a",), span=(START, START + DAY)), 10
            ) == ["x"]
            # Percentiles are of rows.
            assert not await store.query(ask("whole:p95", span=(START, START + DAY)))


async def test_a_day_of_one_hour_whose_rows_were_deleted_is_answered_by_its_roll_ups(
    tmp_path: Path,
) -> None:
    query = ask("whole:sum", span=(START, START + DAY))
    async with embedded(tmp_path) as store:
        await store.write([batch((START + 4 * HOUR, {"a": "x"}, {"whole": 7}))])
        await store.tidy(CLOSED)
        # Its only file keeps the name of the hour.
        [rolled] = files(tmp_path, "1d")
        assert rolled.name.startswith("04-")
        delete_rows(tmp_path, day_name(START))
        assert [row.values for row in await store.query(query)] == [{"whole_sum": 7}]
        await store.write([batch((START + 5 * HOUR, {"a": "x"}, {"whole": 5}))])
        for hours in (0, 2):
            await store.tidy(CLOSED + hours * HOUR)
            [answer] = await store.query(query)
            assert answer.values == {"whole_sum": 12}


async def test_late_rows_of_a_day_whose_rows_were_deleted_are_added_to_it(
    tmp_path: Path,
) -> None:
    query = ask("whole:sum", "whole:count", span=(START, START + DAY))
    rows = [(START + n * MINUTE, {"a": "x"}, {"whole": 1}) for n in range(1440)]
    async with embedded(tmp_path) as store:
        await store.write([batch(*rows)])
        await store.tidy(CLOSED)
        delete_rows(tmp_path, day_name(START))
        for n in range(2):
            await store.write([batch((START + 30 + n, {"a": "x"}, {"whole": 5}))])
        expected = {"whole_sum": 1440 + 10, "whole_count": 1442}
        assert (await store.query(query))[0].values == expected
        for hours in (2, 4, 6):
            age(tmp_path)
            await store.tidy(CLOSED + hours * HOUR)
            assert (await store.query(query))[0].values == expected
        assert len(files(tmp_path, "1d")) == 2
        await store.tidy(START + (PLAIN.retention_days + 2) * DAY_MS)
        assert files(tmp_path, "1d") == []
