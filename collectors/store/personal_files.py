"""One laptop's rows in the embedded store's files: counted, and erased."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.store import file_layout
from collectors.store.arrow_tables import is_damaged, parquet
from collectors.store.store_folder import ASIDE, Folder
from probes.wire.atomic_file import sync
from probes.wire.catalogue import Catalogue


def count_rows(folder: Folder, catalogue: Catalogue, agent: str) -> int:
    """How many rows of an agent the embedded store's files have; from any process."""
    return sum(
        int(pc.sum(pc.equal(table["agent"], agent)).as_py() or 0)
        for day, start in _personal_days(folder, catalogue)
        for each in file_layout.standing(folder.pieces(day, start))
        if not is_damaged(each.path)
        for table in [pq.read_table(each.path, columns=["agent"])]
    )


def erase_rows(folder: Folder, catalogue: Catalogue, agent: str) -> int:
    """Removes an agent's rows from the embedded store's files; how many there were.
    By the process that writes the store alone."""
    erased = 0
    for day, start in _personal_days(folder, catalogue):
        erased += _erase_day(folder, agent, day, start)
        for damaged in day.glob(f"*{ASIDE}"):
            # Nobody can read whose rows are in it.
            damaged.unlink(missing_ok=True)
    return erased


def _personal_days(folder: Folder, catalogue: Catalogue) -> Iterator[tuple[Path, int]]:
    for declared in catalogue:
        if declared.personal:
            for start, day in folder.days(declared):
                yield day, start


def _erase_day(folder: Folder, agent: str, day: Path, day_ms: int) -> int:
    pieces = folder.pieces(day, day_ms)
    standing = file_layout.standing(pieces)
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
            name = file_layout.piece_name(
                each.start_ms, each.is_day, each.first, each.last, each.revision + 1
            )
            folder.put([(day / name, memoryview(parquet(others)))])
        Path(each.path).unlink()
    if erased:
        sync(day)
    return erased
