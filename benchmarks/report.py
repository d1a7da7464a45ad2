"""Measures the reports of a month and of a year: 60 sites (`--sites`) with 52 ports
each, in the embedded store, and with `--on influxdb` that of a month in InfluxDB.

This measures the process that a user runs, `towpath report site --no-pdf`, from start
to end, with compiled modules as in an installation. `--months 1` measures the month
alone. Writing the rows takes a quarter of an hour for 200 sites; with
TOWPATH_BENCHMARK_FOLDER they are kept there and used again. Both stores have the same
rows, so both reports should be the same: `files that differ` are those that are not.
Without `TOWPATH_INFLUXD` the InfluxDB is the distribution's (1.6.7).
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import services

from benchmarks.process_cpu import process_cpu_s
from collectors.store.databases import create_database
from collectors.store.influx_http import InfluxServer

SITES = 60
MOST_MB = 300
# Months → the options of the report, and what it may take.
_REPORTS = {
    1: (("--month", "2026-10"), 10.0),
    12: (("--from", "2025-11-01", "--to", "2026-10-31"), 30.0),
}
_WITHOUT_ROWS = ("--month", "2025-01")
_STORES = ("embedded", "influxdb")
# InfluxDB has the month and the one before, which it is compared with.
_PLANTED = datetime(2026, 8, 31, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """CPU and wall time in s, memory in MB, of each report."""
    parser = argparse.ArgumentParser(prog="benchmarks report")
    parser.add_argument("--sites", type=int, default=SITES)
    parser.add_argument(
        "--months", type=int, nargs="+", choices=_REPORTS, default=list(_REPORTS)
    )
    parser.add_argument("--on", nargs="+", choices=_STORES, default=["embedded"])
    chosen = parser.parse_args(options)
    kept = os.environ.get("TOWPATH_BENCHMARK_FOLDER")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(kept or name) / f"report-{chosen.sites}"
        figures: dict[str, Any] = {"sites": chosen.sites}
        if "embedded" in chosen.on:
            made = folder / "made"
            if not made.exists():
                rows = _in_process_of_its_own(_write_year, folder, chosen.sites)
                made.write_text(str(rows))
            figures["rows"] = int(made.read_text())
            print(f"{chosen.sites} sites, {figures['rows']:,} rows in a year")
            # Compiles all modules.
            _write_report(folder, "towpath.toml", _WITHOUT_ROWS)
            for months in chosen.months:
                figures[f"months_{months}"] = _measure(folder, "towpath.toml", months)
        if "influxdb" in chosen.on:
            planted = folder / "planted"
            if not planted.exists():
                _in_process_of_its_own(_plant_influxdb, folder, chosen.sites)
                planted.touch()
            figures["influxdb"] = _measure_influxdb(folder)
        if len(chosen.on) == len(_STORES):
            figures["differing"] = _compare(folder)
    return figures


def _measure(folder: Path, settings: str, months: int) -> dict[str, Any]:
    period, most_s = _REPORTS[months]
    began = time.perf_counter()
    used = _write_report(folder, settings, period)
    found = {
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "wall_s": round(time.perf_counter() - began, 1),
        "peak_mb": used.ru_maxrss // 1024,
    }
    print(
        f"{settings}, {months:>2} months: {found['cpu_s']} s of processor time "
        f"(at most {most_s:g}), {found['wall_s']} s, {found['peak_mb']} MB "
        f"(at most {MOST_MB})"
    )
    return found


def _measure_influxdb(folder: Path) -> dict[str, Any]:
    with services.running(services.influxd(folder / "influxdb")) as server:
        settings = (folder / "towpath.toml").read_text()
        store = (
            f'[store]\nkind = "influxdb"\nurl = "http://127.0.0.1:{server.port}"\n'
            f'folder = "{folder / "influx-store"}"\n'
        )
        begin, _, rest = settings.partition("[store]\n")
        _, _, rest = rest.partition("\n")
        (folder / "influxdb.toml").write_text(begin + store + rest)
        _write_report(folder, "influxdb.toml", _WITHOUT_ROWS)
        began_s = process_cpu_s(server.pid)
        found = _measure(folder, "influxdb.toml", 1)
        found["server_s"] = round(process_cpu_s(server.pid) - began_s, 1)
        status = Path(f"/proc/{server.pid}/status").read_text()
        found["server_peak_mb"] = int(status.split("VmHWM:")[1].split()[0]) // 1024
    print(
        f"InfluxDB itself: {found['server_s']} s of processor time, "
        f"{found['server_peak_mb']} MB"
    )
    return found


def _compare(folder: Path) -> list[str]:
    """Returns which tables of the month's report are not alike on both stores."""
    differing = [
        ours.name
        for ours in sorted((folder / "out-towpath").glob("*2026-10*"))
        if ours.suffix == ".csv"
        and ours.read_bytes() != (folder / "out-influxdb" / ours.name).read_bytes()
    ]
    print(f"files that differ: {', '.join(differing) or 'none'}")
    return differing


def _in_process_of_its_own(run: Callable[[Path, int], Any], *with_: Any) -> Any:
    """A process that is started has at least the peak memory of the one that starts it,
    so this one has to stay small."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, *with_).result()


def _write_year(folder: Path, sites: int) -> int:
    from benchmarks.council_year import write_year

    return write_year(folder, sites)


def _plant_influxdb(folder: Path, sites: int) -> None:
    import stores
    from grafana_asks import Influx

    from benchmarks.council_influx import plant_year
    from benchmarks.council_year import write_kinds

    if not (folder / "kinds").exists():
        write_kinds(folder, sites)
    began, began_s = time.perf_counter(), time.process_time()
    first, last = (int(at.timestamp()) * 1000 for at in _PLANTED)
    with services.running(services.influxd(folder / "influxdb")) as server:
        asyncio.run(_create(stores.connection(server)))
        plant_year(Influx(server), "towpath", folder, sites, (first, last))
    print(
        f"planted in {time.perf_counter() - began:.0f} s "
        f"({time.process_time() - began_s:.0f} s of processor time)"
    )


async def _create(connection: InfluxServer) -> None:
    """Creates the database, which keeps its rows however old they are."""
    async with connection:
        await create_database(connection, "towpath", 36_500)


def _write_report(
    folder: Path, settings: str, period: Sequence[str]
) -> resource.struct_rusage:
    """Returns what the process used."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        str(Path(sys.executable).parent / "towpath"),
        *("report", "site", "--no-pdf"),
        *("--config", str(folder / settings), *period),
        *("--out", str(folder / f"out-{Path(settings).stem}")),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used


if __name__ == "__main__":
    run(sys.argv[1:])
