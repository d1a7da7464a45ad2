"""Writes the ports of a council into the embedded store as roll-ups only: 5 minutes,
hours and days, as if the rows had been deleted since. For benchmarks of reports, which
read nothing else of ports.

A month of 10,400 ports has 460 million rows, which would take half an hour to write and
to roll up. These have the values that roll-ups of such rows have.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from benchmarks.council_days import DAY_FILE
from collectors.server_measurements import CATALOGUE
from collectors.store import day_tops, file_layout
from collectors.store.arrow_tables import metadata
from collectors.store.duckdb_sql import TYPES

_MINUTE_MS, _ROLLED_MINUTES = 60_000, {"5m": 5, "1h": 60, "1d": 1_440}
_NAME = "interface"
_SITES_AT_ONCE = 20
# As rollup.roll_up writes them.
_ROW_GROUP, _DICTIONARY_BYTES = 49_152, 1 << 16
_VARYING = {"in_use_ratio": 1.0, "out_use_ratio": 0.4}
# All other fields are constant.
_STEADY = {
    **{
        f"{way}_{kind}_per_s": 0.0
        for way in ("in", "out")
        for kind in ("errors", "discards")
    },
    "in_bps": 1e6,
    "out_bps": 1e6,
    "in_error_ratio": 0.0,
    "speed_bps": 1e9,
}
# A port's use in five minutes: busy by day, and different in each minute.
_BUSY = "0.2 + 0.8 * greatest(0, sin((b / 12.0 - 6) / 14 * pi()))"
_PORTS = (
    "SELECT device, site, role, p, printf('Gi1/0/%02d', p) AS port,"
    " printf('to room %d', p) AS description,"
    " pow(hash(device, p) % 1000 / 1000.0, 4) AS busy FROM"
    " (SELECT printf('site-%03d', s) AS site, d,"
    " printf('site-%03d-d%d', s, d) AS device,"
    " CASE d WHEN 0 THEN 'router' ELSE 'switch' END AS role"
    " FROM range({first}, {last}) t(s), range(3) u(d)), range(1, 25) v(p)"
    " WHERE d > 0 OR p <= 4"
)


def write_ports(store: Path, day_ms: int, day: int, sites: int, is_off: bool) -> int:
    """Writes a day of the kind `day`; returns how many rows of ports it stands for.
    `is_off`: nothing was polled from two to nine in the night."""
    declared = CATALOGUE.measurement(_NAME)
    tags = [tag.name for tag in declared.tags]
    where = "WHERE NOT (b >= 24 AND b < 108)" if is_off else ""
    rows = 0
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(
            duckdb.connect(config={"memory_limit": "1GB", "threads": 1})
        )
        writers: dict[str, pq.ParquetWriter] = {}
        for first in range(0, sites, _SITES_AT_ONCE):
            last = min(sites, first + _SITES_AT_ONCE)
            ports = _PORTS.format(first=first, last=last)
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE fives AS {_fives(ports, day, where)}"
            )
            for step, minutes in _ROLLED_MINUTES.items():
                table = connection.sql(_rolled(day_ms, minutes)).to_arrow_table()
                table = table.replace_schema_metadata(metadata(tags))
                if step not in writers:
                    path = _path(store, step, day_ms)
                    writers[step] = stack.enter_context(
                        pq.ParquetWriter(
                            path,
                            table.schema,
                            compression="zstd",
                            dictionary_pagesize_limit=_DICTIONARY_BYTES,
                        )
                    )
                writers[step].write_table(table, _ROW_GROUP)
                rows += 5 * len(table) if step == "5m" else 0
    fives, tops = (_path(store, step, day_ms) for step in ("5m", day_tops.LABEL))
    tops = tops.with_name(day_tops.file_name(fives.name))
    day_tops.write_tops(fives, tops, declared)
    return rows


def _path(store: Path, step: str, day_ms: int) -> Path:
    folder = store / f"shared-{step}" / _NAME / file_layout.day_name(day_ms)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / DAY_FILE


def _fives(ports: str, day: int, where: str) -> str:
    """Returns the SELECT of a row for each port and five minutes."""
    # Some days are busier than others.
    by_day = 0.5 + (day * 7 % 16) / 32
    columns = []
    for field, share in _VARYING.items():
        # Whole 65,536ths, as the figures of a real store are not all different either.
        minutes = [
            f"round(level * {share} * (307 + (({field} >> {10 * n}) & 1023))"
            " / 1024 * 65536) / 65536"
            for n in range(5)
        ]
        listed = ", ".join(minutes)
        columns += [
            f"{' + '.join(minutes)} AS {field}_sum",
            f"least({listed}) AS {field}_min",
            f"greatest({listed}) AS {field}_max",
            f"{minutes[4]} AS {field}_last",
        ]
    noise = ", ".join(f"hash(b, p, device, {day}, '{f}') AS {f}" for f in _VARYING)
    return (
        f"SELECT device, site, role, port, description, b, {', '.join(columns)} FROM"
        f" (SELECT *, busy * by_hour AS level, {noise} FROM ({ports}),"
        f" (SELECT b, {by_day} * ({_BUSY}) AS by_hour FROM range(288) t(b) {where}))"
        " ORDER BY device, site, role, port, b"
    )


def _rolled(day_ms: int, minutes: int) -> str:
    """Returns the SELECT of the roll-up by so many minutes."""
    declared = CATALOGUE.measurement(_NAME)
    each = minutes // 5
    columns = []
    for field in declared.fields:
        # Nothing reads others by five minutes, and most of the time would go into them.
        if each == 1 and field.name not in _VARYING:
            continue
        kind, f = TYPES[field.type], field.name
        if f in _VARYING:
            parts = {p: f"{f}_{p}" for p in ("sum", "min", "max", "last")}
        else:
            steady = f"CAST({_STEADY.get(f, 1)} AS {kind})"
            parts = dict.fromkeys(("min", "max", "last"), steady)
            parts |= {"sum": f"CAST(n * {steady} AS {kind})"}
            if kind == "VARCHAR":
                parts = {"last": "'uplink'"}
        parts |= {"n": "n", "last_ms": "last_ms"}
        columns += [f'{value} AS "{f}:{part}"' for part, value in parts.items()]
    merged = ", ".join(
        f"sum({f}_sum) AS {f}_sum, min({f}_min) AS {f}_min, max({f}_max) AS {f}_max,"
        f" arg_max({f}_last, b) AS {f}_last"
        for f in _VARYING
    )
    keys = f"device, site, role, port, b // {each}"
    rows = (
        f"SELECT device, site, role, port, b // {each} AS b, max(b) AS latest,"
        f" count(*) AS fives, max(description) AS description, {merged} FROM fives"
        f" GROUP BY {keys}"
    )
    if each == 1:
        rows = "SELECT *, b AS latest, 1 AS fives FROM fives"
    return (
        f"SELECT {day_ms} + b * {minutes * _MINUTE_MS} AS time_ms,"
        f" device, site, role, port, description, {', '.join(columns)} FROM"
        f" (SELECT *, CAST(5 * fives AS BIGINT) AS n,"
        f" {day_ms} + (latest * 5 + 4) * {_MINUTE_MS} AS last_ms FROM ({rows}))"
        " ORDER BY device, site, role, port, time_ms"
    )
