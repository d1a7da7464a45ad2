"""Measures the reports of a month and of a year: 60 sites (`--sites`) with 52 ports
each, in the embedded store.

This measures the process that a user runs, `towpath report site --no-pdf`, from start
to end, with compiled modules as in an installation. `--months 1` measures the month
alone. Writing the rows takes a quarter of an hour for 200 sites; with
TOWPATH_BENCHMARK_FOLDER they are kept there and used again.
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

SITES = 60
MOST_MB = 300
# Months → the options of the report, and what it may take.
_REPORTS = {
    1: (("--month", "2026-10"), 10.0),
    12: (("--from", "2025-11-01", "--to", "2026-10-31"), 30.0),
}
_WITHOUT_ROWS = ("--month", "2025-01")


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """CPU and wall time in s, memory in MB, of each report."""
    parser = argparse.ArgumentParser(prog="benchmarks report")
    parser.add_argument("--sites", type=int, default=SITES)
    parser.add_argument(
        "--months", type=int, nargs="+", choices=_REPORTS, default=list(_REPORTS)
    )
    chosen = parser.parse_args(options)
    kept = os.environ.get("TOWPATH_BENCHMARK_FOLDER")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(kept or name) / f"report-{chosen.sites}"
        made = folder / "made"
        if not made.exists():
            made.write_text(str(_in_process_of_its_own(folder, chosen.sites)))
        figures: dict[str, Any] = {"sites": chosen.sites, "rows": int(made.read_text())}
        print(f"{figures['sites']} sites, {figures['rows']:,} rows in a year")
        # Compiles all modules.
        _write_report(folder, _WITHOUT_ROWS)
        for months in chosen.months:
            period, most_s = _REPORTS[months]
            began = time.perf_counter()
            used = _write_report(folder, period)
            figures[f"months_{months}"] = found = {
                "cpu_s": round(used.ru_utime + used.ru_stime, 1),
                "wall_s": round(time.perf_counter() - began, 1),
                "peak_mb": used.ru_maxrss // 1024,
            }
            print(
                f"{months:>2} months: {found['cpu_s']} s of processor time "
                f"(at most {most_s:g}), {found['wall_s']} s, {found['peak_mb']} MB "
                f"(at most {MOST_MB})"
            )
    return figures


def _in_process_of_its_own(folder: Path, sites: int) -> int:
    """Writes the year. A process that is started has at least the peak memory of the
    one that starts it, so this one has to stay small."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_write_year, folder, sites).result()


def _write_year(folder: Path, sites: int) -> int:
    from benchmarks.council_year import write_year

    return write_year(folder, sites)


def _write_report(folder: Path, period: Sequence[str]) -> resource.struct_rusage:
    """Returns what the process used."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        str(Path(sys.executable).parent / "towpath"),
        *("report", "site", "--no-pdf"),
        *("--config", str(folder / "towpath.toml"), *period),
        *("--out", str(folder / "out")),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used


if __name__ == "__main__":
    run(sys.argv[1:])
