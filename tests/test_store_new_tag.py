"""A tag that is newer than the files of the embedded store, and a query that needs more
memory than it may have."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from stores import CATALOGUE, DAY, HOUR, PERSONAL, PLAIN, START, ask, batch, values

from collectors.store.duck_queries import DuckLimits
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Where
from collectors.store.store_errors import QueryFailed
from probes.wire.catalogue import Catalogue, Tag

LATER = Catalogue(
    (msgspec.structs.replace(PLAIN, tags=(*PLAIN.tags, Tag("c", "three"))), PERSONAL)
)


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("written_twice", [False, True])
async def test_a_condition_may_be_on_a_tag_that_no_file_has_yet(
    tmp_path: Path, rolled: bool, written_twice: bool
) -> None:
    folder = tmp_path / "store"
    async with EmbeddedStore(folder, CATALOGUE) as files:
        for _ in range(2 if written_twice else 1):
            await files.write(
                [batch((START + HOUR, {"a": "x"}, {"whole": 1, "real": 0.5}))]
            )
        if rolled:
            await files.tidy(START + 3 * DAY)
    async with EmbeddedStore(folder, LATER) as files:
        for where, total in (
            (Where("c", ("new",)), []),
            (Where("c", ("new",), negate=True), [(1,)]),
            (Where("c", ("",)), [(1,)]),
            (Where("c", (), pattern="n.w"), []),
            (Where("c", (), negate=True, pattern="n.w"), [(1,)]),
        ):
            assert await values(files, ask("whole:sum", where=(where,))) == total
            means = ask("real:mean", where=(where,), by=("a", "b", "c"), every=HOUR)
            assert len(await values(files, means)) == len(total)
        by_c = msgspec.structs.replace(ask("whole:sum", by=("c",)), picks=())
        assert await files.tag_values(by_c, 10) == [""]


async def test_a_query_without_enough_memory_says_what_to_do(tmp_path: Path) -> None:
    rows = [(START + n, {"a": str(n)}, {"real": n / 7}) for n in range(200_000)]
    async with EmbeddedStore(tmp_path, CATALOGUE) as files:
        await files.write([batch(*rows)])
    async with EmbeddedStore(tmp_path, CATALOGUE, DuckLimits(memory_mb=12)) as files:
        with pytest.raises(QueryFailed, match="needs more than 12 MB; query a shorter"):
            await files.query(ask("real:p50", "real:p95", by=("a",), every=1000))
