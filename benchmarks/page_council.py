"""The council whose pages are measured: 200 sites, 1,000 devices, 52,000 ports; which
rows it has, and how they get into the embedded store. `benchmarks.tsm_planting` writes
the same rows into an InfluxDB.

All ports have the rows of 70 minutes; those of one device and of one site, whose pages
are shown, of 30 days. Other devices, sites and lines have a day of rows. The values are
alike in both stores (`benchmarks.planted_values`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
from grafana_asks import END_MS

from benchmarks import planted_values
from benchmarks.tsm_blocks import Times
from benchmarks.tsm_planting import Rows
from collectors.estate import Device, Estate, Line, Site
from collectors.estate.estate_model import Room, Team
from collectors.server_measurements import CATALOGUE
from collectors.store import file_layout
from collectors.store.arrow_tables import metadata

SITES, DEVICES, PORTS, ROOMS, TEAMS = 200, 5, 52, 12, 20
SHOWN_SITE, SHOWN_DEVICE, SHOWN_PORT = "site-7", "site-7-sw0", "Gi1/0/3"
SHOWN_ROOM = "room-7"
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
_NAMES = ("Library", "Primary School", "Depot", "Children's Centre")
_DAYS = 30


def estate() -> Estate:
    sites = tuple(
        Site(
            id=f"site-{n}",
            name=f"St Mary's {_NAMES[n % 4]} {n}",
            kind=_NAMES[n % 4],
            district=f"District {n % 6}",
        )
        for n in range(SITES)
    )
    devices = tuple(
        Device(
            id=f"{site.id}-sw{m}",
            site=site.id,
            address=f"10.{n}.0.{m + 1}",  # type: ignore[arg-type]
            parent=f"{site.id}-sw0" if m else None,
        )
        for n, site in enumerate(sites)
        for m in range(DEVICES)
    )
    lines = tuple(
        Line(
            id=f"line-{n}",
            site=f"site-{n}",
            supplier="Northern Fibre",
            down_mbps=100,
            up_mbps=100,
            device=f"site-{n}-sw0",
            port="Gi1/0/1",
        )
        for n in range(SITES)
    )
    rooms = tuple(
        Room(
            id=f"room-{n}",
            name=f"Council Chamber {n}",
            site=f"site-{n}",
            ports=tuple(f"site-{n}-sw0 Gi1/0/{port}" for port in (3, 4)),
            stream_url="https://stream.example/council.m3u8",
        )
        for n in range(ROOMS)
    )
    teams = tuple(Team(id=f"team-{n}", name=f"Team {n}") for n in range(TEAMS))
    return Estate(sites=sites, devices=devices, lines=lines, rooms=rooms, teams=teams)


def made_rows(council: Estate) -> Iterator[Rows]:
    devices = [
        {"device": d.id, "site": d.site, "role": d.role} for d in council.devices
    ]
    shown = [tags for tags in devices if tags["device"] == SHOWN_DEVICE]
    sites = [{"site": site.id} for site in council.sites]
    lines = [
        {"line": line.id, "site": line.site, "role": "primary"}
        | {"supplier": "Northern Fibre"}
        for line in council.lines
    ]
    groups = [{"by": "site", "group": site.id} for site in council.sites]
    groups += [{"by": "team", "group": team.id} for team in council.teams]
    groups += [
        {"by": by, "group": group}
        for by, names in {"all": ("all",), "place": ("home", "office")}.items()
        for group in names
    ]
    rooms = [{"room": room.id, "site": room.site} for room in council.rooms]

    def ports(of: list[dict[str, str]]) -> list[dict[str, str]]:
        return [
            tags | {"port": f"Gi1/0/{n}", "description": f"room {n}"}
            for tags in of
            for n in range(PORTS)
        ]

    def each(name: str, **more: str) -> list[dict[str, str]]:
        return [
            tags | {k: f"{v} {n}" for k, v in more.items()}
            for tags in devices
            for n in range(3)
        ]

    others = [tags for tags in devices if tags not in shown]
    yield _rows("device", others, DAY_MS)
    yield _rows("device", shown, _DAYS * DAY_MS)
    yield _rows(
        "interface",
        [p for p in ports(devices) if p["device"] != SHOWN_DEVICE],
        70 * MINUTE_MS,
    )
    yield _rows("interface", ports(shown), _DAYS * DAY_MS)
    for name, tag, series in (
        ("site", "site", sites),
        ("line", "site", lines),
        ("experience", "group", groups),
    ):
        own = [tags for tags in series if tags[tag] == SHOWN_SITE]
        yield _rows(name, own, _DAYS * DAY_MS)
        yield _rows(name, [tags for tags in series if tags not in own], DAY_MS)
    yield _rows("room", rooms, DAY_MS)
    yield _rows(
        "room_port",
        [
            tags | {"device": device, "port": port}
            for tags, room in zip(rooms, council.rooms, strict=True)
            for device, port in room.places
        ],
        DAY_MS,
    )
    yield _rows("self_team", [{"team": team.id} for team in council.teams], HOUR_MS)
    yield _rows(
        "sensor",
        each("sensor", **{"class": "temperature", "sensor": "Inlet"}),
        70 * MINUTE_MS,
    )
    yield _rows("processor", each("processor", processor="CPU"), 70 * MINUTE_MS)
    yield _rows("neighbour", each("neighbour", port="Gi1/0/", heard="sw"), DAY_MS)
    yield _rows("inventory", devices, DAY_MS)
    yield _rows("event", each("event", event="fan_failed"), DAY_MS)


def _rows(name: str, series: list[dict[str, str]], length_ms: int) -> Rows:
    """The rows of all fields, up to the end."""
    declared = CATALOGUE.measurement(name)
    step_ms = HOUR_MS if name == "event" else declared.period_s * 1000
    first_ms = END_MS - length_ms - END_MS % step_ms
    count = length_ms // step_ms
    return Rows(name, series, declared.fields, Times(first_ms, step_ms, count))


def write_embedded(root: Path, planted: Iterator[Rows]) -> int:
    """Writes files of whole days, and of the hours of today, as a running writer leaves
    them; returns the number of rows."""
    today, written = END_MS - END_MS % DAY_MS, 0
    with duckdb.connect(config={"memory_limit": "3GB", "threads": 2}) as connection:
        for number, rows in enumerate(planted, 1):
            at = rows.times.first_ms
            while at <= rows.times.last_ms:
                step_ms = HOUR_MS if at >= today else DAY_MS
                end = at - at % step_ms + step_ms
                times = rows.times.within(at, end)
                if times.count:
                    written += _write_file(connection, root, rows, times, number)
                at = end
    return written


def _write_file(
    connection: duckdb.DuckDBPyConnection,
    root: Path,
    rows: Rows,
    times: Times,
    number: int,
) -> int:
    declared = CATALOGUE.measurement(rows.measurement)
    tags = [tag.name for tag in declared.tags]
    columns: dict[str, list[object]] = {
        tag: [held.get(tag, "") for held in rows.series] for tag in tags
    }
    columns["n"] = list(range(len(rows.series)))
    connection.register("series", pa.table(columns))
    values = ", ".join(
        f"{planted_values.sql(field, n, 'n', 't.time_ms', times.step_ms)}"
        f' AS "{field.name}"'
        for n, field in enumerate(rows.fields)
    )
    names = ", ".join(f'"{tag}"' for tag in tags)
    folder = root / "shared" / declared.name / file_layout.day_name(times.first_ms)
    folder.mkdir(parents=True, exist_ok=True)
    place = times.first_ms // HOUR_MS * 100 + number
    is_day = times.count * times.step_ms > HOUR_MS
    target = folder / file_layout.stored_file_name(times.first_ms, is_day, place, place)
    known = ", ".join(f"'{key}': '{text}'" for key, text in metadata(tags).items())
    copied = connection.execute(
        f"COPY (SELECT t.time_ms, {names}, {values} FROM series,"
        f" range({times.first_ms}, {times.last_ms + 1}, {times.step_ms}) t(time_ms)"
        f" ORDER BY {names}, time_ms) TO '{target}' (FORMAT parquet, COMPRESSION zstd,"
        f" ROW_GROUP_SIZE 49152, KV_METADATA {{{known}}})"
    ).fetchall()
    return int(copied[0][0])
