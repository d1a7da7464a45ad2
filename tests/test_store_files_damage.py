"""The embedded store after a kill, with damaged files, two writers or a full disk."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import services
from stored_files import (
    ROOT,
    child_process,
    row_files,
)
from stores import CATALOGUE, DAY, HOUR, START, ask, batch, embedded, values
from structlog.testing import capture_logs

from collectors.store.parquet_store import EmbeddedStore
from collectors.store.store_errors import Away


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
        with child_process(script, str(done)) as child:
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
            # Only the unacknowledged write may be there, whole or in part.
            assert counts <= {done, done + 1}
            await store.tidy(START)
            assert {c for _, c in await values(store, query)} == counts
        assert not list((tmp_path / "s" / "tmp").iterdir())


async def test_a_damaged_file_is_ignored_and_renamed(tmp_path: Path) -> None:
    async with embedded(tmp_path, most_recent_rows=0) as store:
        for n in range(3):
            await store.write([batch((START + n, {"a": "x"}, {"whole": n}))])
        broken, cut, _ = row_files(tmp_path)
        broken.write_bytes(b"PAR1 damaged content PAR1")
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
        first = row_files(tmp_path)[0]
        content = bytearray(first.read_bytes())
        # All values; what describes them, at the end, is intact.
        ends = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        content[4:ends] = b"\xff" * (ends - 4)
        first.write_bytes(content)
        query = ask("real:count", "real:sum", by=("a",))
        assert await values(store, query) == [("x", 1, 1.0)]


async def test_a_damaged_file_that_two_queries_read_is_said_once(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path, most_recent_rows=0) as store:
        for n in range(2):
            await store.write([batch((START + n, {"a": "x"}, {"whole": n}))])
        row_files(tmp_path)[0].write_bytes(b"PAR1 damaged content PAR1")
        with capture_logs() as logged:
            # The values of a percentile are counted first.
            assert await values(store, ask("whole:p95")) == [(1,)]
        assert [entry["event"] for entry in logged] == ["store_file_damaged"]


async def test_only_one_process_writes_at_a_time(tmp_path: Path) -> None:
    row = batch((START, {"a": "x"}, {"whole": 1}))
    async with EmbeddedStore(tmp_path, CATALOGUE) as second:
        async with EmbeddedStore(tmp_path, CATALOGUE) as first:
            await first.write([row])
            with pytest.raises(Away, match="another process writes this store"):
                await second.write([row])
            assert await values(second, ask("whole:count")) == [(1,)]
        await second.write([row])
        assert await values(second, ask("whole:count")) == [(1,)]


def test_a_full_disk_is_reported_and_leaves_no_incomplete_file(tmp_path: Path) -> None:
    """Fills and frees a disk of 1 MB in a mount namespace of its own."""
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
