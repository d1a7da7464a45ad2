"""Both stores, files with DuckDB and a real InfluxDB, select and keep the same rows."""

from __future__ import annotations

import pytest
from stores import DAY, HOUR, START, ask, batch, values

from collectors.store.query import Row, Store, Where
from probes.wire.catalogue import Misfit


async def test_groups_are_sorted_and_a_missing_tag_is_empty_text(store: Store) -> None:
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
        (time, min(numbers), max(numbers), len(numbers))
        for time, numbers in expected.items()
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


async def test_late_rows_and_rows_out_of_order_are_stored(store: Store) -> None:
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
