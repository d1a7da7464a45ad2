"""Which roll-ups the days of the embedded store get, when, and from what."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from stores import DAY, HOUR, PLAIN, START, ask, batch, embedded
from test_store_rollup import CLOSED, MINUTE, delete_rows, files

from collectors.store import compact
from collectors.store.file_layout import day_name
from collectors.store.parquet_store import EmbeddedStore
from probes.wire.catalogue import Catalogue


async def test_what_is_measured_rarely_has_no_roll_up_by_a_shorter_step(
    tmp_path: Path,
) -> None:
    rare = msgspec.structs.replace(PLAIN, period_s=300)
    span = (START, START + DAY)
    queries = [ask("whole:sum", span=span, every=every) for every in (None, 5 * MINUTE)]
    async with EmbeddedStore(tmp_path, Catalogue((rare,))) as store:
        rows = [(START + n * 5 * MINUTE, {"a": "x"}, {"whole": n}) for n in range(288)]
        await store.write([batch(*rows)])
        before = [await store.query(query) for query in queries]
        await store.tidy(CLOSED)
        counts = [len(files(tmp_path, label)) for label in ("5m", "1h", "1d")]
        assert counts == [0, 1, 1]
        assert [await store.query(query) for query in queries] == before
        # Its days are known without their rows, too.
        delete_rows(tmp_path, day_name(START))
        assert await store.query(queries[0]) == before[0]


async def test_a_longer_step_is_made_from_the_shorter_one_and_both_again_if_damaged(
    tmp_path: Path,
) -> None:
    query = ask("whole:sum", span=(START, START + DAY))
    async with embedded(tmp_path) as store:
        await store.write([batch((START, {"a": "x"}, {"whole": 7}))])
        await store.tidy(CLOSED)
        (five,), (hour,) = files(tmp_path, "5m"), files(tmp_path, "1h")
        five.write_bytes(b"PAR1 not really PAR1")
        hour.unlink()
        for hours in (2, 4):
            await store.tidy(CLOSED + hours * HOUR)
        assert files(tmp_path, "5m") == [five]
        assert files(tmp_path, "1h") == [hour]
        assert (await store.query(query))[0].values == {"whole_sum": 7}


async def test_days_are_rolled_up_from_the_latest_on_and_other_work_is_done_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "_ROLLED_S", 0.0)
    async with embedded(tmp_path) as store:
        for day in (0, 1):
            rows = (START + day * DAY, {"a": "x"}, {"whole": 7})
            await store.write([batch(rows)])
        found = []
        for _ in range(3):
            await store.tidy(CLOSED)
            found.append([path.parent.name for path in files(tmp_path, "1d")])
    both = [day_name(START), day_name(START + DAY)]
    assert found == [both[1:], both, both]
