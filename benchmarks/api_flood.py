"""Measures what 10,000 requests a minute of one program do to the others.

A program with a token sends as many, over 20 connections, to a status page of 200 sites
and 1,000 devices on the embedded store; another program and a person ask meanwhile, as
before. `python -m benchmarks api_flood --seconds 60`. The clients have a process of
their own. `answered` and `refused` (429) are of the flood; the others' times are in ms,
the resident memory of the server in MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from api_council import ALL, api_sources
from grafana_asks import END_MS

from alerts.api_tokens import ApiTokens, tokens_file
from benchmarks import page_council
from collectors.server_measurements import CATALOGUE
from collectors.store.parquet_store import EmbeddedStore
from dashboards.web import StatusPage, WebConfig
from probes.wire.clock import wall_ms

CONNECTIONS, A_MINUTE = 20, 10_000
_STARTED_MS = wall_ms()


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args(options).seconds
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_measure(Path(folder), seconds))
    print(json.dumps(figures, indent=1))
    return figures


def _now_ms() -> int:
    """The time of the rows, going on."""
    return END_MS + wall_ms() - _STARTED_MS


async def _measure(folder: Path, seconds: float) -> dict[str, Any]:
    council = page_council.estate()
    async with EmbeddedStore(folder / "store", CATALOGUE) as store:
        await store.tidy(0)
    page_council.write_embedded(folder / "store", page_council.made_rows(council))
    standing = folder / "alerts.sqlite"
    tokens = ApiTokens(tokens_file(standing))
    secrets = [
        tokens.make(name, "bench", END_MS + 86_400_000, END_MS, ALL)
        for name in ("flood", "other")
    ]
    async with EmbeddedStore(folder / "store", CATALOGUE) as store:
        page = StatusPage(
            WebConfig(port=0),
            lambda: council,
            standing,
            store,
            now_ms=_now_ms,
            api=api_sources(standing, council),
        )
        async with page:
            port = int(page.url.rpartition(":")[2])
            return await _phases(port, secrets, seconds)


async def _phases(port: int, secrets: list[str], seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for phase, rate in (("warm", 0), ("quiet", 0), ("flood", A_MINUTE), ("again", 0)):
        length_s = seconds if rate else min(seconds, 15)
        cpu_s = time.process_time()
        received, sent = multiprocessing.Pipe(duplex=False)
        client = multiprocessing.get_context("spawn").Process(
            target=_clients, args=(port, secrets, rate, length_s, sent)
        )
        client.start()
        sent.close()
        seen = await asyncio.to_thread(received.recv)
        await asyncio.to_thread(client.join)
        seen["server_cpu_s"] = round(time.process_time() - cpu_s, 2)
        seen["server_mb"] = _resident_mb()
        if phase != "warm":
            figures[phase] = seen
    return figures


def _clients(
    port: int, secrets: list[str], rate: float, seconds: float, sent: Any
) -> None:
    # If it fails, the other side reads the end of the pipe.
    with sent:
        sent.send(asyncio.run(_ask(port, secrets, rate, seconds)))


async def _ask(
    port: int, secrets: list[str], rate: float, seconds: float
) -> dict[str, Any]:
    end_s = time.monotonic() + seconds
    statuses: Counter[int] = Counter()
    times: dict[str, list[float]] = {"program": [], "person": []}

    async def flood() -> None:
        pause_s = CONNECTIONS * 60 / rate
        await _loop(port, "/api/v1/devices?limit=1000", secrets[0], pause_s, end_s,
                    lambda status, ms: statuses.update([status]))  # fmt: skip

    async def others(who: str, path: str, secret: str) -> None:
        def note(status: int, ms: float) -> None:
            if status != 200:
                raise RuntimeError(f"{who}: {status}")
            times[who].append(ms)

        await _loop(port, path, secret, 0.5, end_s, note)

    await asyncio.gather(
        others("program", "/api/v1/sites?limit=200", secrets[1]),
        others("person", "/sites/site-9", ""),
        *(flood() for _ in range(CONNECTIONS if rate else 0)),
    )
    return {
        "answered": statuses[200],
        "refused": statuses[429],
        **{f"{who}_ms": _spread(ms) for who, ms in times.items()},
    }


async def _loop(
    port: int, path: str, secret: str, pause_s: float, end_s: float, note: Any
) -> None:
    """Asks over one connection, every `pause_s`, until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if secret:
        head += f"Authorization: Bearer {secret}\r\n"
    next_s = time.monotonic()
    while next_s < end_s:
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        next_s += pause_s
        begun_s = time.monotonic()
        writer.write(f"{head}\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        fields = dict(
            line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:] if line
        )
        await reader.readexactly(int(fields[b"content-length"]))
        note(int(answer.split()[1]), (time.monotonic() - begun_s) * 1000)
    writer.close()


def _spread(ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(ms, n=20)
    found = {"median": statistics.median(ms), "p95": cuts[-1], "max": max(ms)}
    return {
        "asked": len(ms),
        **{name: round(value, 1) for name, value in found.items()},
    }


def _resident_mb() -> float:
    return round(psutil.Process().memory_info().rss / 1e6, 1)
