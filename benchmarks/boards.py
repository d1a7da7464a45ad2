"""Measures the boards: their queries, and how long a load takes with 10,000 ports, for
1 hour, 24 hours, 3 days and 30 days, on InfluxDB and on the embedded store.

`load` is a load as Grafana does it: variables one after another, then the queries of
panels, six panels at a time (a browser's connections to one server), those of one panel
one after another. `alone` is the time of all queries one after another, `slowest` that
of the slowest, and `cpu` the CPU time of the server for one load, which tells more than
time does if the machine has other work. Panels in closed rows are queried when somebody
opens them:
`opened` is the load with all rows open. The least of three loads counts. Without
`TOWPATH_INFLUXD` the InfluxDB is the distribution's (1.6.7).

`python -m benchmarks.boards --ports 1000 --on influxdb` measures a part. `--keep
FOLDER` plants into a folder that stays, and measures again what was planted there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import grafana_asks
import services
import stores
from grafana_asks import END_MS, EmbeddedInflux, Influx, chosen_text, filled
from served_influx import served_in_background

from benchmarks.board_council import SHOWN, SHOWN_ON, Council
from benchmarks.board_files import write_files
from benchmarks.board_rows import made_rows
from benchmarks.process_cpu import process_cpu_s
from benchmarks.tsm_planting import plant
from collectors.server_measurements import CATALOGUE
from collectors.store.databases import create_database
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board, Variable
from dashboards.grafana.classic import dashboard_json

RANGES_S = {"1h": 3600, "24h": 86_400, "3d": 3 * 86_400, "30d": 30 * 86_400}
# The longest range whose percentiles are exact is measured on boards that have them.
EXACT = "3d"
TARGET_S = 2.0
LOADS, PANELS_AT_ONCE = 3, 6
SHARED = tuple(board for board in BOARDS if not board.personal)
STORES = ("influxdb", "embedded")
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


class Asked(Protocol):
    """An InfluxDB or what acts as one."""

    def ask(self, query: str, database: str, **more: str) -> list[dict[str, Any]]: ...


class PanelLoad(NamedTuple):
    title: str
    queries: tuple[str, ...]


class PanelTime(NamedTuple):
    """Seconds of each query of a panel, the rows of its answers, and how many queries
    were refused."""

    title: str
    took_s: tuple[float, ...]
    rows: int
    refused: int = 0


def run() -> dict[str, Any]:
    return measure(Council(), STORES)


def measure(
    council: Council,
    on: Sequence[str],
    boards: Sequence[Board] = SHARED,
    kept: Path | None = None,
) -> dict[str, Any]:
    figures: dict[str, Any] = {"boards": _counts()}
    for name, counts in figures["boards"].items():
        print(f"{name:<28} {counts}")
    for kind in on:
        with contextlib.ExitStack() as ended:
            folder = kept or Path(ended.enter_context(tempfile.TemporaryDirectory()))
            measured = {"influxdb": _on_influxdb, "embedded": _on_embedded}[kind]
            figures[kind] = measured(_Planted(folder / kind, council, boards))
    return figures


class _Planted:
    """A folder of rows, which may be there from an earlier run."""

    def __init__(self, folder: Path, council: Council, boards: Sequence[Board]) -> None:
        self.folder, self.council, self.boards = folder, council, boards
        self._note = folder.with_suffix(".txt")
        self._text = f"{council.name}: {' '.join(sorted(b.uid for b in boards))}\n"
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_there(self) -> bool:
        """Raises `SystemExit` if the folder has something else."""
        if not self._note.exists():
            if any(self.folder.iterdir()):
                sys.exit(f"{self.folder} was not planted to the end: delete it")
            return False
        has, wanted = self._note.read_text().split(), self._text.split()
        # The number of ports comes first.
        if has[0] != wanted[0] or not set(wanted) <= set(has):
            sys.exit(f"{self.folder} has {' '.join(has)}: delete it")
        return True

    @contextlib.contextmanager
    def planting(self) -> Iterator[None]:
        began, began_s = time.perf_counter(), time.process_time()
        yield
        self._note.write_text(self._text)
        print(
            f"\n{self.folder.name}, {self.council.name}: planted in "
            f"{time.perf_counter() - began:.0f} s "
            f"({time.process_time() - began_s:.0f} s of this process)"
        )


def _on_influxdb(planted: _Planted) -> dict[str, Any]:
    was_there = planted.is_there
    with services.running(services.influxd(planted.folder)) as server:
        influx = Influx(server)
        if not was_there:
            with planted.planting():
                asyncio.run(create(server))
                rows = list(made_rows(planted.council, planted.boards))
                plant(influx, "towpath", rows)
            print(f"{sum(each.count for each in rows):,} rows")
        return loads(influx, planted.boards)


def _on_embedded(planted: _Planted) -> dict[str, Any]:
    was_there = planted.is_there
    with served_in_background(planted.folder, CATALOGUE) as (store, loop):
        if not was_there:
            # The first use of the store creates its folder.
            asyncio.run_coroutine_threadsafe(store.tidy(0), loop).result()
            (root,) = planted.folder.iterdir()
            with planted.planting():
                rows = write_files(root, planted.council, END_MS, planted.boards)
            print(f"{rows:,} rows")
        return loads(EmbeddedInflux(store, loop), planted.boards)


def loads(store: Asked, boards: Sequence[Board] = SHARED) -> dict[str, Any]:
    """The figures of every board and range."""
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    figures: dict[str, Any] = {}
    for board in boards:
        for label, range_s in RANGES_S.items():
            if label == EXACT and not _has_estimates(board):
                continue
            load = _least(store, board, range_s)
            figures[f"{board.uid} {label}"] = load
            print(f"{board.uid:<24} {label:<4}", *(f"{k}={v}" for k, v in load.items()))
            sys.stdout.flush()
    slowest = max(figures, key=lambda name: figures[name]["load"])
    print(
        f"the slowest load: {slowest}, {figures[slowest]['load']} s; "
        f"expected: {TARGET_S:g} s at most"
    )
    return figures


def _has_estimates(board: Board) -> bool:
    return any(target.estimated for panel in board.panels for target in panel.targets)


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


def _least(store: Asked, board: Board, range_s: int) -> dict[str, Any]:
    """Loads a board some times, in each way, and returns the least times."""
    alone = [_load(store, board, range_s, 1) for _ in range(LOADS)]
    began_s = _cpu_s(store)
    together = [_load(store, board, range_s, PANELS_AT_ONCE) for _ in range(LOADS)]
    cpu_s = (_cpu_s(store) - began_s) / LOADS
    opened = _load(store, board, range_s, PANELS_AT_ONCE, is_open=True)
    panels = min(alone, key=lambda load: sum(map(_sum, load[1])))[1]
    slowest = max(panels, key=lambda panel: max(panel.took_s))
    queries = sum(len(panel.took_s) for panel in panels)
    return {
        "queries": queries,
        "rows": sum(panel.rows for panel in panels),
        "empty": sum(not panel.rows for panel in opened[1]),
        "refused": sum(panel.refused for panel in opened[1]),
        "load": round(min(seconds for seconds, _ in together), 2),
        "alone": round(sum(map(_sum, panels)), 2),
        "cpu": round(cpu_s, 2),
        "opened": round(opened[0], 2),
        "slowest": round(max(slowest.took_s), 2),
        "of": repr(slowest.title),
    }


def _cpu_s(store: Asked) -> float:
    """Returns the CPU time of the server: InfluxDB, or this process, in which the
    embedded store runs."""
    if isinstance(store, EmbeddedInflux) or not isinstance(store, Influx):
        return time.process_time()
    return process_cpu_s(store.server.pid)


def _sum(panel: PanelTime) -> float:
    return sum(panel.took_s)


def _load(
    store: Asked, board: Board, range_s: int, at_once: int, is_open: bool = False
) -> tuple[float, list[PanelTime]]:
    """Loads a board, `at_once` panels at a time. Returns seconds, and those of each."""
    chosen: dict[str, str] = {}
    began = time.perf_counter()
    times = []
    for variable in board.variables:
        times.append(_choose(store, board, variable, chosen, range_s))
    document = dashboard_json(board, BOARDS)
    waiting = [
        _panel_load(panel, chosen, range_s)
        for panel in _panels(document, is_open)
        if panel.get("targets")
    ]
    with ThreadPoolExecutor(at_once) as pool:
        times += pool.map(lambda panel: _ask(store, panel), waiting)
    return time.perf_counter() - began, [one for one in times if one.took_s]


def _panel_load(
    panel: dict[str, Any], chosen: dict[str, str], range_s: int
) -> PanelLoad:
    seconds = 60 * int(panel["timeFrom"][:-1]) if "timeFrom" in panel else range_s
    interval = _interval(panel, seconds)
    return PanelLoad(
        panel["title"],
        tuple(
            filled(target["query"], chosen, seconds, interval)
            for target in panel["targets"]
        ),
    )


def _ask(store: Asked, panel: PanelLoad) -> PanelTime:
    took, rows, refused = [], 0, 0
    for query in panel.queries:
        began = time.perf_counter()
        try:
            answer = store.ask(query, "towpath", epoch="ms")
        except AssertionError as error:
            print(f"{panel.title}: {str(error)[:300]}", file=sys.stderr)
            answer, refused = [], refused + 1
        took.append(time.perf_counter() - began)
        rows += sum(len(series["values"]) for series in answer)
    return PanelTime(panel.title, tuple(took), rows, refused)


def _choose(
    store: Asked,
    board: Board,
    variable: Variable,
    chosen: dict[str, str],
    range_s: int,
) -> PanelTime:
    """Queries a variable and chooses all its values, or the one that is shown."""
    title = f"${variable.name}"
    if variable.kind != "query":
        chosen[variable.name] = variable.default
        return PanelTime(title, (), 0)
    query = filled(variable.query(), chosen, range_s)
    began = time.perf_counter()
    values = [
        grafana_asks.value_of(variable, str(row[1]))
        for series in store.ask(query, "towpath")
        for row in series["values"]
    ]
    took_s = time.perf_counter() - began
    escaped = [chosen_text(value) for value in values]
    if variable.multiple:
        chosen[variable.name] = variable.all_value or "(" + "|".join(escaped) + ")"
    else:
        shown = (SHOWN | SHOWN_ON.get(board.uid, {})).get(variable.tag, "")
        at = values.index(shown) if shown in values else 0
        chosen[variable.name] = escaped[at] if values else ""
    return PanelTime(title, (took_s,), len(values))


def _interval(panel: dict[str, Any], range_s: int) -> str:
    """Returns Grafana's interval for a panel."""
    exact_ms = range_s * 1000 / panel["maxDataPoints"]
    rounded = next((text for limit, text in _ROUNDED if exact_ms < limit), "1d")
    least_ms = int(panel["interval"].rstrip("s")) * 1000
    unit_ms = grafana_asks.UNITS_MS[rounded[-1]]
    if int(rounded[:-1]) * unit_ms < least_ms:
        return f"{least_ms // 60_000}m"
    return rounded


async def create(server: services.Server) -> None:
    """Creates the database with Towpath's retention."""
    async with stores.connection(server) as connection:
        await create_database(connection, "towpath", 400)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports", type=int, default=10_000)
    parser.add_argument("--on", nargs="*", choices=STORES, default=STORES)
    uids = [board.uid for board in SHARED]
    parser.add_argument("--boards", nargs="*", choices=uids, default=uids)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    measure(
        Council(arguments.ports // 50),
        arguments.on,
        [board for board in SHARED if board.uid in arguments.boards],
        arguments.keep,
    )
