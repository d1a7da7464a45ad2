"""A full disk: nothing acknowledged is lost, nothing is acknowledged that is not on
disk, and it goes on by itself. On a real small file system where that may be mounted,
and under a limit of file size elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

FULL_DISK = """
import asyncio, os, sys
from pathlib import Path
from collectors.journal import Journal, JournalConfig, JournalFull, JournalReader
from collectors.server_measurements import CATALOGUE
from test_journal_bounds import noise
from test_journal_log import drain

async def main():
    folder = Path(sys.argv[1])
    other = folder / "somebody-else"
    config = JournalConfig(
        folder=folder, segment_bytes=256 << 10, max_bytes=64 << 20,
        reserve_bytes=512 << 10,
    )
    kept, refused = [], 0
    async with Journal(config, "poll", CATALOGUE) as journal:
        assert (folder / "poll" / "reserve").stat().st_size == 512 << 10
        first = 0
        while refused < 20:
            try:
                await journal.append(noise(first))
                kept.append(first)
            except JournalFull as full:
                refused += 1
                assert "no room for the journal" in str(full), full
            first += 500
        assert not (folder / "poll" / "reserve").exists()
        assert journal.stats.full
        assert journal.stats.refused_rows == 20 * 500
        assert len(kept) > 100, kept
        # A reader passes what is there, on the full disk: room is made, it goes on.
        async with JournalReader(folder, "store") as reader:
            found = await drain(reader)
            assert found == [i for k in kept for i in range(k, k + 500)], len(found)
            async with asyncio.timeout(30):
                while journal.stats.segments > 1:
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(30):
                while journal.stats.full:
                    await journal.append(noise(first))
                    first += 500
                    await asyncio.sleep(0.1)
            assert (folder / "poll" / "reserve").exists()
            assert (await drain(reader))[-500:] == list(range(first - 500, first))
            # Somebody else fills the disk, and gives the room back.
            with other.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass
            lost = 0
            for again in range(200):
                try:
                    await journal.append(noise(first + 500 * again))
                except JournalFull:
                    lost += 1
            assert lost
            await drain(reader)
            other.unlink()
            await journal.append(noise(7_000_000))
            assert await drain(reader) == list(range(7_000_000, 7_000_500))
            assert reader.stats.damaged_frames == 0
    print("done", len(kept))

asyncio.run(main())
"""

GROUPS_HOLD_NO_ROOM = """
import asyncio, sys
from functools import partial
from pathlib import Path
from collectors.experience.experience_reader import ExperienceReader
from collectors.experience.groups import GroupsConfig
from collectors.journal import Journal, JournalConfig, JournalFull, JournalReader
from collectors.server_measurements import CATALOGUE
from group_rows import T0_MS
from test_experience_reader import Clock, batch, end_ms
from test_journal_bounds import noise

async def main():
    folder = Path(sys.argv[1])
    config = JournalConfig(
        folder=folder, segment_bytes=256 << 10, max_bytes=64 << 20,
        reserve_bytes=512 << 10,
    )
    clock, state, read = Clock(T0_MS + 2), folder / "state" / "groups.json", []
    async with (
        Journal(config, "all", CATALOGUE) as journal,
        JournalReader(folder, "store") as store,
        ExperienceReader(
            GroupsConfig(), partial(JournalReader, folder), state, journal, clock
        ) as groups,
    ):
        await journal.append(batch(0, T0_MS + 1))
        first = 0
        while True:
            try:
                await journal.append(noise(first))
            except JournalFull:
                break
            first += 500
        # The store takes all there is; only the groups still need it.
        async with asyncio.timeout(30):
            while chunk := await store.read(wait_s=0.2):
                store.passed(chunk.positions)
            while groups.reader.stats.read_rows < 12 + first:
                await asyncio.sleep(0.05)
        clock.now_ms = end_ms(2)
        async with asyncio.timeout(30):
            while "experience" not in read:
                if chunk := await store.read(wait_s=0.2):
                    read += [b.measurement for b in chunk.batches]
                    store.passed(chunk.positions)
            while journal.stats.full:
                await journal.append(noise(first))
                first += 500
                await asyncio.sleep(0.1)
    print("done")

asyncio.run(main())
"""

TOO_LARGE = """
import asyncio, resource, sys
from pathlib import Path
from collectors.journal import Journal, JournalConfig, JournalFull, JournalReader
from collectors.server_measurements import CATALOGUE
from test_journal_bounds import noise
from test_journal_log import drain

async def main():
    folder = Path(sys.argv[1])
    config = JournalConfig(folder=folder, reserve_bytes=0)
    kept = []
    async with Journal(config, "poll", CATALOGUE) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        for first in range(0, 30_000, 500):
            try:
                await journal.append(noise(first))
                kept.append(first)
            except JournalFull:
                pass
    assert len(kept) > 50, kept
    async with JournalReader(folder, "store") as reader:
        found = await drain(reader)
        assert found == [i for k in kept for i in range(k, k + 500)], len(found)
        assert reader.stats.damaged_frames == 0
    print("done", len(kept))

asyncio.run(main())
"""


def run(*command: str) -> str:
    env = {**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def may_mount(folder: Path) -> bool:
    """True where a small file system may be mounted, in a namespace of its own."""
    try:
        tried = subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(folder)],
            capture_output=True,
            timeout=20,
            check=False,
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


def run_on_a_small_disk(script: str, folder: Path) -> str:
    if not may_mount(folder):
        pytest.skip("may not mount a file system here (needs root)")
    mount = 'mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    return run(
        *["unshare", "-m", "sh", "-c", mount, "sh"],
        *[str(folder), sys.executable, script],
    )


@pytest.mark.netns
def test_a_full_disk_loses_nothing_and_is_left_without_help(tmp_path: Path) -> None:
    assert "done" in run_on_a_small_disk(FULL_DISK, tmp_path)


@pytest.mark.netns
def test_groups_do_not_hold_the_room_they_need_themselves(tmp_path: Path) -> None:
    assert "done" in run_on_a_small_disk(GROUPS_HOLD_NO_ROOM, tmp_path)


def test_a_write_that_ends_in_the_middle_is_not_acknowledged(tmp_path: Path) -> None:
    assert "done" in run(sys.executable, "-c", TOO_LARGE, str(tmp_path))
