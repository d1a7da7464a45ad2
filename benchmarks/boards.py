"""Measures the boards: their queries, and how long these take with 10,000 ports in
InfluxDB, for an hour, a day and 30 days.

The council is made up: 200 switches with 50 ports, 200 sites with a line each. It has
rows of 70 minutes, roll-ups by 5 minutes of two days and by the hour of 30 days. Lines
and the ports of the switch that is shown have those by 5 minutes of 30 days, too, as
percentiles of five minutes need. All are written as such; that roll-ups have the
figures of rows is tested elsewhere. A board's time is the sum of its queries one after
the other, the least of three loads; Grafana sends several at once. Without
`TOWPATH_INFLUXD` the InfluxDB is the distribution's (1.6.7).
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grafana_asks
import services
import stores
from grafana_asks import END_MS, Influx, chosen_text, filled

from collectors.server_measurements import CATALOGUE
from collectors.store.databases import create_database
from collectors.store.rolled_measurements import rolled_steps
from collectors.store.rolled_rows import rolled_measurement
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board, Variable
from dashboards.grafana.classic import dashboard_json
from probes.wire.catalogue import Measurement

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RANGES_S = {"1h": 3600, "24h": 86_400, "30d": 30 * 86_400}
SWITCHES, PORTS = 200, 50
LINES_EACH = 20_000
# Up to which interval in ms, Grafana rounds to which.
_ROUNDED = (
    (90_000, "1m"),
    (150_000, "2m"),
    (450_000, "5m"),
    (750_000, "10m"),
    (1_050_000, "15m"),
    (1_500_000, "20m"),
    (2_700_000, "30m"),
    (5_400_000, "1h"),
    (9_000_000, "2h"),
    (16_200_000, "3h"),
    (32_400_000, "6h"),
    (86_400_000, "12h"),
)


def run() -> dict[str, Any]:
    figures: dict[str, Any] = {"boards": _counts()}
    for name, counts in figures["boards"].items():
        print(f"{name:<28} {counts}")
    with (
        tempfile.TemporaryDirectory() as folder,
        services.running(services.influxd(Path(folder))) as server,
    ):
        influx = Influx(server)
        asyncio.run(_create(server))
        began = time.perf_counter()
        figures["rows"] = _write(influx)
        seconds = round(time.perf_counter() - began)
        print(f"{figures['rows']} rows and roll-ups written in {seconds} s")
        for label, seconds in RANGES_S.items():
            for board in BOARDS:
                if not board.personal:
                    figures[f"{board.uid} {label}"] = _load(influx, board, seconds)
                    print(
                        f"{board.uid:<20} {label:<4}", figures[f"{board.uid} {label}"]
                    )
    return figures


def _panels(document: dict[str, Any], is_open: bool) -> Iterator[dict[str, Any]]:
    for panel in document["panels"]:
        if panel["type"] != "row":
            yield panel
        elif is_open:
            yield from panel["panels"]


def _counts() -> dict[str, dict[str, int]]:
    """The panels of each board, and its queries when it is opened: those of variables
    and of panels that are not in a collapsed row."""
    counts = {}
    for board in BOARDS:
        document = dashboard_json(board, BOARDS)
        shown = list(_panels(document, is_open=False))
        counts[board.title] = {
            "panels": len(list(_panels(document, is_open=True))),
            "shown": len(shown),
            "queries": sum(len(panel.get("targets", ())) for panel in shown),
            "variables": sum(v.kind == "query" for v in board.variables),
        }
    return counts


def _load(influx: Influx, board: Board, seconds: int) -> dict[str, Any]:
    """Opens a board: the time of all its queries, of the slowest, and their rows."""
    chosen: dict[str, str] = {}
    took: list[tuple[float, str]] = []
    rows = 0
    for variable in board.variables:
        began = time.perf_counter()
        chosen[variable.name] = _value(influx, variable, chosen, seconds)
        took.append((time.perf_counter() - began, f"${variable.name}"))
    for panel in _panels(dashboard_json(board, BOARDS), is_open=False):
        range_s = 60 * int(panel["timeFrom"][:-1]) if "timeFrom" in panel else seconds
        for target in panel.get("targets", ()):
            interval = _interval(panel, range_s)
            query = filled(target["query"], chosen, range_s, interval)
            began = time.perf_counter()
            series = influx.ask(query, "towpath", epoch="ms")
            took.append((time.perf_counter() - began, panel["title"]))
            rows += sum(len(one["values"]) for one in series)
    slowest_s, slowest = max(took, default=(0.0, ""))
    return {
        "queries": len(took),
        "rows": rows,
        "all_s": round(sum(seconds for seconds, _ in took), 2),
        "slowest_s": round(slowest_s, 2),
        "slowest": slowest,
    }


def _value(
    influx: Influx, variable: Variable, chosen: dict[str, str], seconds: int
) -> str:
    if variable.kind != "query":
        return variable.default
    query = filled(variable.query(), chosen, seconds)
    values = [
        chosen_text(str(row[1]))
        for series in influx.ask(query, "towpath")
        for row in series["values"]
    ]
    if variable.multiple:
        return variable.all_value or "(" + "|".join(values) + ")"
    return values[0] if values else ""


def _interval(panel: dict[str, Any], range_s: int) -> str:
    """Returns Grafana's interval for a panel."""
    exact_ms = range_s * 1000 / panel["maxDataPoints"]
    rounded = next((text for limit, text in _ROUNDED if exact_ms < limit), "1d")
    least_ms = int(panel["interval"].rstrip("s")) * 1000
    unit_ms = grafana_asks.UNITS_MS[rounded[-1]]
    if int(rounded[:-1]) * unit_ms < least_ms:
        return f"{least_ms // 60_000}m"
    return rounded


def _subjects(declared: Measurement) -> list[dict[str, str]]:
    """The tags of each series of a measurement."""
    series = []
    for n in range(SWITCHES):
        tags = {"site": f"site-{n}", "role": "switch", "device": f"sw-{n}"}
        match declared.name:
            case "interface":
                series += [
                    tags | {"port": f"Gi1/0/{p}", "description": f"room {p}"}
                    for p in range(PORTS)
                ]
            case "line":
                series.append(
                    {"site": tags["site"], "line": f"line-{n}", "supplier": f"s{n % 5}"}
                    | {"role": "primary"}
                )
            case "site" | "device" | "processor" | "memory":
                series.append(tags | {"processor": "1", "pool": "main"})
            case "sensor":
                series += [
                    tags | {"class": kind, "sensor": kind}
                    for kind in ("temperature", "fanspeed")
                ]
    known = {tag.name for tag in declared.tags}
    return [{k: v for k, v in tags.items() if k in known} for tags in series]


def _write(influx: Influx) -> int:
    """Writes what the boards read: rows, and roll-ups as if they had been made."""
    texts = {
        target["query"]
        for board in BOARDS
        for panel in _panels(dashboard_json(board, BOARDS), is_open=True)
        for target in panel.get("targets", ())
    }
    read = set(re.findall(r'"([a-z0-9_]+)"', " ".join(texts)))
    written = 0
    for declared in CATALOGUE:
        series = _subjects(declared)
        if not series:
            continue
        period_ms = declared.period_s * 1000
        written += _write_one(influx, declared, series, read, (70 * 60_000, period_ms))
        for step, length in rolled_steps(declared).items():
            rolled = rolled_measurement(declared, step)
            days = 2 if step == "5m" and declared.name != "line" else 30
            written += _write_one(influx, rolled, series, read, (days * DAY_MS, length))
            if days == 2 and declared.name == "interface":
                shown = [tags for tags in series if tags["device"] == "sw-0"]
                written += _write_one(
                    influx, rolled, shown, read, (30 * DAY_MS, length)
                )
    return written


def _write_one(
    influx: Influx,
    declared: Measurement,
    series: list[dict[str, str]],
    read: set[str],
    times: tuple[int, int],
) -> int:
    """Writes rows of the last `times[0]` ms, one each `times[1]` ms."""
    span_ms, period_ms = times
    chance = random.Random(1)
    fields = [field for field in declared.fields if field.name in read]
    if not fields:
        return 0
    names = [
        declared.name + "".join(f",{k}={v.replace(' ', chr(92) + ' ')}" for k, v in s)
        for s in (sorted(tags.items()) for tags in series)
    ]

    def value(kind: str) -> str:
        if kind == "float":
            return f"{chance.random():.4f}"
        return "1i" if kind == "int" else '"text"'

    pool = [
        ",".join(f"{field.name}={value(field.type)}" for field in fields)
        for _ in range(997)
    ]
    first = (END_MS - span_ms) // period_ms * period_ms
    values = itertools.cycle(pool)
    lines = (
        f"{name} {next(values)} {time_ms}"
        for time_ms in range(first, END_MS, period_ms)
        for name in names
    )
    written = 0
    while some := list(itertools.islice(lines, LINES_EACH)):
        influx.write_lines(some, "towpath")
        written += len(some)
    return written


async def _create(server: services.Server) -> None:
    """Creates the database with Towpath's retention."""
    async with stores.connection(server) as connection:
        await create_database(connection, "towpath", 400)


if __name__ == "__main__":
    run()
