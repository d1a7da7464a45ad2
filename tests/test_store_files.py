"""The embedded store's files: compacted, read while that happens, killed, full, broken,
erased and grown old, without a row too many or too few."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from stores import CATALOGUE, DAY, HOUR, PLAIN, START, ask, batch, embedded, values

from collectors.store import file_layout
from collectors.store.compact import due_merges
from collectors.store.erasure import Erasures
from collectors.store.file_layout import StoredFile
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.store_errors import Away
from probes.wire.catalogue import Catalogue, Field, Tag

ROOT = Path(__file__).resolve().parents[1]
DAY_END = START + DAY + 2 * HOUR


def _files(folder: Path) -> list[Path]:
    """Those with rows; `test_store_rollup.py` has the rolled-up ones."""
    return sorted(
        path for path in folder.rglob("*.parquet") if "shared-" not in path.as_posix()
    )


@contextlib.contextmanager
def _child(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def _age(folder: Path) -> None:
    """As if the files had been written long ago."""
    for path in _files(folder):
        os.utime(path, (time.time() - 3600,) * 2)


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
    """Files as (piece, the numbers of the writes in it), merged as `due` says."""
    content: dict[StoredFile, set[tuple[int, int]]] = {}
    written: set[tuple[int, int]] = set()
    for number, hours in enumerate(writes, 1):
        for hour in hours:
            start = START + hour * HOUR
            name = file_layout.stored_file_name(start, False, number, number)
            piece = file_layout.stored_file(Path(name), START)
            assert piece is not None
            content[piece] = {(hour, number)}
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
                piece = file_layout.stored_file(Path(name), START)
                assert piece is not None
                content[piece] = set().union(*(content[p] for p in merge.files))
        current = file_layout.current_files(content)
        read = [write for file in current for write in content[file]]
        assert sorted(read) == sorted(written)
        scan = file_layout.plan_scan(current, START, START + DAY)
        for hour in range(6):
            start = START + hour * HOUR
            over = [p for p in current if p.start_ms <= start < p.end_ms]
            inside = any(a <= start < b for a, b in scan.ranges)
            assert inside or len(over) <= 1
            assert {p.path for p in over} <= set(scan.mixed if inside else scan.plain)


async def test_small_files_become_one_an_hour_and_one_a_day(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        for n in range(50):
            rows = [
                (START + n * 5 * 60_000 + k, {"a": str(k)}, {"whole": n})
                for k in range(3)
            ]
            await store.write([batch(*rows)])
        query = ask("whole:sum", "whole:count", by=("a",), every=HOUR)
        before = await values(store, query)
        await store.tidy(START + 3 * HOUR)
        assert await values(store, query) == before
        _age(tmp_path)
        await store.tidy(START + 3 * HOUR + 1)
        assert await values(store, query) == before
        # Hours that are over are one file; of the others, each dozen of small ones.
        names = [path.name[:2] for path in _files(tmp_path)]
        assert names == ["00", "01", "02", "03", "04", "04"]
        await store.tidy(DAY_END)
        _age(tmp_path)
        await store.tidy(DAY_END + 1)
        assert await values(store, query) == before
        (only,) = _files(tmp_path)
        assert only.name.startswith("day-")
        late = (START + HOUR, {"a": "0"}, {"whole": 1_000})
        await store.write([batch(late, (START + HOUR + 7, {"a": "0"}, {"whole": 1}))])
        (changed,) = [
            row for row in await values(store, query) if row[:2] == (START + HOUR, "0")
        ]
        assert changed[2:] == (1_000 + 1 + sum(range(13, 24)), 13)


async def test_late_rows_are_collected_before_a_day_is_merged_again(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as store:
        for n in range(3):
            await store.write([batch((START + n * HOUR, {"a": "x"}, {"whole": 1}))])
        # The hours were closed in their time, the first one at the day's own start.
        await store.tidy(START + 5 * HOUR)
        await store.tidy(START + DAY + 90 * 60_000)
        for n in range(23):
            late = (START + n * 1000 + 1, {"a": "late"}, {"whole": 1})
            await store.write([batch(late)])
            if n == 5:
                await store.tidy(START + DAY + 91 * 60_000)
        _age(tmp_path)
        await store.tidy(START + DAY + 92 * 60_000)
        assert len([p for p in _files(tmp_path) if p.name.startswith("day")]) == 1
        assert len(_files(tmp_path)) == 24
        late = (START + DAY - 1, {"a": "late"}, {"whole": 1})
        await store.write([batch(late)])
        await store.tidy(START + DAY + 93 * 60_000)
        _age(tmp_path)
        await store.tidy(START + DAY + 94 * 60_000)
        assert len(_files(tmp_path)) == 1
        assert await values(store, ask("whole:sum")) == [(27,)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_sums_stay_right_if_rows_are_late_or_repeated(
    tmp_path: Path, seed: int
) -> None:
    """Against a dictionary, through days of writes and compactions."""
    chance = random.Random(seed)
    truth: dict[tuple[str, int], int] = {}
    now = START
    async with embedded(tmp_path) as store:
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
                _age(tmp_path)
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


async def test_rows_of_one_file_are_sorted_by_tags_then_time(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        rows = [(START + n % 7, {"a": "xyz"[n % 3]}, {"whole": n}) for n in range(40)]
        await store.write([batch(*rows)])
        (path,) = _files(tmp_path)
        table = pq.read_table(path)
        keys = list(
            zip(
                *(table[name].to_pylist() for name in ("a", "b", "time_ms")),
                strict=True,
            )
        )
        assert keys == sorted(set(keys))


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
    with _child(script) as child:
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


async def test_kill_9_while_writing_loses_nothing_acknowledged(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        from stores import *
        async def main():
            first = int(sys.argv[1])
            async with EmbeddedStore(Path({str(tmp_path / "s")!r}), CATALOGUE) as store:
                for n in range(first, first + 100000):
                    rows = [(START + n * 60_000 + k, {{"a": str(k)}}, {{"whole": n}})
                            for k in range(20)]
                    await store.write([batch(*rows)])
                    print(n, flush=True)
                    if n % 7 == 0:
                        await store.tidy(START + n * 60_000)
        asyncio.run(main())
        """
    )
    done = 0
    for delay_s in (0.05, 0.2, 0.11, 0.3):
        with _child(script, str(done)) as child:
            assert child.stdout is not None
            assert int(child.stdout.readline()) == done
            await asyncio.sleep(delay_s)
            child.kill()
            rest = child.stdout.read().split("\n")[:-1]
        done = int(rest[-1]) + 1 if rest else done + 1
        async with EmbeddedStore(tmp_path / "s", CATALOGUE) as store:
            span = (START, START + 100 * DAY)
            query = ask("whole:count", by=("a",), span=span)
            counts = {count for _, count in await values(store, query)}
            # The write that was under way may be there in part, and no more than it.
            assert counts <= {done, done + 1}
            await store.tidy(START)
            assert {c for _, c in await values(store, query)} == counts
        assert not list((tmp_path / "s" / "tmp").iterdir())


async def test_a_damaged_file_is_ignored_and_renamed(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        for n in range(3):
            await store.write([batch((START + n, {"a": "x"}, {"whole": n}))])
        broken, cut, _ = _files(tmp_path)
        broken.write_bytes(b"PAR1 this is not what it was PAR1")
        cut.write_bytes(cut.read_bytes()[:100])
        assert await values(store, ask("whole:sum", "whole:count")) == [(2, 1)]
        await store.tidy(START + 5 * HOUR)
        await store.tidy(START + 5 * HOUR + 1)
    async with EmbeddedStore(broken.parents[3], CATALOGUE) as again:
        assert await values(again, ask("whole:sum", "whole:count")) == [(2, 1)]
    assert broken.with_name(broken.name + ".aside").exists()
    assert cut.with_name(cut.name + ".aside").exists()


async def test_a_file_with_corrupted_data_is_ignored(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        rows = [(START + n, {"a": str(n)}, {"real": n * 1.7}) for n in range(500)]
        await store.write([batch(*rows)])
        await store.write([batch((START + HOUR, {"a": "x"}, {"real": 1.0}))])
        first = _files(tmp_path)[0]
        content = bytearray(first.read_bytes())
        content[4:1500] = b"\xff" * 1496
        first.write_bytes(content)
        query = ask("real:count", "real:sum", by=("a",))
        assert await values(store, query) == [("x", 1, 1.0)]


async def test_a_day_is_deleted_when_its_retention_is_over(tmp_path: Path) -> None:
    short = [
        type(declared)(**{**_fields(declared), "retention_days": days})
        for declared, days in zip(CATALOGUE, (400, 30), strict=True)
    ]
    async with embedded(tmp_path, Catalogue(short)) as store:
        await store.write(
            [
                batch((START, {"a": "x"}, {"whole": 1})),
                batch((START, {"agent": "p"}, {"ok": 1}), measurement="private"),
                batch((START + DAY, {"agent": "p"}, {"ok": 1}), measurement="private"),
            ]
        )
        await store.tidy(START + 31 * DAY - 1)
        assert len(_files(tmp_path)) == 3
        await store.tidy(START + 31 * DAY + HOUR)
        kept = [path.parts[-4:-1] for path in _files(tmp_path)]
        assert [parts[:2] for parts in kept] == [
            ("personal", "private"),
            ("shared", "plain"),
        ]
        await store.tidy(START + 402 * DAY)
        assert _files(tmp_path) == []


def _fields(declared: object) -> dict[str, object]:
    return {name: getattr(declared, name) for name in declared.__struct_fields__}  # type: ignore[attr-defined]


async def test_erased_rows_are_in_no_file(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        for n in range(30):
            rows = [
                (START + n * 60_000, {"agent": f"laptop-{k}"}, {"ok": 1})
                for k in range(3)
            ]
            await store.write([batch(*rows, measurement="private")])
        # Files that are superseded but not deleted yet hold the rows too.
        await store.tidy(START + 2 * HOUR)
        (root,) = [path.parents[3] for path in _files(tmp_path)[:1]]
        erasures = Erasures(root)
        assert await store.count_rows("laptop-1") == 30
        erasures.request("laptop-1", START + 2 * HOUR)
        await store.tidy(START + 2 * HOUR + 1)
        for path in _files(tmp_path):
            assert "laptop-1" not in pq.read_table(path)["agent"].to_pylist()
        query = ask("ok:count", by=("agent",), measurement="private")
        assert await values(store, query) == [("laptop-0", 30), ("laptop-2", 30)]
        assert await store.count_rows("laptop-1") == 0
        assert erasures.pending() == []
        assert erasures.known() == {"laptop-1": START + 2 * HOUR}
        await store.tidy(DAY_END)
        assert await values(store, query) == [("laptop-0", 30), ("laptop-2", 30)]


async def test_only_one_process_writes_at_a_time(
    tmp_path: Path,
) -> None:
    row = batch((START, {"a": "x"}, {"whole": 1}))
    async with EmbeddedStore(tmp_path, CATALOGUE) as second:
        async with EmbeddedStore(tmp_path, CATALOGUE) as first:
            await first.write([row])
            with pytest.raises(Away, match="another process writes this store"):
                await second.write([row])
            assert await values(second, ask("whole:count")) == [(1,)]
        await second.write([row])
        assert await values(second, ask("whole:count")) == [(1,)]


async def test_files_without_a_new_tag_or_field_are_read_too(
    tmp_path: Path,
) -> None:
    newer = type(PLAIN)(
        **{
            **_fields(PLAIN),
            "tags": (*PLAIN.tags, Tag("c", "new")),
            "fields": (*PLAIN.fields, Field("extra", "int", "1", "new")),
        }
    )
    old = batch((START, {"a": "x"}, {"whole": 1}))
    new = batch(
        (START, {"a": "x"}, {"whole": 2, "extra": 5}),
        (START + 1, {"a": "x", "c": "z"}, {"whole": 4, "extra": 7}),
    )
    folder = tmp_path / "s"
    async with EmbeddedStore(folder, CATALOGUE) as before:
        await before.write([old])
    query = ask("whole:sum", "extra:sum", by=("c",))
    async with EmbeddedStore(folder, Catalogue([newer])) as after:
        assert await values(after, query) == [("", 1, None)]
        await after.write([new])
        both = [("", 2, 5), ("z", 4, 7)]
        assert await values(after, query) == both
    async with EmbeddedStore(folder, CATALOGUE) as before:
        # The older version reads the newer files, and compacts them without loss.
        assert await values(before, ask("whole:sum")) == [(6,)]
        await before.tidy(DAY_END)
        assert await values(before, ask("whole:sum")) == [(6,)]
    async with EmbeddedStore(folder, Catalogue([newer])) as after:
        assert await values(after, query) == both


def test_the_files_are_plain_parquet_for_any_tool(tmp_path: Path) -> None:
    async def fill() -> None:
        async with EmbeddedStore(tmp_path, CATALOGUE) as store:
            await store.write([batch((START, {"a": "é"}, {"whole": 7, "real": 0.5}))])

    asyncio.run(fill())
    files = f"'{tmp_path}/shared/plain/*/*.parquet'"
    rows = duckdb.sql(
        f"SELECT epoch_ms(time_ms), a, whole, real FROM {files}"
    ).fetchall()
    assert [row[1:] for row in rows] == [("é", 7, 0.5)]
    assert (rows[0][0].year, rows[0][0].hour) == (2026, 0)


def test_a_full_disk_is_reported_and_leaves_no_incomplete_file(tmp_path: Path) -> None:
    """In a mount namespace of its own: a disk of 1 MB that fills and is freed."""
    if shutil.which("unshare") is None:
        services.absent("unshare is not installed (util-linux)")
    script = textwrap.dedent(
        f"""
        import asyncio, os, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        from stores import *
        from collectors.store.store_errors import Away
        folder = Path({str(tmp_path / "disk")!r})
        async def main():
            async with EmbeddedStore(folder / "s", CATALOGUE) as store:
                await store.write([batch((START, {{"a": "x"}}, {{"whole": 1}}))])
                (folder / "filler").write_bytes(os.urandom(900_000))
                texts = [os.urandom(500).hex() for _ in range(400)]
                rows = [(START + 1 + n, {{"a": "x"}}, {{"whole": 1, "text": text}})
                        for n, text in enumerate(texts)]
                for _ in range(2):
                    try:
                        await store.write([batch(*rows)])
                        print("written?")
                    except Away as away:
                        print(away)
                print(await values(store, ask("whole:count")))
                print(os.listdir(folder / "s/tmp"))
                (folder / "filler").unlink()
                await store.write([batch(*rows)])
                print(await values(store, ask("whole:count")))
        asyncio.run(main())
        """
    )
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=1m none {tmp_path / 'disk'}"
    ran = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
            f'{mount} || exit 77; exec "$0" -c "$1"',
            *(sys.executable, script),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ran.returncode == 77 or "unshare" in ran.stderr:
        services.absent(f"no mount namespace may be made here: {ran.stderr}")
    full = f"{tmp_path}/disk/s: No space left on device"
    assert ran.stdout.splitlines() == [full, full, "[(1,)]", "[]", "[(401,)]"], (
        ran.stderr
    )
