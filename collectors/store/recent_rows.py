"""Keeps the rows of the last writes, so that the next file has them too.

A small file costs as much to write as a larger one, and more to read and to merge. So
while the rows of a measurement are few, each write makes a file of all its rows of the
hour, which supersedes the file before it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa

from collectors.store import file_layout
from collectors.store.arrow_tables import append_rows
from probes.wire.catalogue import Measurement

# Re-writing so many rows costs a third as much as a file.
MOST_ROWS = 5_000


class NewFile(msgspec.Struct, frozen=True):
    """A file to write, and the one that it supersedes; "" if there is none."""

    path: Path
    table: pa.Table
    replaces: str


class _GrowingFile(msgspec.Struct, frozen=True):
    start_ms: int
    first: int
    path: str
    table: pa.Table


class RecentRows:
    """The growing file of each measurement. Rows about one laptop are not kept: they
    can be erased at any time."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._most_rows = most_rows
        self._growing: dict[str, _GrowingFile] = {}

    @property
    def paths(self) -> frozenset[str]:
        """The files that the next write may supersede; from any thread."""
        return frozenset(file.path for file in list(self._growing.values()))

    def add(
        self,
        declared: Measurement,
        start_ms: int,
        table: pa.Table,
        day: Path,
        number: int,
    ) -> NewFile:
        """Returns the file for `table`, rows of the hour `start_ms` in write `number`.

        If it is not written, call `forget`.
        """
        growing = self._growing.get(declared.name)
        first, replaces = number, ""
        if growing is not None and growing.start_ms == start_ms:
            if len(growing.table) + len(table) <= self._most_rows:
                table = append_rows(growing.table, table, declared)
                first, replaces = growing.first, growing.path
            del self._growing[declared.name]
        name = file_layout.stored_file_name(start_ms, False, first, number)
        path = day / name
        is_late = growing is not None and start_ms < growing.start_ms
        if len(table) < self._most_rows and not (is_late or declared.personal):
            self._growing[declared.name] = _GrowingFile(
                start_ms, first, str(path), table
            )
        return NewFile(path, table, replaces)

    def forget(self) -> None:
        """Begins new files, because it is not known which were written."""
        self._growing.clear()
