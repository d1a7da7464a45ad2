"""Boards show the names of sites, and hold and pass on their ids."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from grafana_asks import END_MS, SERVERS, filled, running_influx, value_of
from grafana_files import all_panels
from typer.testing import CliRunner

from collectors.estate import Estate, Site
from collectors.server_measurements import CATALOGUE
from collectors.snmp.polling.site_names import site_names
from dashboards.grafana import BOARDS, check_boards
from dashboards.grafana.board import (
    Board,
    BoardRow,
    Panel,
    column,
    link_to,
    sites,
)
from dashboards.grafana.classic import dashboard_json
from dashboards.grafana.classic_sites import QUERY, UNSHOWN, names_query
from dashboards.grafana.site_texts import name_sites, named_columns, site_tags
from probes.wire.sample import Sample
from towpath.cli import app

NAMES = {"town-hall": "Town hall", "home": 'The "Home", 1/2 Ärmel'}
NAMED = name_sites(BOARDS, NAMES)
PANELS = [(board, panel) for board in BOARDS for panel in board.panels]


def _ids(value: Board | tuple[Board, Panel]) -> str:
    return value.uid if isinstance(value, Board) else value[1].title


def test_a_table_never_shows_only_the_id_of_a_site() -> None:
    tables = [panel for _, panel in PANELS if panel.kind in ("table", "barchart")]
    for panel in tables:
        shown = {
            name
            for name, its_column in panel.columns.items()
            if name in site_tags(panel) and not its_column.hidden
        }
        assert shown == named_columns(panel).keys(), panel.title
    assert len(tables) > 50


@pytest.mark.parametrize("board", NAMED, ids=_ids)
def test_links_pass_on_ids_and_never_the_names_that_cells_show(board: Board) -> None:
    for panel in board.panels:
        for its_column in panel.columns.values():
            for name, shown in panel.columns.items():
                if shown.value_texts:
                    assert column(name) not in its_column.link, panel.title


def test_lines_of_sites_have_names_and_texts_of_the_board_remain() -> None:
    [board] = [board for board in NAMED if board.uid == "towpath-calls"]
    named = {
        override["matcher"]["options"]: override["properties"][0]["value"]
        for panel in all_panels(dashboard_json(board, NAMED))
        if panel["title"] == "When were calls poor?"
        for override in panel["fieldConfig"]["overrides"]
    }
    assert named["town-hall"] == "Town hall"
    assert named["home"] == f"At home or {NAMES['home']}"
    assert named["office"] == "In offices"


def test_boards_with_names_of_sites_pass_all_checks_and_keep_their_numbers() -> None:
    assert check_boards(NAMED, CATALOGUE) == []
    for named, board in zip(NAMED, BOARDS, strict=True):
        numbers = [
            [(p["id"], p["title"]) for p in all_panels(dashboard_json(b, BOARDS))]
            for b in (named, board)
        ]
        assert numbers[0] == numbers[1]


def test_boards_without_an_estate_are_as_they_were() -> None:
    assert name_sites(BOARDS, {}) is BOARDS


def _documents(panel: Panel) -> dict[str, Any]:
    board = Board("towpath-one", "One", "", (BoardRow("Row", (panel,)),))
    return all_panels(dashboard_json(board, ()))[0]


@pytest.mark.parametrize(
    "board_and_panel",
    [(b, p) for b, p in PANELS if p.kind == "table" and named_columns(p)],
    ids=_ids,
)
def test_without_an_estate_a_table_queries_the_names_of_its_sites(
    board_and_panel: tuple[Board, Panel],
) -> None:
    board, panel = board_and_panel
    [name] = named_columns(panel)
    document = _documents(panel)
    queries = {target["refId"]: target["query"] for target in document["targets"]}
    if panel.columns[name].value_texts:
        # Texts of places and connections, which the reader can choose instead.
        assert board.uid == "towpath-calls"
        assert QUERY not in queries
        return
    first, *_, last = document["transformations"]
    assert 'FROM "site_name"' in queries[QUERY]
    assert first["id"] == "configFromData"
    assert first["options"]["applyTo"]["options"] == name
    # What is left of a panel that has no rows.
    assert set(UNSHOWN) <= last["options"]["excludeByName"].keys()
    # An override would take the place of the names.
    [override] = [
        override
        for override in document["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == panel.columns[name].title
    ]
    assert "mappings" not in {setting["id"] for setting in override["properties"]}


def test_no_table_has_a_column_of_the_names_query_as_its_own() -> None:
    for board, panel in PANELS:
        picks = {pick.name for t in panel.targets for pick in t.query.picks}
        tags = {tag for t in panel.targets for tag in t.query.group_by}
        own = {*panel.columns, *picks, *tags}
        assert not own & {*UNSHOWN}, (board.uid, panel.title)


def test_with_an_estate_a_table_has_the_names_and_asks_no_query_for_them() -> None:
    for board in NAMED:
        for panel in all_panels(dashboard_json(board, NAMED)):
            queries = {target["refId"] for target in panel.get("targets", ())}
            steps = {step["id"] for step in panel.get("transformations", ())}
            assert QUERY not in queries, panel["title"]
            assert "configFromData" not in steps


def test_build_takes_the_names_from_the_estate_or_warns(tmp_path: Path) -> None:
    config = tmp_path / "towpath.toml"
    config.write_text(f'estate = "{tmp_path / "estate.toml"}"\n')
    command = ["dashboards", "build", "--out", str(tmp_path / "out"), "-c", str(config)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert "show ids of sites instead of names" in done.output
    estate = '[[sites]]\nid = "depot"\nname = "Bus, depot"\n'
    (tmp_path / "estate.toml").write_text(estate)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert "warning" not in done.output
    board = tmp_path / "out/dashboards/shared/towpath-wan.json"
    assert '"text": "Bus, depot"' in board.read_text()


def test_a_link_that_passes_on_a_shown_text_is_refused() -> None:
    [board] = [board for board in BOARDS if board.uid == "towpath-remote"]
    row = board.rows[0]
    panel = row.panels[0]
    linked = dataclasses.replace(
        panel.columns["group"], link=link_to("towpath-calls", group=column("group"))
    )
    panel = dataclasses.replace(panel, columns={**panel.columns, "group": linked})
    row = dataclasses.replace(row, panels=(panel, *row.panels[1:]))
    board = dataclasses.replace(board, rows=(row, *board.rows[1:]))
    boards = [board if other.uid == board.uid else other for other in BOARDS]
    [finding] = check_boards(boards, CATALOGUE)
    assert finding.check == "links"
    assert "passes on the text" in finding.text


@pytest.mark.service
@pytest.mark.parametrize("kind", SERVERS)
def test_the_selector_offers_sites_of_any_name_and_none_before_the_first_row(
    tmp_path: Path, kind: str
) -> None:
    names = {
        "a": 'The "Annexe", O\'Neill Road 1/2',
        "b": "Ärmel = 100%, \\ (old)",
        "c": "Town hall (town-hall)",
    }
    estate = Estate(sites=tuple(Site(id=id, name=name) for id, name in names.items()))
    selector = sites()
    with running_influx(kind, tmp_path) as influx:
        other = Sample("self_poll", {"process": "poll"}, {"done": 1}, END_MS - 60_000)
        asyncio.run(influx.write([other]))
        assert influx.ask(selector.query(), "towpath") == []
        [batch] = site_names(estate, END_MS - 60_000)
        asyncio.run(influx.write(list(batch.samples())))
        [series] = influx.ask(selector.query(), "towpath")
        [queried, *_] = [p for _, p in PANELS if names_query(p)]
        [query] = names_query(queried)
        renamed = Estate(sites=(Site(id="a", name="New"), *estate.sites[1:]))
        [batch] = site_names(renamed, END_MS)
        asyncio.run(influx.write(list(batch.samples())))
        answer = influx.ask(filled(query, {}), "towpath")
        shown = {one["tags"]["site_id"]: one["values"][0][1] for one in answer}
        assert shown == {**names, "a": "New"}
    texts = [row[1] for row in series["values"]]
    assert sorted(texts) == sorted(f"{name} ({id})" for id, name in names.items())
    assert {value_of(selector, text) for text in texts} == names.keys()
