"""The boards: right by the catalogue, valid dashboards, refused when faulty."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_files import RULES, all_panels, grafana_dashboards, grafana_texts

from collectors.server_measurements import CATALOGUE
from dashboards.grafana import (
    BOARDS,
    BoardError,
    build_folder,
    check_boards,
)
from dashboards.grafana.board import (
    NEUTRAL,
    Board,
    BoardRow,
    Panel,
    PanelLink,
    PanelQuery,
    TableColumn,
    Variable,
    select,
)
from dashboards.grafana.classic import dashboard_json, panel_ids
from dashboards.grafana_config import GrafanaConfig

REPOSITORY = Path(__file__).parents[1]


def test_the_boards_query_only_what_is_in_the_catalogue() -> None:
    assert check_boards(BOARDS, CATALOGUE) == []


def test_the_files_in_deploy_are_those_that_the_build_generates() -> None:
    for name, text in grafana_texts().items():
        path = REPOSITORY / "deploy" / "grafana" / name
        assert path.read_text() == text, (
            f"{path}: run `towpath dashboards build --out deploy/grafana`"
        )


def test_the_ids_of_panels_are_those_of_the_files() -> None:
    """Alerts open a panel by its id."""
    files = grafana_dashboards()
    for board in BOARDS:
        kind = "personal" if board.personal else "shared"
        document = files[f"dashboards/{kind}/{board.uid}.json"]
        written = {panel["title"]: panel["id"] for panel in all_panels(document)}
        assert panel_ids(board) == written, board.uid


def test_figures_of_several_processes_are_shown_for_each_of_them() -> None:
    """Their mean or largest would be taken for what all of them do together."""
    for board in BOARDS:
        for row in board.rows:
            for panel in row.panels:
                for target in panel.targets:
                    query = target.query
                    tags = CATALOGUE.measurement(query.measurement).tags
                    if "process" not in tags or "process" in query.by:
                        continue
                    # A tile shows the worst of all.
                    worst = {pick.aggregate for pick in query.picks} <= {"max", "min"}
                    assert worst, panel.title
                    assert panel.kind == "stat", panel.title


WIDE = TableColumn("Up", "percentunit", width=900)


def _board(**changes: Any) -> Board:
    panel = Panel(
        "P?",
        "What it shows.",
        (PanelQuery(select("device", ("up", "mean"))),),
        "percentunit",
        links=(PanelLink("Site", "/d/site"),),
    )
    board = Board("b", "B", "A board.", (BoardRow("R", (panel,)),))
    if "panel" in changes:
        changed = dataclasses.replace(panel, **changes.pop("panel"))
        changes["rows"] = (BoardRow("R", (changed,)),)
    return dataclasses.replace(board, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"description": ""}, "board 'B': has no description"),
        ({"panel": {"description": ""}}, "panel 'P?': has no description"),
        ({"panel": {"unit": ""}}, "panel 'P?': has no unit"),
        ({"panel": {"unit": "ms"}}, "'up_mean', which is in flag, with the unit 'ms'"),
        ({"panel": {"links": ()}}, "board 'B': has no link to another board"),
        ({"panel": {"targets": ()}}, "panel 'P?': has no query"),
        ({"panel": {"title": "Up"}}, "has a title that is not a question"),
        (
            {"panel": {"kind": "table", "columns": {"up_mean": WIDE}}},
            "needs 900 pixels for its columns, expected 766 at most",
        ),
        ({"panel": {"title": "What it told?"}}, "says 'told'"),
        ({"panel": {"maximum": 0.5}}, "has a fixed maximum of 0.5"),
        (
            {
                "panel": {
                    "targets": (
                        PanelQuery(select("device", ("up", "last"), by=("device",))),
                    ),
                    "kind": "table",
                    "columns": {"device": TableColumn("Device")},
                }
            },
            "lists the ids of each 'device'; expected ('name', 'last')",
        ),
        (
            {
                "panel": {
                    "targets": (
                        PanelQuery(select("device", ("up", "last"), by=("device",))),
                    ),
                    "kind": "table",
                }
            },
            "is a table of each 'device' without a link to its board",
        ),
        (
            {
                "panel": {
                    "columns": {"up_mean": TableColumn("Up_mean")},
                    "kind": "table",
                }
            },
            "has the column 'Up_mean'",
        ),
        (
            {
                "panel": {
                    "targets": (
                        PanelQuery(
                            select("experience", ("mos_estimated_p50", "mean")),
                            unit="ms",
                        ),
                    )
                }
            },
            "which is in MOS, with the unit 'ms'",
        ),
        (
            {"panel": {"kind": "state-timeline"}},
            "panel 'P?': is a state timeline without texts",
        ),
        (
            {"panel": {"kind": "state-timeline", "value_texts": {1: ("Up", "green")}}},
            "draws mean of 'up', which hides what is shorter than an interval",
        ),
        (
            {"panel": {"targets": (PanelQuery(select("device", ("up", "last"))),)}},
            "takes the last value of 'device' over every 'device', which is that of "
            "any one; group by 'device'",
        ),
        ({"personal": True}, "'device' is not in 'towpath-personal'"),
        (
            {"panel": {"targets": (PanelQuery(select("web", ("total_ms", "mean"))),)}},
            "'web' is about one laptop and may only be queried from",
        ),
        (
            {"panel": {"targets": (PanelQuery(select("device", ("upp", "mean"))),)}},
            "did you mean 'up'?",
        ),
        (
            {
                "panel": {
                    "targets": (PanelQuery(select("device", ("outcome", "mean"))),)
                }
            },
            "only last and count",
        ),
        (
            {
                "panel": {
                    "targets": (
                        PanelQuery(
                            select("device", ("up", "mean")), variables={"sit": "site"}
                        ),
                    )
                }
            },
            "did you mean 'site'?",
        ),
        (
            {"variables": (Variable("x", "X", "device", "device", {"site": "site"}),)},
            "narrowed by 'site', which the board does not have",
        ),
    ],
)
def test_a_board_with_a_faulty_panel_or_query_is_not_built(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    boards = (_board(**changes),)
    if not message:
        assert build_folder(tmp_path, GrafanaConfig(), boards=boards).files
        return
    with pytest.raises(BoardError, match=re.escape(message)):
        build_folder(tmp_path, GrafanaConfig(), boards=boards)
    assert not list(tmp_path.iterdir())


def test_two_boards_with_the_same_uid_or_title_are_refused() -> None:
    findings = map(str, check_boards((_board(), _board()), CATALOGUE))
    assert list(findings) == [
        "uid 'b': is used 2 times (file)",
        "title 'B': is used 2 times (file)",
    ]


def test_every_dashboard_is_classic_with_unique_ids_and_no_overlap() -> None:
    for document in grafana_dashboards().values():
        assert document["schemaVersion"] == 42
        assert document["id"] is None
        rows = document["panels"]
        ids = [p["id"] for row in rows for p in (row, *row.get("panels", ()))]
        assert len(ids) == len(set(ids))
        cells: set[tuple[int, int]] = set()
        for panel in document["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            own = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not own & cells
            cells |= own


def test_shared_boards_use_the_shared_source_and_never_link_to_personal_ones() -> None:
    for name, document in grafana_dashboards().items():
        personal = "/personal/" in name
        wanted = "towpath-personal" if personal else "towpath-shared"
        sources = set(
            re.findall(r'"uid": "(towpath-(?:shared|personal))"', json.dumps(document))
        )
        assert sources == {wanted}
        if not personal:
            assert all("laptop" not in link["url"] for link in document["links"])


def test_what_a_port_or_site_sends_is_drawn_below_the_axis() -> None:
    checked = 0
    for document in grafana_dashboards().values():
        for panel in all_panels(document):
            for override in panel.get("fieldConfig", {}).get("overrides", ()):
                properties = {item["id"] for item in override["properties"]}
                if "custom.transform" not in properties:
                    continue
                checked += 1
                [name] = [
                    target["alias"]
                    for target in panel["targets"]
                    if target["refId"] == override["matcher"]["options"]
                ]
                assert name.split()[-1] in ("out", "site", "upload"), name
    assert checked >= 4


def test_links_between_boards_lead_to_boards_that_exist() -> None:
    uids = {board.uid for board in BOARDS}
    links = re.findall(r"/d/([a-z-]+)", json.dumps(list(grafana_dashboards().values())))
    assert links
    assert set(links) <= uids


def test_a_figure_or_cell_without_a_value_is_neither_red_nor_green() -> None:
    checked = 0
    for document in grafana_dashboards().values():
        for panel in all_panels(document):
            config = panel.get("fieldConfig", {"overrides": []})
            filters = {"filterByValue"} & {
                t["id"] for t in panel.get("transformations", ())
            }
            settings = [
                {item["id"]: item["value"] for item in override["properties"]}
                for override in config["overrides"]
            ]
            settings = [own for own in settings if "thresholds" in own]
            if panel["type"] == "stat" and not filters:
                settings.append(config["defaults"])
            for own in settings:
                base = own["thresholds"]["steps"][0]["color"]
                absent = [m for m in own["mappings"] if m["type"] == "special"]
                checked += 1
                if base != NEUTRAL:
                    (mapping,) = absent
                    assert mapping["options"]["match"] in ("null", "null+nan")
                    assert mapping["options"]["result"]["color"] == NEUTRAL
                    assert mapping["options"]["result"]["text"] == own["noValue"]
    assert checked > 100


def test_a_rule_advises_to_look_at_boards_that_exist() -> None:
    titles = {board.title for board in BOARDS}
    named = [
        name
        for rule in RULES
        for name in re.findall(
            r"(?:the|The) ((?:[A-Z][\w-]*|and|working|itself)(?: [\w-]+)*?) board\b",
            f"{rule.runbook} {rule.cause}".replace("\n", " "),
        )
    ]
    assert len(named) >= 10
    assert set(named) <= titles


def test_opening_a_board_takes_at_most_25_queries() -> None:
    for board in BOARDS:
        opened = [row for row in board.rows if not row.collapsed]
        count = sum(len(panel.targets) for row in opened for panel in row.panels)
        assert count <= 25, f"{board.title}: {count}"


def test_a_cell_that_is_a_link_has_no_text_where_there_is_nothing_to_open() -> None:
    count = 0
    for board in BOARDS:
        for panel in board.panels:
            [document] = [
                document
                for document in all_panels(dashboard_json(board, BOARDS))
                if document["title"] == panel.title
            ]
            for column in panel.columns.values():
                if panel.kind == "table" and column.link and not column.hidden:
                    [texts] = [
                        {one["id"]: one["value"] for one in override["properties"]}
                        for override in document["fieldConfig"]["overrides"]
                        if override["matcher"]["options"] == column.title
                    ]
                    assert texts["noValue"] == "", (panel.title, column.title)
                    count += 1
    assert count > 50


def test_a_text_for_nothing_that_would_be_a_link_is_refused() -> None:
    board = next(board for board in BOARDS if board.uid == "towpath-port")
    [panel] = [panel for panel in board.panels if panel.title == "What is connected?"]
    shown = panel.columns["remote_device_last"]
    wrong = dataclasses.replace(shown, absent="not polled")
    panel = dataclasses.replace(
        panel, columns={**panel.columns, "remote_device_last": wrong}
    )
    changed = dataclasses.replace(board, rows=(BoardRow("Row", (panel,)),))
    boards = [changed if other.uid == board.uid else other for other in BOARDS]
    [text] = [f.text for f in check_boards(boards, CATALOGUE) if f.check == "links"]
    assert "also where it says 'not polled'" in text


def test_a_tile_of_a_gateway_without_a_site_opens_that_gateway_alone() -> None:
    board = next(board for board in BOARDS if board.uid == "towpath-vpn")
    [panel] = [p for p in board.panels if p.title == "Does each VPN gateway answer?"]
    assert "var-gateway=" in panel.columns["up_last"].link
    assert "gateway" in {variable.name for variable in board.variables}
