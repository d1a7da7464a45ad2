"""A store's answer as series has what its rows have."""

from __future__ import annotations

import random
from pathlib import Path

from store_doubles import AnswerStore
from stores import CATALOGUE, DAY, HOUR, START, ask, batch

from collectors.store.answer_series import AnswerSeries, query_series, series_of_rows
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Row


def _plain(series: list[AnswerSeries]) -> list[object]:
    return [
        (tags, list(times), {name: str(list(v)) for name, v in values.items()})
        for tags, times, values in series
    ]


async def test_series_are_the_rows_of_each_group(tmp_path: Path) -> None:
    chance = random.Random(1)
    rows = [
        (
            START + chance.randrange(3 * DAY),
            {"a": chance.choice("xyz"), "b": chance.choice(("", "q"))},
            {"whole": chance.randrange(9)} if n % 3 else {"real": chance.random()},
        )
        for n in range(200)
    ]
    span = START, START + 3 * DAY
    asked = [
        ask("whole:sum", "real:max", by=("a", "b"), every=HOUR, span=span),
        ask("whole:sum", "whole:count", by=("a",), every=HOUR, span=span),
        ask("whole:max", every=DAY, span=span),
        ask("whole:max", by=("a",), every=DAY, span=(0, DAY)),
        ask("never:mean", by=("a",), every=DAY, span=span),
    ]
    async with EmbeddedStore(tmp_path, CATALOGUE) as store:
        await store.write([batch(*rows)])  # type: ignore[arg-type]
        for _ in range(2):
            for query in asked:
                of_rows = series_of_rows(await store.query(query), query)
                found = await store.series(query)
                assert _plain(found) == _plain(of_rows), query
            await store.tidy(START + 10 * DAY)


async def test_a_store_that_has_rows_alone_answers_too() -> None:
    query = ask("whole:sum", "real:max", by=("a",), every=HOUR)
    rows = [
        Row(START, {"a": "x"}, {"whole_sum": 3}),
        Row(START + HOUR, {"a": "x"}, {"whole_sum": 4, "real_max": 0.5}),
        Row(START, {"a": "y"}, {"real_max": 1.5}),
    ]
    found = await query_series(AnswerStore(lambda query: rows), query)
    assert _plain(found) == [
        (
            {"a": "x"},
            [START, START + HOUR],
            {"whole_sum": "[3.0, 4.0]", "real_max": "[nan, 0.5]"},
        ),
        ({"a": "y"}, [START], {"whole_sum": "[nan]", "real_max": "[1.5]"}),
    ]
