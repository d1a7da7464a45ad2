"""Writes 30 days of the made-up council into the embedded store's files, as its writer
would have left them: the files of the hours of today, of yesterday and of the days at
which 3 and 30 days begin, and roll-ups of all whole days, those by 5 minutes only as
far back as boards read them.

A day is made up once, and its roll-up by the store's own code; other days are the same,
later. Ports of one switch in ten only have the rows of today, because boards read those
of one switch or site, and the others' are not even opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.board_council import DAY_MS, HOUR_MS, SPARSE_MS, Council, Tags, series
from benchmarks.board_rows import names_read
from collectors.server_measurements import CATALOGUE
from collectors.store import file_layout, rollup
from collectors.store.arrow_tables import metadata
from collectors.store.duckdb_sql import TYPES
from collectors.store.rolled_measurements import RANKED
from collectors.store.rollup_writer import roll_up
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from probes.wire.catalogue import Field, Measurement

_DAYS = 30
# The days that a range of 24 hours, 3 days and 30 days begins in.
_EDGES = (1, 3, 30)
_ONE_IN = 10
_DAYS_OF_5M = 3


def write_files(
    root: Path, council: Council, end_ms: int, boards: Sequence[Board] = BOARDS
) -> int:
    """Writes what `boards` read as files under the store's folder; returns the number
    of rows."""
    read, written = names_read(boards), 0
    for declared in CATALOGUE:
        if not declared.personal and declared.name in read:
            fields = [field for field in declared.fields if field.name in read]
            if fields:
                subjects = series(declared, council)
                files = _Files(root, declared, fields, end_ms)
                written += files.write(subjects)
    return written


class _Files:
    def __init__(
        self, root: Path, declared: Measurement, fields: list[Field], end_ms: int
    ) -> None:
        self._root, self._declared, self._fields = root, declared, fields
        self._end_ms, self._today = end_ms, end_ms - end_ms % DAY_MS
        # Percentiles of five-minute means read their roll-ups over any range.
        self._is_ranked = declared.name in RANKED
        self._tags = [tag.name for tag in declared.tags]

    def write(self, subjects: list[Tags]) -> int:
        with duckdb.connect(config={"memory_limit": "3GB", "threads": 2}) as connection:
            self._connection = connection
            every = len(subjects)
            part = subjects
            if self._declared.name == "interface":
                part = subjects[: every // _ONE_IN]
            written = 0
            for hour in range(self._today, self._end_ms, HOUR_MS):
                written += self._make(
                    subjects,
                    (hour, min(hour + HOUR_MS, self._end_ms)),
                    self._path(hour, False),
                )
            day = self._today - DAY_MS
            source = self._path(day, True)
            written += self._make(part, (day, self._today), source)
            rolled = {step: self._roll_up(source, step) for step in rollup.STEPS_MS}
            for back in range(2, _DAYS + 1):
                at = self._today - back * DAY_MS
                target = self._path(at, True)
                if back in _EDGES:
                    written += self._shift(source, target, back - 1)
                else:
                    # Never read: its roll-ups answer.
                    self._shift(source, target, back - 1, "LIMIT 1")
                for step, path in rolled.items():
                    if step < HOUR_MS and back > _DAYS_OF_5M and not self._is_ranked:
                        continue
                    written += self._shift(
                        path, self._rolled_path(target, step), back - 1
                    )
        return written

    def _path(self, start_ms: int, whole_day: bool) -> Path:
        folder = self._root / "shared" / self._declared.name
        number = start_ms // HOUR_MS
        path = (
            folder
            / file_layout.day_name(start_ms)
            / file_layout.stored_file_name(start_ms, whole_day, number, number)
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _rolled_path(self, source: Path, step_ms: int) -> Path:
        name = rollup.file_name(source.name, self._declared)
        folder = self._root / f"shared-{rollup.STEPS_MS[step_ms]}"
        path = folder / self._declared.name / source.parent.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _roll_up(self, source: Path, step_ms: int) -> Path:
        target = self._rolled_path(source, step_ms)
        roll_up(str(source), target, step_ms, self._declared)
        return target

    def _make(self, subjects: list[Tags], span: tuple[int, int], target: Path) -> int:
        """Makes up rows of a span, one each period."""
        name = self._declared.name
        period_ms = SPARSE_MS.get(name, self._declared.period_s * 1000)
        columns = {tag: [tags.get(tag, "") for tags in subjects] for tag in self._tags}
        self._connection.register("subjects", pa.table(columns))
        tags = ", ".join(f'"{tag}"' for tag in self._tags)
        values = ", ".join(_value(field) for field in self._fields)
        first = -(-span[0] // period_ms) * period_ms
        rows = (
            f"SELECT t.time_ms, {tags}, {values} FROM subjects,"
            f" range({first}, {span[1]}, {period_ms}) t(time_ms)"
        )
        return self._copy(rows, target)

    def _shift(self, source: Path, target: Path, days: int, more: str = "") -> int:
        """Copies a file, with times that are some days earlier."""
        moved = f"time_ms - {days * DAY_MS} AS time_ms"
        late = [
            f'"{column}" - {days * DAY_MS} AS "{column}"'
            for column in self._names(source)
            if column.endswith(":last_ms")
        ]
        replaced = ", ".join([moved, *late])
        return self._copy(
            f"SELECT * REPLACE ({replaced}) FROM read_parquet('{source}') {more}",
            target,
        )

    def _names(self, source: Path) -> list[str]:
        described = self._connection.execute(
            f"SELECT * FROM read_parquet('{source}') LIMIT 0"
        ).description
        return [column[0] for column in described or ()]

    def _copy(self, rows: str, target: Path) -> int:
        order = ", ".join(f'"{column}"' for column in (*self._tags, "time_ms"))
        known = ", ".join(
            f"'{key}': '{text}'" for key, text in metadata(self._tags).items()
        )
        copied = self._connection.execute(
            f"COPY (SELECT * FROM ({rows}) ORDER BY {order}) TO '{target}'"
            " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 49152,"
            f" KV_METADATA {{{known}}})"
        ).fetchall()
        return int(copied[0][0])


def _value(field: Field) -> str:
    text = {
        "float": "round(random(), 4)",
        "int": "CAST(random() * 3 AS BIGINT)",
        "str": "'text'",
    }[field.type]
    return f'CAST({text} AS {TYPES[field.type]}) AS "{field.name}"'
