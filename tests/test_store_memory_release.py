"""A long piece of work gives memory back, and gets the same answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow as pa
import pytest
from stores import START, ask, batch, embedded

from collectors.store import memory_release
from collectors.store.memory_release import SparingStore, release_memory


@pytest.mark.parametrize("most_growth", [-1, 10**12])
async def test_answers_are_the_same_whether_or_not_memory_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_growth: int
) -> None:
    monkeypatch.setattr(memory_release, "_MOST_GROWTH_BYTES", most_growth)
    query = ask("whole:sum", every=3_600_000, by=("a",))
    async with embedded(tmp_path) as store:
        await store.write([batch((START, {"a": "x"}, {"whole": 7}))])
        used = store._duckdb._connection
        sparing = SparingStore(store)
        # Its memory is given back with the rest.
        assert pa.default_memory_pool().backend_name == "system"
        for _ in range(2):
            assert await sparing.query(query) == await store.query(query)
            assert await sparing.series(query) == await store.series(query)
        assert (store._duckdb._connection is used) == (most_growth > 0)
        await release_memory(sparing)
        assert await sparing.query(query) == await store.query(query)
        assert store._duckdb._connection is not used


async def test_two_that_release_memory_while_queries_run_do_not_wait_for_one_another(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as store:
        slots = store._duckdb._slots
        for _ in range(2):
            await slots.acquire()
        releases = [asyncio.create_task(store.release_memory()) for _ in range(2)]
        for _ in range(2):
            await asyncio.sleep(0)
            slots.release()
        async with asyncio.timeout(10):
            await asyncio.gather(*releases)
