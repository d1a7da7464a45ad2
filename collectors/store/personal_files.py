"""One laptop's rows in the embedded store's files: counted, and erased."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.store import file_layout
from collectors.store.arrow_tables import is_damaged, parquet_bytes
from collectors.store.store_folder import DAMAGED_SUFFIX, StoreFolder
from probes.wire.atomic_file import sync
from probes.wire.catalogue import Catalogue


def count_rows(folder: StoreFolder, catalogue: Catalogue, agent: str) -> int:
    """How many rows of an agent the embedded store's files have; from any process."""
    return sum(
        int(pc.sum(pc.equal(table["agent"], agent)).as_py() or 0)
        for day, start in _personal_days(folder, catalogue)
        for each in file_layout.current_files(folder.files_of_day(day, start))
        if not is_damaged(each.path)
        for table in [pq.read_table(each.path, columns=["agent"])]
    )


def erase_rows(folder: StoreFolder, catalogue: Catalogue, agent: str) -> int:
    """Removes an agent's rows from the embedded store's files; how many there were.
    By the process that writes the store alone."""
    erased = 0
    for day, start in _personal_days(folder, catalogue):
        erased += _erase_day(folder, agent, day, start)
        for damaged in day.glob(f"*{DAMAGED_SUFFIX}"):
            # Nobody can read whose rows are in it.
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
    pieces = folder.files_of_day(day, day_ms)
    standing = file_layout.current_files(pieces)
    kept = {each.path for each in standing}
    # Superseded files go first: they must not stand again with what they hold.
    for each in pieces:
        if each.path not in kept:
            Path(each.path).unlink(missing_ok=True)
    erased = 0
    for each in standing:
        if is_damaged(each.path):
            continue
        table = pq.read_table(each.path)
        others = table.filter(pc.not_equal(table["agent"], agent))
        gone = len(table) - len(others)
        if not gone:
            continue
        erased += gone
        if len(others):
            name = file_layout.stored_file_name(
                each.start_ms, each.is_day, each.first, each.last, each.revision + 1
            )
            folder.write_files([(day / name, memoryview(parquet_bytes(others)))])
        Path(each.path).unlink()
    if erased:
        sync(day)
    return erased
