"""Every board in the code that Grafana itself runs, of old versions and the newest
(`grafana_libraries`): what is checked, and what is wrong.

The councils are the one of `towpath demo`, the made-up one of the tests, which has rows
of every measurement, as it is and with awkward names, and one of recorded devices
beside the checkout, in a real InfluxDB and in the embedded store. Options: `--libraries
9,10,13`, `--councils demo,made-up,awkward,recorded`, `--stores influxdb,embedded`, and
`--pictures FOLDER` to draw each board with the components of the newest.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import council
from awkward_names import awkward_rows
from grafana_asks import (
    END_MS,
    SERVERS,
    Influx,
    database_of,
    personal_rows,
    running_influx,
)
from grafana_libraries import LIBRARIES, NEWEST, GrafanaPage, grafana_page
from hardware_rows import hardware_rows
from shown_boards import ShownBoards

from benchmarks.demo_rows import demo_rows
from benchmarks.recorded_council import recorded_rows
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from dashboards.grafana.classic import dashboard_json
from probes.wire.sample import Sample

HOUR_MS = 3_600_000
_WIDTH = 1600


def made_up_rows() -> list[Sample]:
    """An hour of every measurement."""
    return [
        *council.samples(END_MS - HOUR_MS, END_MS),
        *hardware_rows(END_MS - HOUR_MS, END_MS),
        *personal_rows(),
    ]


def awkward_hour() -> list[Sample]:
    return list(awkward_rows(made_up_rows()))


def some_recorded_rows() -> list[Sample]:
    """Every twelfth device: about forty, of all classes."""
    return recorded_rows(every=12)


COUNCILS: dict[str, Callable[[], list[Sample]]] = {
    "demo": demo_rows,
    "made-up": made_up_rows,
    "awkward": awkward_hour,
    "recorded": some_recorded_rows,
}


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks grafana_code")
    parser.add_argument("--libraries", default=",".join(LIBRARIES))
    parser.add_argument("--councils", default=",".join(COUNCILS))
    parser.add_argument("--stores", default=",".join(SERVERS))
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args(options)
    figures: dict[str, Any] = {}
    for name in asked.councils.split(","):
        rows = COUNCILS[name]()
        if not rows:
            print(f"{name}: no rows here")
            continue
        for store in asked.stores.split(","):
            for major in asked.libraries.split(","):
                pictures = asked.pictures if major == NEWEST else None
                shown = show_boards(rows, store, major, pictures=pictures)
                where = f"Grafana {major}, {store}, {name}"
                figures[where] = {**shown.counts, "faults": shown.faults}
                counts = ", ".join(f"{n} {what}" for what, n in shown.counts.items())
                print(f"{where}: {counts}, {len(shown.faults)} faults", flush=True)
                for fault in shown.faults:
                    print(f"  {fault}", flush=True)
    return figures


def show_boards(
    rows: Sequence[Sample],
    store: str,
    major: str,
    boards: Sequence[Board] = BOARDS,
    pictures: Path | None = None,
) -> ShownBoards:
    """Shows `boards` of the rows in a store with the libraries of one Grafana."""
    sites = {
        row.tags["site_id"]: str(row.fields["called"])
        for row in rows
        if row.measurement == "site_name"
    }
    shown = ShownBoards(BOARDS, sites)
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        with running_influx(store, at / "store") as influx:
            influx.end_ms = max(row.time_ms for row in rows) + 1
            asyncio.run(influx.write(list(rows)))
            name = "page" if pictures is None else "pictures"
            with grafana_page(major, influx, at / "chromium", name) as page:
                for board in boards:
                    _show(page, board, influx, shown)
                    if pictures is not None:
                        pictures.mkdir(parents=True, exist_ok=True)
                        page.draw(pictures / f"{board.uid}.png", _WIDTH)
    return shown


def _show(page: GrafanaPage, board: Board, influx: Influx, shown: ShownBoards) -> None:
    document = dashboard_json(board, BOARDS)
    shown.add(board, document, page.show(document, database_of(board)))
    units = sorted({panel.unit for panel in board.panels})
    units += [c.unit for panel in board.panels for c in panel.columns.values()]
    for unit in page.unknown_units(list(dict.fromkeys(units))):
        shown.faults.append(f"{board.title}: the unit {unit!r} is unknown")
