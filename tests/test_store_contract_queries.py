"""Both stores, files with DuckDB and a real InfluxDB, answer any query the same."""

from __future__ import annotations

import math
from pathlib import Path

import services
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import DAY, HOUR, START, ask, batch, embedded, influx, values

from collectors.store.query import Query, Row, Where

MINUTE = 60_000

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
    influx_server: services.Server,
    tmp_path: Path,
    tags: list[tuple[str, str]],
) -> None:
    rows = batch(*((START, {"a": a, "b": b}, {"whole": 1}) for a, b in tags))
    answers = []
    async with embedded(tmp_path) as files, influx(influx_server) as database:
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


def _alike(ours: list[Row], theirs: list[Row]) -> bool:
    return len(ours) == len(theirs) and all(
        (a.time_ms, a.tags, set(a.values)) == (b.time_ms, b.tags, set(b.values))
        and all(
            type(a.values[name]) is type(b.values[name])
            and (
                a.values[name] == b.values[name]
                # A float sum depends on the order of its terms.
                or math.isclose(
                    float(a.values[name]),
                    float(b.values[name]),
                    rel_tol=1e-9,
                    abs_tol=1e-2 if name.endswith(("_sum", "_mean")) else 0,
                )
            )
            for name in a.values
        )
        for a, b in zip(ours, theirs, strict=True)
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
    influx_server: services.Server,
    tmp_path: Path,
    writes: list[list[tuple[int, dict[str, str], dict[str, int | float | str | None]]]],
    queries: list[Query],
    tidied: bool,
) -> None:
    async with embedded(tmp_path) as files, influx(influx_server) as database:
        for rows in writes:
            for store in (files, database):
                await store.write([batch(*rows)])
        if tidied:
            await files.tidy(START + 3 * HOUR)
        for query in queries:
            ours, theirs = await files.query(query), await database.query(query)
            assert _alike(ours, theirs), (query, ours, theirs)


async def test_the_latest_values_of_short_steps_are_alike_in_both_stores(
    influx_server: services.Server, tmp_path: Path
) -> None:
    """InfluxDB returns the rows of steps that are no longer than the time between two
    rows, instead of grouping them."""
    rows = batch(
        (START - 5_000, {"a": "x", "b": "p"}, {"whole": 1, "text": "before"}),
        (START + 1_000, {"a": "x", "b": "p"}, {"whole": 2, "text": "old"}),
        # Another series of the same group, without the text; a step has both.
        (START + 9_000, {"a": "x", "b": "q"}, {"whole": 3}),
        (START + 12_000, {"a": "x", "b": "p"}, {"real": 0.5}),
        (START + 65_000, {"a": "y"}, {"whole": 4, "text": ""}),
        (START + 130_000, {"b": "q"}, {"whole": 5, "real": 7.0}),
        (START + 600_000, {"a": "x", "b": "p"}, {"whole": 9}),
    )
    answers = []
    async with embedded(tmp_path) as files, influx(influx_server) as database:
        for store in (files, database):
            await store.write([rows])
            answers.append(
                [
                    await values(
                        store,
                        ask(
                            "whole:last",
                            "text:last",
                            "real:last",
                            by=by,
                            every=every,
                            where=where,
                            span=(START - 2_000, START + 600_000),
                        ),
                    )
                    for by in ((), ("a",), ("b", "a"))
                    for every in (10_000, 7_000, MINUTE, 2 * MINUTE)
                    for where in ((), (Where("a", ("x",)),))
                ]
            )
    assert answers[0] == answers[1]
    assert (START, "x", 3, "old", None) in answers[0][8]
