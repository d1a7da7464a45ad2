"""The model of `scale` beside something real: a journal that gets polls at a steady
rate, and a store writer to a real InfluxDB that is away for some seconds.

The model gets the time that a row took in the same run: so this is about queues, paces
and catching up, on a machine however busy. What a row costs is measured elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import services

from benchmarks.journal import random_batch
from benchmarks.scale_needs import PERIOD_S, Costs
from benchmarks.scale_run import Estate, Events, Installation
from collectors.batch import Batch
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE, INTERFACE
from collectors.store import StoreConfig, StoreWriter, open_store, saved_positions
from collectors.store.query import Store
from probes.wire.clock import wall_ms
from probes.wire.percentiles import percentile

POLLS_PER_S, ROWS = 20, 52
LASTS_S, AWAY = 32.0, (8.0, 20.0)
PERCENTILES = (50, 90, 99, 100)


class _TimedStore:
    """A store that notes how old each batch is when it is written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.catalogue = store.catalogue
        self.lags_s: list[float] = []
        self.rows, self.took_s = 0, 0.0

    async def write(self, batches: list[Batch]) -> None:
        begun_s = time.perf_counter()
        await self._store.write(batches)
        self.took_s += time.perf_counter() - begun_s
        self.rows += sum(len(batch) for batch in batches)
        now_ms = wall_ms()
        self.lags_s += [(now_ms - batch.received_ms) / 1000 for batch in batches]

    async def tidy(self, now_ms: int, deletion_ms: int | None = None) -> None:
        """Nothing to tidy in so short a time."""


async def measure(folder: Path, url: str) -> _TimedStore:
    """The store, with the seconds from each batch's making until it was written."""
    chance = random.Random(1)
    batches = [random_batch(INTERFACE, ROWS, chance) for _ in range(100)]
    config = StoreConfig(kind="influxdb", url=url, folder=folder / "store")
    journal_folder = folder / "journal"
    async with (
        Journal(JournalConfig(folder=journal_folder), "poll", CATALOGUE) as journal,
        open_store(config, CATALOGUE) as store,
    ):
        timed = _TimedStore(store)

        @contextlib.asynccontextmanager
        async def writer() -> Any:
            reader = JournalReader(journal_folder, "store", saved_positions(config))
            async with reader, StoreWriter(config, reader, timed):
                yield

        async def append() -> None:
            begun_s, sent = time.perf_counter(), 0
            while (now_s := time.perf_counter() - begun_s) < LASTS_S:
                due = []
                while sent < now_s * POLLS_PER_S:
                    due.append(_made_now(batches[sent % len(batches)]))
                    sent += 1
                await journal.append(*due)
                await asyncio.sleep(0.01)

        appending = asyncio.create_task(append())
        async with writer():
            await asyncio.sleep(AWAY[0])
        await asyncio.sleep(AWAY[1] - AWAY[0])
        async with writer():
            await appending
            await asyncio.sleep(2 * 5.0)
        return timed


def _made_now(batch: Batch) -> Batch:
    now_ms = wall_ms()
    times = [now_ms] * len(batch)
    columns = (times, *batch.columns[1:])
    return msgspec.structs.replace(batch, received_ms=now_ms, columns=columns)


def model(costs: Costs, row_us: float) -> Installation:
    """The same, simulated: the writer waits for each write, which takes `row_us` a row
    in all, of the writer and of InfluxDB."""
    costs = costs | {
        "switch": costs["switch"] | {"rows": ROWS, "poll_cpu_ms": 0.0},
        "influxdb": costs["influxdb"] | {"writer_us": row_us, "server_us": 0.0},
    }
    estate = Estate(round(POLLS_PER_S * PERIOD_S), 0, parcel=1)
    installation = Installation(
        costs, estate, Events(writer_down=AWAY, made_until_s=LASTS_S)
    )
    installation.run(LASTS_S + 60)
    return installation


def check_model(costs: Costs) -> dict[str, Any]:
    """Prints the percentiles of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "influxd").mkdir()
        with services.running(services.influxd(folder / "influxd")) as server:
            begun_s = time.process_time()
            url = f"http://127.0.0.1:{server.port}"
            measured = asyncio.run(measure(folder, url))
            cpu_s = time.process_time() - begun_s
    lags_s, row_us = measured.lags_s, 1e6 * measured.took_s / measured.rows
    simulated = model(costs, row_us).stored
    figures: dict[str, Any] = {
        "batches": len(lags_s),
        "batches_simulated": simulated.count,
        "processor_s": round(cpu_s, 1),
        "row_us": round(row_us, 1),
    }
    for percent in PERCENTILES:
        figures[f"p{percent}_s"] = round(percentile(lags_s, percent), 2)
        figures[f"p{percent}_s_simulated"] = round(
            simulated.percentile_s(percent) or 0.0, 2
        )
    for figure, value in figures.items():
        print(f"{figure:24} {value:>10}")
    return figures
