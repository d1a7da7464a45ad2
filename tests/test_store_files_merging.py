"""The embedded store merges its files: no row is lost, and none is read twice."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_files import (
    DAY_END,
    ROOT,
    age_files,
    child_process,
    row_files,
)
from stores import CATALOGUE, DAY, HOUR, START, ask, batch, embedded, values

from collectors.store import file_layout
from collectors.store.file_layout import StoredFile
from collectors.store.merge_plan import FAN, due_merges
from collectors.store.parquet_store import EmbeddedStore


@given(
    writes=st.lists(
        st.sets(st.integers(0, 5), min_size=1, max_size=3), min_size=1, max_size=60
    ),
    tidy_every=st.integers(1, 20),
    hours_passed=st.integers(0, 40),
)
def test_however_files_are_merged_each_write_is_read_once(
    writes: list[set[int]], tidy_every: int, hours_passed: int
) -> None:
    """Merges the files that `due_merges` returns, and keeps which writes each holds."""
    content: dict[StoredFile, set[tuple[int, int]]] = {}
    written: set[tuple[int, int]] = set()
    for number, hours in enumerate(writes, 1):
        for hour in hours:
            start = START + hour * HOUR
            name = file_layout.stored_file_name(start, False, number, number)
            file = file_layout.stored_file(Path(name), START)
            assert file is not None
            content[file] = {(hour, number)}
            written.add((hour, number))
        if number % tidy_every == 0:
            now = START + hours_passed * HOUR
            for merge in due_merges(file_layout.current_files(content), START, now):
                name = file_layout.stored_file_name(
                    merge.start_ms,
                    merge.whole_day,
                    min(p.first for p in merge.files),
                    max(p.last for p in merge.files),
                )
                file = file_layout.stored_file(Path(name), START)
                assert file is not None
                content[file] = set().union(*(content[p] for p in merge.files))
        current = file_layout.current_files(content)
        read = [write for current_file in current for write in content[current_file]]
        assert sorted(read) == sorted(written)
        scan = file_layout.plan_scan(current, START, START + DAY)
        for hour in range(6):
            start = START + hour * HOUR
            over = [p for p in current if p.start_ms <= start < p.end_ms]
            inside = any(a <= start < b for a, b in scan.ranges)
            assert inside or len(over) <= 1
            assert {p.path for p in over} <= set(scan.mixed if inside else scan.plain)


async def test_small_files_become_one_an_hour_and_one_a_day(tmp_path: Path) -> None:
    async with embedded(tmp_path, most_recent_rows=0) as store:
        for n in range(4 * FAN + 2):
            rows = [
                (START + n * (HOUR // FAN) + k, {"a": str(k)}, {"whole": n})
                for k in range(3)
            ]
            await store.write([batch(*rows)])
        query = ask("whole:sum", "whole:count", by=("a",), every=HOUR)
        before = await values(store, query)
        await store.tidy(START + 3 * HOUR)
        assert await values(store, query) == before
        age_files(tmp_path)
        await store.tidy(START + 3 * HOUR + 1)
        assert await values(store, query) == before
        # Past hours are one file each; in other hours, each two dozen small ones are.
        names = [path.name[:2] for path in row_files(tmp_path)]
        assert names == ["00", "01", "02", "03", "04", "04"]
        await store.tidy(DAY_END)
        age_files(tmp_path)
        await store.tidy(DAY_END + 1)
        assert await values(store, query) == before
        (only,) = row_files(tmp_path)
        assert only.name.startswith("day-")
        late = (START + HOUR, {"a": "0"}, {"whole": 1_000})
        await store.write([batch(late, (START + HOUR + 7, {"a": "0"}, {"whole": 1}))])
        (changed,) = [
            row for row in await values(store, query) if row[:2] == (START + HOUR, "0")
        ]
        assert changed[2:] == (1_000 + 1 + sum(range(FAN + 1, 2 * FAN)), FAN + 1)


async def test_late_rows_are_collected_before_a_day_is_merged_again(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as store:
        for n in range(3):
            await store.write([batch((START + n * HOUR, {"a": "x"}, {"whole": 1}))])
        # The hours were merged on time; the first one starts when the day does.
        await store.tidy(START + 5 * HOUR)
        await store.tidy(START + DAY + 90 * 60_000)
        for n in range(23):
            late = (START + n * 1000 + 1, {"a": "late"}, {"whole": 1})
            await store.write([batch(late)])
            if n == 5:
                await store.tidy(START + DAY + 91 * 60_000)
        age_files(tmp_path)
        await store.tidy(START + DAY + 92 * 60_000)
        assert len([p for p in row_files(tmp_path) if p.name.startswith("day")]) == 1
        assert len(row_files(tmp_path)) == 24
        late = (START + DAY - 1, {"a": "late"}, {"whole": 1})
        await store.write([batch(late)])
        await store.tidy(START + DAY + 93 * 60_000)
        age_files(tmp_path)
        await store.tidy(START + DAY + 94 * 60_000)
        assert len(row_files(tmp_path)) == 1
        assert await values(store, ask("whole:sum")) == [(27,)]


@pytest.mark.parametrize(("seed", "most_recent_rows"), [(1, 12), (2, 0)])
async def test_sums_stay_right_if_rows_are_late_or_repeated(
    tmp_path: Path, seed: int, most_recent_rows: int
) -> None:
    """Compares the store with a dictionary through days of writes and compactions."""
    chance = random.Random(seed)
    truth: dict[tuple[str, int], int] = {}
    now = START
    async with embedded(tmp_path, most_recent_rows=most_recent_rows) as store:
        for step in range(40):
            now += chance.choice([5_000, 60_000, 600_000, HOUR])
            rows = []
            for _ in range(chance.randrange(1, 6)):
                again = chance.choice([*truth, ("x", now)])[1]
                time_ms = chance.choice([now, now - chance.randrange(3 * DAY), again])
                tag, value = chance.choice("xyz"), chance.randrange(1000)
                rows.append((time_ms, {"a": tag}, {"whole": value}))
                truth[tag, time_ms] = value
            await store.write([batch(*rows)])  # type: ignore[arg-type]
            if chance.random() < 0.5:
                await store.tidy(now)
            if chance.random() < 0.2:
                age_files(tmp_path)
            if step % 6 == 0:
                span = (START - 4 * DAY, now + 1)
                query = ask("whole:sum", "whole:count", by=("a",), span=span)
                assert await values(store, query) == [
                    (tag, sum(numbers), len(numbers))
                    for tag in sorted({tag for tag, _ in truth})
                    for numbers in [
                        [v for (name, _), v in truth.items() if name == tag]
                    ]
                ]


async def test_a_reader_never_fails_while_another_process_writes_and_compacts(
    tmp_path: Path,
) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        import collectors.store.compact as compact
        compact.SUPERSEDED_S = -1.0
        from stores import *
        async def main():
            async with EmbeddedStore(Path({str(tmp_path / "s")!r}), CATALOGUE) as store:
                for n in range(100000):
                    row = (START + n, {{"a": "x"}}, {{"whole": 1}})
                    await store.write([batch(row)])
                    if n % 5 == 0:
                        await store.tidy(START)
                    print(n + 1, flush=True)
        asyncio.run(main())
        """
    )
    with child_process(script) as child:
        assert child.stdout is not None
        async with EmbeddedStore(tmp_path / "s", CATALOGUE) as store:
            queries = last = 0
            while queries < 150 or last < 150:
                acknowledged = int(child.stdout.readline()) if queries % 2 else last
                answer = await values(store, ask("whole:sum", "whole:count"))
                if not answer:
                    continue
                ((total, count),) = answer
                assert total == count, "a row was read twice"
                assert isinstance(count, int)
                assert count >= max(acknowledged, last), "a row was not read"
                queries, last = queries + 1, count
