"""What the status page queries, and the cache between the page and the store."""

from __future__ import annotations

import asyncio
from typing import Any

from council_page import NOW_MS, page_client
from store_doubles import AnswerStore

from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query, check_query
from dashboards.query_cache import QueryCache, rounded
from dashboards.web import page_queries


def test_the_page_queries_only_catalogued_data_and_none_about_one_laptop() -> None:
    store = AnswerStore(lambda query: [])
    with page_client(store=store) as client:
        for path in (
            "/",
            "/sites/depot",
            "/alerts",
            "/devices/dep-sw1",
            "/devices/dep-sw1/port?name=x",
            "/search?q=dep",
        ):
            client.get(path)
    assert len(store.asked) >= 8
    for query in store.asked:
        check_query(query, CATALOGUE)
        assert not CATALOGUE.measurement(query.measurement).personal


def test_many_readers_of_one_page_cause_one_query_to_the_store() -> None:
    store = AnswerStore(lambda query: [])

    async def read() -> None:
        answers = QueryCache(store, lambda: NOW_MS)
        query = page_queries.polls(rounded(NOW_MS))
        await asyncio.gather(*(answers.query(query) for _ in range(50)))
        await answers.query(query)

    asyncio.run(read())
    assert len(store.asked) == 1


def test_a_cached_answer_that_is_too_old_is_queried_again() -> None:
    store = AnswerStore(lambda query: [])
    clock = [NOW_MS]

    async def read() -> None:
        answers = QueryCache(store, lambda: clock[0], keep_ms=1000)
        query = page_queries.polls(NOW_MS)
        await answers.query(query)
        clock[0] += 1001
        await answers.query(query)

    asyncio.run(read())
    assert len(store.asked) == 2


def test_a_store_that_never_answers_does_not_delay_the_page_past_its_timeout() -> None:
    class Stuck(AnswerStore):
        async def query(self, query: Query) -> list[Any]:
            await asyncio.Event().wait()
            return []

    async def read() -> tuple[Any, str]:
        answers = QueryCache(Stuck(lambda q: []), lambda: NOW_MS, timeout_s=0.05)
        return await answers.query(page_queries.polls(NOW_MS)), answers.failing

    rows, why = asyncio.run(read())
    assert rows is None
    assert why
