"""Boards with names that could be more than names, with very many ports or none, and
before there is anything, on a real InfluxDB and on the embedded store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest
from awkward_names import NAMES
from grafana_asks import (
    CHOICES,
    END_MS,
    SERVERS,
    Influx,
    chosen_text,
    database_of,
    figures,
    filled,
    running_influx,
)
from grafana_files import all_panels
from shown_rows import panel_document

from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from dashboards.grafana.classic import dashboard_json
from probes.wire.sample import Sample

pytestmark = pytest.mark.service
HOSTILE = (
    *NAMES,
    "x' OR '1'='1",
    '"; DROP DATABASE "towpath"; --',
    "x/) OR (device =~ /.*",
    "\\' OR 1=1",
    "$timeFilter",
    "Ωμέγα 东 -- 'é'",
)
STACK = "stack-1"
AT_MS = END_MS - 60_000


@pytest.fixture(scope="module", params=SERVERS)
def empty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    """Only Towpath itself has reported."""
    with running_influx(request.param, tmp_path_factory.mktemp("empty")) as influx:
        own = Sample("self_poll", {"process": "poll"}, {"done": 1}, AT_MS)
        asyncio.run(influx.write([own]))
        yield influx


@pytest.fixture(scope="module", params=SERVERS)
def filled_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    with running_influx(request.param, tmp_path_factory.mktemp("filled")) as influx:
        rows = [
            Sample(
                "inventory",
                {"device": name, "site": "depot", "role": "switch"},
                {"name": f"the {n}th"},
                AT_MS,
            )
            for n, name in enumerate(HOSTILE)
        ]
        rows += [
            Sample(
                "interface",
                {"device": STACK, "site": "depot", "port": f"Gi{n // 48}/0/{n % 48}"},
                {"state": 3, "in_bps": 1.0 * n, "out_bps": 2.0, "speed_bps": 1e9},
                AT_MS,
            )
            for n in range(600)
        ]
        asyncio.run(influx.write(rows))
        yield influx


def _queries(board: Board, chosen: dict[str, str]) -> Iterator[tuple[str, str]]:
    texts = {v.name: v.default for v in board.variables if v.kind != "query"}
    names = {v.name: ".*" for v in board.variables if v.kind == "query"}
    for panel in all_panels(dashboard_json(board, BOARDS)):
        for target in panel.get("targets", ()):
            yield (
                panel["title"],
                filled(target["query"], {**CHOICES, **names, **texts, **chosen}),
            )


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_measurement_that_is_not_there_yet_is_no_error(
    empty: Influx, board: Board
) -> None:
    database = database_of(board)
    for variable in board.variables:
        if variable.kind == "query":
            query = filled(
                variable.query(), CHOICES | {v.name: "" for v in board.variables}
            )
            empty.ask(query, database)
    for title, query in _queries(board, {}):
        rows = figures(empty.ask(query, database))
        assert not rows or "self_poll" in query, title


def test_a_chosen_name_is_a_name_and_nothing_else(filled_store: Influx) -> None:
    [offered] = filled_store.ask(
        'SHOW TAG VALUES FROM "inventory" WITH KEY = "device"', "towpath"
    )
    names = [str(row[1]) for row in offered["values"]]
    # InfluxDB cannot have a value that ends in a backslash.
    assert {*names} == {re.sub(r"\\$", "/", name) for name in HOSTILE}
    [target, *_] = panel_document("towpath-switch", "What is it?")["targets"]
    for name in names:
        query = filled(target["query"], {"device": chosen_text(name)})
        answer = filled_store.ask(query, "towpath")
        assert {series["tags"]["device"] for series in answer} == {name}


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_typed_into_a_search_is_text_and_nothing_else(
    filled_store: Influx, text: str
) -> None:
    document = panel_document("towpath-switch", "Which ports are up?")
    chosen = {"device": STACK, "search": chosen_text(text), "about": ""}
    for target in document["targets"]:
        query = filled(target["query"], chosen)
        if text.endswith("\\"):
            # InfluxQL has no pattern that ends so: it is refused, and changes nothing.
            with pytest.raises(HTTPError):
                filled_store.ask(query, "towpath")
        else:
            assert not filled_store.ask(query, "towpath")
    [names] = filled_store.ask("SHOW DATABASES", "towpath")
    assert ["towpath"] in names["values"]


def test_600_ports_have_a_tile_each_and_graphs_two_lines_of_six(
    filled_store: Influx,
) -> None:
    [board] = [board for board in BOARDS if board.uid == "towpath-switch"]
    chosen = {"device": STACK, "search": "", "about": ""}
    [target, *_] = panel_document("towpath-switch", "Which ports are up?")["targets"]
    answer = filled_store.ask(filled(target["query"], chosen), "towpath")
    assert len({series["tags"]["port"] for series in answer}) == 600
    [busiest] = [v for v in board.variables if v.name == "busiest"]
    [offered] = filled_store.ask(filled(busiest.query(), chosen), "towpath")
    assert len(offered["values"]) == 6
    assert "Gi12/0/23" in {row[1] for row in offered["values"]}


def test_a_site_without_devices_has_empty_panels(filled_store: Influx) -> None:
    [board] = [board for board in BOARDS if board.uid == "towpath-site"]
    for title, query in _queries(board, {"site": "nowhere", "device": "nothing"}):
        assert not figures(filled_store.ask(query, "towpath")), title
