"""Both stores, files with DuckDB and a real InfluxDB, calculate the same aggregates."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import HOUR, START, ask, batch, embedded, values

from collectors.store.query import Highest, SelectedSpan, Store, Where
from probes.wire.catalogue import Misfit
from probes.wire.percentiles import percentile

MINUTE = 60_000


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
    # The agent and the grouping calculate the same percentile.
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
    # Of each `a`, the two highest of `b`, and one that is equal to the second.
    groups = {("p", "1"): 5.0, ("p", "2"): 7.0, ("p", "3"): 5.0, ("p", "4"): 1.0}
    groups |= {("q", "1"): 0.5}
    await store.write(
        [
            batch(
                *(
                    (START, {"a": a, "b": b}, {"real": v})
                    for (a, b), v in groups.items()
                )
            )
        ]
    )
    query = msgspec.structs.replace(
        ask("real:p95", by=("a", "b"), where=(Where("a", ("p", "q")),)),
        mean_step_ms=5 * MINUTE,
        highest=Highest(2, "a", ("b",)),
    )
    assert await values(store, query) == [
        (*group, value) for group, value in groups.items() if value != 1.0
    ]


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
                # This bucket has no value to calculate a percentile from.
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


async def test_only_rows_of_one_of_the_selections_count(store: Store) -> None:
    await store.write(
        [
            batch(
                *(
                    (START + n * MINUTE, {"a": a}, {"whole": 1})
                    for a in ("x", "y", "z")
                    for n in range(60)
                )
            )
        ]
    )
    query = msgspec.structs.replace(
        ask("whole:count", by=("a",), every=10 * MINUTE),
        from_ms=START + 5 * MINUTE,
        to_ms=START + 55 * MINUTE,
        selections=tuple(
            SelectedSpan(START + begin * MINUTE, START + end * MINUTE, "a", values)
            for begin, end, values in (
                (5, 10, ("x", "y")),
                (20, 30, ("z",)),
                (30, 40, ("x", "other")),
                (50, 55, ("y",)),
            )
        ),
    )
    assert await values(store, query) == [
        (START, "x", 5),
        (START + 30 * MINUTE, "x", 10),
        (START, "y", 5),
        (START + 50 * MINUTE, "y", 5),
        (START + 20 * MINUTE, "z", 10),
    ]
    for wrong in (
        {"selections": query.selections[::-1]},
        {"selections": query.selections[:2], "every_ms": 20 * MINUTE},
        {"every_ms": None},
        {"to_ms": START + 50 * MINUTE},
    ):
        with pytest.raises(Misfit, match="expected buckets of every_ms"):
            await store.query(msgspec.structs.replace(query, **wrong))


async def test_a_mean_is_weighted_by_its_weight_field(store: Store) -> None:
    await store.write(
        [
            batch(
                (START, {"a": "x"}, {"share": 0.5, "calls": 10, "text": "early"}),
                (START + 1, {"a": "y"}, {"share": 0.0, "calls": 990, "real": 2.5}),
                # A share of no calls, or of an unknown number, does not count.
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
    # If a field has no weight in the catalogue, each value counts once.
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
