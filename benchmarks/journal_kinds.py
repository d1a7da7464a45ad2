"""Measures the journal in files and in NATS JetStream, with one server and with three
that replicate, in one run: batches per second with many appenders, the longest waits,
processor time of Towpath and of the servers, and what a kill of the stream's leader
costs: how long no append is acknowledged, and how many acknowledged ones are lost.

A batch is a laptop's report of 8 rows. All servers run on this machine, so three of
them share its disk and its processors.

    python -m benchmarks.journal_kinds [FOLDER]
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from nats_servers import (
    SYNCED,
    NatsCluster,
    NatsServer,
    can_sync,
    running_cluster,
    running_nats,
)

from benchmarks.journal import random_batch
from benchmarks.process_cpu import process_cpu_s
from collectors.batch import Batch
from collectors.journal import BatchReader, JournalConfig, JournalFailed
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from probes.wire.path_probes import CALL_PATH
from probes.wire.percentiles import percentile
from towpath.journal_kind import JournalKind

SECONDS = 4.0
APPENDERS = 256
PACE_S = 0.002
_LOST_AFTER_S = 60.0


def run(folder: Path | None = None) -> dict[str, float]:
    """The figures by name; names end in their unit."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        figures = asyncio.run(_measure(Path(name)))
    for figure, value in figures.items():
        print(f"{figure:32} {value:12,.3f}")
    return figures


async def _measure(folder: Path) -> dict[str, float]:
    figures = await _append(folder / "files", "files", NatsConfig(), [])
    with running_nats(folder / "one") as server:
        nats = NatsConfig(servers=(server.url,))
        figures |= await _append(folder / "r1", "nats_r1", nats, [server])
    if can_sync():
        with running_nats(folder / "synced", jetstream=SYNCED) as server:
            nats = NatsConfig(servers=(server.url,))
            figures |= await _append(folder / "s1", "nats_r1_synced", nats, [server])
    with running_cluster(folder / "three") as cluster:
        nats = NatsConfig(servers=cluster.urls, replicas=3)
        figures |= await _append(folder / "r3", "nats_r3", nats, cluster.servers)
        figures |= await _kill_leader(folder / "kill", nats, cluster)
    return figures


async def _append(
    folder: Path, what: str, nats: NatsConfig, servers: list[NatsServer]
) -> dict[str, float]:
    kind = _kind(folder, nats, bool(servers), "ingest")
    batches = _reports()
    took_ms: list[float] = []
    async with kind.opened() as journal:
        own_s, servers_s = time.process_time(), _cpu_of(servers)
        begun_s = time.perf_counter()

        async def appender() -> None:
            while time.perf_counter() - begun_s < SECONDS:
                at_s = time.perf_counter()
                await journal.append(next(batches))
                took_ms.append((time.perf_counter() - at_s) * 1000)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(APPENDERS):
                tasks.create_task(appender())
        all_s = time.perf_counter() - begun_s
        own_s = time.process_time() - own_s
        servers_s = _cpu_of(servers) - servers_s
        async with kind.reader("store") as reader:
            begun_s = time.perf_counter()
            read = await _read(reader, journal.stats.appended_rows)
            read_s = time.perf_counter() - begun_s
    count = len(took_ms)
    return {
        f"{what}_batches_per_s": count / all_s,
        f"{what}_append_p50_ms": percentile(took_ms, 50),
        f"{what}_append_p99_ms": percentile(took_ms, 99),
        f"{what}_batches_per_commit": count / journal.stats.commits,
        f"{what}_own_cpu_us_per_batch": 1e6 * own_s / count,
        f"{what}_servers_cpu_us_per_batch": 1e6 * servers_s / count,
        f"{what}_read_rows_per_s": read / read_s,
    }


async def _kill_leader(
    folder: Path, nats: NatsConfig, cluster: NatsCluster
) -> dict[str, float]:
    """One append at a time of eight senders, the leader killed in between."""
    kind = _kind(folder, nats, True, "killed")
    batches = _reports()
    acknowledged: set[int] = set()
    refused = 0
    acknowledged_s = 0.0
    longest_s = 0.0
    stop = asyncio.Event()

    async with kind.opened() as journal:

        async def sender() -> None:
            nonlocal refused, acknowledged_s, longest_s
            while not stop.is_set():
                batch = next(batches)
                try:
                    await journal.append(batch)
                except JournalFailed:
                    refused += 1
                    continue
                now_s = time.perf_counter()
                longest_s = max(longest_s, now_s - (acknowledged_s or now_s))
                acknowledged_s = now_s
                acknowledged.add(batch.received_ms)
                await asyncio.sleep(PACE_S)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(sender())
            await asyncio.sleep(1)
            connection = kind.connection
            assert connection is not None
            stream = JournalStreams(connection).stream("killed")
            info = await connection.jetstream.stream_info(stream)
            assert info.cluster is not None
            cluster.named(str(info.cluster.leader)).kill()
            killed_with = len(acknowledged)
            until_s = time.perf_counter() + _LOST_AFTER_S
            while len(acknowledged) < killed_with + 500:
                if time.perf_counter() > until_s:
                    raise RuntimeError("no append was acknowledged after the kill")
                await asyncio.sleep(0.05)
            stop.set()
        received: set[int] = set()
        async with kind.reader("store") as reader:
            while acknowledged - received and (chunk := await reader.read(wait_s=10)):
                received |= {batch.received_ms for batch in chunk.batches}
    return {
        "nats_r3_without_leader_s": longest_s,
        "nats_r3_acknowledged": float(len(acknowledged)),
        "nats_r3_acknowledged_lost": float(len(acknowledged - received)),
        "nats_r3_refused": float(refused),
    }


def _kind(folder: Path, nats: NatsConfig, is_nats: bool, log: str) -> JournalKind:
    config = JournalConfig(
        kind="nats" if is_nats else "files", folder=folder, max_bytes=1 << 30
    )
    return JournalKind(config, nats, log)


def _reports() -> Iterator[Batch]:
    """Never the same twice: servers keep equal ones once."""
    chance = random.Random(1)
    reports = [random_batch(CALL_PATH.measurement, 8, chance) for _ in range(500)]
    for number in itertools.count(1):
        report = reports[number % len(reports)]
        yield msgspec.structs.replace(report, received_ms=number)


async def _read(reader: BatchReader, rows: int) -> int:
    read = 0
    while read < rows:
        chunk = await reader.read(wait_s=10)
        if chunk is None:
            raise RuntimeError(f"{rows} rows were written, {read} were read")
        read += len(chunk)
        reader.passed(chunk.positions)
    return read


def _cpu_of(servers: list[NatsServer]) -> float:
    return sum(process_cpu_s(server.pid) for server in servers)


if __name__ == "__main__":
    run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
