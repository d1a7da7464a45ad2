"""The check of dashboard files in a folder reports each fault with its panel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from board_files import dashboard, findings
from grafana_files import RULES

from collectors.server_measurements import CATALOGUE
from dashboards.grafana import (
    BOARDS,
    build_folder,
    check_folder,
)
from dashboards.grafana_config import GrafanaConfig


def test_the_built_files_pass_the_check(tmp_path: Path) -> None:
    built = build_folder(tmp_path, GrafanaConfig(personal=True), RULES)
    assert check_folder(tmp_path, CATALOGUE) == []
    assert sum(path.suffix == ".json" for path in built.files) == len(BOARDS)


def test_a_misspelt_field_in_a_file_is_named_with_panel_and_suggestion(
    tmp_path: Path,
) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-switch.json"
    path.write_text(path.read_text().replace('\\"in_bps\\"', '\\"in_bpss\\"'))
    assert any(
        str(path) in str(finding)
        and "panel 'What do the busiest ports carry?'" in str(finding)
        and "did you mean 'in_bps'?" in str(finding)
        for finding in check_folder(tmp_path, CATALOGUE)
    )


def test_a_personal_measurement_in_a_shared_file_is_found(tmp_path: Path) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-remote.json"
    text = path.read_text().replace('FROM \\"experience\\"', 'FROM \\"call_path\\"')
    path.write_text(text)
    assert any(
        "about one laptop" in finding.text and str(path) in str(finding)
        for finding in check_folder(tmp_path, CATALOGUE)
    )


@pytest.mark.parametrize(
    ("break_document", "message"),
    [
        (lambda d: d.update(uid=""), "has no uid"),
        (lambda d: d.pop("panels"), "no panels"),
        (lambda d: d["panels"][1].update(description=""), "no description"),
        (
            lambda d: next(p for p in d["panels"] if p["type"] == "timeseries")[
                "fieldConfig"
            ]["defaults"].update(unit=""),
            "no unit",
        ),
        (lambda d: d["panels"][1]["targets"][0].update(query=None), "no InfluxQL"),
        (lambda d: d.update(uid="towpath-switch"), "already that of"),
        (lambda d: d.update(title="Switch"), "already that of"),
    ],
)
def test_each_fault_of_a_file_is_reported(
    tmp_path: Path, break_document: Any, message: str
) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-site.json"
    document = json.loads(path.read_text())
    break_document(document)
    path.write_text(json.dumps(document))
    assert any(message in str(finding) for finding in check_folder(tmp_path, CATALOGUE))


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
        # Thresholds may colour a figure.
        ({"color": _BY_THRESHOLD}, {}, 'max("duration_ms")', False),
        # A text field has words without a mapping.
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
    unit = "ms" if "duration" in query else "short"
    config: dict[str, Any] = {"defaults": {"unit": unit, **defaults}}
    if override:
        properties = [{"id": name, "value": value} for name, value in override.items()]
        matcher = {"id": "byName", "options": "core-1"}
        config["overrides"] = [{"matcher": matcher, "properties": properties}]
    found = findings(tmp_path, dashboard(_timeline(config, query)))
    assert [finding.check for finding in found] == ["states"] * is_refused
    assert all("panel 'States'" in str(finding) for finding in found)
    assert all("color mode 'palette-classic'" in str(finding) for finding in found)


def test_a_table_that_is_grouped_by_time_is_refused(tmp_path: Path) -> None:
    build_folder(tmp_path, GrafanaConfig())
    path = tmp_path / "dashboards/shared/towpath-site.json"
    text = path.read_text().replace(
        'GROUP BY \\"device\\", \\"role\\"',
        'GROUP BY time($__interval), \\"device\\", \\"role\\"',
    )
    path.write_text(text)
    (finding,) = check_folder(tmp_path, CATALOGUE)
    assert "panel 'Which devices answer badly?': is a table grouped by time" in str(
        finding
    )


def test_a_file_that_is_not_json_is_reported_and_others_are_still_checked(
    tmp_path: Path,
) -> None:
    build_folder(tmp_path, GrafanaConfig())
    (tmp_path / "dashboards/shared/broken.json").write_text("{")
    (finding,) = check_folder(tmp_path, CATALOGUE)
    assert "is not JSON" in finding.text
