"""Servers that are restarted or replaced by a newer version, one after the other, while
rows are appended and read. `make soak`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from journal_places import JournalPlace
from nats_servers import NatsServer, running_cluster, running_nats, stream_leader
from services import program
from test_journal_log import drain, ids, rows
from waiting import until

from collectors.journal import BatchReader, Journal, JournalFailed
from collectors.nats.nats_config import NatsConfig


def newer_server() -> str:
    """The server to which the others are brought; skips the test without one."""
    if named := os.environ.get("TOWPATH_NATS_SERVER_NEXT"):
        return named
    pytest.skip("TOWPATH_NATS_SERVER_NEXT names no newer nats-server")


class Traffic:
    """Appends and reads until `stop`, and counts what each row came to."""

    def __init__(self, journal: Journal, reader: BatchReader) -> None:
        self._journal, self._reader = journal, reader
        self.acknowledged: set[int] = set()
        self.effect: dict[int, int] = {}
        self._stop, self._finished = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            writing = [tasks.create_task(self._write(lane)) for lane in range(4)]
            tasks.create_task(self._read())
            await asyncio.wait(writing)
            self._finished.set()

    def stop(self) -> None:
        self._stop.set()

    async def _write(self, first: int) -> None:
        while not self._stop.is_set():
            try:
                await self._journal.append(rows(first * 8))
            except JournalFailed:
                continue
            self.acknowledged.update(range(first * 8, first * 8 + 8))
            first += 4
            await asyncio.sleep(0.005)

    async def _read(self) -> None:
        while not (self._finished.is_set() and self.acknowledged <= self.effect.keys()):
            chunk = await self._reader.read(wait_s=0.2)
            if chunk is not None:
                for number in ids(chunk.batches):
                    self.effect[number] = self.effect.get(number, 0) + 1
                self._reader.passed(chunk.positions)


@pytest.mark.soak
@pytest.mark.service
@pytest.mark.timeout(600)
async def test_an_upgrade_of_three_servers_one_by_one_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = newer_server()
    older = os.environ.get("TOWPATH_NATS_SERVER") or program("nats-server")
    monkeypatch.setenv("TOWPATH_NATS_SERVER", older)
    with running_cluster(tmp_path / "cluster") as cluster:
        nats = NatsConfig(servers=cluster.urls, replicas=3)
        place = JournalPlace(tmp_path, None, nats=nats)
        async with (
            place.connection as connection,
            place.journal("poll") as journal,
            place.reader("store") as reader,
        ):
            traffic = Traffic(journal, reader)
            running = asyncio.create_task(traffic.run())
            await until(lambda: len(traffic.effect) > 400, "rows", 60)
            # The leader last, as it hands over.
            leader = cluster.named(await stream_leader(connection, "poll"))
            for server in sorted(cluster.servers, key=lambda each: each is leader):
                await asyncio.to_thread(replace, server, older, newer)
                known = len(traffic.acknowledged)
                await until(
                    lambda: len(traffic.acknowledged) > known + 800,  # noqa: B023
                    "appends",
                    90,
                )
            versions = {
                each.monitored("varz").get("version") for each in cluster.servers
            }
            traffic.stop()
            async with asyncio.timeout(60):
                await running
        twice = [number for number, times in traffic.effect.items() if times > 1]
        print(f"{versions}: {len(traffic.acknowledged)} rows, twice {len(twice)}")
        assert len(versions) == 1
        # Servers of two versions may keep a message twice that was sent again: of four
        # appends, for each that was replaced.
        assert len(twice) <= 3 * 4 * 8 or journal.stats.refused_rows


def replace(server: NatsServer, older: str, newer: str) -> None:
    server.stop()
    server.command[server.command.index(older)] = newer
    server.start()


@pytest.mark.soak
@pytest.mark.service
async def test_rows_that_are_sent_again_after_a_restart_are_kept_once(
    tmp_path: Path,
) -> None:
    with running_nats(tmp_path / "nats") as server:
        place = JournalPlace(tmp_path, server)
        async with (
            place.connection as connection,
            place.journal("poll") as journal,
            place.reader("store") as reader,
        ):
            await journal.append(rows(0))
            server.kill()
            server.start()
            await until(lambda: not connection.problem)
            await journal.append(rows(0))
            await journal.append(rows(8))
            # The reader notices after some seconds that its consumer is another one.
            read: list[int] = []
            async with asyncio.timeout(60):
                while 15 not in read:
                    read += await drain(reader, 1.0)
            assert read == list(range(16))
