"""A running installation is moved to NATS and back by the steps of docs/operator.md:
real processes, laptops that report, and a process that is killed. `make soak`."""

from __future__ import annotations

import asyncio
import signal
import zipfile
from pathlib import Path

import msgspec
import pytest
from documents import blocks, text_of
from nats_servers import NatsServer
from river import Council, Running, started, towpath
from river_laptops import Laptops

_STEP = next(
    block for block in blocks(text_of("docs/operator.md"), "toml") if "before" in block
)
TO_NATS = _STEP.partition("[journal]\n")[2]
BACK = 'kind = "files"\nbefore = "nats"\n'


def write(council: Council, server: NatsServer, journal: str) -> None:
    nats = f'[nats]\nservers = ["{server.url}"]\nprefix = "walk"\n'
    store = 'kind = "embedded"\nflush_s = 0.2'
    council.write_settings(nats, journal=journal, store=store)


def stored(council: Council, agent: str) -> list[int]:
    """The numbers of the laptop's reports in the store."""
    out = council.folder / "out.zip"
    ended = towpath("fleet", "export", agent, "--out", out, "-c", council.settings)
    assert ended.returncode == 0, ended.stderr
    with zipfile.ZipFile(out) as archive:
        rows = map(msgspec.json.decode, archive.read("rows.jsonl").splitlines())
        return sorted(row["fields"]["sent"] for row in rows if "sent" in row["fields"])


@pytest.mark.soak
@pytest.mark.service
async def test_an_installation_walks_to_nats_and_back_and_loses_nothing(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    council = Council(tmp_path)
    write(council, nats_server, "")
    ingest, store = Running(council, "ingest"), Running(council, "store")
    async with started(ingest, store), Laptops(council, https=3) as laptops:
        await laptops.more(5)
        for journal in (TO_NATS, BACK):
            # What the store has not read is left behind.
            await asyncio.to_thread(store.stop)
            await laptops.more(5)
            write(council, nats_server, journal)
            checked = await asyncio.to_thread(towpath, "check", "-c", council.settings)
            assert "have not passed everything there yet" in checked.stdout
            await asyncio.to_thread(store.start)
            # The store reads both; ingest still writes to the old one.
            await laptops.more(5)
            store.signal(signal.SIGKILL)
            await asyncio.to_thread(store.code)
            await asyncio.to_thread(ingest.stop)
            await asyncio.to_thread(ingest.start)
            await laptops.more(5)
            await asyncio.to_thread(store.start)
            await laptops.more(5)
        await laptops.finish()
        for laptop in laptops.all:
            async with asyncio.timeout(60):
                found: list[int] = []
                while len(set(found)) < laptop.made:
                    found = await asyncio.to_thread(stored, council, laptop.agent)
            assert found == list(range(laptop.made))
    for running in (ingest, store):
        assert not running.count("journal_gap")
        assert not running.count("earlier_journal_away")
