"""Three poller processes share an estate of simulated switches over NATS, and one of
them is killed: how often and how late each device is polled, and how long until the
others poll the devices of the killed one.

The pollers are those of `towpath run --role poll` with `snmp.share`, each with a
journal of its own; the journals show what was polled. The switches are
`benchmarks.poll_switches`; one in ten is dead. NATS is one real server. The default,
3,000 switches every 30 s, asks as often as 6,000 every minute.

30,000 switches with eight ports, each every 200 s, need two quiet cores, 3 GB of
memory, 1 GB of disk, a hard limit of 18,000 open files, a UDP port for each switch (all
pollers run on this machine), and up to 15 minutes:

    sysctl net.ipv4.ip_local_port_range="10240 65000"
    python -m benchmarks shared_polling --switches 30000 --period 200 --ports 8
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
from nats_servers import running_nats

from benchmarks.poll_estate import rss_mb
from benchmarks.poll_switches import COMMUNITY, PORTS, address, is_dead, running
from collectors.estate import Device, Estate, Site
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.ping import Pinger
from collectors.server_measurements import CATALOGUE
from collectors.sharing.learnt_bucket import LearntBucket
from collectors.sharing.share_thread import ShareThread
from collectors.snmp import Credentials, Poller, SnmpConfig, credential
from probes.wire.clock import wall_ms
from probes.wire.percentiles import percentile

SWITCHES, PERIOD_S = 3_000, 30.0
NAMES = ("poller-a", "poller-b", "poller-c")
# A lease lasts so long. The others begin some seconds later; each device has its turn
# within a period; a dead one takes some seconds. Then all have been polled again.
_LEASE_S, _HANDED_S, _DEAD_S = 15.0, 5.0, 15.0
# The measured window is a number of periods, at least so long.
_WINDOW_S = 90.0
_LOOK_S = 0.5
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Setup(msgspec.Struct, frozen=True):
    """The arguments of a poller process."""

    folder: str
    name: str
    switches: int
    period_s: float
    port: int
    nats: str


class Held(msgspec.Struct, frozen=True):
    """What one poller held at a moment."""

    time_ms: int
    held: int
    learnt: int
    cpu_s: float
    rss_mb: float


class Polled(msgspec.Struct, frozen=True):
    """One row of `device`: a poll from its begin to its end."""

    begin_ms: float
    end_ms: float
    poller: str
    late_ms: float
    packets: float


def run(options: Sequence[str] = ()) -> dict[str, float]:
    """The figures by name; names end in their unit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks shared_polling")
    parser.add_argument("--switches", type=int, default=SWITCHES)
    parser.add_argument("--period", type=float, default=PERIOD_S)
    parser.add_argument("--ports", type=int, default=PORTS)
    arguments = parser.parse_args(options)
    switches, period_s = arguments.switches, arguments.period
    first, last = map(int, _PORT_RANGE.read_text().split())
    if last - first < switches:
        parser.error(
            f"{switches} switches need as many UDP ports: this machine gives out "
            f"{last - first + 1} (sysctl net.ipv4.ip_local_port_range)"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            running_nats(folder / "nats") as server,
            running(arguments.ports) as port,
        ):
            setups = [
                Setup(
                    str(folder / poller), poller, switches, period_s, port, server.url
                )
                for poller in NAMES
            ]
            figures = {"ports": arguments.ports, **_measure(setups)}
    for figure, value in figures.items():
        print(f"{figure:44} {value:>14,.3f}", flush=True)
    return figures


def _measure(setups: list[Setup]) -> dict[str, float]:
    switches, period_s = setups[0].switches, setups[0].period_s
    window_s = math.ceil(_WINDOW_S / period_s) * period_s
    processes = [_start(setup) for setup in setups]
    try:
        alive = sum(not is_dead(n) for n in range(switches))
        began_s = time.monotonic()
        while (learnt := sum(_last(setup).learnt for setup in setups)) < 0.98 * alive:
            time.sleep(_LOOK_S)
            took_s = time.monotonic() - began_s
            if took_s > max(10 * period_s, 600):
                raise TimeoutError(f"the tables of only {learnt} switches were read")
        learnt_s = time.monotonic() - began_s
        begun_ms, before = wall_ms(), [_last(setup) for setup in setups]
        # The last polls of dead devices in the window end after it.
        time.sleep(window_s + _DEAD_S)
        killed_ms, at_kill = wall_ms(), [_last(setup) for setup in setups]
        processes[1].kill()
        time.sleep(_LEASE_S + _HANDED_S + period_s + _DEAD_S)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)
    polls = defaultdict(list)
    for setup in setups:
        asyncio.run(_read(setup, polls))
    cores = sum(b.cpu_s - a.cpu_s for a, b in zip(before, at_kill, strict=True)) / (
        (killed_ms - begun_ms) / 1000
    )
    return {
        "switches": switches,
        "period_s": period_s,
        "learnt_s": learnt_s,
        "pollers_core_ratio": cores,
        "largest_rss_mb": max(last.rss_mb for last in map(_last, setups)),
        "smallest_share": min(last.held for last in at_kill),
        "largest_share": max(last.held for last in at_kill),
        **_steady(polls, begun_ms, killed_ms - round(_DEAD_S * 1000), setups[0]),
        **_after_kill(polls, killed_ms, NAMES[1]),
        "rebalanced_s": _rebalanced_s(setups, killed_ms),
    }


def _steady(
    polls: dict[str, list[Polled]], begun_ms: int, ended_ms: int, setup: Setup
) -> dict[str, float]:
    """While all pollers run: how often each device was polled, and how late."""
    late_ms: list[float] = []
    gaps_ms: list[float] = []
    exact, period_ms = 0, setup.period_s * 1000
    for rows in polls.values():
        # By when they were due: a poll that is late was not skipped.
        due_ms = sorted(
            row.begin_ms - row.late_ms
            for row in rows
            if begun_ms <= row.begin_ms - row.late_ms < ended_ms
        )
        late_ms += [row.late_ms for row in rows if begun_ms <= row.end_ms < ended_ms]
        # The edges stand for polls, which may be up to a period away.
        gaps = [b - a for a, b in itertools.pairwise([begun_ms, *due_ms, ended_ms])]
        gaps_ms += gaps
        exact += max(gaps) < 1.1 * period_ms and all(
            gap > 0.9 * period_ms for gap in gaps[1:-1]
        )
    return {
        "periods": round((ended_ms - begun_ms) / period_ms),
        "polled_once_a_period_ratio": exact / setup.switches,
        "longest_gap_s": max(gaps_ms, default=0.0) / 1000,
        "late_p50_ms": percentile(late_ms, 50),
        "late_p99_ms": percentile(late_ms, 99),
    }


def _polled_by_two(rows: list[Polled]) -> bool:
    """True if two pollers polled the device at the same time. `rows` by their begin."""
    return any(
        a.poller != b.poller and b.begin_ms < a.end_ms
        for a, b in itertools.pairwise(rows)
    )


def _after_kill(
    polls: dict[str, list[Polled]], killed_ms: int, killed: str
) -> dict[str, float]:
    """What happened to the devices of the poller that was killed."""
    waits_s: list[float] = []
    packets: list[float] = []
    learning: list[float] = []
    forgotten = twice = 0
    for rows in polls.values():
        rows.sort(key=lambda row: row.begin_ms)
        before = [row for row in rows if row.end_ms < killed_ms]
        twice += _polled_by_two(rows)
        if not before or before[-1].poller != killed:
            continue
        taken = [row for row in rows[len(before) :] if row.poller != killed]
        if not taken:
            forgotten += 1
            continue
        waits_s.append((taken[0].begin_ms - killed_ms) / 1000)
        packets.append(taken[0].packets)
        learning.append(max(row.packets for row in before))
    return {
        "devices_of_the_killed": len(waits_s) + forgotten,
        "not_polled_again": forgotten,
        "polled_again_p50_s": percentile(waits_s, 50),
        "polled_again_max_s": max(waits_s, default=math.inf),
        "learning_poll_packets_p50": percentile(learning, 50),
        "first_poll_packets_p50": percentile(packets, 50),
        "polled_by_two_at_once": twice,
    }


def _rebalanced_s(setups: list[Setup], killed_ms: int) -> float:
    """How long after the kill the others held everything."""
    histories = [_history(setup) for setup in setups if setup.name != NAMES[1]]
    for time_ms in sorted(held.time_ms for history in histories for held in history):
        now = [
            [held.held for held in history if held.time_ms <= time_ms][-1:]
            for history in histories
        ]
        if time_ms > killed_ms and sum(map(sum, now)) == setups[0].switches:
            return (time_ms - killed_ms) / 1000
    return float("inf")


def _start(setup: Setup) -> subprocess.Popen[bytes]:
    Path(setup.folder).mkdir()
    with (Path(setup.folder) / "log").open("wb") as log:
        command = [sys.executable, "-m", "benchmarks.shared_polling"]
        return subprocess.Popen(
            [*command, msgspec.json.encode(setup).decode()], stdout=log, stderr=log
        )


def _history(setup: Setup) -> list[Held]:
    try:
        lines = (Path(setup.folder) / "held").read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=Held) for line in lines if line[-1:] == b"}"]


def _last(setup: Setup) -> Held:
    return (_history(setup) or [Held(0, 0, 0, 0.0, 0.0)])[-1]


async def _read(setup: Setup, polls: dict[str, list[Polled]]) -> None:
    async with JournalReader(Path(setup.folder) / "journal", "bench") as reader:
        while chunk := await reader.read(wait_s=5.0):
            for batch in chunk.batches:
                if batch.measurement != "device":
                    continue
                names = ("duration_ms", "late_ms", "packets")
                columns = [batch.field(name) for name in names]
                for at, device in enumerate(batch.tag("device")):
                    took, late, packets = (float(c[at] or 0) for c in columns)
                    end = batch.received_ms
                    polls[device].append(
                        Polled(end - took, end, setup.name, late, packets)
                    )


async def poll(setup: Setup) -> None:
    """In a poller's process, until it is stopped."""
    folder = Path(setup.folder)
    estate = Estate(
        sites=(Site(id="s", name="s"),),
        devices=tuple(
            Device(id=f"switch-{n}", site="s", address=address(n), port=setup.port)  # type: ignore[arg-type]
            for n in range(setup.switches)
        ),
    )
    credentials = Credentials(
        {"default": credential("default", {"community": COMMUNITY})}
    )
    config = SnmpConfig(
        period_s=setup.period_s,
        ping_s=max(20.0, setup.period_s / 3),
        state_file=folder / "snmp.json",
    )
    journal_config = JournalConfig(folder=folder / "journal", readers=("bench",))
    nats = NatsConfig(servers=(setup.nats,))
    connection = NatsConnection(nats, setup.name)
    share = ShareThread(nats, setup.name)
    async with (
        Journal(journal_config, "poll", CATALOGUE) as journal,
        connection,
        share,
        Poller(
            config,
            lambda: estate,
            credentials,
            journal,
            pinger=Pinger(loopback=True),
            share=share,
            learnt=LearntBucket(connection),
        ) as poller,
    ):
        with (folder / "held").open("wb", buffering=0) as file:
            while True:
                learnt, cpu_s = poller.stats.learnt, time.process_time()
                now = Held(wall_ms(), share.held, learnt, cpu_s, rss_mb())
                file.write(msgspec.json.encode(now) + b"\n")
                await asyncio.sleep(_LOOK_S)


if __name__ == "__main__":
    import uvloop

    uvloop.run(poll(msgspec.json.decode(sys.argv[1], type=Setup)))
