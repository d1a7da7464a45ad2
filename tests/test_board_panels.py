"""The measurement of boards on real data finds an open panel that is empty."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import council
import pytest
import services
from grafana_asks import END_MS, Influx

from benchmarks.board_panels import measure_boards
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board, BoardRow, Panel, PanelQuery, select

MINUTE_MS = council.MINUTE_MS
SITE = next(board for board in BOARDS if board.uid == "towpath-site")


def _with(*panels: Panel, collapsed: bool = False) -> Board:
    return dataclasses.replace(SITE, rows=(BoardRow("R", panels, collapsed),))


def _panel(title: str, field: str, no_value: str = "") -> Panel:
    query = PanelQuery(
        select("device", (field, "max"), by=("device",)), "", {"site": "site"}
    )
    return Panel(title, "What it shows.", (query,), "short", no_value=no_value)


@pytest.mark.service
def test_an_open_panel_without_rows_is_named_unless_it_says_why(tmp_path: Path) -> None:
    full, empty = _panel("Full", "up"), _panel("Empty", "ports_up")
    says = _panel("Says", "ports_up", "None")
    absent = dataclasses.replace(
        empty,
        title="Absent",
        targets=(PanelQuery(select("ip_sla", ("rtt_ms", "max"))),),
    )
    rows = [
        row
        for row in council.samples(END_MS - 5 * MINUTE_MS, END_MS)
        if row.measurement in ("device", "site_name")
    ]
    for row in rows:
        row.fields.pop("ports_up", None)
    with services.running(services.influxd(tmp_path)) as server:
        influx = Influx(server)
        asyncio.run(influx.write(rows, rolls_up=False))
        boards = (_with(full, empty, says, absent),)
        shown = measure_boards(influx, rows, boards)[SITE.title]
        closed = measure_boards(influx, rows, (_with(empty, collapsed=True),))
    assert shown["panels"] == 4
    assert shown["with rows"] == 1
    assert shown["empty"] == ["'Empty' for every choice"]
    assert shown["open without rows, explained"] == 2
    assert closed[SITE.title]["empty"] == []
    assert closed[SITE.title]["closed without rows"] == 1
