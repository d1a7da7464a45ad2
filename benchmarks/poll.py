"""Measures what one poll of a switch with 50 ports costs, up to its batches: CPU and
request packets.

The agent is a real snmpd in a network namespace with 25 veth pairs. Debian's
prometheus-snmp-exporter polls the same agent in the same run, with the usual walk of
the interfaces group and ifXTable. CPU is user and system time of the poller only.

    python -m benchmarks.poll
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from collectors.batch import Batch
from collectors.estate import Device
from collectors.snmp import Credential, SnmpConfig, credential
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from probes.wire.clock import wall_ms

PORTS = 50
POLLS = 200
SCRAPES = 40
# Each figure, the peer's too, is the best of this many rounds, because other work on
# the machine can only make it worse.
ROUNDS = 3
_USERS = {
    "v2c": {"community": "public"},
    "v3": {
        "user": "bench",
        "auth_password": "authpassword",
        "priv_password": "privpassword",
    },
}
_CONFIG = """rocommunity public 127.0.0.1
createUser bench SHA-256 authpassword AES privpassword
rouser bench priv
"""
_IN_PKTS = "1.3.6.1.2.1.11.1.0"
_IF, _IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
_METRICS = {
    "ifOperStatus": (f"{_IF}.8", "gauge"),
    "ifAdminStatus": (f"{_IF}.7", "gauge"),
    "ifInErrors": (f"{_IF}.14", "counter"),
    "ifOutErrors": (f"{_IF}.20", "counter"),
    "ifInDiscards": (f"{_IF}.13", "counter"),
    "ifOutDiscards": (f"{_IF}.19", "counter"),
    "ifHCInOctets": (f"{_IFX}.6", "counter"),
    "ifHCOutOctets": (f"{_IFX}.10", "counter"),
    "ifHCInUcastPkts": (f"{_IFX}.7", "counter"),
    "ifHCInMulticastPkts": (f"{_IFX}.8", "counter"),
    "ifHCInBroadcastPkts": (f"{_IFX}.9", "counter"),
    "ifHighSpeed": (f"{_IFX}.15", "gauge"),
    "ifCounterDiscontinuityTime": (f"{_IFX}.19", "gauge"),
}


def run() -> dict[str, float]:
    """The figures by name; names end in their unit."""
    command = [sys.executable, "-m", "benchmarks.poll", "--inside"]
    unshare = shutil.which("unshare")
    if unshare is None:
        raise RuntimeError(
            "unshare (util-linux) is needed to create a network namespace"
        )
    done = subprocess.run(
        [unshare, "--user", "--map-root-user", "--net", "--mount", *command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"},
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-600:])
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    for figure, value in figures.items():
        print(f"{figure:36} {value:>12,.3f}")
    return figures


def measure() -> dict[str, float]:
    """Inside the namespace: creates the ports, starts the agent, polls it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for n in range(PORTS // 2):
        ends = (f"ge{2 * n}", f"ge{2 * n + 1}")
        add = ["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]]
        subprocess.run(add, check=True)
        for end in ends:
            subprocess.run(["ip", "link", "set", end, "up"], check=True)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _snmpd(folder) as port:
            measurements = {
                version: lambda version=version: asyncio.run(  # type: ignore[misc]
                    _towpath(port, credential("bench", _USERS[version]))
                )
                for version in _USERS
            }
            for _ in range(ROUNDS):
                for version, measure_version in measurements.items():
                    _best(figures, f"towpath_{version}", measure_version())
                if shutil.which("prometheus-snmp-exporter"):
                    _best(figures, "snmp_exporter", _exporter(folder, port))
    if "snmp_exporter_cpu_ms" in figures:
        figures["cpu_to_snmp_exporter_ratio"] = (
            figures["towpath_v2c_cpu_ms"] / figures["snmp_exporter_cpu_ms"]
        )
    figures["v3_to_v2c_ratio"] = (
        figures["towpath_v3_cpu_ms"] / figures["towpath_v2c_cpu_ms"]
    )
    return figures


def _best(figures: dict[str, float], who: str, measured: dict[str, float]) -> None:
    for name, value in measured.items():
        figure = f"{who}_{name}"
        figures[figure] = min(figures.get(figure, value), value)


async def _towpath(port: int, bench_credential: Credential) -> dict[str, float]:
    # Polls run one after another, so the period is short.
    config = SnmpConfig(timeout_s=5.0, period_s=0.001)
    device = Device(id="bench", site="s", address="127.0.0.1", port=port)  # type: ignore[arg-type]
    async with Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", port, bench_credential, RetryPolicy((5.0,))
        )
        settings = PollSettings(config, wall_ms)
        poll = DevicePoll(settings, device, (), session, DeviceState())
        rows: list[Batch] = []
        # Discovers the ports and, over some polls, how much the agent can handle.
        for _ in range(15):
            rows = (await poll.poll(0.0, _nothing)).batches
        assert len(rows[1]) >= PORTS
        before, packets = time.process_time(), session.counts.packets
        for _ in range(POLLS):
            await poll.poll(0.0, _nothing)
        spent = time.process_time() - before
        packets = session.counts.packets - packets
        poll.close()
    return {"cpu_ms": spent / POLLS * 1000, "packets": packets / POLLS}


def _nothing() -> None:
    pass


def _exporter(folder: Path, agent: int) -> dict[str, float]:
    # The exporter reads YAML, and JSON is YAML.
    module = {
        "walk": ["1.3.6.1.2.1.2", "1.3.6.1.2.1.31.1.1"],
        "get": ["1.3.6.1.2.1.1.3.0"],
        "max_repetitions": 25,
        "timeout": "5s",
        "version": 2,
        "auth": {"community": "public"},
        "metrics": [
            {
                "name": name,
                "oid": oid,
                "type": kind,
                "help": name,
                "indexes": [{"labelname": "ifIndex", "type": "gauge"}],
                "lookups": [
                    {
                        "labels": ["ifIndex"],
                        "labelname": "ifName",
                        "oid": f"{_IFX}.1",
                        "type": "DisplayString",
                    }
                ],
            }
            for name, (oid, kind) in _METRICS.items()
        ],
    }
    (folder / "snmp.yml").write_text(json.dumps({"if_mib": module}))
    port = _free(socket.SOCK_STREAM)
    command = ["prometheus-snmp-exporter", f"--config.file={folder / 'snmp.yml'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    address = f"127.0.0.1:{agent}"
    url = f"http://127.0.0.1:{port}/snmp?module=if_mib&target={address}"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _until(lambda: _scraped(url), "the exporter")
            for _ in range(5):
                _scraped(url)
            packets, before = _packets_in(agent), _cpu_s(process.pid)
            for _ in range(SCRAPES):
                assert _scraped(url)
            spent = _cpu_s(process.pid) - before
            # One of them was the request for this number.
            packets = _packets_in(agent) - packets - 1
        finally:
            process.terminate()
    return {"cpu_ms": spent / SCRAPES * 1000, "packets": packets / SCRAPES}


def _scraped(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().count(b"\nifHCInOctets{") >= PORTS
    except OSError:
        return False


def _cpu_s(pid: int) -> float:
    """User and system time of a process, from /proc/PID/stat (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _packets_in(port: int) -> int:
    """snmpInPkts of the agent."""

    async def query() -> int:
        async with Sessions() as sessions:
            bench_credential = credential("bench", _USERS["v2c"])
            session = sessions.open(
                "127.0.0.1", port, bench_credential, RetryPolicy((5.0,))
            )
            answer = await session.get([_IN_PKTS])
            session.close()
            return int(answer[_IN_PKTS])

    return asyncio.run(query())


@contextmanager
def _snmpd(folder: Path) -> Iterator[int]:
    (folder / "snmpd.conf").write_text(_CONFIG)
    port = _free(socket.SOCK_DGRAM)
    command = ["snmpd", "-f", "-Lf", str(folder / "snmpd.log"), "-C"]
    command += ["-c", str(folder / "snmpd.conf"), "-p", str(folder / "snmpd.pid")]
    env = {**os.environ, "SNMP_PERSISTENT_DIR": str(folder / "kept"), "MIBS": ""}
    agent = [*command, f"udp:127.0.0.1:{port}"]
    with subprocess.Popen(agent, env=env) as process:
        try:
            _until(lambda: _answers(port), "snmpd")
            yield port
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        return _packets_in(port) >= 0
    except Exception:  # noqa: BLE001 - it has not started yet
        return False


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited 20 s for {what}")
        time.sleep(0.1)


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    if "--inside" in sys.argv:
        print(json.dumps(measure()))
    else:
        run()
