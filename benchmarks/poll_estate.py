"""Measures CPU, memory and lateness of one poller process with an estate of switches.

The poller is the one of `towpath run --role poll`, with its journal, in a separate
process. The switches are `benchmarks.poll_switches`; one in ten is dead. Afterwards the
journal shows what was polled and how late. A short run has 1,000 switches every 12 s,
the same load as 5,000 every minute. The full one has 100, 1,000 and 10,000 every 60 s
and takes 25 minutes.

    python -m benchmarks.poll_estate [--full]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.poll_switches import COMMUNITY, PORTS, address, is_dead, running
from collectors.estate import Device, Estate, Site
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.ping import Pinger
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credentials, Poller, SnmpConfig, credential
from collectors.store.memory_release import resident_bytes
from probes.wire.clock import wall_ms

SHORT = ((1_000, 12.0),)
FULL = ((100, 60.0), (1_000, 60.0), (10_000, 60.0))
# Periods between the end of discovery and the measured window, and in the window.
SETTLE, WINDOW = 2, 3


def run(full: bool = False) -> dict[str, float]:
    """The figures by name; names end in their unit."""
    figures: dict[str, float] = {}
    with running() as port:
        for many, period_s in FULL if full else SHORT:
            estate_figures = _poller(many, period_s, port)
            for name, value in estate_figures.items():
                figure = f"{many}_switches_{name}"
                figures[figure] = value
                print(f"{figure:44} {value:>14,.3f}", flush=True)
    return figures


def _poller(many: int, period_s: float, port: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.poll_estate", "--poll", folder]
        arguments = [*command, str(many), str(period_s), str(port)]
        done = subprocess.run(
            arguments, stdout=subprocess.PIPE, text=True, timeout=1800, check=True
        )
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        begun_ms, ended_ms = figures.pop("begun_ms"), figures.pop("ended_ms")
        journal_figures = asyncio.run(_journalled(Path(folder), begun_ms, ended_ms))
    return figures | journal_figures


async def poll(folder: Path, many: int, period_s: float, port: int) -> dict[str, float]:
    """In the poller's process: polls, and returns its cost and the measured window."""
    estate = Estate(
        sites=(Site(id="s", name="s"),),
        devices=tuple(
            Device(id=f"switch-{n}", site="s", address=address(n), port=port)  # type: ignore[arg-type]
            for n in range(many)
        ),
    )
    credentials = Credentials(
        {"default": credential("default", {"community": COMMUNITY})}
    )
    config = SnmpConfig(period_s=period_s, state_file=folder / "snmp.json")
    journal_config = JournalConfig(folder=folder / "journal", readers=("bench",))
    async with (
        Journal(journal_config, "poll", CATALOGUE) as journal,
        Poller(
            config, lambda: estate, credentials, journal, pinger=Pinger(loopback=True)
        ) as poller,
    ):
        alive = sum(not is_dead(n) for n in range(many))
        began_s = time.monotonic()
        while poller.stats.learnt < 0.99 * alive:  # noqa: ASYNC110 - nothing signals these counts
            await asyncio.sleep(1)
        learnt_s = time.monotonic() - began_s
        learnt_cpu_s = time.process_time()
        await asyncio.sleep(SETTLE * period_s)
        rss = rss_mb()
        begun_ms, began_s, cpu_s = wall_ms(), time.monotonic(), time.process_time()
        packets, retries = poller.stats.packets, poller.stats.retries
        done = poller.stats.done
        await asyncio.sleep(WINDOW * period_s)
        took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
        ended_ms = wall_ms()
        done = poller.stats.done - done
        return {
            "begun_ms": begun_ms,
            "ended_ms": ended_ms,
            "learnt_s": learnt_s,
            "learnt_cpu_s": learnt_cpu_s,
            "core_ratio": cpu_s / took_s,
            "cpu_ms_per_poll": cpu_s / done * 1000,
            "polls_per_s": done / took_s,
            "packets_per_poll": (poller.stats.packets - packets) / done,
            "retries_per_poll": (poller.stats.retries - retries) / done,
            "skipped": poller.stats.skipped,
            "not_stored": poller.not_stored,
            "rss_before_mb": rss,
            "rss_after_mb": rss_mb(),
            "commits_per_s": journal.stats.commits
            / (time.monotonic() - began_s + learnt_s),
        }


async def _journalled(
    folder: Path, begun_ms: float, ended_ms: float
) -> dict[str, float]:
    late_ms: list[float] = []
    up = ports = 0
    async with JournalReader(folder / "journal", "bench") as reader:
        while chunk := await reader.read(wait_s=0.5):
            for batch in chunk.batches:
                if not begun_ms <= batch.received_ms < ended_ms:
                    continue
                if batch.measurement == "device":
                    late_ms += batch.field("late_ms")  # type: ignore[arg-type]
                    up += sum(filter(None, batch.field("readable")))  # type: ignore[arg-type]
                elif batch.measurement == "interface":
                    ports += sum(v is not None for v in batch.field("in_bps"))
    late_ms.sort()
    return {
        "late_p50_ms": late_ms[len(late_ms) // 2],
        "late_p99_ms": late_ms[int(len(late_ms) * 0.99)],
        "late_max_ms": late_ms[-1],
        "answered_ratio": up / len(late_ms),
        "ports_with_rates_ratio": ports / (up * PORTS),
    }


def rss_mb() -> float:
    return resident_bytes() / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--poll", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.poll:
        import uvloop

        folder, many, period, port = arguments.poll
        print(
            json.dumps(
                uvloop.run(poll(Path(folder), int(many), float(period), int(port)))
            )
        )
    else:
        run(arguments.full)
