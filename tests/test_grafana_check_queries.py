"""Checks of queries: how many lines they draw, their variables, their data sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from board_files import (
    DEFAULTS,
    RTT,
    SOURCE,
    changed,
    dashboard,
    findings,
    graph,
    target,
    variable,
)

PORTS = (
    'SELECT mean("in_bps") FROM "interface" WHERE $timeFilter AND '
    '"port" =~ /^${port:regex}$/ GROUP BY time($__interval), "port"'
)


_GROUPS = (
    'SELECT mean("down_bps_p50") FROM "experience" WHERE $timeFilter AND '
    '("by" = \'{}\') GROUP BY time($__interval), "group"'
)
_LINES = (
    'SELECT mean("down_bps") FROM "line" WHERE $timeFilter AND '
    '("site" = \'{}\') GROUP BY time($__interval), "line"'
)


def _ports(name: str = "", **more: Any) -> dict[str, Any]:
    """A dashboard that draws the ports that a variable chooses."""
    panel = changed(graph(PORTS), *DEFAULTS, "unit", to="bps")
    query = name or 'SHOW TAG VALUES FROM "interface" WITH KEY = "port"'
    chosen = variable("port", query=query, **more)
    return dashboard(panel, templating={"list": [chosen]})


_BY_PORT = (
    'SELECT max("in_bps") FROM "interface" WHERE $timeFilter '
    'GROUP BY time($__interval), "port"'
)


@pytest.mark.parametrize(
    ("document", "is_refused"),
    [
        (_ports(), False),
        (_ports(multi=True), True),
        (_ports(includeAll=True), True),
        # The twelve busiest, by either way.
        (
            _ports(
                'SELECT top("x", "port", 12) FROM (SELECT max("in_bps") AS "x" '
                'FROM "interface" GROUP BY "port")',
                includeAll=True,
            ),
            False,
        ),
        (
            _ports(
                'SHOW TAG VALUES FROM "interface" WITH KEY = "port" LIMIT 5', multi=True
            ),
            False,
        ),
        (_ports("SHOW TAG VALUES FROM interface LIMIT 50", multi=True), True),
        (
            changed(_ports(multi=True), "panels", 0, "repeat", to="port"),
            False,
        ),
        (dashboard(graph(f"{_BY_PORT} SLIMIT 12")), False),
        (dashboard(graph(f"{_BY_PORT} SLIMIT 13")), True),
        (dashboard(graph(_BY_PORT)), True),
        # There are few places, and many sites.
        (dashboard(graph(_GROUPS.format("place"))), False),
        (dashboard(graph(_GROUPS.format("site"))), True),
        (dashboard(graph(_GROUPS.format("place' OR \"by\" = 'all"))), False),
        (dashboard(graph(_GROUPS.format("place' OR \"by\" = 'site"))), True),
        (dashboard(graph(_BY_PORT + " LIMIT 12")), True),
        (dashboard(graph(_LINES.format("town-hall"))), False),
        (dashboard(graph(_LINES.format("town-hall' OR \"site\" = 'annexe"))), True),
        (dashboard(graph(_BY_PORT.replace('"port"', "*"))), True),
    ],
)
def test_a_graph_of_more_than_twelve_lines_is_refused(
    tmp_path: Path, document: dict[str, Any], is_refused: bool
) -> None:
    for panel in document["panels"]:
        panel["fieldConfig"]["defaults"]["unit"] = "bps"
    found = [f for f in findings(tmp_path, document) if f.check != "links"]
    assert [finding.check for finding in found] == ["series"] * is_refused


@pytest.mark.parametrize(
    ("more", "query", "is_refused"),
    [
        ({"type": "textbox"}, '"site" =~ /^${x:regex}$/', False),
        ({"type": "textbox"}, '"site" =~ /^$x$/', True),
        ({"type": "textbox"}, "\"site\" = '${x:raw}'", True),
        ({"type": "textbox"}, '"$x" = 1', True),
        ({"type": "textbox"}, "$x", True),
        # Grafana escapes what may be several values.
        ({"multi": True}, '"site" =~ /^$x$/', False),
        ({"multi": True}, "\"site\" = '$x'", True),
        ({"multi": True}, "$x", True),
        # Its values are in the dashboard.
        ({"type": "custom"}, "\"site\" = '$x'", False),
        ({"type": "constant"}, '"site" =~ /^$x$/', False),
        ({"type": "custom", "multi": True}, "\"site\" = '$x'", True),
        ({"type": "interval"}, "time > now() - $x", False),
    ],
)
def test_a_variable_that_can_break_or_change_a_query_is_refused(
    tmp_path: Path, more: dict[str, Any], query: str, is_refused: bool
) -> None:
    chosen = variable("x", **{"query": "", **more})
    if chosen["type"] == "query":
        chosen["query"] = 'SHOW TAG VALUES FROM "device" WITH KEY = "site"'
    document = dashboard(graph(f"{RTT} WHERE {query}"), templating={"list": [chosen]})
    found = findings(tmp_path, document)
    assert [finding.check for finding in found] == ["variables"] * is_refused


def test_a_query_of_the_editor_is_checked_like_a_written_one(tmp_path: Path) -> None:
    built = {
        "refId": "A",
        "datasource": SOURCE,
        "measurement": "device",
        "select": [
            [
                {"type": "field", "params": ["icmp_rtt_ms"]},
                {"type": "mean", "params": []},
                {"type": "alias", "params": ["rtt"]},
            ]
        ],
        "groupBy": [
            {"type": "time", "params": ["$__interval"]},
            {"type": "fill", "params": ["null"]},
        ],
        "tags": [{"key": "site", "operator": "=", "value": "town-hall"}],
    }
    assert findings(tmp_path, dashboard(graph(targets=[built]))) == []
    wrong = changed(built, "select", 0, 0, "params", to=["icmp_rt_ms"])
    (found,) = findings(tmp_path, dashboard(graph(targets=[wrong])))
    assert "did you mean 'icmp_rtt_ms'?" in str(found)
    wrong = changed(built, "tags", 0, to={"key": "sit", "value": "/^$device$/"})
    found_checks = {
        f.check for f in findings(tmp_path, dashboard(graph(targets=[wrong])))
    }
    assert found_checks == {"names", "variables"}
    many = changed(built, "groupBy", 1, to={"type": "tag", "params": ["device"]})
    (found,) = findings(tmp_path, dashboard(graph(targets=[many])))
    assert found.check == "series"


@pytest.mark.parametrize(
    "source",
    [
        {"type": "prometheus", "uid": "p"},
        {"type": "datasource", "uid": "-- Dashboard --"},
        "-- Grafana --",
        {"type": "__expr__", "uid": "__expr__"},
    ],
)
def test_queries_of_other_sources_are_left_alone(tmp_path: Path, source: Any) -> None:
    other = {"refId": "A", "datasource": source, "expr": "up", "query": "not InfluxQL"}
    panel = changed(graph(targets=[other]), *DEFAULTS, "unit", to=None)
    assert findings(tmp_path, dashboard(panel)) == []


def test_another_influxdb_may_have_measurements_of_its_own(tmp_path: Path) -> None:
    other = {"type": "influxdb", "uid": "telegraf"}
    query = target('SELECT mean("usage_idle") FROM "cpu"', datasource=other)
    assert findings(tmp_path, dashboard(graph(targets=[query]))) == []
    query = target('SELECT mean("usage_idle") FROM "cpu"')
    (found,) = findings(tmp_path, dashboard(graph(targets=[query])))
    assert "no measurement is called 'cpu'" in str(found)
    # A slip is a slip, whatever the source is called.
    query = target('SELECT mean("up") FROM "devices"', datasource=other)
    (found,) = findings(tmp_path, dashboard(graph(targets=[query])))
    assert "did you mean 'device'?" in str(found)


def test_the_data_source_of_laptops_has_only_their_own_measurements(
    tmp_path: Path,
) -> None:
    personal = {"type": "influxdb", "uid": "towpath-personal"}
    query = target('SELECT mean("total_ms") FROM "web"', datasource=personal)
    assert findings(tmp_path, dashboard(graph(targets=[query]))) == []
    query = target(RTT, datasource=personal)
    (found,) = findings(tmp_path, dashboard(graph(targets=[query])))
    assert "'device' is not in 'towpath-personal'" in str(found)
