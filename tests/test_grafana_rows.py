"""Rows of panels: calculated, tested, grouped, shown as tiles."""

from __future__ import annotations

from typing import Any

from dashboards.grafana.board import (
    Board,
    BoardRow,
    Calculated,
    Panel,
    PanelQuery,
    RowGroups,
    RowTest,
    TableColumn,
    select,
)
from dashboards.grafana.classic import dashboard_json

DEVICES = PanelQuery(
    select("device", ("ports_up", "last"), ("ports_down", "last"), by=("device",))
)


def _panel(**settings: Any) -> dict[str, Any]:
    panel = Panel("P", "What it shows.", (DEVICES,), "short", **settings)
    board = Board("b", "B", "A board.", (BoardRow("R", (panel,)),))
    document: dict[str, Any] = dashboard_json(board, (board,))["panels"][1]
    return document


def _steps(panel: dict[str, Any]) -> list[str]:
    return [step["id"] for step in panel["transformations"]]


def test_tiles_are_one_per_row_worst_first_and_named_by_the_first_column() -> None:
    panel = _panel(
        kind="stat",
        tile="device",
        columns={
            "device": TableColumn("Device"),
            "ports_down_last": TableColumn("Down", link="/d/x"),
        },
        sort=("ports_down_last", True),
    )
    assert panel["targets"][0]["resultFormat"] == "table"
    # All rows: Grafana shows 25 if nothing else is set.
    assert panel["options"]["reduceOptions"]["values"] is True
    assert panel["options"]["reduceOptions"]["limit"] >= 200
    assert _steps(panel) == ["sortBy", "organize"]
    names = {
        override["matcher"]["options"]: properties["value"]
        for override in panel["fieldConfig"]["overrides"]
        for properties in override["properties"]
        if properties["id"] == "displayName"
    }
    assert names == {"Down": "${__cell_0}"}


def test_rows_are_calculated_then_tested_then_sorted_then_grouped_then_cut() -> None:
    panel = _panel(
        kind="table",
        columns={"device": TableColumn("Device")},
        calculated=(Calculated("all", "ports_up_last", "+", "ports_down_last"),),
        rows_if=(RowTest("all", "greater", 0),),
        grouped=RowGroups(("device",), {"all": "sum"}),
        sort=("all", True),
        rows_at_most=5,
    )
    assert _steps(panel) == [
        *("calculateField", "filterByValue", "sortBy", "groupBy", "limit", "organize")
    ]
    calculated, tested, _, grouped, *_ = panel["transformations"]
    assert calculated["options"]["alias"] == "all"
    assert calculated["options"]["binary"]["operator"] == "+"
    [test] = tested["options"]["filters"]
    assert (test["fieldName"], test["config"]["options"]) == ("all", {"value": 0})
    assert grouped["options"]["fields"]["all"]["aggregations"] == ["sum"]


def test_a_figure_of_all_rows_is_reduced_from_one_table() -> None:
    panel = _panel(kind="stat", reduces_rows=True, reduce="sum", no_value="None")
    assert panel["targets"][0]["resultFormat"] == "table"
    assert panel["options"]["reduceOptions"]["calcs"] == ["sum"]
    assert panel["options"]["textMode"] == "value"
    assert panel["fieldConfig"]["defaults"]["noValue"] == "None"


def test_tiles_leave_out_what_they_are_only_sorted_by() -> None:
    panel = _panel(
        kind="stat",
        tile="device",
        columns={"device": TableColumn("Device"), "ports_down_last": TableColumn("D")},
        sort=("ports_up_last", False),
    )
    *_, organised = panel["transformations"]
    assert organised["options"]["excludeByName"]["ports_up_last"] is True
    assert "ports_down_last" not in organised["options"]["excludeByName"]


def test_the_greater_of_two_columns_is_a_column() -> None:
    greatest = Calculated("most", "ports_up_last", "max", "ports_down_last")
    step, *_ = _panel(kind="table", calculated=(greatest,))["transformations"]
    assert step["options"]["mode"] == "reduceRow"
    assert step["options"]["reduce"] == {
        "include": ["ports_up_last", "ports_down_last"],
        "reducer": "max",
    }
    assert step["options"]["alias"] == "most"


def test_a_hidden_column_is_hidden_in_old_and_new_tables() -> None:
    columns = {"ports_up_last": TableColumn("Up", hidden=True)}
    [override] = _panel(kind="table", columns=columns)["fieldConfig"]["overrides"]
    settings = {item["id"]: item["value"] for item in override["properties"]}
    assert settings["custom.hidden"] is True
    assert settings["custom.hideFrom"]["viz"] is True


def test_an_absent_value_is_a_dash_and_not_green() -> None:
    columns = {"ports_up_last": TableColumn("Up", value_texts={1: ("one", "green")})}
    [override] = _panel(kind="table", columns=columns)["fieldConfig"]["overrides"]
    settings = {item["id"]: item["value"] for item in override["properties"]}
    assert settings["noValue"] == "-"
    assert settings["thresholds"]["steps"] == [{"value": None, "color": "text"}]


def test_texts_in_tiles_stay_texts_in_grafana_9() -> None:
    panel = _panel(
        kind="stat",
        tile="device",
        columns={"device": TableColumn("Device"), "ports_up_last": TableColumn("Up")},
        value_texts={1: ("Up", "green")},
        no_value="No port",
    )
    # It takes each text for a value that is no number.
    [_, nothing] = panel["fieldConfig"]["defaults"]["mappings"]
    assert nothing["options"]["match"] == "null"
    [value] = [
        setting["value"]
        for override in panel["fieldConfig"]["overrides"]
        for setting in override["properties"]
        if setting["id"] == "mappings"
    ]
    assert [mapping["type"] for mapping in value] == ["value", "special"]
    assert value[1]["options"]["match"] == "null+nan"


def test_a_column_is_never_narrower_than_its_title() -> None:
    panel = _panel(
        kind="table",
        columns={"device": TableColumn("The device of the port", width=50)},
    )
    [override] = panel["fieldConfig"]["overrides"]
    settings = {setting["id"]: setting["value"] for setting in override["properties"]}
    assert settings["custom.width"] > 150
    assert settings["custom.align"] == "left"


def test_a_link_takes_all_of_a_column_that_is_not_shown_and_empty() -> None:
    panel = _panel(kind="table", columns={"device": TableColumn("Device", hidden=True)})
    [override] = panel["fieldConfig"]["overrides"]
    assert {"id": "noValue", "value": "$__all"} in override["properties"]
