"""Measures what the agent costs the laptop: memory, CPU, network.

    python -m benchmarks agent_cost [--on linux|windows]

A real `towpath-agent run` reports to a real ingest over TLS and measures against a real
reflector, all on this machine, with every cadence 30 times faster than the default. Two
runs: an idle one (every probe off, delivery and policy hourly) and a working one. The
same again with a Windows Python under Wine, if they are installed (`make services`).
* Memory: the largest resident set in the working run. Under Wine with modules that are
  compiled, as the MSI brings them, and three figures of what is Wine's: the resident
  set of a program in C that does nothing, that of a Python that does nothing, and the
  part of the agent's that are whole copies of libraries, which Windows does not make
  (`wine_memory`).
* CPU at default cadences = idle + (working - idle) / 30, each without start-up.
* Bytes per day: the mean `cost_bytes` of each probe times its runs at the default
  cadence, plus the mean cost of a delivery (as the agent counts it: bodies and heads as
  sent, 6 kB for a TLS handshake) times one every 300 s. For a laptop that is on for
  24 h, for one that is on for 9 h, and at the cadences of metered lines. IPv6 adds 20
  octets to each packet of the call path. Speed tests are not included.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
from append_doubles import ListAppend
from services import free_port
from waiting import until
from windows_python import CACHE, ROOT, WindowsLaptop

from benchmarks.wine_memory import (
    compiled_c,
    copied_bytes,
    installed_windows,
    wine_rss_bytes,
)
from collectors.estate.estate_model import Estate
from collectors.estate.estate_model import Reflector as ReflectorEntry
from collectors.ingest.certificate import make_certificates
from collectors.ingest.https_ingest import HttpsIngest
from collectors.ingest.ingest_config import (
    HttpsConfig,
    IngestConfig,
    PolicyConfig,
    RegistryConfig,
    ServiceConfig,
    TeamsRelayConfig,
)
from collectors.ingest.registry import Registry
from collectors.reflector import ReflectorConfig, ReflectorService
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.agent_status import read_status
from probes.wire.clock import wall_ms
from probes.wire.path_probes import CALL_PACKETS, CALL_PATH
from probes.wire.policy import Policy
from probes.wire.probe_list import PROBES
from probes.wire.report import Enrolment, Report

FASTER = 30
_WAITS = "import sys; sys.stdin.read()"
WINDOW_S = 60.0
IDLE_S = 20.0
SETTLE_S = 5.0
DAY_S = 86_400


def run(options: Sequence[str] = ()) -> dict[str, float]:
    """The figures by name; names end in their unit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks agent_cost")
    parser.add_argument("--on", choices=("linux", "windows"))
    only = parser.parse_args(list(options)).on
    figures: dict[str, float] = {}
    if only != "windows":
        figures |= asyncio.run(_measure(_this_system))
    python = CACHE / "windows-python" / "python.exe"
    if only == "windows" or (only is None and python.is_file()):
        with installed_windows() as wine:
            figures |= {
                "windows_c_rss_bytes": wine_rss_bytes(wine, compiled_c(wine)),
                "windows_python_rss_bytes": wine_rss_bytes(
                    wine, str(wine.python), "-I", "-B", "-c", _WAITS
                ),
            }
            windows = asyncio.run(_measure(lambda *at: _under_wine(wine, *at)))
        figures |= {f"windows_{name}": value for name, value in windows.items()}
    for name, value in figures.items():
        print(f"{name:44} {value:>16,.5g}")
    return figures


class Launch(NamedTuple):
    """How an agent is started, in which folder, and where its state is."""

    command: list[str]
    environment: dict[str, str]
    state: Path
    folder: Path


# Folder, server and certificate authority of one agent.
Launcher = Callable[[Path, str, Path], Launch]


def _this_system(folder: Path, server: str, ca_file: Path) -> Launch:
    state = folder / "state"
    return Launch(
        [sys.executable, "-m", "probes.agent.agent_cli", "run"],
        {
            **os.environ,
            "TOWPATH_AGENT_SERVER": server,
            "TOWPATH_AGENT_CA_FILE": str(ca_file),
            "TOWPATH_AGENT_STATE_FOLDER": str(state),
            "no_proxy": "localhost",
        },
        state,
        ROOT,
    )


def _under_wine(
    wine: WindowsLaptop, folder: Path, server: str, ca_file: Path
) -> Launch:
    wine.forget_user()
    config = folder / "agent.toml"
    config.write_text(f"server = '{server}'\nca_file = 'Z:{ca_file}'\n")
    return Launch(
        wine.command("--config", str(config), "run"),
        wine.environment,
        wine.profile / "AppData" / "Local" / "towpath-agent",
        # Python imports from the present folder first.
        wine.python.parent,
    )


async def _measure(launcher: Launcher) -> dict[str, float]:
    portal_port = free_port()
    off = {probe.name: 0 for probe in PROBES}
    idle = PolicyConfig(
        teams_relay=TeamsRelayConfig(host=""), cadence_s=off, report_s=3600
    )
    with tempfile.TemporaryDirectory() as folder:
        idling = await _run_agent(launcher, Path(folder), idle, Estate(), IDLE_S)
    reflector = ReflectorService(
        ReflectorConfig(addresses=("127.0.0.1",), stamp_port=0, web_port=0)
    )
    async with reflector, _relay() as relay:
        work = PolicyConfig(
            teams_relay=TeamsRelayConfig(host="127.0.0.1", port=relay),
            services=(
                ServiceConfig(name="portal", url=f"https://localhost:{portal_port}/"),
            ),
            names=("localhost",),
            cadence_s={
                probe.name: 0 if probe.heavy else probe.measurement.period_s // FASTER
                for probe in PROBES
            },
            report_s=300 // FASTER,
            budget_bytes_per_day=0,
        )
        estate = Estate(
            reflectors=(
                ReflectorEntry(
                    id="hall", host="127.0.0.1", stamp_port=reflector.stamp_port
                ),
            )
        )
        with tempfile.TemporaryDirectory() as folder:
            working = await _run_agent(
                launcher, Path(folder), work, estate, WINDOW_S, portal_port
            )
    cost: dict[str, list[int]] = defaultdict(list)
    deliveries = working.append.calls
    for batch in working.append.batches:
        cost[batch.measurement] += [int(v) for v in batch.field("cost_bytes")]
    figures = {
        "rss_bytes": float(working.rss_bytes),
        "cpu_idle_ratio": idling.cpu_ratio,
        "cpu_working_ratio": working.cpu_ratio,
        "cpu_at_default_ratio": idling.cpu_ratio
        + (working.cpu_ratio - idling.cpu_ratio) / FASTER,
    }
    if working.copied_bytes:
        figures["copied_libraries_bytes"] = float(working.copied_bytes)
    day = metered = 0.0
    usual = Policy()
    for probe in PROBES:
        costs = cost.get(probe.name)
        if not costs or probe.local:
            continue
        mean = sum(costs) / len(costs)
        figures[f"{probe.name}_bytes"] = mean
        day += mean * DAY_S / max(probe.cadence_s(usual, metered=False), 1)
        if metered_s := probe.cadence_s(usual, metered=True):
            metered += mean * DAY_S / metered_s
    measured = sum(sum(values) for values in cost.values())
    # At the default cadence every delivery makes a new TLS handshake, because a
    # connection closes after a minute's pause. So one is added to each delivery.
    delivery = max(working.spent_bytes - measured, 0) / max(deliveries, 1) + 6_000
    figures["delivery_bytes"] = delivery
    day += delivery * DAY_S / usual.report_s
    metered += delivery * DAY_S / (3 * usual.report_s)
    figures["day_24h_bytes"] = day
    figures["day_24h_ipv6_bytes"] = day + _ipv6_overhead(metered=False)
    figures["day_9h_bytes"] = day * 9 / 24
    figures["day_24h_metered_bytes"] = metered
    figures["day_24h_metered_ipv6_bytes"] = metered + _ipv6_overhead(metered=True)
    return figures


def _ipv6_overhead(metered: bool) -> float:
    """Bytes per day that IPv6 headers add to the call path's packets."""
    runs = DAY_S / CALL_PATH.cadence_s(Policy(), metered)
    return runs * CALL_PACKETS * 2 * 20


class AgentRun(NamedTuple):
    """CPU as a share of one core, largest RSS, the part of it that are copies of
    libraries, what arrived, and the bytes that the agent counted."""

    cpu_ratio: float
    rss_bytes: int
    copied_bytes: int
    append: ListAppend
    spent_bytes: int


async def _run_agent(
    launcher: Launcher,
    folder: Path,
    policy: PolicyConfig,
    estate: Estate,
    seconds: float,
    port: int = 0,
) -> AgentRun:
    async with _ingest_server(folder, policy, estate, port) as (
        port,
        registry,
        append,
        ca_file,
    ):
        now_ms = wall_ms()
        token = registry.admin.make_token("hall", 1, 1, now_ms)
        launch = launcher(folder, f"https://localhost:{port}", ca_file)
        launch.state.mkdir(mode=0o700, parents=True)
        (launch.state / "device").write_text("0" * 32)
        made = registry.identities.enrol(Enrolment(token, "0" * 32), now_ms)
        (launch.state / "credential.json").write_bytes(msgspec.json.encode(made))
        process = await asyncio.create_subprocess_exec(
            *launch.command,
            env=launch.environment,
            cwd=launch.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        agent_process = psutil.Process(process.pid)
        rss_bytes = copied = 0
        try:
            # A busy machine takes its time to import everything.
            await until((launch.state / "policy.json").is_file, seconds=60)
            await asyncio.sleep(SETTLE_S)
            begun_s, cpu_s = time.monotonic(), _cpu_s(agent_process)
            while time.monotonic() - begun_s < seconds:
                await asyncio.sleep(0.5)
                rss_bytes = max(rss_bytes, agent_process.memory_info().rss)
            copied = copied_bytes(process.pid)
            cpu_ratio = (_cpu_s(agent_process) - cpu_s) / (time.monotonic() - begun_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await process.wait()
        status = read_status(launch.state)
        spent_bytes = 0 if status is None else status.spent_bytes
        # What was measured and has not been delivered belongs to no delivery.
        with Spool(launch.state, SpoolLimits(), wall_ms) as spool:
            for waiting in spool.oldest(1_000, 10_000_000):
                report = msgspec.json.decode(waiting.body, type=Report)
                spent_bytes -= sum(result.cost_bytes for result in report.results)
        return AgentRun(cpu_ratio, rss_bytes, copied, append, spent_bytes)


@contextlib.asynccontextmanager
async def _ingest_server(
    folder: Path, policy: PolicyConfig, estate: Estate, port: int
) -> AsyncIterator[tuple[int, Registry, ListAppend, Path]]:
    made = make_certificates(folder / "tls")
    append = ListAppend()
    config = IngestConfig(
        registry=RegistryConfig(
            path=folder / "agents.sqlite", key_file=folder / "keys" / "pseudonym.key"
        ),
        https=HttpsConfig(
            host="127.0.0.1",
            port=port,
            certificate=made.certificate,
            private_key=made.private_key,
        ),
        policy=policy,
        aside=folder / "aside",
    )
    with Registry(config.registry) as registry:
        async with HttpsIngest(
            config, registry, append, estate=lambda: estate
        ) as ingest:
            yield ingest.port, registry, append, made.authority


@contextlib.asynccontextmanager
async def _relay() -> AsyncIterator[int]:
    """A server that answers STUN Binding requests, as a Teams relay would; yields its
    port."""

    class BindingResponder(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            mapped = b"\0\x20\0\x08\0\x01" + bytes(6)
            self.transport.sendto(b"\1\1\0\x0c" + data[4:20] + mapped, address)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        BindingResponder, local_addr=("127.0.0.1", 0)
    )
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


if __name__ == "__main__":
    run()
