"""Each fault of a board in Grafana's own code is found."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from shown_boards import ShownBoards

from dashboards.grafana.board import (
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
    Variable,
    select,
)
from dashboards.grafana.classic import dashboard_json

DEVICES = PanelQuery(select("device", ("ports_up", "last"), by=("device",)))
GOOD, BAD = ("Good", "green"), ("Bad", "red")
COLUMNS = {
    "device": TableColumn("Device", value_texts={"core": ("The core", "green")}),
    "ports_up_last": TableColumn("Ports", value_texts={1: GOOD, 0: BAD}),
}
PANEL = Panel("P", "Shows.", (DEVICES,), "short", "table", columns=COLUMNS)
BOARD = Board(
    "b", "B", "A board.", (BoardRow("R", (PANEL,)),), (Variable("site", "S"),)
)
LINK = "/d/b?var-site=hall&from=1&to=2"


def _cell(raw: Any, text: str, color: str = "", href: str = LINK) -> dict[str, Any]:
    links = [{"href": href, "title": "Show"}]
    return {"raw": raw, "text": text, "color": color, "links": links}


def _field(name: str, title: str, *cells: dict[str, Any]) -> dict[str, Any]:
    texts = {
        str(value): {"text": text, "color": ""}
        for value, (text, _) in COLUMNS[name].value_texts.items()
    }
    plain = {"type": "string", "unit": "", "labels": {}, "custom": {}}
    return {**plain, "name": name, "title": title, "texts": texts, "cells": [*cells]}


def _shown() -> dict[str, Any]:
    fields = [
        _field("device", "Device", _cell("core", "The core"), _cell("sw-1", "sw-1")),
        _field("ports_up_last", "Ports", _cell(1, "Good"), _cell(0, "Bad")),
    ]
    panel = {"id": 2, "kind": "table", "title": "P", "rows": 2, "links": [LINK]}
    panel |= {"frames": [{"fields": fields}], "tiles": [], "unmatched": []}
    variable = {"name": "site", "error": "", "value": ["hall"]}
    return {"variables": [variable], "panels": [panel]}


def _faults(shown: dict[str, Any]) -> list[str]:
    boards = ShownBoards((BOARD,))
    boards.add(BOARD, dashboard_json(BOARD, (BOARD,)), shown)
    return boards.faults


def test_a_board_that_shows_what_it_promises_has_no_fault() -> None:
    assert _faults(_shown()) == []


def test_the_figures_of_a_query_without_rows_need_no_column() -> None:
    shown = _shown()
    [panel] = shown["panels"]
    panel["frames"][0]["fields"].pop()
    panel |= {"unmatched": ["Ports"], "answered": ["A"]}
    assert len(_faults(copy.deepcopy(shown))) == 2
    panel["answered"] = []
    assert _faults(shown) == []


def test_the_id_of_a_site_that_has_a_name_is_a_fault() -> None:
    shown = _shown()
    site = {"type": "string", "unit": "", "labels": {}, "custom": {}, "texts": {}}
    cells = [_cell("hall", "hall"), _cell("hall", "Town hall")]
    fields = shown["panels"][0]["frames"][0]["fields"]
    fields[0] = {**fields[0], **site, "name": "site", "cells": cells}
    boards = ShownBoards((BOARD,), {"hall": "Town hall"})
    boards.add(BOARD, dashboard_json(BOARD, (BOARD,)), shown)
    assert boards.faults == ["B, 'P': site shows the id 'hall', not 'Town hall'"]


def _field_change(n: int, **to: Any) -> Any:
    return lambda panel: panel["frames"][0]["fields"][n].update(to)


def _cell_change(n: int, **to: Any) -> Any:
    return lambda panel: panel["frames"][0]["fields"][n]["cells"][0].update(to)


def _link_change(href: str) -> Any:
    return _cell_change(0, links=[{"href": href, "title": "Show"}])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda panel: panel.update(error="no frame"), "no frame"),
        (lambda panel: panel.update(title="${site}"), "the title is '${site}'"),
        (lambda panel: panel.update(unmatched=["Speed"]), "match nothing: Speed"),
        (_field_change(1, title="ports_up_last"), "column 'Ports' is missing"),
        (_field_change(1, title="ports_up_last"), "'ports_up_last' is not wanted"),
        (_cell_change(0, raw="sw-1", text="sw-1"), "several rows of ('sw-1',)"),
        (_cell_change(0, text="core"), "'core' is shown as 'core'"),
        (_cell_change(1, raw=0), "ports_up_last 0 is shown as 'Good'"),
        (_field_change(0, texts={}), None),
        (
            lambda panel: (
                _field_change(0, texts={})(panel),
                _cell_change(0, text="core")(panel),
            ),
            "shows the key 'core', not 'The core'",
        ),
        (_link_change("/d/b?var-site=${site}&from=1&to=2"), "a link is /d/b?var-site"),
        (_link_change("/d/c?from=1&to=2"), "a link leads to /d/c"),
        (_link_change("/d/b?var-site=hall"), "loses the time range"),
        (
            _link_change("/d/b?var-prt=x&from=1&to=2"),
            "prt, which it does not have",
        ),
        (_link_change("/d/b?var-site=Value&from=1&to=2"), "sets site to 'Value'"),
        (_link_change("/d/b?var-site=barn&from=1&to=2"), "'barn', which is nowhere"),
        (
            lambda panel: panel["tiles"].append({"title": "${__cell_0}", "links": []}),
            "a tile is called '${__cell_0}'",
        ),
    ],
)
def test_each_fault_is_named(change: Any, fault: str | None) -> None:
    shown = copy.deepcopy(_shown())
    change(shown["panels"][0])
    faults = _faults(shown)
    assert any(fault in text for text in faults) if fault else faults == []


def test_a_variable_that_fails_is_a_fault() -> None:
    shown = _shown()
    shown["variables"][0]["error"] = "no such measurement"
    assert _faults(shown) == ["B, 'site': no such measurement"]
