"""Measures the stores: rows written per second, processor time of a stored row with
compaction or with the server's, bytes, and how long queries about a day of a 50-port
switch take.

Every write is an hour of one day. `flushes` is an hour as a small council writes it: a
few rows every half minute.

Both stores get the same rows on the same machine in the same run, so read the ratios.
InfluxDB is the distribution's (1.6.7), or the 1.x that `TOWPATH_INFLUXD` names, without
the journal in front of it. It compacts fully after seconds without a write, instead of
four hours, so that its time and its bytes are those of compacted rows too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import services

from benchmarks.process_cpu import process_cpu_s
from collectors.batch import Batch, Schema
from collectors.server_measurements import CATALOGUE, INTERFACE
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Pick, Query, Store, Where

PORTS, MINUTES, SWITCHES = 50, 1440, 4
START = 1_790_553_600_000
DAY = 86_400_000
WRITES_EACH = 60
# As of 2 switches a minute.
FLUSHES, FLUSH_MS, FLUSHED_ROWS = 120, 30_000, 50
# After so long without a change its files are compacted; at most so long is waited.
_SETTLED_S, _LONGEST_S = 20.0, 300.0
_COMPACTS_SOON = {
    "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "5s",
    "INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION": "5s",
}


def run() -> dict[str, Any]:
    """Figures by name; `ratio_*` are embedded over InfluxDB."""
    figures = asyncio.run(_run())
    for name, figure in figures.items():
        print(f"{name:<40} {figure:>12}")
    return figures


async def _run() -> dict[str, Any]:
    writes = _writes()
    rows = sum(len(batch) for batches in writes for batch in batches)
    figures: dict[str, Any] = {"rows": rows, "rows_each_write": rows // len(writes)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with EmbeddedStore(folder / "files", CATALOGUE) as store:
            figures |= await _measure("embedded", store, writes)
            began, cpu = time.perf_counter(), time.process_time()
            await store.tidy(START + 2 * DAY)
            figures["embedded_compact_rows_per_s"] = round(
                rows / (time.perf_counter() - began)
            )
            figures["embedded_compact_cpu_us_per_row"] = _us(cpu, rows)
            figures |= await _time_queries("embedded_compacted", store)
            figures["embedded_bytes_per_row"] = _bytes_per_row(folder / "files", rows)
        async with EmbeddedStore(folder / "flushed", CATALOGUE) as store:
            figures |= await _measure_flushes("embedded", store, writes[0][0])
        os.environ |= _COMPACTS_SOON
        with services.running(services.influxd(folder / "influxd")) as server:
            connection = InfluxServer(f"http://127.0.0.1:{server.port}")
            async with InfluxStore(connection, "bench", CATALOGUE) as influx:
                before_s = process_cpu_s(server.pid)
                figures |= await _measure_flushes("influxd", influx, writes[0][0])
                spent_s = process_cpu_s(server.pid) - before_s
                figures["influxd_flushes_server_cpu_us_per_row"] = round(
                    spent_s / FLUSHES / FLUSHED_ROWS * 1e6, 2
                )
                _wait_compacted(folder / "influxd")
                before_s = process_cpu_s(server.pid)
                figures |= await _measure("influxd", influx, writes)
                spent_s = process_cpu_s(server.pid) - before_s
                figures["influxd_server_cpu_us_per_row"] = round(
                    spent_s / rows * 1e6, 2
                )
                before_s = process_cpu_s(server.pid)
                _wait_compacted(folder / "influxd")
                figures["influxd_compact_cpu_us_per_row"] = round(
                    (process_cpu_s(server.pid) - before_s) / rows * 1e6, 2
                )
                figures["influxd_bytes_per_row"] = round(
                    _size(folder / "influxd") / (rows + FLUSHES * FLUSHED_ROWS), 1
                )
    for name in ("rows_per_s", *(f"{query_name}_ms" for query_name in _queries())):
        ours = figures.get(f"embedded_compacted_{name}", figures[f"embedded_{name}"])
        figures[f"ratio_{name}"] = round(ours / figures[f"influxd_{name}"], 2)
    return figures


async def _measure(
    label: str, store: EmbeddedStore | InfluxStore, writes: list[list[Batch]]
) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    for batches in writes:
        await store.write(batches)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    rows = sum(len(batch) for batches in writes for batch in batches)
    return {
        f"{label}_rows_per_s": round(rows / seconds),
        f"{label}_own_cpu_us_per_row": round(cpu / rows * 1e6, 2),
        **await _time_queries(label, store),
    }


async def _measure_flushes(
    label: str, store: EmbeddedStore | InfluxStore, batch: Batch
) -> dict[str, float]:
    """An hour of small writes, with what compacts them meanwhile."""
    batch = batch.rows(range(FLUSHED_ROWS))
    cpu = time.process_time()
    for flush in range(FLUSHES):
        at_ms = START + flush * FLUSH_MS
        times: list[Any] = [at_ms] * FLUSHED_ROWS
        columns = (times, *batch.columns[1:])
        await store.write([Batch(batch.source, at_ms, batch.schema, columns)])
        await store.tidy(at_ms)
    rows = FLUSHES * FLUSHED_ROWS
    return {f"{label}_flushes_own_cpu_us_per_row": _us(cpu, rows)}


def _wait_compacted(folder: Path) -> None:
    """Returns when the files of an InfluxDB have not changed for a while."""
    ends_s = time.monotonic() + _LONGEST_S
    size, since_s = _size(folder), time.monotonic()
    while time.monotonic() < min(ends_s, since_s + _SETTLED_S):
        time.sleep(1)
        if (now := _size(folder)) != size:
            size, since_s = now, time.monotonic()


def _size(folder: Path) -> int:
    """The octets of its rows, in files or still in its log."""
    kept = 0
    for path in (*folder.glob("data/**/*"), *folder.glob("wal/**/*")):
        with contextlib.suppress(FileNotFoundError):
            kept += path.stat().st_size if path.is_file() else 0
    return kept


def _us(since_cpu_s: float, rows: int) -> float:
    return round((time.process_time() - since_cpu_s) / rows * 1e6, 2)


async def _time_queries(label: str, store: Store) -> dict[str, float]:
    """The best of five runs of each query, in ms."""
    figures = {}
    for name, query in _queries().items():
        times = []
        for _ in range(5):
            began = time.perf_counter()
            answer = await store.query(query)
            times.append(time.perf_counter() - began)
            assert answer, name
        figures[f"{label}_{name}_ms"] = round(min(times) * 1000, 1)
    return figures


def _queries() -> dict[str, Query]:
    span = (START, START + DAY)
    switch = (Where("device", ("switch-1",)),)
    port = (*switch, Where("port", ("Gi1/0/7",)))
    both = (Pick("in_bps"), Pick("out_bps"))
    return {
        "one_port_by_5m": Query("interface", both, *span, port, (), 300_000),
        "all_ports_by_5m": Query("interface", both, *span, switch, ("port",), 300_000),
        "all_ports_p95": Query(
            "interface", (Pick("in_bps", "p95"),), *span, switch, ("device", "port")
        ),
        "last_states": Query(
            "interface",
            (Pick("up", "last"), Pick("oper", "last")),
            START + DAY - 600_000,
            START + DAY,
            switch,
            ("device", "port"),
        ),
    }


def _writes() -> list[list[Batch]]:
    """A day of SWITCHES switches with PORTS ports, a row per minute and port."""
    chance = random.Random(1)
    tags = ("device", "site", "role", "port")
    fields = tuple(f.name for f in INTERFACE.fields if f.name != "in_error_ratio")
    schema = Schema("interface", tags, fields)
    kinds = [INTERFACE.field(name).type for name in fields]
    writes = []
    for first in range(0, MINUTES, WRITES_EACH):
        batches = []
        for minute in range(first, min(first + WRITES_EACH, MINUTES)):
            for switch in range(SWITCHES):
                columns: list[list[Any]] = [
                    [START + minute * 60_000 + switch * 977] * PORTS,
                    [f"switch-{switch}"] * PORTS,
                    [f"site-{switch % 2}"] * PORTS,
                    ["switch"] * PORTS,
                    [f"Gi1/0/{port}" for port in range(PORTS)],
                ]
                for kind in kinds:
                    if kind == "float":
                        columns.append([chance.random() * 1e8 for _ in range(PORTS)])
                    elif kind == "int":
                        columns.append([1] * PORTS)
                    else:
                        columns.append(["neighbour"] * PORTS)
                batches.append(
                    Batch(f"poll/switch-{switch}", START, schema, tuple(columns))
                )
        writes.append(batches)
    return writes


def _bytes_per_row(folder: Path, rows: int) -> float:
    days = folder.rglob("day-*.parquet")
    return round(sum(path.stat().st_size for path in days) / rows, 1)


if __name__ == "__main__":
    run()
