"""Each check of a dashboard reports what breaks it, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from board_files import (
    DEFAULTS,
    RTT,
    changed,
    dashboard,
    findings,
    graph,
    table,
    target,
)
from typer.testing import CliRunner

from dashboards.grafana import CHECKS
from towpath.commands.dashboards import app

CUSTOM = (*DEFAULTS, "custom")


def _negative(panel: dict[str, Any]) -> dict[str, Any]:
    override = {
        "matcher": {"id": "byFrameRefID", "options": "B"},
        "properties": [{"id": "custom.transform", "value": "negative-Y"}],
    }
    return changed(panel, "fieldConfig", "overrides", to=[override])


def _override(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": k, "value": v} for k, v in properties.items()],
    }


_TWO = [target("A"), target("B")]
_FILLED = changed(graph(), *CUSTOM, "fillOpacity", to=40)
_MERGE = [{"id": "merge", "options": {}}]


def _two(first: str, second: str, **more: Any) -> dict[str, Any]:
    queries = [
        target(first, resultFormat="table"),
        target(second, resultFormat="table", refId="B"),
    ]
    return table(targets=queries, **more)


CASES: list[tuple[str, dict[str, Any], str]] = [
    # A unit, and that of the catalogue.
    ("units", changed(graph(), *DEFAULTS, "unit", to=None), "has no unit"),
    ("units", changed(graph(), *DEFAULTS, "unit", to="s"), "in ms, with the unit 's'"),
    ("units", changed(table(), *DEFAULTS, "unit", to="short"), "expected 's'"),
    (
        "units",
        changed(table(), "fieldConfig", "overrides", to=[_override("last", unit="ms")]),
        "shows 'last', which is in s, with the unit 'ms'",
    ),
    ("", changed(table(), *DEFAULTS, "unit", to="dtdurations"), ""),
    (
        "units",
        changed(graph(), *DEFAULTS, "unit", to="suffix: ms"),
        "after two spaces; expected 'suffix:ms'",
    ),
    (
        "",
        changed(
            changed(table(), *DEFAULTS, "unit", to="short"),
            "fieldConfig",
            "overrides",
            to=[_override("last", unit="s")],
        ),
        "",
    ),
    ("", table('SELECT count("uptime_s") FROM "device" GROUP BY "device"'), ""),
    # An axis.
    ("axis", changed(graph(), *DEFAULTS, "max", to=100), "fixed maximum of 100"),
    ("", changed(graph(), *CUSTOM, "axisSoftMax", to=100), ""),
    # Legend and missing values.
    ("legend", changed(graph(), "options", "legend", to=None), "options.legend"),
    ("legend", changed(graph(), *CUSTOM, "spanNulls", to=None), "custom.spanNulls"),
    # Texts.
    ("descriptions", graph(description=" "), "has no description"),
    ("titles", graph(title=""), "1 panel without a title"),
    # Rows.
    (
        "rows",
        table(
            'SELECT last("uptime_s") FROM "device" GROUP BY time($__interval), "device"'
        ),
        "is a table grouped by time",
    ),
    ("rows", table('SELECT "uptime_s" FROM "device"'), "every single row"),
    ("", table('SELECT "uptime_s" FROM "device" LIMIT 20'), ""),
    (
        "",
        table(
            'SELECT last("uptime_s") FROM "device" GROUP BY time(1h), "device"',
            transformations=[{"id": "groupBy", "options": {}}],
        ),
        "",
    ),
    (
        "rows",
        _two(
            'SELECT last("uptime_s") FROM "device" GROUP BY "device"',
            'SELECT last("uptime_s") FROM "device" GROUP BY "device"',
        ),
        "shows one at a time",
    ),
    (
        "rows",
        _two(
            'SELECT last("uptime_s") FROM "device" GROUP BY "device"',
            'SELECT last("uptime_s") FROM "device" GROUP BY "site"',
            transformations=_MERGE,
        ),
        "merges queries with different GROUP BY",
    ),
    (
        # The site follows from the device.
        "",
        _two(
            'SELECT last("uptime_s") FROM "device" GROUP BY "device"',
            'SELECT last("uptime_s") FROM "device" GROUP BY "device", "site"',
            transformations=_MERGE,
        ),
        "",
    ),
    (
        "rows",
        changed(table(), "targets", 0, "resultFormat", to="time_series"),
        "expected resultFormat 'table'",
    ),
    # Areas.
    (
        "fill",
        changed(_FILLED, "targets", to=[target(RTT, refId=x) for x in "ABC"]),
        "filled areas",
    ),
    ("", _FILLED, ""),
    (
        "",
        _negative(
            changed(_FILLED, "targets", to=[target(RTT, refId=x) for x in "ABB"])
        ),
        "",
    ),
    (
        "",
        changed(
            changed(_FILLED, "targets", to=[target(RTT, refId=x) for x in "ABC"]),
            *CUSTOM,
            "stacking",
            to={"mode": "normal"},
        ),
        "",
    ),
    # Names.
    ("names", graph('SELECT mean("icmp_rt_ms") FROM "device"'), "did you mean"),
    ("names", graph("SELECT mean(icmp_rt_ms) FROM device"), "did you mean"),
    ("names", graph('SELECT mean("up") FROM "devices"'), "did you mean 'device'?"),
    (
        "names",
        graph('SELECT mean("icmp_rtt_ms") FROM "device" WHERE "sit" = \'x\''),
        "did you mean 'site'?",
    ),
    ("", graph('SELECT mean("icmp_rtt_ms") FROM "db"."autogen"."device"'), ""),
    ("", graph('SELECT mean("icmp_rtt_ms_sum") AS "x" FROM "device_5m"'), ""),
    # Personal data.
    (
        "personal",
        graph('SELECT mean("total_ms") FROM "web"'),
        "'web' is about one laptop",
    ),
    # Languages.
    ("language", graph('from(bucket: "towpath") |> range(start: -1h)'), "in Flux"),
    ("language", graph(targets=[target("")]), "has no InfluxQL text"),
    ("language", graph(f"SELECT {'x' * 70_000}"), "the most is 65536"),
    # Variables.
    ("variables", graph(f"{RTT} WHERE \"site\" = '$device'"), "in a text in quotes"),
    ("variables", graph(f'{RTT} WHERE "site" =~ /^$device$/'), "without escaping"),
    (
        "variables",
        graph(f'{RTT} WHERE "site" =~ /^${{device:pipe}}$/'),
        "without escaping",
    ),
    ("variables", graph(f'{RTT} WHERE "site" =~ /^[[device]]$/'), "without escaping"),
    ("variables", graph(f'{RTT} WHERE "site" =~ /^$sitee$/'), "is not a variable"),
    ("", graph(f'{RTT} WHERE time > ${{__from}}ms AND "site" =~ /a$/'), ""),
]


@pytest.mark.parametrize(("check", "panel", "message"), CASES)
def test_each_fault_of_a_panel_is_found_by_its_check_alone(
    tmp_path: Path, check: str, panel: dict[str, Any], message: str
) -> None:
    found = findings(tmp_path, dashboard(panel))
    assert {finding.check for finding in found} == ({check} if check else set())
    assert all(message in str(finding) for finding in found)
    assert all(str(tmp_path / "own.json") in str(finding) for finding in found)


@pytest.mark.parametrize(
    ("check", "path", "to", "message"),
    [
        ("descriptions", ("description",), "", "has no description"),
        ("time", ("time", "from"), "2021-01-01", "begins at the fixed time"),
        ("time", ("time", "from"), "now-9y", "expected a minute to 400 days"),
        ("time", ("time", "from"), "now-5s", "expected a minute to 400 days"),
        ("time", ("time", "from"), "now+1h", "begins at the fixed time"),
        ("time", ("refresh",), "1s", "every 1s, more often than"),
        ("time", ("refresh",), "often", "expected one such as '1m'"),
        ("", ("refresh",), "", ""),
        ("", ("refresh",), False, ""),
        ("", ("time", "from"), "now/d", ""),
        ("", ("time", "from"), "now-1M/M", ""),
        ("links", ("links",), [], "has no link"),
        ("links", ("links", 0, "url"), "/d/towpath-estat", "did you mean"),
        ("", ("links", 0, "url"), "/d/another-board", ""),
        (
            "links",
            ("panels", 0, "links"),
            [{"url": "/d/towpath-port?var-prt=x&${__url_time_range}"}],
            "with the variable 'prt', which it does not have; did you mean 'port'?",
        ),
        (
            "links",
            ("panels", 0, "links"),
            [{"url": "https://g/x/d/towpath-port/port?var-port=x"}],
            "without the time range",
        ),
        (
            "links",
            ("panels", 0, "links"),
            [{"url": "/d/towpath-port?var-port=${__field.name}&${__url_time_range}"}],
            "which is 'Value' for each line; expected a tag",
        ),
        ("titles", ("panels", 1, "title"), "How fast is a ping?", "2 panels with"),
    ],
)
def test_each_fault_of_a_dashboard_is_found_by_its_check_alone(
    tmp_path: Path, check: str, path: tuple[Any, ...], to: Any, message: str
) -> None:
    found = findings(tmp_path, changed(dashboard(), *path, to=to))
    assert {finding.check for finding in found} == ({check} if check else set())
    assert all(message in str(finding) for finding in found)


def test_a_long_range_is_not_queried_again_every_few_seconds(tmp_path: Path) -> None:
    document = changed(dashboard(), "time", "from", to="now-30d")
    assert findings(tmp_path, document) == []
    (found,) = findings(tmp_path, changed(document, "refresh", to="30s"))
    assert found.check == "time"
    assert "expected 60s or more" in str(found)


def test_the_documents_list_every_check() -> None:
    page = (Path(__file__).parents[1] / "docs" / "dashboards.md").read_text()
    rows = [f"| `{name}` | {demand} |" for name, demand in CHECKS.items()]
    assert "\n".join(rows) in page


def test_a_check_can_be_left_out(tmp_path: Path) -> None:
    document = dashboard(graph(description=""), table())
    (tmp_path / "own.json").write_text(json.dumps(document))
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.endswith("has no description (descriptions)\n")
    arguments = ["check", str(tmp_path), "--without", "descriptions"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    result = CliRunner().invoke(app, ["check", "--without", "description"])
    assert result.exit_code == 2
    assert "did you mean 'descriptions'?" in result.output


def test_every_check_has_a_case_here_or_with_the_boards() -> None:
    tested = {check for check, _, _ in CASES if check}
    assert set(CHECKS) - tested == {
        "file",
        "series",
        "states",
        "links",
        "time",
        "widths",
        "words",
    }
