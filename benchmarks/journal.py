"""Measures how many reports per second the journal makes durable, and how long a commit
takes.

The disk itself is measured in the same folder in the same run: writes of the same size,
each followed by an fsync. Reports are batches of 8 rows from many concurrent appenders,
as from laptops. Polls are batches of 52 ports. `paced` is a fixed rate of 5,000 reports
per second.

    python -m benchmarks.journal [FOLDER]
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from collectors.batch import Batch, batch_samples, check_batch
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE, INTERFACE
from probes.wire.catalogue import Field, Measurement
from probes.wire.path_probes import CALL_PATH
from probes.wire.percentiles import percentile
from probes.wire.sample import Sample, Value

SECONDS = 4.0
APPENDERS = 256
RATE = 5_000


def run(folder: Path | None = None) -> dict[str, float]:
    """The figures by name; names end in their unit."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        figures = asyncio.run(_measure(Path(name)))
    for figure, value in figures.items():
        print(f"{figure:32} {value:12,.3f}")
    return figures


async def _measure(folder: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    chance = random.Random(1)
    reports = [random_batch(CALL_PATH.measurement, 8, chance) for _ in range(500)]
    polls = [random_batch(INTERFACE, 52, chance) for _ in range(100)]
    figures["check_of_52_ports_us"] = _check_us(polls[0])
    fsync_ms = _fsync_ms(folder)
    figures["disk_fsync_p50_ms"] = percentile(fsync_ms, 50)
    figures["disk_fsync_p99_ms"] = percentile(fsync_ms, 99)
    for what, batches, many in (("report", reports, APPENDERS), ("poll", polls, 64)):
        figures |= await _append(folder / what, what, batches, many)
    figures |= await _append_at_rate(folder / "paced", reports)
    figures["commit_to_fsync_p50_ratio"] = (
        figures["report_commit_p50_ms"] / figures["disk_fsync_p50_ms"]
    )
    return figures


async def _append(
    folder: Path, what: str, batches: list[Batch], appenders: int
) -> dict[str, float]:
    took_ms: list[float] = []
    config = JournalConfig(folder=folder, max_bytes=1 << 30)
    cpu_s = time.process_time()
    async with Journal(config, "ingest", CATALOGUE) as journal:
        begun_s = time.perf_counter()

        async def appender() -> None:
            while time.perf_counter() - begun_s < SECONDS:
                at_s = time.perf_counter()
                await journal.append(batches[len(took_ms) % len(batches)])
                took_ms.append((time.perf_counter() - at_s) * 1000)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(appenders):
                tasks.create_task(appender())
        all_s = time.perf_counter() - begun_s
        stats = journal.stats
        commits_ms = list(stats.commit_ms)
        cpu_s = time.process_time() - cpu_s
    async with JournalReader(folder, "store") as reader:
        begun_s = time.perf_counter()
        read = 0
        while chunk := await reader.read(wait_s=0):
            read += len(chunk)
        read_s = time.perf_counter() - begun_s
    if read != stats.appended_rows:
        raise RuntimeError(f"{stats.appended_rows} rows were written, {read} were read")
    return {
        f"{what}s_per_s": len(took_ms) / all_s,
        f"{what}_rows_per_s": stats.appended_rows / all_s,
        f"{what}_append_p50_ms": percentile(took_ms, 50),
        f"{what}_append_p99_ms": percentile(took_ms, 99),
        f"{what}_commit_p50_ms": percentile(commits_ms, 50),
        f"{what}_commit_p99_ms": percentile(commits_ms, 99),
        f"{what}s_per_commit": len(took_ms) / stats.commits,
        f"{what}_row_bytes": stats.bytes / stats.appended_rows,
        f"{what}_cpu_us": 1e6 * cpu_s / len(took_ms),
        f"{what}_read_rows_per_s": read / read_s,
    }


async def _append_at_rate(folder: Path, batches: list[Batch]) -> dict[str, float]:
    """Appends RATE reports per second, even if earlier ones are not finished."""
    took_ms: list[float] = []
    cpu_s = time.process_time()

    async def append(batch: Batch) -> None:
        at_s = time.perf_counter()
        await journal.append(batch)
        took_ms.append((time.perf_counter() - at_s) * 1000)

    config = JournalConfig(folder=folder, max_bytes=1 << 30)
    async with (
        Journal(config, "ingest", CATALOGUE) as journal,
        asyncio.TaskGroup() as tasks,
    ):
        begun_s = time.perf_counter()
        sent = 0
        while (now_s := time.perf_counter() - begun_s) < SECONDS:
            while sent < now_s * RATE:
                tasks.create_task(append(batches[sent % len(batches)]))
                sent += 1
            await asyncio.sleep(0.001)
    return {
        "paced_reports_per_s": len(took_ms) / SECONDS,
        "paced_append_p50_ms": percentile(took_ms, 50),
        "paced_append_p99_ms": percentile(took_ms, 99),
        "paced_cpu_ratio": (time.process_time() - cpu_s) / SECONDS,
    }


def random_batch(measurement: Measurement, count: int, chance: random.Random) -> Batch:
    """A batch of `count` rows with random values in all fields."""

    def value(field: Field) -> Value:
        if field.type == "float":
            return round(chance.lognormvariate(3, 1), 3)
        return chance.randrange(1000) if field.type == "int" else "ok"

    samples = [
        Sample(
            measurement.name,
            {
                tag.name: f"{tag.name}-{chance.randrange(1000)}"
                for tag in measurement.tags
            },
            {field.name: value(field) for field in measurement.fields},
            1_700_000_000_000 + i,
        )
        for i in range(count)
    ]
    return batch_samples(samples, "benchmark", 1_700_000_000_000)[0]


def _check_us(batch: Batch) -> float:
    took = []
    for _ in range(2_000):
        begun_s = time.perf_counter()
        check_batch(batch, CATALOGUE)
        took.append(time.perf_counter() - begun_s)
    return 1e6 * statistics.median(took)


def _fsync_ms(folder: Path) -> list[float]:
    """Times of a 16 kB write with its fsync, at the end of a growing file."""
    sync = getattr(os, "fdatasync", os.fsync)
    took = []
    fd = os.open(folder / "disk", os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(300):
            begun_s = time.perf_counter()
            os.write(fd, os.urandom(16 << 10))
            sync(fd)
            took.append((time.perf_counter() - begun_s) * 1000)
    finally:
        os.close(fd)
    return took


if __name__ == "__main__":
    run(Path(sys.argv[1]) if sys.argv[1:] else None)
