"""Plants the months of a council (`council_year`) in an InfluxDB: the same rows and
roll-ups as in the embedded store, as far as reports read them.

The eight kinds of days that `write_year` left are read, and InfluxDB's files are
written from them (`tsm_planting`), so a month of 200 sites takes minutes. Means of five
minutes and ranks of days are calculated from the embedded store's roll-ups.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
from grafana_asks import Influx

from benchmarks.council_year import FIRST_MS, day_kind
from benchmarks.tsm_blocks import (
    Block,
    Times,
    block,
    float_bits,
    int_values,
    text_values,
)
from benchmarks.tsm_planting import Shard, TsmFile, planting, series_key
from collectors.server_measurements import CATALOGUE
from collectors.store import file_layout
from collectors.store.day_ranks import day_ranks
from collectors.store.rolled_measurements import (
    DAY,
    DAY_MS,
    HOUR,
    HOUR_MS,
    rolled_fields,
    rolled_name,
)
from collectors.store.rollup_files import RollUpFiles, RollUpState
from collectors.store.store_parts import StorePart
from dashboards.report.report_queries import GROUP_FIELDS

_USE = ("in_use_ratio", "out_use_ratio")
_PORTS = "interface"
# What reports read of each: fields of rows, and of roll-ups by hour and day.
_ROWS = {
    "device": ("up", "answered"),
    "line": ("down_use_ratio", "up_use_ratio", "up", "carrying"),
    "vpn_gateway": ("up", "connect_ms", "tls_ms", "certificate_days"),
}
_ROLLED = {
    **_ROWS,
    "experience": ("agents", "calls", "calls_once", *GROUP_FIELDS),
    _PORTS: (
        "speed_bps",
        *(
            f"{way}_{kind}_per_s"
            for way in ("in", "out")
            for kind in ("errors", "discards")
        ),
        *_USE,
    ),
}
# The lowest, highest and latest values that reports read, of these alone.
_ENDS_OF = ("line", "vpn_gateway")
_ENDS_OF_FIELDS = ("agents", "speed_bps")
_SITES_AT_ONCE = 20
# Reports compare no ports with those of the month before.
_DAYS_OF_PORTS = 32


class _Field(NamedTuple):
    """A field in InfluxDB, and the SQL of its values in the embedded store's file."""

    name: str
    type: str
    sql: str


# Of one kind of day: the times since its beginning, and the values of each field.
_Values = tuple[list[int], list[list[Any]]]


def plant_year(
    influx: Influx, database: str, folder: Path, sites: int, span: tuple[int, int]
) -> None:
    """Writes the whole days of `span` into an empty database; the year is in `folder`.
    Experience has the roll-ups of days from the beginning of the year, for trends."""
    kinds = folder / "kinds"
    from_ms = FIRST_MS
    with planting(influx, database, from_ms, span[1], in_order=False) as shards:
        within = [(shard, file) for shard, file in shards if shard.to_ms > span[0]]
        days = range(span[0], span[1], DAY_MS)
        for name in _ROLLED:
            for step in ("", "5m", HOUR, DAY):
                fields = _fields(name, step)
                if not fields:
                    continue
                is_trend = (name, step) == ("experience", DAY)
                wanted: Sequence[int] = days
                if is_trend:
                    wanted = range(from_ms, span[1], DAY_MS)
                elif name == _PORTS:
                    wanted = days[-_DAYS_OF_PORTS:]
                if (name, step) == (_PORTS, HOUR):
                    # A month of local time begins and ends within a day.
                    wanted = [wanted[0], wanted[-1]]
                files = shards if is_trend else within
                for tags, of_kinds in _read(kinds, name, step, fields, sites):
                    series = series_key(rolled_name(name, step) if step else name, tags)
                    _write(files, series, step, fields, of_kinds, wanted)
                    if (name, step) == (_PORTS, "5m"):
                        series = series_key(rolled_name(name, DAY), tags)
                        ranks = _rank_fields(fields)
                        _write(files, series, HOUR, ranks, _ranks(of_kinds), wanted)
    state = RollUpState(
        {},
        dict.fromkeys(_ROLLED, (span[0], span[0])),
        dict.fromkeys(_ROLLED, (span[0], span[0])),
    )
    path = RollUpFiles(folder / "influx-store", database).path(StorePart())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(state))


def _fields(name: str, step: str) -> list[_Field]:
    declared = CATALOGUE.measurement(name)
    if not step:
        return [
            _Field(field, declared.field(field).type, f'"{field}"')
            for field in _ROWS.get(name, ())
        ]
    if step == "5m":
        means = _USE if name == _PORTS else ()
        return [
            _Field(f"{field}_mean", "float", f'"{field}:sum" / "{field}:n"')
            for field in means
        ]
    found = []
    for rolled in rolled_fields(declared, step):
        is_read = rolled.part in ("n", "sum", "product", "weight") or (
            rolled.part in ("min", "max", "last")
            and (name in _ENDS_OF or rolled.field in _ENDS_OF_FIELDS)
        )
        if rolled.field in _ROLLED[name] and is_read:
            type = declared.field(rolled.field).type
            type = "int" if rolled.part == "n" else type
            type = "float" if rolled.part in ("product", "weight") else type
            found.append(_Field(rolled.name, type, f'"{rolled.field}:{rolled.part}"'))
    return found


def _read(
    kinds: Path, name: str, step: str, fields: Sequence[_Field], sites: int
) -> Iterator[tuple[Mapping[str, str], dict[int, _Values]]]:
    """Yields the tags of each series and its values by kind of day."""
    tags = [tag.name for tag in CATALOGUE.measurement(name).tags]
    folder = kinds / (f"shared-{step}" if step else "shared") / name
    days = sorted(folder.iterdir())
    tag = "group" if name == "experience" else "site"
    lists = ", ".join(
        f"list({field.sql} ORDER BY time_ms) AS v{n}" for n, field in enumerate(fields)
    )
    names = ", ".join(f'"{one}"' for one in tags)
    with duckdb.connect(config={"memory_limit": "2GB", "threads": 2}) as connection:
        connection.execute("SET enable_progress_bar = false")
        for first in range(0, sites + 1, _SITES_AT_ONCE):
            # Groups that are no site come with the first.
            low = f"site-{first:03d}" if first else ""
            high = f"site-{first + _SITES_AT_ONCE:03d}"
            last = first + _SITES_AT_ONCE > sites
            where = f"\"{tag}\" >= '{low}'" + (
                "" if last else f" AND \"{tag}\" < '{high}'"
            )
            found: dict[tuple[str, ...], dict[int, _Values]] = {}
            for day in days:
                at = file_layout.day_start_ms(day.name)
                rows = connection.execute(
                    f"SELECT {names}, list(time_ms - {at} ORDER BY time_ms), {lists}"
                    f" FROM '{day}/*.parquet' WHERE {where} GROUP BY {names}"
                )
                while part := rows.fetchmany(500):
                    for row in part:
                        key, times = row[: len(tags)], row[len(tags)]
                        own = found.setdefault(key, {})
                        own[at // DAY_MS] = times, list(row[len(tags) + 1 :])
            for key, of_kinds in found.items():
                yield dict(zip(tags, key, strict=True)), of_kinds


def _rank_fields(fields: Iterable[_Field]) -> list[_Field]:
    return [
        field._replace(name=field.name.replace("_mean", "_rank")) for field in fields
    ]


def _ranks(of_kinds: Mapping[int, _Values]) -> dict[int, _Values]:
    found = {}
    for kind, (_, columns) in of_kinds.items():
        ranks = [day_ranks(means) for means in columns]
        found[kind] = [at * HOUR_MS for at in range(len(ranks[0]))], ranks
    return found


def _write(
    files: Sequence[tuple[Shard, TsmFile]],
    series: bytes,
    step: str,
    fields: Sequence[_Field],
    of_kinds: Mapping[int, _Values],
    days: Iterable[int],
) -> None:
    """Writes all fields of a series. Hours and days of a shard are in one block,
    shorter steps in one a day, which is encoded once for each kind of day."""
    encoded: dict[tuple[int, int], list[tuple[Times, bytes]]] = {}
    days = list(days)
    for shard, file in files:
        own = [day for day in days if shard.from_ms <= day < shard.to_ms]
        for number, field in enumerate(fields):
            blocks: list[Block] = []
            if step in (HOUR, DAY):
                pairs = [
                    (day + time, value)
                    for day in own
                    if (values := of_kinds.get(day_kind(day)))
                    for time, value in zip(values[0], values[1][number], strict=True)
                    if value is not None
                ]
                blocks = [
                    block(field.type, times, data)
                    for times, data in _runs(field.type, pairs)
                ]
            else:
                for day in own:
                    kind = day_kind(day)
                    if (kind, number) not in encoded:
                        values = of_kinds.get(kind, ([], [[] for _ in fields]))
                        pairs = list(zip(values[0], values[1][number], strict=True))
                        encoded[kind, number] = list(_runs(field.type, pairs))
                    blocks += [
                        block(
                            field.type,
                            Times(day + times.first_ms, times.step_ms, times.count),
                            data,
                        )
                        for times, data in encoded[kind, number]
                    ]
            if blocks:
                file.add(series, field.name, field.type, blocks)


def _runs(type: str, pairs: Sequence[tuple[int, Any]]) -> Iterator[tuple[Times, bytes]]:
    """Yields times of equal steps and their encoded values, as many as a block has."""
    at = 0
    while at < len(pairs):
        step_ms = pairs[at + 1][0] - pairs[at][0] if at + 1 < len(pairs) else 1
        end = at + 1
        while end < len(pairs) and pairs[end][0] - pairs[end - 1][0] == step_ms:
            end += 1
        end = min(end, at + 1000)
        values = [value for _, value in pairs[at:end]]
        yield Times(pairs[at][0], step_ms, end - at), _encoded(type, values)
        at = end


def _encoded(type: str, values: Sequence[Any]) -> bytes:
    match type:
        case "float":
            packed = struct.pack(f">{len(values)}d", *values)
            return float_bits(struct.unpack(f">{len(values)}Q", packed))
        case "int":
            return int_values(values)
        case _:
            return text_values(values)
