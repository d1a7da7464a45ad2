"""Measures the report for a month: 60 sites (`--sites`), with 52 ports each, in the
embedded store.

This measures the process that a user runs, `towpath report site --no-pdf`, from start
to end, with compiled modules as in an installation. Writing the rows takes ten
minutes or more; with TOWPATH_BENCHMARK_FOLDER they are kept there and used again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.council_month import write_report_month

SITES = 60
TARGET_CPU_S = 10.0
_MONTH = "2026-10"
_MONTH_WITHOUT_ROWS = "2025-01"


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """CPU and wall time in s, memory in MB."""
    parser = argparse.ArgumentParser(prog="benchmarks report")
    parser.add_argument("--sites", type=int, default=SITES)
    sites = parser.parse_args(options).sites
    kept = os.environ.get("TOWPATH_BENCHMARK_FOLDER")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(kept or name) / f"report-{sites}"
        made = folder / "made"
        if not made.exists():
            rows = _in_process_of_its_own(folder, sites)
            made.write_text(str(rows))
        figures = {"sites": sites, "rows": int(made.read_text()), **_report(folder)}
    for key, figure in figures.items():
        print(f"{key:<20} {figure:>14}")
    print(f"expected: cpu_s of {TARGET_CPU_S:g} at most")
    return figures


def _in_process_of_its_own(folder: Path, sites: int) -> int:
    """Writes the month. A process that is started has at least the peak memory of the
    one that starts it, so this one has to stay small."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(write_report_month, folder, sites).result()


def _report(folder: Path) -> dict[str, Any]:
    # Compiles all modules.
    _write_report(folder, _MONTH_WITHOUT_ROWS)
    began = time.perf_counter()
    used = _write_report(folder, _MONTH)
    return {
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "wall_s": round(time.perf_counter() - began, 1),
        "peak_mb": used.ru_maxrss // 1024,
    }


def _write_report(folder: Path, month: str) -> resource.struct_rusage:
    """Returns what the process used."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        str(Path(sys.executable).parent / "towpath"),
        *("report", "site", "--no-pdf"),
        *("--config", str(folder / "towpath.toml"), "--month", month),
        *("--out", str(folder / "out")),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used


if __name__ == "__main__":
    run()
