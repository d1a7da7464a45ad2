"""Plants rows in an InfluxDB, 1.x or 2.x, by writing its TSM files: ten thousand ports
take a minute or two. Over HTTP they took more than 18 minutes, and were given up.

The server makes the shards, by a row of each day; then it is stopped, the files are
written beside those rows, as it would have compacted them, and what it has derived from
its files (fields, and in 2.x the index) is made again. Values are those of
`benchmarks.planted_values`.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import services
from grafana_asks import Influx

from benchmarks import planted_values
from benchmarks.tsm_blocks import (
    KINDS,
    Block,
    Times,
    block,
    float_values,
    int_values,
    text_values,
)
from probes.wire.catalogue import Field

DAY_MS = 86_400_000
_HEADER = b"\x16\xd1\x16\xd1\x01"
_FIELD = b"#!~#"
_FIRST_START_S = 600
_ENCODINGS: dict[str, Callable[[Any], bytes]] = {
    "float": float_values,
    "int": int_values,
    "str": text_values,
}


@dataclass(frozen=True)
class Rows:
    """Rows of some fields of a measurement, at the same times for all series."""

    measurement: str
    series: Sequence[Mapping[str, str]]
    fields: Sequence[Field]
    times: Times

    @property
    def count(self) -> int:
        return len(self.series) * self.times.count


class Shard(NamedTuple):
    """Where the rows of [from, to) in ms are."""

    folder: Path
    from_ms: int
    to_ms: int


def plant(influx: Influx, database: str, planted: Sequence[Rows]) -> None:
    """Writes rows into an empty database. The server is stopped and started."""
    from_ms = min(rows.times.first_ms for rows in planted)
    to_ms = max(rows.times.last_ms for rows in planted) + 1
    with planting(influx, database, from_ms, to_ms) as written:
        names = {rows.measurement for rows in planted}
        for name in sorted(names, key=lambda name: f"{name},"):
            _write([rows for rows in planted if rows.measurement == name], written)


@contextlib.contextmanager
def planting(
    influx: Influx, database: str, from_ms: int, to_ms: int, in_order: bool = True
) -> Iterator[list[tuple[Shard, TsmFile]]]:
    """Yields the files of an empty database, to be written while the server is stopped.
    `in_order`: keys are added in the order of bytes."""
    shards = _make_shards(influx, database, from_ms, to_ms)
    influx.server.stop()
    with contextlib.ExitStack() as files:
        yield [
            (shard, files.enter_context(TsmFile.of(shard.folder, in_order)))
            for shard in shards
        ]
    _derive_again(influx.server, shards)
    # It reads the names of all fields.
    influx.server.start(_FIRST_START_S)


def _make_shards(
    influx: Influx, database: str, from_ms: int, to_ms: int
) -> list[Shard]:
    """A shard has one day or more of those in UTC."""
    from_ms -= from_ms % DAY_MS
    shards: list[Shard] = []
    known = set(_shard_folders(influx.server))
    for day_ms in range(from_ms, to_ms, DAY_MS):
        influx.write_lines([f"planted day=1i {day_ms}"], database)
        for folder in set(_shard_folders(influx.server)) - known:
            known.add(folder)
            shards.append(Shard(folder, day_ms, day_ms))
        shards[-1] = shards[-1]._replace(to_ms=day_ms + DAY_MS)
    return shards


def _shard_folders(server: services.Server) -> list[Path]:
    return [*_data(server).glob("*/autogen/*")]


def _data(server: services.Server) -> Path:
    is_2 = isinstance(server, services.Influx2)
    return server.folder / ("engine/data" if is_2 else "data")


def _write(planted: Sequence[Rows], shards: Sequence[tuple[Shard, TsmFile]]) -> None:
    """Writes all rows of one measurement, by series and field in the order of bytes."""
    keys = []
    for rows in planted:
        for number, tags in enumerate(rows.series):
            series = series_key(rows.measurement, tags)
            keys += [
                (
                    series + _FIELD + field.name.encode(),
                    series,
                    planted_values.variant_of(number, at),
                    rows,
                    at,
                )
                for at, field in enumerate(rows.fields)
            ]
    keys.sort(key=lambda key: key[0])
    # A file has each key once.
    assert len({key[0] for key in keys}) == len(keys), planted[0].measurement
    for shard, file in shards:
        times = {
            id(rows): rows.times.within(shard.from_ms, shard.to_ms).parts()
            for rows in planted
        }
        for _, series, variant, rows, at in keys:
            if parts := times[id(rows)]:
                field = rows.fields[at]
                kind = planted_values.kind_of(field)
                blocks = [_block(field.type, kind, variant, part) for part in parts]
                file.add(series, field.name, field.type, blocks)


def series_key(measurement: str, tags: Mapping[str, str]) -> bytes:
    parts = [measurement]
    for name, value in sorted(tags.items()):
        if value:
            for mark in (",", "=", " "):
                value = value.replace(mark, f"\\{mark}")
            parts.append(f"{name}={value}")
    return ",".join(parts).encode()


@functools.cache
def _block(type: str, kind: str, variant: int, times: Times) -> Block:
    place = planted_values.place_of(times.first_ms, times.step_ms)
    return block(type, times, _values(type, kind, variant, place, times.count))


@functools.cache
def _values(type: str, kind: str, variant: int, place: int, count: int) -> bytes:
    return _ENCODINGS[type](planted_values.values(kind, variant, place, count))


class TsmFile:
    """Blocks, their index, and where it begins."""

    def __init__(self, path: Path, in_order: bool) -> None:
        self._path, self._in_order = path, in_order
        self._entries: list[tuple[bytes, bytes]] = []

    @classmethod
    def of(cls, shard: Path, in_order: bool = True) -> TsmFile:
        # The name is one that the server gives to what is fully compacted.
        return cls(shard / "000000001-000000004.tsm", in_order)

    def __enter__(self) -> TsmFile:
        self._blocks = self._path.open("wb")
        self._index = tempfile.TemporaryFile()
        self._blocks.write(_HEADER)
        self._at = len(_HEADER)
        return self

    def add(
        self, series: bytes, field: str, kind: str, blocks: Sequence[Block]
    ) -> None:
        """Adds the blocks of a field of a series (`series_key`)."""
        key = series + _FIELD + field.encode()
        entry = [
            struct.pack(">H", len(key)),
            key,
            struct.pack(">BH", KINDS[kind], len(blocks)),
        ]
        for one in blocks:
            size = len(one.stored)
            entry.append(
                struct.pack(">qqqI", one.first_ns, one.last_ns, self._at, size)
            )
            self._at += size
            self._blocks.write(one.stored)
        if self._in_order:
            self._index.write(b"".join(entry))
        else:
            self._entries.append((key, b"".join(entry)))

    def __exit__(self, *_: object) -> None:
        self._index.writelines(entry for _, entry in sorted(self._entries))
        self._index.seek(0)
        shutil.copyfileobj(self._index, self._blocks)
        self._blocks.write(struct.pack(">Q", self._at))
        self._blocks.close()
        self._index.close()
        if self._at == len(_HEADER):
            # A file must have something.
            self._path.unlink()


def _derive_again(server: services.Server, shards: Sequence[Shard]) -> None:
    for shard in shards:
        for fields in shard.folder.glob("fields.idx*"):
            fields.unlink()
        shutil.rmtree(shard.folder / "index", ignore_errors=True)
    if isinstance(server, services.Influx2):
        data = _data(server)
        folders = ["--data-path", str(data), "--wal-path", str(data.parent / "wal")]
        subprocess.run(
            [server.command[0], "inspect", "build-tsi", *folders],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
