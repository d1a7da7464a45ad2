"""Debian's prometheus-snmp-exporter, polling the same agent as Towpath: the usual walk
of the interfaces group and ifXTable."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

from services import free_port
from waiting import wait_until

from benchmarks.real_agent import PORTS, cpu_s, packets_in

SCRAPES = 40
_PROGRAM = "prometheus-snmp-exporter"
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
    return shutil.which(_PROGRAM) is not None


def measure_exporter(folder: Path, agent: int) -> dict[str, float]:
    """CPU time and request packets of one of its scrapes of the agent at that port."""
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
    port = free_port()
    command = [_PROGRAM, f"--config.file={folder / 'snmp.yml'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    address = f"127.0.0.1:{agent}"
    url = f"http://127.0.0.1:{port}/snmp?module=if_mib&target={address}"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _scraped(url), "the exporter")
            for _ in range(5):
                _scraped(url)
            packets, before = packets_in(agent), cpu_s(process.pid)
            for _ in range(SCRAPES):
                assert _scraped(url)
            spent = cpu_s(process.pid) - before
            # One of them was the request for this number.
            packets = packets_in(agent) - packets - 1
        finally:
            process.terminate()
    return {"cpu_ms": spent / SCRAPES * 1000, "packets": packets / SCRAPES}


def _scraped(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().count(b"\nifHCInOctets{") >= PORTS
    except OSError:
        return False
