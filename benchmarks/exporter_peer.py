"""Prometheus's snmp_exporter, polling the same agent as Towpath: the usual walk of the
interfaces group and ifXTable.

Debian's package is of 0.21; `go install github.com/prometheus/snmp_exporter@v0.29.0`
builds a newer one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from services import free_port
from waiting import wait_until

from benchmarks.process_cpu import process_cpu_s
from benchmarks.real_agent import PORTS, packets_in

SCRAPES = 40
_PROGRAMS = ("snmp_exporter", "prometheus-snmp-exporter")
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


def is_installed() -> bool:
    return _program() is not None


def _program() -> str | None:
    return next((path for name in _PROGRAMS if (path := shutil.which(name))), None)


def measure_exporter(
    folder: Path, agent: int, every_s: float = 0.0
) -> dict[str, float]:
    """CPU time and request packets of one of its scrapes of the agent at that port.
    `every_s`: the time between two of them."""
    # The exporter reads YAML, and JSON is YAML.
    module = {
        "walk": ["1.3.6.1.2.1.2", "1.3.6.1.2.1.31.1.1"],
        "get": ["1.3.6.1.2.1.1.3.0"],
        "max_repetitions": 25,
        "timeout": "5s",
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
    program = _program()
    assert program is not None
    auth = {"version": 2, "community": "public"}
    config: dict[str, Any] = {
        "auths": {"public_v2": auth},
        "modules": {"if_mib": module},
    }
    if _is_old(program):
        config = {"if_mib": {**module, "version": 2, "auth": auth}}
    (folder / "snmp.yml").write_text(json.dumps(config))
    port = free_port()
    command = [program, f"--config.file={folder / 'snmp.yml'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    address = f"127.0.0.1:{agent}"
    url = f"http://127.0.0.1:{port}/snmp?module=if_mib&target={address}"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _scraped(url), "the exporter")
            for _ in range(5):
                _scraped(url)
            packets, before = packets_in(agent), process_cpu_s(process.pid)
            for _ in range(SCRAPES):
                time.sleep(every_s)
                assert _scraped(url)
            spent = process_cpu_s(process.pid) - before
            # One of them was the request for this number.
            packets = packets_in(agent) - packets - 1
        finally:
            process.terminate()
    return {"cpu_ms": spent / SCRAPES * 1000, "packets": packets / SCRAPES}


def _is_old(program: str) -> bool:
    """Whether its file has one level: before 0.23."""
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    )
    version = re.search(r"version 0\.(\d+)", done.stdout + done.stderr)
    return version is not None and int(version[1]) < 23


def _scraped(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().count(b"\nifHCInOctets{") >= PORTS
    except OSError:
        return False
