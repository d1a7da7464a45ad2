"""kill -9 at any moment loses nothing that was acknowledged."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from test_journal_log import drain

from collectors.journal import JournalReader

WRITER = """
import asyncio, sys
from pathlib import Path
from collectors.journal import Journal, JournalConfig
from collectors.server_measurements import CATALOGUE
from test_journal_log import rows

async def append(journal, ids):
    for first in ids:
        await journal.append(rows(first))
        # One write: what the parent has read was acknowledged.
        sys.stdout.write(f"{first}\\n")
        sys.stdout.flush()

async def main():
    folder, begin = Path(sys.argv[1]), int(sys.argv[2])
    config = JournalConfig(folder=folder, segment_bytes=65536, reserve_bytes=0)
    async with Journal(config, "poll", CATALOGUE) as journal:
        lanes = (range(begin + 8 * i, begin + 800_000, 64) for i in range(8))
        await asyncio.gather(*(append(journal, lane) for lane in lanes))

asyncio.run(main())
"""


async def write_until_killed(folder: Path, begin: int, appends: int) -> list[int]:
    """What a writer had acknowledged when it was killed, after some `appends`."""
    here = Path(__file__).parent
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITER,
        str(folder),
        str(begin),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{here.parent}{os.pathsep}{here}"},
    )
    assert writer.stdout is not None
    acknowledged = []
    async with asyncio.timeout(120):
        for _ in range(appends):
            acknowledged.append(int(await writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in (await writer.stdout.read()).split()]
        await writer.wait()
    return acknowledged


@pytest.mark.timeout(300)
async def test_every_acknowledged_row_is_read_after_kills(tmp_path: Path) -> None:
    chance = random.Random(11)
    acknowledged: set[int] = set()
    followed: list[int] = []
    async with JournalReader(tmp_path, "after"):
        pass
    async with JournalReader(tmp_path, "live") as live:
        for turn in range(6):
            firsts = await write_until_killed(
                tmp_path, turn * 1_000_000, chance.randrange(20, 900)
            )
            acknowledged |= {i for first in firsts for i in range(first, first + 8)}
            followed += await drain(live)
        assert live.stats.damaged_frames == 0
    async with JournalReader(tmp_path, "after") as reader:
        ids_read = await drain(reader)
    assert len(acknowledged) > 3_000
    assert acknowledged <= set(ids_read)
    assert acknowledged <= set(followed)
    assert len(ids_read) == len(set(ids_read))
