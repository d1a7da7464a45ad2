"""One contract, two stores: files with DuckDB, and a real InfluxDB, answer alike."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
import services
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import DAY, HOUR, START, ask, batch, embedded, influx, values

from collectors.store.query import Query, Row, Store, Where
from probes.wire.catalogue import Misfit
from probes.wire.percentiles import percentile

MINUTE = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Server]:
    with services.running(services.influxd(tmp_path_factory.mktemp("influx"))) as one:
        yield one


@pytest.fixture(params=["embedded", "influx"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "embedded":
        async with embedded(tmp_path) as store:
            yield store
    else:
        async with influx(request.getfixturevalue("server")) as other:
            yield other


async def test_every_aggregate_of_numbers(store: Store) -> None:
    reals = [9.5, 1.25, 4.0, -3.5, 7.0, 2.0, 8.0, 0.5, 6.0, 3.0, 5.0]
    await store.write(
        [
            batch(
                *(
                    (START + n * MINUTE, {"a": "x"}, {"real": v, "whole": n})
                    for n, v in enumerate(reals)
                )
            )
        ]
    )
    names = ("mean", "min", "max", "sum", "count", "last", "p50", "p95", "p99")
    (row,) = await values(store, ask(*(f"real:{n}" for n in names)))
    expected = (sum(reals) / 11, -3.5, 9.5, sum(reals), 11, 5.0, 4.0, 8.0, 9.5)
    assert row == pytest.approx(expected)
    (row,) = await values(store, ask(*(f"whole:{n}" for n in names)))
    assert row == (5.0, 0, 10, 55, 11, 10, 5, 9, 10)
    assert [type(value) for value in row] == [float] + [int] * 8


@pytest.mark.parametrize(
    ("count", "p50", "p95", "p99"),
    [
        (1, 1, 1, 1),
        (2, 1, 2, 2),
        (3, 2, 3, 3),
        (10, 5, 10, 10),
        (11, 6, 10, 11),
        (30, 15, 29, 30),
    ],
)
async def test_a_percentile_is_the_value_at_the_nearest_rank(
    store: Store, count: int, p50: int, p95: int, p99: int
) -> None:
    rows = [(START + n, {}, {"whole": n}) for n in range(count, 0, -1)]
    await store.write([batch(*rows)])
    query = ask("whole:p50", "whole:p95", "whole:p99")
    assert await values(store, query) == [(p50, p95, p99)]
    # What the agent and the grouping call a percentile is the same.
    ranks = [percentile(range(1, count + 1), percent) for percent in (50, 95, 99)]
    assert ranks == [p50, p95, p99]


async def test_percentiles_may_be_of_means(store: Store) -> None:
    """Percentiles of five-minute means, as suppliers bill, by group."""
    rows = [
        (START + n * MINUTE, {"a": a}, {"real": float(n % 5 + n // 5 * 10), "whole": n})
        for a in ("x", "y")
        for n in range(100)
        if a == "x" or n < 5
    ]
    await store.write([batch(*rows)])
    query = msgspec.structs.replace(
        ask("real:p50", "real:p95", "whole:p95", by=("a",)), mean_step_ms=5 * MINUTE
    )
    x, y = await values(store, query)
    # Means 2, 12, 22 … 192: the 10th and the 19th of twenty.
    assert (x, y) == (("x", 92.0, 182.0, 92.0), ("y", 2.0, 2.0, 2.0))
    assert {type(value) for value in (*x[1:], *y[1:])} == {float}


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(count=st.integers(1, 3000) | st.sampled_from([44_640, 44_639, 100_003]))
async def test_a_percentile_of_any_number_of_values_is_at_its_rank(
    tmp_path: Path, count: int
) -> None:
    async with embedded(tmp_path / str(count)) as files:
        rows = [(START + n, {"a": "x"}, {"whole": n + 1}) for n in range(count)]
        await files.write([batch(*rows)])
        percentiles = await values(files, ask("whole:p50", "whole:p95", "whole:p99"))
    assert percentiles == [tuple((count * p + 50) // 100 for p in (50, 95, 99))]


async def test_percentiles_of_buckets_of_very_different_size(store: Store) -> None:
    sizes = {("x", 0): 1, ("x", 1): 13, ("x", 3): 61, ("y", 1): 400, ("y", 2): 2}
    await store.write(
        [
            batch(
                *(
                    (START + hour * HOUR + n, {"a": a}, {"whole": n + 1})
                    for (a, hour), size in sizes.items()
                    for n in range(size)
                ),
                # Nothing to take a percentile of.
                (START + 4 * HOUR, {"a": "y"}, {"real": 1.0}),
            )
        ]
    )
    query = ask("whole:p50", "whole:p95", "whole:p99", by=("a",), every=HOUR)
    assert await values(store, query) == [
        (START + hour * HOUR, a, *((size * p + 50) // 100 for p in (50, 95, 99)))
        for (a, hour), size in sizes.items()
    ]


async def test_spans_of_any_length_may_be_the_buckets(store: Store) -> None:
    await store.write(
        [
            batch(
                *(
                    (START + n * MINUTE, {"a": a}, {"whole": n, "real": n / 2})
                    for a in ("x", "y")
                    for n in range(60)
                    if a == "x" or n < 20
                )
            )
        ]
    )
    spans = [(0, 1), (10, 15), (15, 31), (40, 90), (2000, 2001)]
    in_ms = tuple((START + a * MINUTE, START + b * MINUTE) for a, b in spans)
    query = msgspec.structs.replace(
        ask("whole:count", "whole:sum", "real:p95", "real:last", by=("a",)),
        spans=in_ms,
        from_ms=in_ms[0][0],
        to_ms=in_ms[-1][1],
    )
    assert await values(store, query) == [
        (START, "x", 1, 0, 0.0, 0.0),
        (START + 10 * MINUTE, "x", 5, 60, 7.0, 7.0),
        (START + 15 * MINUTE, "x", 16, 360, 14.5, 15.0),
        (START + 40 * MINUTE, "x", 20, 990, 29.0, 29.5),
        (START, "y", 1, 0, 0.0, 0.0),
        (START + 10 * MINUTE, "y", 5, 60, 7.0, 7.0),
        (START + 15 * MINUTE, "y", 5, 85, 9.5, 9.5),
    ]
    for wrong in (in_ms[:2], in_ms[::-1], (in_ms[0], in_ms[0], in_ms[-1])):
        with pytest.raises(Misfit, match="expected each to start after"):
            await store.query(msgspec.structs.replace(query, spans=wrong))


async def test_a_mean_is_weighted_by_what_it_counts(store: Store) -> None:
    await store.write(
        [
            batch(
                (START, {"a": "x"}, {"share": 0.5, "calls": 10, "text": "early"}),
                (START + 1, {"a": "y"}, {"share": 0.0, "calls": 990, "real": 2.5}),
                # Neither a share of nothing, nor one of an unknown number, takes part.
                (START + 2, {"a": "x"}, {"share": 1.0, "calls": 0}),
                (START + 3, {"a": "x"}, {"share": 1.0, "text": "last"}),
                (START + 4, {"a": "x"}, {"calls": 100, "whole": 7}),
            )
        ]
    )
    picks = ("share:mean", "share:weight", "share:count", "share:max", "calls:sum")
    assert await values(store, ask(*picks)) == [(0.005, 1000.0, 4, 1.0, 1100)]
    # Beside other aggregates, in groups and buckets.
    beside = ask("text:last", "share:mean", "real:p95", by=("a",), every=HOUR)
    assert await values(store, beside) == [
        (START, "x", "last", 0.5, None),
        (START, "y", None, 0.0, 2.5),
    ]
    only = (Where("a", ("y",)),)
    assert await values(store, ask("share:mean", where=only)) == [(0.0,)]
    other = (Where("a", ("y",), negate=True),)
    assert await values(store, ask("share:mean", where=other)) == [(0.5,)]
    # What has no weight in the catalogue counts each value once.
    assert await values(store, ask("whole:weight", "calls:weight")) == [(1.0, 4.0)]


async def test_a_mean_without_weight_is_absent(store: Store) -> None:
    await store.write(
        [
            batch(
                (START, {"a": "x"}, {"share": 0.5, "calls": 0}),
                (START + 1, {"a": "x"}, {"share": 0.5}),
            )
        ]
    )
    assert await store.query(ask("share:mean", "share:weight")) == []
    rows = await store.query(ask("share:mean", "share:weight", "share:count"))
    assert [row.values for row in rows] == [{"share_count": 2}]


async def test_texts_have_a_last_and_a_count(store: Store) -> None:
    await store.write(
        [
            batch(
                (START + 2, {"a": "x"}, {"text": 'the "last" \\ one\nand é 漢'}),
                (START + 1, {"a": "x"}, {"text": "first"}),
                (START + 3, {"a": "x"}, {"whole": 1}),
            )
        ]
    )
    query = ask("text:last", "text:count")
    assert await values(store, query) == [('the "last" \\ one\nand é 漢', 2)]
    with pytest.raises(Misfit, match="only last and count"):
        await store.query(ask("text:mean"))


async def test_groups_come_sorted_and_a_missing_tag_is_empty_text(store: Store) -> None:
    await store.write(
        [
            batch(
                (START, {"a": "y", "b": "1"}, {"real": 1.0}),
                (START, {"a": "x", "b": "2"}, {"real": 2.0}),
                (START, {"a": "x"}, {"real": 4.0}),
                (START, {"b": "2"}, {"real": 8.0}),
            )
        ]
    )
    by_a = await values(store, ask("real:sum", by=("a",)))
    assert by_a == [("", 8.0), ("x", 6.0), ("y", 1.0)]
    by_both = await values(store, ask("real:sum", by=("b", "a")))
    assert by_both == [
        ("", "x", 4.0),
        ("1", "y", 1.0),
        ("2", "", 8.0),
        ("2", "x", 2.0),
    ]
    assert await values(store, ask("real:sum")) == [(15.0,)]


@pytest.mark.parametrize(
    ("where", "total"),
    [
        (Where("a", ("x",)), 1.0),
        (Where("a", ("x", "y")), 3.0),
        (Where("a", ("x",), negate=True), 6.0),
        (Where("a", ("x", "y"), negate=True), 4.0),
        (Where("a", ("",)), 4.0),
        (Where("a", ("", "x")), 5.0),
        (Where("a", ("",), negate=True), 3.0),
        (Where("b", ("",)), 7.0),
        (Where("b", ("",), negate=True), None),
        (Where("b", ("x",), negate=True), 7.0),
        (Where("b", ("x",)), None),
        (Where("a", ()), None),
        (Where("a", (), negate=True), 7.0),
        (Where("a", ("x' OR 'a' = 'a",)), None),
    ],
)
async def test_where_selects_by_tags(
    store: Store, where: Where, total: float | None
) -> None:
    await store.write(
        [
            batch(
                (START, {"a": "x"}, {"real": 1.0}),
                (START, {"a": "y"}, {"real": 2.0}),
                (START, {}, {"real": 4.0}),
            )
        ]
    )
    expected = [] if total is None else [(total,)]
    assert await values(store, ask("real:sum", where=(where,))) == expected


async def test_ranges_are_half_open_and_buckets_start_at_multiples(
    store: Store,
) -> None:
    await store.write(
        [batch(*((START + n * 1000, {}, {"whole": n}) for n in range(20)))]
    )
    query = ask(
        "whole:min",
        "whole:max",
        "whole:count",
        every=7000,
        span=(START + 3000, START + 15_000),
    )
    expected: dict[int, list[int]] = {}
    for n in range(3, 15):
        time = START + n * 1000
        expected.setdefault(time // 7000 * 7000, []).append(n)
    assert await values(store, query) == [
        (time, min(seen), max(seen), len(seen)) for time, seen in expected.items()
    ]


async def test_an_empty_bucket_is_absent_and_so_is_an_absent_value(
    store: Store,
) -> None:
    await store.write(
        [
            batch(
                (START, {"a": "x"}, {"real": 1.0, "whole": 1}),
                (START + 5 * HOUR, {"a": "x"}, {"real": 2.0}),
                (START + 5 * HOUR, {"a": "y"}, {"whole": 3}),
            )
        ]
    )
    query = ask("real:mean", "whole:count", by=("a",), every=HOUR)
    assert await store.query(query) == [
        Row(START, {"a": "x"}, {"real_mean": 1.0, "whole_count": 1}),
        Row(START + 5 * HOUR, {"a": "x"}, {"real_mean": 2.0}),
        Row(START + 5 * HOUR, {"a": "y"}, {"whole_count": 1}),
    ]
    assert await store.query(ask("never:mean", "never:count", "never:last")) == []
    assert await store.query(ask("real:mean", span=(0, 1000))) == []


async def test_a_measurement_that_was_never_written_is_empty(store: Store) -> None:
    assert await store.query(ask("rtt_ms:mean", measurement="private")) == []
    with pytest.raises(Misfit, match="did you mean 'plain'"):
        await store.query(ask("real:mean", measurement="plane"))


async def test_the_same_row_twice_is_one_row(store: Store) -> None:
    rows = batch(*((START + n, {"a": "x"}, {"whole": n}) for n in range(5)))
    await store.write([rows])
    await store.write([rows, rows])
    assert await values(store, ask("whole:count", "whole:sum")) == [(5, 10)]


async def test_the_last_value_of_each_field_is_kept(store: Store) -> None:
    await store.write([batch((START, {"a": "x"}, {"whole": 1, "real": 1.0}))])
    await store.write([batch((START, {"a": "x"}, {"whole": 2}))])
    await store.write(
        [
            batch((START, {"a": "x"}, {"text": "early"})),
            batch(
                (START, {"a": "x"}, {"text": "late"}),
                (START, {"a": "x"}, {"text": "latest"}),
            ),
        ]
    )
    query = ask("whole:sum", "real:sum", "text:last", "text:count")
    assert await values(store, query) == [(2, 1.0, "latest", 1)]


async def test_large_integers_stay_exact(store: Store) -> None:
    huge = 2**63 - 1
    await store.write(
        [
            batch(
                (START, {"a": "x"}, {"whole": huge}),
                (START + 1, {"a": "x"}, {"whole": huge - 1}),
                (START, {"a": "y"}, {"whole": -(2**63)}),
            )
        ]
    )
    query = ask("whole:last", "whole:max", "whole:p50", by=("a",))
    assert await values(store, query) == [
        ("x", huge - 1, huge, huge - 1),
        ("y", -(2**63), -(2**63), -(2**63)),
    ]


async def test_late_rows_and_rows_out_of_order_are_rows(store: Store) -> None:
    old = START - 40 * DAY
    await store.write([batch((START + 9, {}, {"whole": 9}))])
    await store.write([batch((START + 3, {}, {"whole": 3}), (old, {}, {"whole": 1}))])
    await store.write([batch((START + 6, {}, {"whole": 6}))])
    query = ask("whole:count", "whole:last", span=(old, START + DAY))
    assert await values(store, query) == [(4, 9)]


async def test_personal_rows_are_stored_separately(store: Store) -> None:
    await store.write(
        [
            batch((START, {"agent": "p1"}, {"rtt_ms": 5.0}), measurement="private"),
            batch((START, {"a": "x"}, {"real": 1.0})),
        ]
    )
    query = ask("rtt_ms:mean", by=("agent",), measurement="private")
    assert await values(store, query) == [("p1", 5.0)]


async def test_erasing_an_agent_leaves_the_others(store: Store) -> None:
    for hour in range(3):
        rows = [
            (START + hour * HOUR, {"agent": agent}, {"ok": 1, "rtt_ms": 5.0})
            for agent in ("it's me", "other")
        ]
        await store.write([batch(*rows, measurement="private")])
    assert await store.erase("it's me") == 3  # type: ignore[attr-defined]
    query = ask("ok:count", by=("agent",), measurement="private")
    assert await values(store, query) == [("other", 3)]
    assert await store.erase("it's me") == 0  # type: ignore[attr-defined]


_tags = st.text(max_size=12) | st.sampled_from(
    ["a,b", "a b", "a=b", "q'q", 'd"d', "back\\", "\\", "\\,", "/re.*/", "$site", "\n"]
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tags=st.lists(st.tuples(_tags, _tags), min_size=1, max_size=8, unique=True))
async def test_any_text_in_a_tag_can_be_queried(
    server: services.Server,
    tmp_path: Path,
    tags: list[tuple[str, str]],
) -> None:
    rows = batch(*((START, {"a": a, "b": b}, {"whole": 1}) for a, b in tags))
    answers = []
    async with embedded(tmp_path) as files, influx(server) as database:
        for store in (files, database):
            await store.write([rows])
            grouped = await values(store, ask("whole:count", by=("a", "b")))
            assert sum(count for *_, count in grouped) == len(  # type: ignore[misc]
                {(a, b) for a, b, _ in grouped}
            )
            answer = []
            for a, b in tags:
                where = (Where("a", (a,)), Where("b", (b,)))
                answer.append(await values(store, ask("whole:sum", where=where)))
            assert all(answer)
            answers.append((grouped, answer))
    assert answers[0] == answers[1]


_row = st.tuples(
    st.integers(0, 12).map(lambda n: START + n * 30 * MINUTE),
    st.fixed_dictionaries(
        {}, optional={"a": st.sampled_from("xyz"), "b": st.sampled_from("pq")}
    ),
    st.fixed_dictionaries(
        {"whole": st.none() | st.integers(-(2**40), 2**40)},
        optional={
            "real": st.floats(-1e12, 1e12, allow_nan=False),
            "share": st.floats(0, 1, allow_subnormal=False),
            "calls": st.integers(0, 1000),
            "text": st.sampled_from(["", "u", "v", 'w"\\']),
        },
    ),
)
_pick = st.sampled_from(
    [
        f"{field}:{aggregate}"
        for field in ("whole", "real")
        for aggregate in ("mean", "min", "max", "sum", "count", "p50", "p95", "p99")
    ]
    + ["share:mean", "share:weight", "share:sum", "calls:weight", "calls:mean"]
    + ["text:count", "never:mean"]
)
_where = st.builds(
    Where,
    tag=st.sampled_from("ab"),
    values=st.lists(st.sampled_from(["x", "y", "p", ""]), max_size=3).map(tuple),
    negate=st.booleans(),
)
_query = st.builds(
    lambda picks, where, by, every, start, length: ask(
        *picks, where=where, by=by, every=every, span=(start, start + length)
    ),
    st.lists(_pick, min_size=1, max_size=6, unique=True),
    st.lists(_where, max_size=2).map(tuple),
    st.lists(st.sampled_from("ab"), max_size=2, unique=True).map(tuple),
    st.none() | st.sampled_from([1000, 7 * MINUTE, HOUR, 5 * HOUR, DAY]),
    st.integers(START - HOUR, START + 3 * HOUR),
    st.integers(1, 8 * HOUR),
)


def _alike(one: list[Row], other: list[Row]) -> bool:
    return len(one) == len(other) and all(
        (a.time_ms, a.tags, set(a.values)) == (b.time_ms, b.tags, set(b.values))
        and all(
            type(a.values[name]) is type(b.values[name])
            and (
                a.values[name] == b.values[name]
                # A float sum depends on its order, as far as the largest term goes.
                or math.isclose(
                    float(a.values[name]),
                    float(b.values[name]),
                    rel_tol=1e-9,
                    abs_tol=1e-2 if name.endswith(("_sum", "_mean")) else 0,
                )
            )
            for name in a.values
        )
        for a, b in zip(one, other, strict=True)
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    writes=st.lists(st.lists(_row, min_size=1, max_size=12), min_size=1, max_size=4),
    queries=st.lists(_query, min_size=1, max_size=6),
    tidied=st.booleans(),
)
async def test_both_stores_answer_any_query_the_same(
    server: services.Server,
    tmp_path: Path,
    writes: list[list[tuple[int, dict[str, str], dict[str, int | float | str | None]]]],
    queries: list[Query],
    tidied: bool,
) -> None:
    async with embedded(tmp_path) as files, influx(server) as database:
        for rows in writes:
            for store in (files, database):
                await store.write([batch(*rows)])
        if tidied:
            await files.tidy(START + 3 * HOUR)
        for query in queries:
            ours, theirs = await files.query(query), await database.query(query)
            assert _alike(ours, theirs), (query, ours, theirs)
