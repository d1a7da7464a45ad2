"""Panels, variables, marks and rules get their data from a real InfluxDB."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import council
import pytest
from grafana_asks import (
    END_MS,
    SERVERS,
    Influx,
    database_of,
    figures,
    filled,
    personal_rows,
    running_influx,
    selections,
)
from grafana_files import (
    all_panels,
    collapsed_titles,
    grafana_alerting,
    grafana_dashboard,
)
from hardware_rows import hardware_rows
from recorded_call_rows import recorded_call_rows

from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from dashboards.grafana.classic_sites import QUERY, UNSHOWN


@pytest.fixture(scope="module", params=SERVERS)
def influx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    folder = tmp_path_factory.mktemp("influx")
    with running_influx(request.param, folder) as database:
        rows = council.samples(END_MS - 3_600_000, END_MS, council.MINUTE_MS)
        hardware = hardware_rows(END_MS - 3_600_000, END_MS)
        calls = recorded_call_rows(END_MS)
        asyncio.run(database.write([*rows, *hardware, *calls, *personal_rows()]))
        yield database


def _document(board: Board) -> Any:
    return grafana_dashboard(board.uid, board.personal)


@pytest.mark.service
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_panel_gets_data_from_a_real_influxdb(
    influx: Influx, board: Board
) -> None:
    """For some choice of device, site …; what only some devices have is in a collapsed
    row, where the query only has to be valid."""
    document = _document(board)
    database, choices = database_of(board), selections(influx, board)
    asked = 0
    for panel in all_panels(document):
        for target in panel.get("targets", ()):
            asked += target["refId"] != QUERY
            for chosen in choices:
                series = influx.ask(filled(target["query"], chosen), database)
                if figures(series):
                    break
            else:
                assert panel["title"] in collapsed_titles(document), (
                    panel["title"],
                    target["query"],
                )
                continue
            for tag in re.findall(r"\$tag_(\w+)", target["alias"]):
                assert all(tag in s["tags"] for s in series), panel["title"]
            if panel["type"] == "table":
                columns = {*series[0]["columns"][1:], *series[0].get("tags", {})}
                *steps, organized = panel["transformations"]
                renamed = set(organized["options"]["renameByName"])
                if target["refId"] == QUERY:
                    assert columns == {*UNSHOWN}
                    continue
                if "groupBy" not in {step["id"] for step in steps}:
                    assert columns <= renamed, panel["title"]
    assert asked == sum(len(panel.targets) for panel in board.panels)


@pytest.mark.service
def test_every_variable_offers_choices(influx: Influx) -> None:
    for board in BOARDS:
        chosen = selections(influx, board)
        assert chosen, board.uid
        for variable in board.variables:
            if variable.kind == "query" and not variable.hidden:
                query = filled(variable.query(), chosen[0])
                answer = influx.ask(query, database_of(board))
                assert figures(answer), (board.uid, variable.name)


@pytest.mark.service
def test_alerts_are_marked_on_graphs(influx: Influx) -> None:
    document = grafana_dashboard("towpath-site")
    mark = document["annotations"]["list"][0]
    series = influx.ask(filled(mark["query"], {"site": "depot"}), "towpath")
    assert series[0]["tags"]["rule"] == "line_down"
    assert mark["textColumn"] in series[0]["columns"]
    assert mark["timeEndColumn"] in series[0]["columns"]
    assert not influx.ask(filled(mark["query"], {"site": "library"}), "towpath")


@pytest.mark.service
def test_events_of_a_device_are_marked_on_its_graphs(influx: Influx) -> None:
    document = grafana_dashboard("towpath-switch")
    mark = document["annotations"]["list"][1]
    series = influx.ask(filled(mark["query"], {"device": "th-sw1"}), "towpath")
    events = {one_series["tags"]["event"] for one_series in series}
    assert "link_down" in events
    assert mark["textColumn"] in series[0]["columns"]


@pytest.mark.service
def test_every_rule_query_returns_one_number_for_each_subject(influx: Influx) -> None:
    asked = 0
    for group in grafana_alerting()["groups"]:
        for rule in group["rules"]:
            for part in rule["data"]:
                if part["datasourceUid"] == "__expr__":
                    continue
                seconds = part["relativeTimeRange"]["from"]
                query = filled(part["model"]["query"], {}, seconds)
                answer = influx.ask(query, "towpath")
                assert answer, (rule["title"], query)
                for series in answer:
                    [point] = series["values"]
                    assert isinstance(point[1], int | float), rule["title"]
                asked += 1
    assert asked >= 12


@pytest.mark.service
def test_the_labels_that_a_rule_text_names_are_in_its_answer(influx: Influx) -> None:
    for group in grafana_alerting()["groups"]:
        for rule in group["rules"]:
            labels = set(
                re.findall(r"\.Labels\.(\w+)", json.dumps(rule["annotations"]))
            )
            part = rule["data"][0]
            query = filled(part["model"]["query"], {}, 3600)
            for series in influx.ask(query, "towpath"):
                assert labels <= set(series.get("tags", {})), rule["title"]
