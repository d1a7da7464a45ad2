"""Measures what Towpath costs as a user runs it: processor time of `towpath run` and
all its children for each poll of a device, once it knows its devices.

Each case is a process with a settings file of its own. Devices are one real snmpd with
50 ports that answers at many addresses; 1,000 devices are the simulated switches of
`benchmarks.poll_switches`, 52 ports each. Neither is counted, nor is InfluxDB, whose
time is shown apart. Packets are requests. Everything runs in a network namespace. All
cases take more than an hour; each takes four minutes and `--minutes`.

    python -m benchmarks running_cost --cases all-20,all-influxdb-20 --minutes 5
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import services
from river import Council, environment
from waiting import wait_until

from benchmarks import poll_switches
from benchmarks.exporter_peer import is_installed, measure_exporter
from benchmarks.process_cpu import process_cpu_s
from benchmarks.real_agent import (
    USERS,
    address,
    create_ports,
    run_in_namespace,
    snmpd,
)

PERIOD_S = 60.0
MINUTES = 5.0


@dataclasses.dataclass(frozen=True)
class Case:
    """What runs. `store`: embedded or influxdb; "" is the role poll alone. `learn`:
    the period and seconds of the run before, in which Towpath gets to know its
    devices."""

    store: str
    devices: int
    version: str = "v2c"
    learn: tuple[float, float] = (2.0, 60.0)

    @property
    def roles(self) -> tuple[str, ...]:
        return () if self.store else ("--role", "poll")


CASES = {
    "poll-20": Case("", 20),
    "poll-20-v3": Case("", 20, "v3"),
    "all-1": Case("embedded", 1),
    "all-20": Case("embedded", 20),
    "all-20-v3": Case("embedded", 20, "v3"),
    "all-influxdb-20": Case("influxdb", 20),
    "poll-1000": Case("", 1_000, learn=(12.0, 260.0)),
    "all-1000": Case("embedded", 1_000, learn=(12.0, 260.0)),
    "all-influxdb-1000": Case("influxdb", 1_000, learn=(12.0, 260.0)),
}


def run(options: Sequence[str] = ()) -> dict[str, float]:
    """The figures by name; names end in their unit."""
    return run_in_namespace("benchmarks.running_cost", *options)


def measure(names: Sequence[str], minutes: float) -> dict[str, float]:
    """Inside the namespace: the figures of the cases with these names."""
    create_ports()
    figures: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        agent_port = stack.enter_context(snmpd(folder))
        for name in names:
            case = CASES[name]
            with tempfile.TemporaryDirectory() as own:
                if case.devices < 1_000:
                    measured = _measure_case(case, Path(own), agent_port, minutes)
                else:
                    with poll_switches.running() as port:
                        measured = _measure_case(case, Path(own), port, minutes)
            for figure, value in measured.items():
                figures[f"{name}_{figure}"] = value
                print(f"{name + '_' + figure:44} {value:>12,.3f}", file=sys.stderr)
        if is_installed():
            # As often as 20 devices are polled.
            peer = measure_exporter(folder, agent_port, PERIOD_S / 20)
            figures |= {f"snmp_exporter_{figure}": peer[figure] for figure in peer}
            print(f"snmp_exporter {peer}", file=sys.stderr)
    return figures


def _measure_case(
    case: Case, folder: Path, agent_port: int, minutes: float
) -> dict[str, float]:
    council = Council(folder)
    _write_estate(council, case, agent_port)
    metrics_port = services.free_port()
    with _influxd(case, folder) as influxd:
        url = "" if influxd is None else f"http://127.0.0.1:{influxd.port}"
        _write_settings(council, case, metrics_port, url, case.learn[0])
        with _towpath(council, case):
            time.sleep(case.learn[1])
        _write_settings(council, case, metrics_port, url, PERIOD_S)
        with _towpath(council, case) as towpath:
            # The first polls are those of a start.
            time.sleep(2 * PERIOD_S)
            rows = _journal_rows(metrics_port)
            before = _Counters.read(towpath.pid, influxd)
            time.sleep(minutes * 60)
            after = _Counters.read(towpath.pid, influxd)
            rows = _journal_rows(metrics_port) - rows
    return _figures(case, before, after, rows)


@dataclasses.dataclass(frozen=True)
class _Counters:
    at_s: float
    cpu_s: float
    influxd_cpu_s: float
    datagrams: int

    @staticmethod
    def read(pid: int, influxd: services.Server | None) -> _Counters:
        return _Counters(
            time.monotonic(),
            process_cpu_s(pid),
            0.0 if influxd is None else process_cpu_s(influxd.pid),
            _datagrams_sent(),
        )


def _figures(
    case: Case, before: _Counters, after: _Counters, rows: int
) -> dict[str, float]:
    took_s = after.at_s - before.at_s
    polls = case.devices * took_s / PERIOD_S
    spent_s = after.cpu_s - before.cpu_s
    figures = {
        "cpu_ms_per_poll": spent_s / polls * 1000,
        "cpu_ms_per_minute": spent_s / took_s * 60_000,
        "cores_per_1000_devices_ratio": spent_s / took_s / case.devices * 1_000,
        # Each request has one response, and all of them are in this namespace.
        "packets_per_poll": (after.datagrams - before.datagrams) / 2 / polls,
        "rows_per_poll": rows / polls,
        "load": os.getloadavg()[1],
    }
    if case.store == "influxdb":
        influxd_s = after.influxd_cpu_s - before.influxd_cpu_s
        figures["influxd_cpu_ms_per_poll"] = influxd_s / polls * 1000
    return figures


def _datagrams_sent() -> int:
    """UDP datagrams sent in this namespace (/proc/net/snmp)."""
    names, values = (
        line.split()
        for line in Path("/proc/net/snmp").read_text().splitlines()
        if line.startswith("Udp:")
    )
    return int(values[names.index("OutDatagrams")])


def _journal_rows(port: int) -> int:
    name = "towpath_self_journal_appended_rows_total"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith(name)))


def _write_estate(council: Council, case: Case, port: int) -> None:
    alive = (n for n in itertools.count() if not poll_switches.is_dead(n))
    text = "".join(
        f'[[sites]]\nid = "s{n}"\nname = "Site {n}"\n'
        for n in range(-(-case.devices // 20))
    )
    for n, number in zip(range(case.devices), alive, strict=False):
        text += f"""[[devices]]
id = "switch-{n}"
site = "s{n // 20}"
role = "switch"
address = "{address(number)}"
port = {port}
credentials = "bench"
"""
    council.estate.write_text(text)


def _write_settings(
    council: Council, case: Case, metrics_port: int, influx_url: str, period_s: float
) -> None:
    store = 'kind = "embedded"'
    if influx_url:
        store = f'kind = "influxdb"\nurl = "{influx_url}"'
    # A role on its own has a port of its own.
    base_port = metrics_port if case.store else metrics_port - 1
    council.settings.write_text(f"""council = "Wrenford"
[journal]
[snmp]
period_s = {period_s}
[traps]
port = {council.traps}
[ingest.https]
host = "127.0.0.1"
port = {council.https}
certificate = "tls/server.pem"
private_key = "tls/server.key"
[store]
{store}
[alerts]
baseline_s = 60
[web]
port = {council.web}
[metrics]
port = {base_port}
""")


@contextlib.contextmanager
def _influxd(case: Case, folder: Path) -> Iterator[services.Server | None]:
    if case.store != "influxdb":
        yield None
        return
    with services.running(services.influxd(folder / "influxd")) as server:
        yield server


@contextlib.contextmanager
def _towpath(council: Council, case: Case) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "towpath.cli", "run", "-c", str(council.settings)]
    env = environment()
    for key, value in USERS[case.version].items():
        env[f"TOWPATH_SNMP_BENCH_{key.upper()}"] = value
    log = council.folder / "towpath.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, *case.roles], stdout=output, stderr=output, env=env
        ) as process,
    ):
        try:
            wait_until(lambda: b"towpath_runs" in log.read_bytes(), f"{log}", 60)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks running_cost")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cases", default=",".join(CASES), help=", ".join(CASES))
    parser.add_argument("--minutes", type=float, default=MINUTES)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.cases.split(","), arguments.minutes)))
