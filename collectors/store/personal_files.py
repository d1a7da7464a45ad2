"""Counts and erases one laptop's rows in the embedded store's files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.store import file_layout
from collectors.store.arrow_tables import is_damaged, parquet_bytes
from collectors.store.store_folder import DAMAGED_SUFFIX, StoreFolder
from probes.wire.catalogue import Catalogue
from probes.wire.fsync import sync


def count_rows(folder: StoreFolder, catalogue: Catalogue, agent: str) -> int:
    """Returns the number of an agent's rows; any process may call it."""
    return sum(
        int(pc.sum(pc.equal(table["agent"], agent)).as_py() or 0)
        for day, start in _personal_days(folder, catalogue)
        for file in file_layout.current_files(folder.files_of_day(day, start))
        if not is_damaged(file.path)
        for table in [pq.read_table(file.path, columns=["agent"])]
    )


def erase_rows(folder: StoreFolder, catalogue: Catalogue, agent: str) -> int:
    """Removes an agent's rows and returns how many there were.

    Only the process that writes the store may call it.
    """
    erased = 0
    for day, start in _personal_days(folder, catalogue):
        erased += _erase_day(folder, agent, day, start)
        for damaged in day.glob(f"*{DAMAGED_SUFFIX}"):
            # It is not known whose rows are in it.
            damaged.unlink(missing_ok=True)
    return erased


def _personal_days(
    folder: StoreFolder, catalogue: Catalogue
) -> Iterator[tuple[Path, int]]:
    for declared in catalogue:
        if declared.personal:
            for start, day in folder.days(declared):
                yield day, start


def _erase_day(folder: StoreFolder, agent: str, day: Path, day_ms: int) -> int:
    files = folder.files_of_day(day, day_ms)
    current = file_layout.current_files(files)
    kept = {file.path for file in current}
    # Superseded files first, because they become current when others are removed.
    for file in files:
        if file.path not in kept:
            Path(file.path).unlink(missing_ok=True)
    erased = 0
    for file in current:
        if is_damaged(file.path):
            continue
        table = pq.read_table(file.path)
        others = table.filter(pc.not_equal(table["agent"], agent))
        gone = len(table) - len(others)
        if not gone:
            continue
        erased += gone
        if len(others):
            name = file_layout.stored_file_name(
                file.start_ms, file.is_day, file.first, file.last, file.revision + 1
            )
            folder.write_files([(day / name, parquet_bytes(others))])
        Path(file.path).unlink()
    if erased:
        sync(day)
    return erased
