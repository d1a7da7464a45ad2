"""Writes a year of a council into the embedded store, with its roll-ups, for benchmarks
of reports.

Days are of eight kinds (`council_days`). One of each is written and rolled up as the
store does, and moved to the days of the year. What the reports of whole months do not
read of a day is not moved: its file is there, but has the times of another day.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.council_days import (
    DAY_MS,
    KINDS,
    MEASUREMENTS,
    NIGHT_OFF,
    write_day,
    write_settings,
)
from benchmarks.council_ports import write_ports
from collectors.server_measurements import CATALOGUE
from collectors.store import day_tops, file_layout
from collectors.store.day_rollups import LABELS, DayRollUps
from collectors.store.duckdb_sql import TIME
from collectors.store.month_files import MonthFiles
from collectors.store.store_folder import StoreFolder
from probes.wire.catalogue import Catalogue

_PORTS = "interface"
_NAMES = (*MEASUREMENTS, _PORTS)
FIRST_MS = int(datetime(2025, 11, 1, tzinfo=UTC).timestamp()) * 1000
_DAYS = 365
_NOW_MS = int(datetime(2026, 11, 3, tzinfo=UTC).timestamp()) * 1000
# October begins at 23:00 UTC of the day before, so parts of that day are read.
_IN_PARTS = (int(datetime(2026, 9, 30, tzinfo=UTC).timestamp()) * 1000,)
# "" are the rows. The percentiles of lines are in their tops and hours.
_READ = {
    "device": ("", "1h", "1d"),
    "line": ("1h", "1d", day_tops.LABEL),
    "vpn_gateway": ("", "1h", "1d"),
    "experience": ("1h", "1d"),
    _PORTS: ("1d", day_tops.LABEL),
}
# What is read of the rows of devices.
_COLUMNS_READ = ("up", "answered")
_DICTIONARY_BYTES = 1 << 16


def write_year(folder: Path, sites: int) -> int:
    """Writes November 2025 to October 2026 of so many sites under `folder`; returns how
    many rows of polls and groups a year has that they stand for."""
    rows = write_kinds(folder, sites)
    kinds, store = folder / "kinds", folder / "store"
    (store / "tmp").mkdir(parents=True, exist_ok=True)
    days = [FIRST_MS + number * DAY_MS for number in range(_DAYS)]
    with _workers() as pool:
        list(pool.map(_move_day, repeat(kinds), repeat(store), days))
        list(pool.map(_join_months, repeat(store), _NAMES))
    return sum(rows[name, day_kind(day)] for name in _NAMES for day in days)


def write_kinds(folder: Path, sites: int) -> dict[tuple[str, int], int]:
    """Writes a day of each kind under `folder`/kinds, with its roll-ups. Returns how
    many rows each stands for: (measurement, kind) → rows."""
    write_settings(folder, sites)
    kinds = folder / "kinds"
    (kinds / "tmp").mkdir(parents=True, exist_ok=True)
    # Ports take longest.
    wanted = [(name, kind) for name in reversed(_NAMES) for kind in range(KINDS)]
    with _workers() as pool:
        counted = pool.map(_write_kind, repeat(kinds), repeat(sites), wanted)
        return dict(zip(wanted, counted, strict=True))


def _workers() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(os.cpu_count() or 1, context)


def day_kind(day_ms: int) -> int:
    """Returns what a day is like. One day a month is unlike all others."""
    if file_layout.day_name(day_ms).endswith("-12"):
        return NIGHT_OFF
    return day_ms // DAY_MS % (KINDS - 1)


def _write_kind(kinds: Path, sites: int, wanted: tuple[str, int]) -> int:
    name, kind = wanted
    at = kind * DAY_MS
    if name == _PORTS:
        return write_ports(kinds, at, kind, sites, is_off=kind == NIGHT_OFF)
    rows = write_day(kinds, name, sites, at, kind)
    store, declared = StoreFolder(kinds), CATALOGUE.measurement(name)
    day = store.measurement_folder(declared) / file_layout.day_name(at)
    DayRollUps(store).roll_up(declared, day, at)
    return rows


def _move_day(kinds: Path, store: Path, day_ms: int) -> None:
    at = day_kind(day_ms) * DAY_MS
    for name in _NAMES:
        for label in ("", *LABELS):
            part = Path(f"shared-{label}" if label else "shared") / name
            begin = kinds / part / file_layout.day_name(at)
            target = store / part / file_layout.day_name(day_ms)
            is_read = label in _READ[name] or day_ms in _IN_PARTS
            for source in begin.iterdir() if begin.is_dir() else ():
                target.mkdir(parents=True, exist_ok=True)
                own = target / source.name
                if is_read:
                    _move(source, own, day_ms - at, name == "device" and not label)
                else:
                    os.link(source, own)


def _move(source: Path, target: Path, by_ms: int, is_of_devices: bool) -> None:
    """Writes the rows of a file `by_ms` later."""
    file = pq.ParquetFile(source)
    schema = file.schema_arrow
    columns = schema.names
    if is_of_devices:
        tags = {tag.name for tag in CATALOGUE.measurement("device").tags}
        columns = [c for c in columns if c in {TIME, *tags, *_COLUMNS_READ}]
    dictionaries: list[str] | bool = True
    if any(pa.types.is_list(field.type) for field in schema):
        # As `day_tops` does.
        dictionaries = [f.name for f in schema if not _is_number(f)] + [TIME]
    writer: pq.ParquetWriter | None = None
    for rows in _row_groups(file, columns):
        for at, column in enumerate(rows.column_names):
            if column == TIME or column.endswith(":last_ms"):
                rows = rows.set_column(at, column, pc.add(rows[column], by_ms))
        writer = writer or pq.ParquetWriter(
            target,
            rows.schema.with_metadata(schema.metadata),
            compression="zstd",
            use_dictionary=dictionaries,
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
        )
        writer.write_table(rows.cast(writer.schema), len(rows))
    if writer is not None:
        writer.close()


def _row_groups(file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.Table]:
    for number in range(file.num_row_groups):
        yield file.read_row_group(number, columns)


def _is_number(field: pa.Field) -> bool:
    return pa.types.is_floating(field.type) or pa.types.is_list(field.type)


def _join_months(store: Path, name: str) -> None:
    declared = CATALOGUE.measurement(name)
    months = MonthFiles(StoreFolder(store), Catalogue([declared]), math.inf)
    months.tidy(_NOW_MS)
