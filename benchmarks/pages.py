"""Measures the status page of 200 sites, 1,000 devices and 52,000 ports, on InfluxDB
and on the embedded store: the first load of each page, when nothing is cached.

`cpu` is the processor time of Towpath for one load, with DuckDB's if the store is
embedded; `server` that of InfluxDB. Both tell more than time does if the machine has
other work. The least of three loads counts, each with an empty cache. A load that the
store did not answer is a failure. Both stores have the same rows, and no roll-ups:
`lines that differ` counts the lines of a page that are not the same on both. Without
`TOWPATH_INFLUXD` the InfluxDB is the distribution's (1.6.7). `python -m benchmarks
pages --on embedded` measures one store; with `--keep FOLDER` the rows stay there, and
the next run does not plant them again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import services
import stores
from api_council import api_sources
from council_fleet import agents, fleet_source
from grafana_asks import END_MS, Influx
from store_doubles import AlertList

from benchmarks import page_council
from benchmarks.page_council import (
    SHOWN_DEVICE,
    SHOWN_PORT,
    SHOWN_ROOM,
    SHOWN_SITE,
)
from benchmarks.process_cpu import process_cpu_s
from benchmarks.tsm_planting import plant
from collectors.server_measurements import CATALOGUE
from collectors.store.databases import create_database
from collectors.store.influx_store import InfluxStore
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Query, Row, Store
from dashboards.web import StatusPage, WebConfig
from dashboards.web.device_pages import port_link

STORES = ("influxdb", "embedded")
TARGET_S, LOADS, LAPTOPS = 3.0, 3, 2_200
PAGES = {
    "first page": "/",
    "a filter": "/?kind=Depot&state=Problem&q=mary",
    "a site": f"/sites/{SHOWN_SITE}",
    "a site, 7 days": f"/sites/{SHOWN_SITE}?range=7d",
    "a site, 30 days": f"/sites/{SHOWN_SITE}?range=30d",
    "a device": f"/devices/{SHOWN_DEVICE}",
    "a device, 7 days": f"/devices/{SHOWN_DEVICE}?range=7d",
    "a device, 30 days": f"/devices/{SHOWN_DEVICE}?range=30d",
    "a port": port_link(SHOWN_DEVICE, SHOWN_PORT),
    "a port, 7 days": port_link(SHOWN_DEVICE, SHOWN_PORT, "7d"),
    "a port, 30 days": port_link(SHOWN_DEVICE, SHOWN_PORT, "30d"),
    "busiest ports": "/ports",
    "a search": "/search?q=room+17",
    "rooms": "/rooms",
    "a room": f"/rooms/{SHOWN_ROOM}",
    "a room, 30 days": f"/rooms/{SHOWN_ROOM}?range=30d",
    "teams": "/teams",
    "fleet": "/fleet",
    "alerts": "/alerts",
    "reports": "/reports",
    "check": "/check",
    "intranet": "/intranet",
    "API: status": "/api/v1/status",
    "API: 200 sites": "/api/v1/sites?limit=1000",
    "API: 1,000 devices": "/api/v1/devices?limit=1000",
    "API: ports": f"/api/v1/devices/{SHOWN_DEVICE}/ports",
    "API: a day of a port": "/api/v1/series?measurement=interface&pick=in_bps.p95"
    f"&where=device={SHOWN_DEVICE}&where=port={SHOWN_PORT}&every=15m"
    f"&to={datetime.fromtimestamp(END_MS / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
}


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """Seconds of each page on each store."""
    parser = argparse.ArgumentParser(prog="benchmarks pages")
    parser.add_argument("--on", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args(options)
    figures: dict[str, Any] = {}
    shown: dict[str, dict[str, str]] = {}
    measured = {"influxdb": _on_influxdb, "embedded": _on_embedded}
    for kind in chosen.on:
        with tempfile.TemporaryDirectory() as folder:
            print(kind)
            own = (chosen.keep or Path(folder)) / kind
            figures[kind], shown[kind] = measured[kind](own)
    print(f"expected: each load in {TARGET_S:g} s at most")
    if len(shown) == len(STORES):
        figures["differing"] = _compare(*(shown[kind] for kind in STORES))
    return figures


def _compare(first: dict[str, str], second: dict[str, str]) -> dict[str, int]:
    """Returns how many lines of each page are not alike on both stores."""
    differing = {}
    for label, text in first.items():
        lines = [
            line
            for line in difflib.unified_diff(
                text.splitlines(), second[label].splitlines(), *STORES, n=0
            )
            if not line.startswith(("---", "+++", "@@"))
        ]
        if lines:
            differing[label] = len(lines)
            print(f"{label}: {len(lines)} lines differ, such as")
            print(*(f"    {line[:300]}" for line in lines[:4]), sep="\n")
    print(f"lines that differ: {sum(differing.values())}")
    return differing


def _on_influxdb(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    was_there = folder.exists()
    with services.running(services.influxd(folder)) as server:
        if not was_there:
            asyncio.run(_create(server))
            plant(
                Influx(server),
                "towpath",
                list(page_council.made_rows(page_council.estate())),
            )

        @contextlib.asynccontextmanager
        async def store() -> AsyncIterator[Store]:
            async with InfluxStore(
                stores.connection(server), "towpath", CATALOGUE
            ) as opened:
                yield opened

        return asyncio.run(_loads(store, lambda: process_cpu_s(server.pid)))


def _on_embedded(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    async def create() -> None:
        # The first use of the store creates its folder.
        async with EmbeddedStore(folder, CATALOGUE) as store:
            await store.tidy(0)

    if not folder.exists():
        asyncio.run(create())
        rows = page_council.write_embedded(
            folder, page_council.made_rows(page_council.estate())
        )
        print(f"{rows:,} rows")
    return asyncio.run(_loads(lambda: EmbeddedStore(folder, CATALOGUE), lambda: 0.0))


async def _create(server: services.Server) -> None:
    async with stores.connection(server) as connection:
        await create_database(connection, "towpath", 400)


class _CountingStore:
    """Counts the queries of pages."""

    def __init__(self, store: Store) -> None:
        self._store, self.catalogue, self.queries = store, store.catalogue, 0

    async def query(self, query: Query) -> list[Row]:
        self.queries += 1
        return await self._store.query(query)


async def _loads(
    open_store: Callable[[], contextlib.AbstractAsyncContextManager[Store]],
    server_cpu_s: Callable[[], float],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the figures of each page, and its text."""
    figures: dict[str, Any] = {}
    texts: dict[str, str] = {}
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    async with open_store() as store:
        for label, path in PAGES.items():
            loads = []
            for _ in range(LOADS):
                with tempfile.TemporaryDirectory() as folder:
                    load, texts[label] = await _load(
                        store, path, server_cpu_s, Path(folder)
                    )
                loads.append(load)
            best = min(loads, key=lambda load: load["cpu_s"] + load["server_s"])
            figures[label] = best
            print(
                f"{label:<20} {best['s']:6.2f} s, cpu {best['cpu_s']:5.2f}, "
                f"server {best['server_s']:5.2f}, {best['queries']:3} queries, "
                f"{best['kilobytes']:5} kB",
                flush=True,
            )
    return figures, texts


async def _load(
    store: Store, path: str, server_cpu_s: Callable[[], float], folder: Path
) -> tuple[dict[str, Any], str]:
    council, counting = page_council.estate(), _CountingStore(store)
    page = StatusPage(
        WebConfig(reports=folder),
        lambda: council,
        AlertList(),
        counting,
        now_ms=lambda: END_MS,
        api=api_sources(folder / "alerts.sqlite", council),
        fleet=fleet_source(folder, agents(LAPTOPS, END_MS), END_MS),
    )
    transport = httpx2.ASGITransport(app=page.app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://localhost", timeout=60
    ) as client:
        own, server, began = time.process_time(), server_cpu_s(), time.perf_counter()
        answer = await client.get(path)
        wall_s = time.perf_counter() - began
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")
    if page.views.answers.failing:
        raise RuntimeError(f"{path}: {page.views.answers.failing}")
    figures = {
        "s": round(wall_s, 2),
        "cpu_s": round(time.process_time() - own, 2),
        "server_s": round(server_cpu_s() - server, 2),
        "queries": counting.queries,
        "kilobytes": len(answer.content) // 1000,
    }
    return figures, answer.text


if __name__ == "__main__":
    run(sys.argv[1:])
