"""Measures what a report costs the server: CPU of its process, over HTTPS and MQTT with
TLS.

2,200 laptops connect, send their reports (most have 1 to 12, as after five minutes to
an hour) and disconnect; and 32 kept connections send 1 and 50 reports per request. The
peer in the same run is uvicorn's own server with h11 and the same application. The
broker has the settings in deploy/, and its CPU is listed separately. The server writes
to a journal on this disk, or discards everything (`null`). A report has five results.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.ingest_fleet import (
    Fleet,
    Running,
    Usage,
    connect,
    make_fleet,
    mosquitto,
    mqtt_session,
    open_connections,
    server,
    some_bodies,
)
from probes.wire.report import AgentCredential

_LAPTOPS = 2_200
_AT_ONCE = 40
_KEPT = 32
_KEPT_REPORTS = 6_400


def run() -> dict[str, Any]:
    """The figures, also printed as a table."""
    figures: dict[str, Any] = {"laptops": _LAPTOPS, "results_per_report": 5}
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        fleet = make_fleet(
            Path(name),
            _LAPTOPS,
            reports_per_s=1e6,
            reports_burst=10_000_000,
            requests_per_s=1e6,
            requests_burst=10_000_000,
            bytes_per_s=1e9,
            bytes_burst=10_000_000_000,
        )
        for http, append in (("h11", "null"), ("ours", "null"), ("ours", "journal")):
            with server(fleet, append, http) as running:
                measured = asyncio.run(_https(fleet, running))
            figures[f"https {http} {append}"] = measured
            _show(f"https {http} {append}", measured)
        if fleet.broker is None:
            print("  mqtt: not measured, mosquitto is not installed")
            return figures
        for append in ("null", "journal"):
            with mosquitto(fleet) as broker, server(fleet, append) as running:
                measured = asyncio.run(_mqtt(fleet, running, broker))
            figures[f"mqtt {append}"] = measured
            _show(f"mqtt {append}", measured)
    return figures


def _show(label: str, figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"  {label:20} {name:44} {value:>10,.1f}", flush=True)


def _spread(laptops: list[AgentCredential]) -> list[tuple[AgentCredential, int]]:
    """The number of reports of each laptop: most have 1 to 12, one in fifty has 200."""
    dice = random.Random(10)
    return [
        (who, 200 if number % 50 == 49 else dice.randint(1, 12))
        for number, who in enumerate(laptops)
    ]


async def _https(fleet: Fleet, running: Running) -> dict[str, float]:
    figures: dict[str, float] = {}
    for per_body in (1, 50):
        made = [
            some_bodies(who.agent, per_body, 40_000, _KEPT_REPORTS // _KEPT // per_body)
            for who in fleet.laptops[:_KEPT]
        ]
        async with open_connections(
            running.port, fleet.trust, fleet.laptops[:_KEPT]
        ) as kept:

            async def send_bodies(number: int) -> int:
                receipts = [await kept[number].post(body) for body in made[number]]  # noqa: B023
                return sum(len(receipt.accepted) for receipt in receipts)

            used = await _measure_cost(running.usage, send_bodies, range(_KEPT))
        figures[f"µs CPU per report, {per_body} per request, kept"] = used.us_per_report
        figures[f"reports/s, {per_body} per request, kept"] = used.per_s

    async def visit(visitor: tuple[AgentCredential, int]) -> int:
        who, count = visitor
        (body,) = some_bodies(who.agent, count, 20_000, 1)
        line = await connect(running.port, fleet.trust, who)
        accepted = len((await line.post(body)).accepted)
        line.close()
        return accepted

    used = await _measure_cost(running.usage, visit, _spread(fleet.laptops))
    figures["µs CPU per report, 2,200 laptops"] = used.us_per_report
    figures["µs CPU per connection, 2,200 laptops"] = used.us_per_session
    figures["MB resident"] = running.usage.rss_mb()
    return figures


async def _mqtt(fleet: Fleet, running: Running, broker: Usage) -> dict[str, float]:
    begun_s = broker.cpu_s()

    async def visit(visitor: tuple[AgentCredential, int]) -> int:
        who, count = visitor
        (body,) = some_bodies(who.agent, count, 60_000, 1)
        return await mqtt_session(fleet.broker_port, fleet.trust, who, body)

    # Wait until the server has subscribed.
    await visit((fleet.laptops[0], 1))
    used = await _measure_cost(running.usage, visit, _spread(fleet.laptops[1:]))
    return {
        "µs CPU per report, 2,200 laptops": used.us_per_report,
        "µs CPU per connection, 2,200 laptops": used.us_per_session,
        "broker: µs CPU per report, 2,200 laptops": (broker.cpu_s() - begun_s)
        / used.count
        * 1e6,
        "MB resident": running.usage.rss_mb(),
    }


class _ServerCost:
    def __init__(self, cpu_s: float, wall_s: float, count: int, sessions: int) -> None:
        self.count = count
        self.us_per_report, self.us_per_session = (
            cpu_s / count * 1e6,
            cpu_s / sessions * 1e6,
        )
        self.per_s = count / wall_s


async def _measure_cost(
    usage: Usage, session: Callable[[Any], Awaitable[int]], arguments: Any
) -> _ServerCost:
    """Runs all sessions, some at once; returns the server's cost for their reports."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def limited(argument: Any) -> int:
        async with gate:
            return await session(argument)

    all_arguments = list(arguments)
    cpu_s, begun_s = usage.cpu_s(), time.monotonic()
    counts = await asyncio.gather(*map(limited, all_arguments))
    wall_s = time.monotonic() - begun_s
    return _ServerCost(usage.cpu_s() - cpu_s, wall_s, sum(counts), len(all_arguments))


if __name__ == "__main__":
    run()
