"""What is made for Grafana: right by the catalogue, answered by a real InfluxDB."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import council
import pytest
import services
import yaml
from grafana_asks import CHOICES, END_MS, Influx, filled, personal_rows

from alerts import rule_files as alert_rules
from collectors.server_measurements import CATALOGUE
from dashboards.grafana import (
    BOARDS,
    BoardError,
    GrafanaConfig,
    build_folder,
    check_boards,
    check_folder,
    render_files,
)
from dashboards.grafana.board import (
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    Variable,
    select,
)
from dashboards.grafana.grafana_rules import WATCHDOG_UID

RULES = alert_rules.load_rules(CATALOGUE)
REPOSITORY = Path(__file__).parents[1]


def _texts(**config: Any) -> dict[str, str]:
    return render_files(GrafanaConfig(**config), RULES)[0]


def _dashboards() -> dict[str, Any]:
    return {
        name: json.loads(text)
        for name, text in _texts(personal=True).items()
        if name.endswith(".json")
    }


def _alerting(**config: Any) -> Any:
    return yaml.safe_load(_texts(**config)["provisioning/alerting/towpath-rules.yaml"])


def test_the_boards_ask_only_for_what_is_in_the_catalogue() -> None:
    assert check_boards(BOARDS, CATALOGUE) == []


def test_the_files_pass_their_own_check(tmp_path: Path) -> None:
    built = build_folder(tmp_path, GrafanaConfig(personal=True), RULES)
    assert check_folder(tmp_path, CATALOGUE) == []
    assert sum(path.suffix == ".json" for path in built.files) == len(BOARDS)


def test_what_is_in_deploy_is_what_is_generated() -> None:
    for name, text in _texts().items():
        path = REPOSITORY / "deploy" / "grafana" / name
        assert path.read_text() == text, (
            f"{path}: run `towpath dashboards build --out deploy/grafana`"
        )


def test_a_misspelt_field_in_a_file_is_named_with_panel_and_suggestion(
    tmp_path: Path,
) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-switch.json"
    path.write_text(path.read_text().replace('\\"in_bps\\"', '\\"in_bpss\\"'))
    found = check_folder(tmp_path, CATALOGUE)
    assert any(
        str(path) in each
        and "panel 'Traffic by port'" in each
        and "did you mean 'in_bps'?" in each
        for each in found
    )


def test_a_personal_measurement_in_a_shared_file_is_found(tmp_path: Path) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-remote.json"
    text = path.read_text().replace('FROM \\"experience\\"', 'FROM \\"call_path\\"')
    path.write_text(text)
    assert any(
        "about one laptop" in each and str(path) in each
        for each in check_folder(tmp_path, CATALOGUE)
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: d.update(uid=""), "has no uid"),
        (lambda d: d.pop("panels"), "no panels"),
        (lambda d: d["panels"][1].update(description=""), "no description"),
        (
            lambda d: d["panels"][1]["fieldConfig"]["defaults"].update(unit=""),
            "no unit",
        ),
        (lambda d: d["panels"][1]["targets"][0].update(query=None), "no InfluxQL"),
        (lambda d: d.update(uid="towpath-switch"), "already that of"),
        (lambda d: d.update(title="Switch"), "already that of"),
    ],
)
def test_each_thing_that_may_be_wrong_with_a_file_is_said(
    tmp_path: Path, spoil: Any, said: str
) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-site.json"
    document = json.loads(path.read_text())
    spoil(document)
    path.write_text(json.dumps(document))
    assert any(said in each for each in check_folder(tmp_path, CATALOGUE))


def _timeline(config: dict[str, Any], query: str = 'max("up")') -> dict[str, Any]:
    return {
        "title": "States",
        "type": "state-timeline",
        "description": "What it shows.",
        "fieldConfig": config,
        "targets": [
            {
                "query": f'SELECT {query} FROM "device"',
                "datasource": {"uid": "towpath-shared"},
            }
        ],
    }


_WORDS = [{"type": "value", "options": {"0": {"text": "Down", "color": "red"}}}]
_BY_THRESHOLD = {"mode": "thresholds"}


@pytest.mark.parametrize(
    ("defaults", "override", "query", "is_refused"),
    [
        ({"color": _BY_THRESHOLD, "mappings": _WORDS}, {}, 'max("up")', True),
        (
            {"color": {"mode": "palette-classic"}, "mappings": _WORDS},
            {},
            'max("up")',
            False,
        ),
        ({"mappings": _WORDS}, {}, 'max("up")', False),
        # A figure may be coloured by thresholds.
        ({"color": _BY_THRESHOLD}, {}, 'max("duration_ms")', False),
        # A text is words by itself.
        ({"color": _BY_THRESHOLD}, {}, 'last("outcome")', True),
        ({"color": _BY_THRESHOLD}, {"mappings": _WORDS}, 'max("up")', True),
        ({"mappings": _WORDS}, {"color": _BY_THRESHOLD}, 'max("up")', True),
        (
            {"color": _BY_THRESHOLD},
            {"mappings": _WORDS, "color": {"mode": "fixed"}},
            'max("up")',
            False,
        ),
    ],
)
def test_a_state_timeline_of_words_with_threshold_colours_is_refused(
    tmp_path: Path,
    defaults: dict[str, Any],
    override: dict[str, Any],
    query: str,
    is_refused: bool,
) -> None:
    config: dict[str, Any] = {"defaults": {"unit": "short", **defaults}}
    if override:
        properties = [{"id": name, "value": value} for name, value in override.items()]
        matcher = {"id": "byName", "options": "core-1"}
        config["overrides"] = [{"matcher": matcher, "properties": properties}]
    board = {"uid": "own", "title": "Our own", "panels": [_timeline(config, query)]}
    (tmp_path / "own.json").write_text(json.dumps(board))
    found = check_folder(tmp_path, CATALOGUE)
    assert len(found) == int(is_refused)
    assert all("panel 'States'" in each for each in found)
    assert all("expected color mode 'palette-classic'" in each for each in found)


def test_a_table_that_is_grouped_by_time_is_refused(tmp_path: Path) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-site.json"
    text = path.read_text().replace(
        'GROUP BY \\"device\\"', 'GROUP BY time($__interval), \\"device\\"'
    )
    path.write_text(text)
    found = check_folder(tmp_path, CATALOGUE)
    assert any("panel 'Devices': is a table grouped by time" in each for each in found)
    assert len(found) == 1


def test_a_file_that_is_not_json_is_said_and_others_are_still_checked(
    tmp_path: Path,
) -> None:
    build_folder(tmp_path, GrafanaConfig())
    (tmp_path / "dashboards/shared/broken.json").write_text("{")
    found = check_folder(tmp_path, CATALOGUE)
    assert len(found) == 1
    assert "is not JSON" in found[0]


def _board(**changes: Any) -> Board:
    panel = Panel(
        "P",
        "What it shows.",
        (PanelQuery(select("device", ("up", "mean"))),),
        "percentunit",
    )
    board = Board("b", "B", "A board.", (BoardRow("R", (panel,)),))
    if "panel" in changes:
        changed = dataclasses.replace(panel, **changes.pop("panel"))
        changes["rows"] = (BoardRow("R", (changed,)),)
    return dataclasses.replace(board, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"panel": {"description": ""}}, "panel 'P' has no description"),
        ({"panel": {"unit": ""}}, "panel 'P' has no unit"),
        (
            {"panel": {"kind": "state-timeline"}},
            "panel 'P': is a state timeline without texts",
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
        ({"personal": True}, "is not in the personal database"),
        (
            {"panel": {"targets": (PanelQuery(select("web", ("total_ms", "mean"))),)}},
            "'web' is about one laptop and may not be on a shared board",
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
def test_a_board_that_asks_wrongly_is_not_built(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    boards = (_board(**changes),)
    if not said:
        assert build_folder(tmp_path, GrafanaConfig(), boards=boards).files
        return
    with pytest.raises(BoardError, match=re.escape(said)):
        build_folder(tmp_path, GrafanaConfig(), boards=boards)
    assert not list(tmp_path.iterdir())


def test_two_boards_of_one_uid_or_title_are_refused() -> None:
    found = check_boards((_board(), _board()), CATALOGUE)
    assert found == ["uid 'b' is used 2 times", "title 'B' is used 2 times"]


def test_every_dashboard_is_classic_with_ids_once_and_no_overlap() -> None:
    for document in _dashboards().values():
        assert document["schemaVersion"] == 42
        assert document["id"] is None
        ids = [panel["id"] for panel in document["panels"]]
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
    for name, document in _dashboards().items():
        personal = "/personal/" in name
        wanted = "towpath-personal" if personal else "towpath-shared"
        sources = set(
            re.findall(r'"uid": "(towpath-(?:shared|personal))"', json.dumps(document))
        )
        assert sources == {wanted}
        if not personal:
            assert all("laptop" not in link["url"] for link in document["links"])


def test_what_is_drawn_below_the_axis_is_found_by_its_name() -> None:
    found = 0
    for document in _dashboards().values():
        for panel in document["panels"]:
            for override in panel.get("fieldConfig", {}).get("overrides", ()):
                if override["matcher"]["id"] != "byRegexp":
                    continue
                found += 1
                pattern = override["matcher"]["options"].strip("/")
                names = [
                    re.sub(r"\$tag_\w+", "Gi1/0/1", target["alias"])
                    for target in panel["targets"]
                ]
                hit = [bool(re.fullmatch(pattern, name)) for name in names]
                assert sorted(hit) == [False, True], (pattern, names)
    assert found >= 4


def test_links_between_boards_lead_to_boards_there_are() -> None:
    uids = {board.uid for board in BOARDS}
    links = re.findall(r"/d/([a-z-]+)", json.dumps(list(_dashboards().values())))
    assert links
    assert set(links) <= uids


@pytest.mark.parametrize("target", [9, 10, 11, 12, 13])
def test_rules_use_only_words_the_target_knows(target: int) -> None:
    document = _alerting(target=target, contact_email="noc@example.org")
    text = json.dumps(document)
    assert ("KeepLast" in text) == (target >= 12)
    assert ("notification_settings" in text) == (target >= 11)
    source = _texts(target=target)["provisioning/datasources/towpath.yaml"]
    assert ("prune" in source) == (target >= 12)
    for group in document["groups"]:
        assert int(group["interval"].rstrip("s")) % 10 == 0
        for rule in group["rules"]:
            assert rule["noDataState"] in ("NoData", "Alerting", "OK")
            assert rule["execErrState"] in ("Error", "Alerting", "OK", "KeepLast")
            assert len(rule["uid"]) <= 40
            refs = [part["refId"] for part in rule["data"]]
            assert rule["condition"] in refs
            assert len(refs) == len(set(refs))
            for words in (rule["labels"], rule["annotations"]):
                assert "$" not in json.dumps(words)


def test_all_rules_are_paused_and_page_nobody_except_the_one_that_watches_towpath() -> (
    None
):
    for config in ({}, {"contact_webhook": "https://hook.example", "target": 12}):
        for group in _alerting(**config)["groups"]:
            for rule in group["rules"]:
                watching = rule["uid"] == WATCHDOG_UID
                assert rule["isPaused"] is not watching
                assert ("notification_settings" in rule) == (watching and bool(config))
    assert "provisioning/alerting/towpath-contact.yaml" not in _texts()
    assert not any(
        "policies" in text for text in _texts(contact_email="a@b.c").values()
    )


def test_silence_of_towpath_itself_is_an_alert_and_not_no_data() -> None:
    watching = next(
        rule
        for group in _alerting()["groups"]
        for rule in group["rules"]
        if rule["uid"] == WATCHDOG_UID
    )
    assert watching["noDataState"] == "Alerting"
    assert watching["execErrState"] == "Alerting"


def test_no_exported_rule_takes_towpath_cut_off_for_devices_that_are_down() -> None:
    rules = {
        rule["labels"].get("rule"): rule
        for group in _alerting()["groups"]
        for rule in group["rules"]
    }
    for name in ("device_unreachable", "vpn_gateway_down"):
        parts = {part["refId"]: part["model"] for part in rules[name]["data"]}
        assert parts["C"]["expression"] == "$B1 < 1 && $P < 1"
        assert 'min("cut_off")' in parts["O"]["query"]
        assert '"self_poll"' in parts["O"]["query"]
    assert "O" not in {part["refId"] for part in rules["line_down"]["data"]}


def test_a_rule_leads_to_a_panel_that_is_there() -> None:
    ids = {
        document["uid"]: {panel["id"] for panel in document["panels"]}
        for document in _dashboards().values()
    }
    led = 0
    for group in _alerting()["groups"]:
        for rule in group["rules"]:
            if "dashboardUid" in rule:
                led += 1
                assert rule["panelId"] in ids[rule["dashboardUid"]]
    assert led >= 8


def test_rules_grafana_cannot_say_are_listed_with_the_reason() -> None:
    texts, left = render_files(GrafanaConfig(), RULES)
    text = texts["provisioning/alerting/towpath-rules.yaml"]
    assert {each.rule for each in left} >= {"monitor_blind", "on_backup_line"}
    for each in left:
        assert f"# Not here: {each.rule}: {each.why}." in text
    said = {
        rule["labels"]["rule"]
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "rule" in rule["labels"]
    }
    assert said | {each.rule for each in left} == {rule.id for rule in RULES}


def test_the_data_sources_name_their_database_for_old_and_new_grafana() -> None:
    texts = _texts(personal=True)
    document = yaml.safe_load(texts["provisioning/datasources/towpath.yaml"])
    sources = {each["uid"]: each for each in document["datasources"]}
    assert sources["towpath-shared"]["database"] == "towpath"
    assert sources["towpath-personal"]["database"] == "towpath_personal"
    for each in sources.values():
        assert each["database"] == each["jsonData"]["dbName"]
        assert each["secureJsonData"]["httpHeaderValue1"].startswith("Token $INFLUX_")


def test_personal_data_is_not_in_grafana_unless_a_council_asks_for_it() -> None:
    texts = _texts()
    assert "towpath_personal" not in "".join(texts.values())
    assert not any("/personal/" in name for name in texts)
    document = yaml.safe_load(texts["provisioning/datasources/towpath.yaml"])
    # What an earlier version provisioned for every Viewer is taken out again.
    assert document["deleteDatasources"] == [
        {"name": "Towpath personal data", "orgId": 1}
    ]


def test_personal_data_is_provisioned_into_an_organisation_of_its_own() -> None:
    texts = _texts(personal=True, personal_organisation=7)
    for name, kind in (("datasources", "datasources"), ("dashboards", "providers")):
        text = texts[f"provisioning/{name}/towpath.yaml"]
        assert "every Viewer of an organisation may query all its\n# data" in text
        homes = {each["name"]: each["orgId"] for each in yaml.safe_load(text)[kind]}
        assert homes == {"Towpath": 1, "Towpath personal data": 7}
    board = json.loads(texts["dashboards/personal/towpath-laptop.json"])
    assert board["links"] == []


def test_a_setting_that_lets_more_people_read_personal_data_is_warned_of() -> None:
    assert GrafanaConfig(personal_organisation=1).exposures == []
    assert GrafanaConfig(personal=True).exposures == []
    (same,) = GrafanaConfig(personal=True, personal_organisation=1).exposures
    assert "every Viewer there may query laptops' own results" in same
    (token,) = GrafanaConfig(personal=True, personal_token="$INFLUX_TOKEN").exposures
    assert "may read laptops' own results through it" in token


# ---- a real InfluxDB ----------------------------------------------------------------


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with services.running(
        services.influxd(tmp_path_factory.mktemp("influx"))
    ) as server:
        held = Influx(server)
        rows = council.samples(END_MS - 3_600_000, END_MS, council.MINUTE_MS)
        asyncio.run(held.write([*rows, *personal_rows()]))
        yield held


@pytest.mark.service
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_panel_is_answered_with_data_by_a_real_influxdb(
    influx: Influx, board: Board
) -> None:
    database = "towpath_personal" if board.personal else "towpath"
    asked = 0
    folder = "personal" if board.personal else "shared"
    document = _dashboards()[f"dashboards/{folder}/{board.uid}.json"]
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            choices = dict(CHOICES)
            if panel["title"] == "Backup lines":
                choices["site"] = "depot"
            if panel["title"] == "Alerts of the site":
                choices["site"] = "library"
            series = influx.ask(filled(target["query"], choices), database)
            values = [v for s in series for row in s["values"] for v in row[1:]]
            assert any(v is not None for v in values), (panel["title"], target["query"])
            for tag in re.findall(r"\$tag_(\w+)", target["alias"]):
                assert all(s["tags"].get(tag) for s in series), panel["title"]
            if panel["type"] == "table":
                columns = {*series[0]["columns"][1:], *series[0]["tags"]}
                renamed = panel["transformations"][0]["options"]["renameByName"]
                assert columns == set(renamed), panel["title"]
            asked += 1
    assert asked == sum(len(panel.targets) for panel in board.panels)


@pytest.mark.service
def test_every_variable_offers_choices(influx: Influx) -> None:
    for board in BOARDS:
        database = "towpath_personal" if board.personal else "towpath"
        for variable in board.variables:
            query = filled(variable.query(), CHOICES)
            values = [
                row[1] for s in influx.ask(query, database) for row in s["values"]
            ]
            assert values, (board.uid, variable.name)


@pytest.mark.service
def test_alerts_are_marked_on_graphs(influx: Influx) -> None:
    document = _dashboards()["dashboards/shared/towpath-site.json"]
    mark = document["annotations"]["list"][0]
    series = influx.ask(filled(mark["query"], {"site": "library"}), "towpath")
    assert series[0]["tags"]["rule"] == "line_full"
    assert series[0]["values"][0][1] == "backups by day"
    assert mark["textColumn"] in series[0]["columns"]


@pytest.mark.service
def test_what_a_device_told_is_marked_on_its_graphs(influx: Influx) -> None:
    document = _dashboards()["dashboards/shared/towpath-switch.json"]
    mark = document["annotations"]["list"][1]
    series = influx.ask(filled(mark["query"], {"device": "th-sw1"}), "towpath")
    events = {each["tags"]["event"] for each in series}
    assert "link_down" in events
    assert mark["textColumn"] in series[0]["columns"]


@pytest.mark.service
def test_every_rule_is_answered_with_one_number_a_subject(influx: Influx) -> None:
    asked = 0
    for group in _alerting()["groups"]:
        for rule in group["rules"]:
            for part in rule["data"]:
                if part["datasourceUid"] == "__expr__":
                    continue
                seconds = part["relativeTimeRange"]["from"]
                query = filled(part["model"]["query"], {}, seconds)
                series = influx.ask(query, "towpath")
                assert series, (rule["title"], query)
                for each in series:
                    assert len(each["values"]) == 1
                    assert isinstance(each["values"][0][1], int | float), rule["title"]
                asked += 1
    assert asked >= 12


@pytest.mark.service
def test_labels_a_rule_speaks_of_are_labels_its_answer_has(influx: Influx) -> None:
    for group in _alerting()["groups"]:
        for rule in group["rules"]:
            spoken = set(
                re.findall(r"\.Labels\.(\w+)", json.dumps(rule["annotations"]))
            )
            part = rule["data"][0]
            query = filled(part["model"]["query"], {}, 3600)
            for each in influx.ask(query, "towpath"):
                assert spoken <= set(each.get("tags", {})), rule["title"]
