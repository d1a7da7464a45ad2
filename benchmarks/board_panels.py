"""Every panel of every shared board on the data of two councils: does it have rows?

The councils are the one of `towpath demo`, and one of recorded devices, if the corpus
is beside the checkout. Their rows are written to a real InfluxDB, and each query is
asked as Grafana asks it, for every choice of the board's variables (at most 100). A
panel that has no rows for any choice is empty, unless it then says so in words of its
own ("None"), or the council measures nothing of the kind. On a board of one device,
panels that are not in a closed row must have rows for every switch, router and
firewall.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import services
from grafana_asks import Influx, database_of, figures, filled, selections

from benchmarks.demo_rows import demo_rows
from benchmarks.recorded_council import recorded_rows
from collectors.journal.following import Away
from collectors.server_measurements import CATALOGUE
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board, Panel
from dashboards.grafana.classic import dashboard_json
from probes.wire.sample import Sample

COUNCILS: dict[str, Callable[[], list[Sample]]] = {
    "demo": demo_rows,
    "recorded": recorded_rows,
}
_ORDINARY = ("switch", "router", "firewall")
Choice = dict[str, str]
# How many choices of a board are tried, and how many of them with one device.
_ALL, _CHOICES, _OF_DEVICE = 100_000, 100, 2
# InfluxDB gives up a write after ten seconds, which is little on a busy machine.
_ROWS_EACH = 2_000
_WAITS_S = (1, 5, 15, 60)
_LONGEST_QUERY_S = 300
# More would compete for the processors with each other and with the database.
_BOARDS_AT_A_TIME = 2


def run() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, rows_of in COUNCILS.items():
        began_s = time.monotonic()
        rows = rows_of()
        if not rows:
            print(f"{name}: not here")
            continue
        with (
            tempfile.TemporaryDirectory() as folder,
            services.running(services.influxd(Path(folder))) as server,
        ):
            influx = Influx(server)
            influx.end_ms = max(row.time_ms for row in rows) + 1
            influx.timeout_s = _LONGEST_QUERY_S
            for at in range(0, len(rows), _ROWS_EACH):
                _write(influx, rows[at : at + _ROWS_EACH])
            took_s = time.monotonic() - began_s
            print(f"{name}: {len(rows)} rows, made in {took_s:.0f} s", flush=True)
            found[name] = measure_boards(influx, rows, BOARDS)
        print(f"{name}: {time.monotonic() - began_s:.0f} s in all", flush=True)
    return found


def _write(influx: Influx, rows: list[Sample]) -> None:
    """Writes rows, again if the database is too busy: the same rows are one."""
    for wait_s in (*_WAITS_S, 0):
        try:
            asyncio.run(influx.write(rows, rolls_up=False))
        except Away:
            if not wait_s:
                raise
            time.sleep(wait_s)
        else:
            return


def measure_boards(
    influx: Influx, rows: Sequence[Sample], boards: Sequence[Board]
) -> dict[str, Any]:
    """Prints and returns the figures of each board."""
    figures_of_boards: dict[str, Any] = {}
    is_personal = any(CATALOGUE.measurement(row.measurement).personal for row in rows)
    measured = [board for board in boards if is_personal or not board.personal]
    with ThreadPoolExecutor(_BOARDS_AT_A_TIME) as pool:
        shown_boards = pool.map(
            lambda board: _MeasuredBoard(influx, rows, board).figures(), measured
        )
        for board, shown in zip(measured, shown_boards, strict=True):
            figures_of_boards[board.title] = shown
            print(f"  {board.title:<28}", _line(shown), flush=True)
    return figures_of_boards


def _line(shown: dict[str, Any]) -> str:
    empty = "".join(f"\n      EMPTY: {problem}" for problem in shown["empty"])
    counts = [f"{name} {value}" for name, value in shown.items() if name != "empty"]
    return ", ".join(counts) + empty


class _MeasuredBoard:
    """One board: its panels with rows, without any, and its slowest query."""

    def __init__(self, influx: Influx, rows: Sequence[Sample], board: Board) -> None:
        self._influx, self._board = influx, board
        self._measurements = {row.measurement for row in rows}
        self._roles = {
            row.tags["device"]: row.tags.get("role", "")
            for row in rows
            if "device" in row.tags
        }
        self._document = dashboard_json(board, (board,))
        self._panels = {panel.title: panel for panel in board.panels}
        # Query → whether it has rows: many choices ask the same.
        self._answers: dict[str, bool] = {}
        self._slowest = (0.0, "")
        self._queries = 0
        self._empty: list[str] = []

    def figures(self) -> dict[str, Any]:
        choices = _spread(selections(self._influx, self._board, _ALL))
        counts = {"panels": 0, "queries": 0, "with rows": 0}
        explained = closed = 0
        variables = [v for v in self._board.variables if v.kind == "query"]
        for document, is_open in _documents(self._document):
            targets = document.get("targets", ())
            counts["panels"] += 1
            if not targets:
                counts["with rows"] += 1
                continue
            counts["queries"] += len(targets) if is_open else 0
            panel = self._panels[document["title"]]
            filled_by = [c for c in choices if self._has_rows(document, c)]
            if filled_by:
                counts["with rows"] += 1
            elif not is_open:
                closed += 1
            elif self._explanation(panel):
                explained += 1
            else:
                self._empty.append(f"{panel.title!r} for every choice")
            if is_open and filled_by and not self._explanation(panel):
                self._check_ordinary(panel, choices, filled_by)
        counts["queries"] += len(variables)
        return {
            **counts,
            "closed without rows": closed,
            "open without rows, explained": explained,
            "open without rows": len(self._empty),
            "empty": self._empty,
            "slowest s": round(self._slowest[0], 3),
            "slowest": repr(self._slowest[1]),
        }

    def _check_ordinary(
        self, panel: Panel, choices: Sequence[Choice], filled_by: Sequence[Choice]
    ) -> None:
        """An open panel of a board of one device has rows for every ordinary one."""
        ordinary = [c for c in choices if self._role(c) in _ORDINARY]
        without = [c["device"] for c in ordinary if c not in filled_by]
        if without:
            some = ", ".join(dict.fromkeys(without[:4]))
            self._empty.append(
                f"{panel.title!r} for {len(without)} of {len(ordinary)} choices: {some}"
            )

    def _role(self, choice: Choice) -> str:
        return self._roles.get(choice.get("device", "").replace("\\", ""), "")

    def _explanation(self, panel: Panel) -> str:
        """Why a panel may have no rows; empty if it may not."""
        if panel.no_value:
            return f"says {panel.no_value!r}"
        kinds = {target.query.measurement for target in panel.targets}
        if not kinds & self._measurements:
            return f"this council has no rows of {', '.join(sorted(kinds))}"
        if panel.rows_if:
            return "lists only what is not well"
        return ""

    def _has_rows(self, document: dict[str, Any], choice: Choice) -> bool:
        minutes = int(document.get("timeFrom", "60m").rstrip("m"))
        interval_s = max(60, int(document["interval"].rstrip("s")))
        has_rows = False
        for target in document["targets"]:
            query = filled(
                target["query"],
                choice,
                minutes * 60,
                f"{interval_s // 60}m",
                self._influx.end_ms,
            )
            if query not in self._answers:
                self._answers[query] = self._ask(query, document["title"])
            has_rows = has_rows or self._answers[query]
        return has_rows

    def _ask(self, query: str, title: str) -> bool:
        began_s = time.perf_counter()
        series = self._influx.ask(query, database_of(self._board))
        self._slowest = max(self._slowest, (time.perf_counter() - began_s, title))
        return bool(figures(series))


def _spread(choices: Sequence[Choice]) -> list[Choice]:
    """Some of the choices: of every device a few, and of all of them alike."""
    of_device: Counter[str] = Counter()
    some = []
    for choice in choices:
        of_device[choice.get("device", "")] += 1
        if "device" not in choice or of_device[choice["device"]] <= _OF_DEVICE:
            some.append(choice)
    return some[:: len(some) // _CHOICES + 1]


def _documents(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each panel's JSON, and whether it is shown without opening a row."""
    for panel in document["panels"]:
        if panel["type"] == "row":
            yield from ((inner, False) for inner in panel["panels"])
        else:
            yield panel, True


if __name__ == "__main__":
    run()
