"""Writes days of a council into the embedded store, in the same layout as its writer:
one file per day and measurement. For benchmarks of reports.

A site has a router with 4 ports, two switches with 24 and a line; every third site has
a backup line too. Devices are polled every minute. Rows are complete. Of 28 devices one
is down on a day, for an hour and a half, and one in sixty answers nine polls out of
ten.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from collectors.server_measurements import CATALOGUE
from collectors.store import file_layout
from collectors.store.arrow_tables import metadata
from collectors.store.duckdb_sql import TYPES
from probes.wire.call_cause import CAUSES

DAY_MS = 86_400_000
# Of eight kinds of days one has a night in which nothing is polled and, later,
# two hours in which the monitor is cut off.
KINDS, NIGHT_OFF = 8, 7
# Each day was written once.
DAY_FILE = file_layout.stored_file_name(0, True, 1, 1)
_SITES = "SELECT s, printf('site-%03d', s) AS site FROM range({first}, {sites}) t(s)"
# The rows of this many sites are sorted at once.
_SITES_AT_ONCE = 20
_DEVICES = (
    "SELECT s, site, d, printf('%s-d%d', site, d) AS device,"
    " CASE d WHEN 0 THEN 'router' ELSE 'switch' END AS role"
    f" FROM ({_SITES}), range(3) t(d)"
)
_BUSY = "(0.2 + 0.8 * greatest(0, sin((m / 60.0 - 6) / 14 * pi())))"
# Values of the fields that no report reads: rows are complete, as a poller writes them.
_FILLERS = {
    "BIGINT": "time_ms // 60000 % 7",
    "DOUBLE": "hash(time_ms) % 1000 / 8.0",
    "VARCHAR": "'up'",
}
# {at} is the start of the day, {day} its kind; m is the minute.
MEASUREMENTS = {
    "device": (
        "SELECT {at} + m * 60000 + hash(device) % 60 * 1000 AS time_ms, device, site,"
        " role, CASE WHEN {day} = 7 AND m BETWEEN 600 AND 719"
        " OR hash(device, 1) % 28 = {day} AND m - hash(device, 2) % 1300 BETWEEN 0 AND"
        " 89 OR (s * 3 + d) % 60 = 7 AND"
        " hash(device, m, {day}) % 10 = 0 THEN 0 ELSE 1 END AS up, 1 AS answered,"
        " 12.0 + hash(m, device) % 100 / 10 AS duration_ms"
        f" FROM ({_DEVICES}), range(1440) t(m)"
    ),
    "line": (
        "SELECT {at} + m * 60000 AS time_ms, printf('%s-%s', site, role) AS line, site,"
        " role, 'Northern Fibre' AS supplier, 1e8 AS contract_down_bps, 1e8 AS"
        " contract_up_bps, down_use_ratio * 1e8 AS down_bps,"
        " up_use_ratio * 1e8 AS up_bps, down_use_ratio, up_use_ratio, 1 AS up,"
        " CASE role WHEN 'primary' THEN 1 ELSE 0 END AS carrying FROM ("
        " SELECT site, m, role, CASE role WHEN 'primary' THEN 0.9 ELSE 0.001 END *"
        f" {_BUSY} * (0.4 + hash(m, s, {{day}}) % 6000 / 10000.0) AS down_use_ratio,"
        f" 0.2 * {_BUSY} * (0.4 + hash(s, m) % 6000 / 10000.0) AS up_use_ratio"
        f" FROM ({_SITES}), (VALUES ('primary'), ('backup')) r(role), range(1440) t(m)"
        " WHERE role = 'primary' OR s % 3 = 0)"
    ),
    "vpn_gateway": (
        "SELECT {at} + m * 60000 AS time_ms, printf('vpn-%d', g) AS gateway,"
        " 'site-000' AS site, 1 AS up, 5.0 + hash(m, g, {day}) % 300 / 10 AS"
        " connect_ms, 9.0 AS tls_ms, 90.0 AS certificate_days"
        " FROM range(2) a(g), range(1440) t(m)"
    ),
    "experience": (
        'SELECT {at} + m * 300000 AS time_ms, "by", "group", 40 AS agents, 60 AS calls,'
        " 20.0 AS calls_once, 0.03 AS call_poor_ratio, 4.1 AS mos_estimated_p50,"
        " 40.0 AS rtt_p95_ms, 5.0 AS jitter_p95_ms, 60 AS loss_calls,"
        " 0.002 AS loss_mean_ratio, 40 AS judged_laptops, 40 AS vpn_laptops,"
        " 0.9 AS vpn_up_ratio, 300 AS web_checks, 0.99 AS web_ok_ratio, "
        + ", ".join(f"0.005 AS cause_{name}_ratio" for name in CAUSES)
        + " FROM (SELECT 'all' AS \"by\", 'all' AS \"group\" UNION ALL"
        " SELECT 'place', unnest(['home', 'office']) UNION ALL"
        " SELECT 'connection', unnest(['ethernet', 'wifi', 'mobile']) UNION ALL"
        " SELECT 'provider', printf('Provider %d', n) FROM range(8) t(n) UNION ALL"
        f" SELECT 'site', site FROM ({_SITES}) UNION ALL"
        f" SELECT 'home_site_place', site || '/home' FROM ({_SITES})), range(288) t(m)"
    ),
}


def write_day(store: Path, measurement: str, sites: int, at: int, kind: int) -> int:
    """Writes the file of the day that begins at `at`, sorted; returns the number of
    rows. `kind` selects the day's faults."""
    declared = CATALOGUE.measurement(measurement)
    tags = [tag.name for tag in declared.tags]
    order = ", ".join(f'"{column}"' for column in (*declared.identity, "time_ms"))
    where = f"time_ms >= {at} AND time_ms < {at + DAY_MS}"
    if kind == NIGHT_OFF:
        where += f" AND time_ms NOT BETWEEN {at + 7_200_000} AND {at + 32_400_000}"
    target = store / "shared" / measurement / file_layout.day_name(at)
    target.mkdir(parents=True, exist_ok=True)
    path = target / DAY_FILE
    # Others are not in the order of their sites.
    by_site = measurement in ("device", "line")
    step = _SITES_AT_ONCE if by_site else sites
    count = 0
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(
            duckdb.connect(config={"memory_limit": "2GB", "threads": 2})
        )
        writer: pq.ParquetWriter | None = None
        for first in range(0, sites, step):
            select = MEASUREMENTS[measurement].format(
                at=at, day=kind, first=first, sites=min(sites, first + step)
            )
            rows = connection.sql(
                f"SELECT {_columns(connection, measurement, select)} FROM ({select})"
                f" WHERE {where} ORDER BY {order}"
            ).to_arrow_table()
            rows = rows.replace_schema_metadata(metadata(tags))
            writer = writer or stack.enter_context(
                pq.ParquetWriter(path, rows.schema, compression="zstd")
            )
            writer.write_table(rows, 122_880)
            count += len(rows)
    return count


def _columns(
    connection: duckdb.DuckDBPyConnection, measurement: str, select: str
) -> str:
    """Returns the columns of a complete row, as the store writes them."""
    description = connection.execute(f"SELECT * FROM ({select}) LIMIT 0").description
    selected = {column[0] for column in description or ()}
    return ", ".join(
        f'CAST({value} AS {kind}) AS "{column}"'
        for column, kind in _types(measurement).items()
        for value in [f'"{column}"' if column in selected else _FILLERS[kind]]
    )


def _types(measurement: str) -> dict[str, str]:
    """Column -> DuckDB type, as the store writes it."""
    declared = CATALOGUE.measurement(measurement)
    return {
        "time_ms": "BIGINT",
        **{tag.name: "VARCHAR" for tag in declared.tags},
        **{field.name: TYPES[field.type] for field in declared.fields},
    }


def estate_toml(sites: int) -> str:
    """The estate that the rows belong to."""
    lines = []
    for s in range(sites):
        site = f"site-{s:03d}"
        lines.append(f'[[sites]]\nid = "{site}"\nname = "Site {s}"\n')
        for d in range(3):
            role = "switch" if d else "router"
            lines.append(
                f'[[devices]]\nid = "{site}-d{d}"\nsite = "{site}"\nrole = "{role}"\n'
                f'address = "10.{s}.0.{d + 1}"\n'
            )
        roles = ("primary",) if s % 3 else ("primary", "backup")
        for port, role in enumerate(roles, 1):
            lines.append(
                f'[[lines]]\nid = "{site}-{role}"\nsite = "{site}"\nrole = "{role}"\n'
                f'supplier = "Northern Fibre"\ndown_mbps = 100\nup_mbps = 100\n'
                f'device = "{site}-d0"\nport = "Gi1/0/{port:02d}"\n'
            )
    for g in range(2):
        lines.append(f'[[vpn_gateways]]\nid = "vpn-{g}"\nhost = "vpn-{g}.example"\n')
    return "\n".join(lines)


def settings_toml(folder: Path) -> str:
    """Settings of a council with its store in `folder`/store."""
    return (
        f'council = "Benchmark"\nstate = {json.dumps(str(folder))}\n'
        f"estate = {json.dumps(str(folder / 'estate.toml'))}\n"
        f"[store]\nfolder = {json.dumps(str(folder / 'store'))}\n"
        "[web]\nport = 0\n"
    )


def write_settings(folder: Path, sites: int) -> None:
    """Writes the settings and the estate of a council of so many sites."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "estate.toml").write_text(estate_toml(sites))
    (folder / "towpath.toml").write_text(settings_toml(folder))
