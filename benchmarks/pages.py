"""Measures the status page of 200 sites (600 devices, 10,400 ports) from the embedded
store.

This measures the process that a user runs, `towpath run --role web`, over HTTP: the
first load of each page with an empty cache, and the pages of ten sites one after
another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import services

from benchmarks.council_month import settings_toml, write_last_day
from probes.wire.clock import wall_ms

SITES = 200
TARGET_S = 3.0


def run() -> dict[str, Any]:
    """Wall and CPU time of each page load, in s."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_last_day(folder, SITES, wall_ms())
        port = services.free_port()
        (folder / "towpath.toml").write_text(settings_toml(folder, port))
        figures: dict[str, Any] = {"sites": SITES, "rows": rows}
        command = (str(Path(sys.executable).parent / "towpath"), "run", "--role", "web")
        with subprocess.Popen(
            [*command, "--config", str(folder / "towpath.toml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                figures |= _loads(f"http://127.0.0.1:{port}", process)
            finally:
                process.terminate()
    for key, figure in figures.items():
        print(f"{key:<24} {figure:>12}")
    print(f"expected: each load in {TARGET_S:g} s at most")
    return figures


def _loads(url: str, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    # A page without store queries shows that the process is up.
    _wait(f"{url}/catalogue", process)
    figures: dict[str, Any] = {}
    for label, path in (("first_page", "/"), ("alerts", "/alerts")):
        figures |= _load(label, url + path, process)
    sites = [
        _load("site", f"{url}/sites/site-{n:03d}", process)
        for n in range(0, SITES, SITES // 10)
    ]
    figures["site_worst_s"] = max(site_figures["site_s"] for site_figures in sites)
    figures["site_worst_cpu_s"] = max(
        site_figures["site_cpu_s"] for site_figures in sites
    )
    return figures


def _load(label: str, url: str, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    cpu_s, began = _cpu_s(process.pid), time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()
    wall_s = time.perf_counter() - began
    return {
        f"{label}_s": round(wall_s, 2),
        f"{label}_cpu_s": round(_cpu_s(process.pid) - cpu_s, 2),
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"towpath run ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(url)


if __name__ == "__main__":
    run()
