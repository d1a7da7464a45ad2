"""The check reads every form of a dashboard's JSON, and no file makes it fail."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from board_files import (
    SOURCE,
    changed,
    dashboard,
    findings,
    graph,
    table,
    variable,
)
from grafana_files import grafana_dashboard
from hypothesis import given
from hypothesis import strategies as st

from collectors.server_measurements import CATALOGUE
from dashboards.grafana import check_folder
from dashboards.grafana.checks.dashboard_checks import check_dashboard
from dashboards.grafana.checks.dashboard_document import read_dashboard
from dashboards.grafana.checks.dashboard_folder import MAX_BYTES
from dashboards.grafana.checks.dashboard_v2 import classic_of
from dashboards.grafana.checks.influxql_facts import LONGEST, read_facts

WRONG = graph('SELECT mean("icmp_rt_ms") FROM "device"')


def _row(*panels: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "row", "title": "Row", "panels": list(panels), **more}


def _old(document: dict[str, Any]) -> dict[str, Any]:
    """A dashboard as Grafana 4 wrote it."""
    return {
        **changed(document, "panels", to=None),
        "rows": [{"title": "Row", "panels": document["panels"]}],
    }


def _v2(query: str, spec: str = "v2beta1") -> dict[str, Any]:
    """A dashboard of the schema v2 with one panel, of Grafana 12 or 13."""
    influxql = {"query": query, "rawQuery": True}
    if spec == "v2alpha1":
        asked: dict[str, Any] = {
            "query": {"kind": "influxdb", "spec": influxql},
            "datasource": SOURCE,
        }
        shown: dict[str, Any] = {"kind": "timeseries"}
    else:
        asked = {
            "query": {
                "kind": "DataQuery",
                "group": "influxdb",
                "datasource": {"name": SOURCE["uid"]},
                "spec": influxql,
            }
        }
        shown = {"kind": "VizConfig", "group": "timeseries"}
    values = 'SHOW TAG VALUES FROM "device" WITH KEY = "device"'
    return {
        "apiVersion": f"dashboard.grafana.app/{spec}",
        "kind": "Dashboard",
        "metadata": {"name": "own"},
        "spec": {
            "title": "Our own",
            "description": "What we look at.",
            "timeSettings": {"from": "now-6h", "to": "now", "autoRefresh": "1m"},
            "links": [{"url": "/d/towpath-estate", "type": "link"}],
            "annotations": [],
            "variables": [
                {
                    "kind": "QueryVariable",
                    "spec": {
                        "name": "device",
                        "multi": True,
                        "query": {
                            **asked["query"],
                            "spec": {"query": values},
                        },
                    },
                }
            ],
            "elements": {
                "panel-1": {
                    "kind": "Panel",
                    "spec": {
                        "title": "How fast is a ping?",
                        "description": "Round trip.",
                        "links": [],
                        "data": {
                            "kind": "QueryGroup",
                            "spec": {
                                "queries": [
                                    {
                                        "kind": "PanelQuery",
                                        "spec": {"refId": "A", **asked},
                                    }
                                ],
                                "transformations": [],
                            },
                        },
                        "vizConfig": {
                            **shown,
                            "spec": {
                                "options": {"legend": {"showLegend": True}},
                                "fieldConfig": graph()["fieldConfig"],
                            },
                        },
                    },
                }
            },
            "layout": {
                "kind": "GridLayout",
                "spec": {
                    "items": [
                        {
                            "kind": "GridLayoutItem",
                            "spec": {
                                "element": {"name": "panel-1"},
                                "repeat": {"mode": "variable", "value": "device"},
                            },
                        }
                    ]
                },
            },
        },
    }


@pytest.mark.parametrize(
    "document",
    [
        dashboard(_row(WRONG)),
        dashboard(_row(_row(_row(WRONG)), collapsed=True)),
        _old(dashboard(WRONG)),
        {"dashboard": dashboard(WRONG), "meta": {"slug": "own"}},
        {
            "apiVersion": "dashboard.grafana.app/v1beta1",
            "kind": "Dashboard",
            "metadata": {"name": "own"},
            "spec": dashboard(WRONG, uid=None),
        },
        _v2('SELECT mean("icmp_rt_ms") FROM "device"'),
        _v2('SELECT mean("icmp_rt_ms") FROM "device"', "v2alpha1"),
        # A library panel, whose model the export contains.
        dashboard(
            {"libraryPanel": {"uid": "lib", "name": "Ping"}, "id": 3},
            __elements={"lib": {"uid": "lib", "kind": 1, "model": WRONG}},
        ),
        dashboard({**WRONG, "libraryPanel": {"uid": "lib", "name": "Ping"}}),
    ],
    ids=[
        "in a row",
        "in rows in rows",
        "Grafana 4",
        "API",
        "resource",
        "v2",
        "v2alpha1",
        "exported library panel",
        "library panel",
    ],
)
def test_a_fault_is_found_in_every_form_of_a_dashboard(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    (found,) = findings(tmp_path, document)
    assert found.check == "names"
    assert "did you mean 'icmp_rtt_ms'?" in str(found)


@pytest.mark.parametrize("spec", ["v2alpha1", "v2beta1", "v2"])
def test_a_dashboard_of_the_schema_v2_that_is_right_passes(
    tmp_path: Path, spec: str
) -> None:
    right = (
        'SELECT mean("icmp_rtt_ms") FROM "device" WHERE $timeFilter AND '
        '"device" =~ /^${device:regex}$/ GROUP BY time($__interval), "device"'
    )
    document = _v2(right, spec)
    # One panel for each chosen device, so each has one line.
    assert findings(tmp_path, document) == []
    items = ("spec", "layout", "spec", "items", 0, "spec", "repeat")
    (found,) = findings(tmp_path, changed(document, *items, to=None))
    assert found.check == "series"


def test_a_library_panel_whose_content_is_elsewhere_is_left_alone(
    tmp_path: Path,
) -> None:
    elsewhere = {"libraryPanel": {"uid": "lib", "name": "Ping"}, "id": 3}
    assert findings(tmp_path, dashboard(graph(), elsewhere)) == []


def test_panels_of_grafana_8_are_checked_as_their_successors(tmp_path: Path) -> None:
    old = {
        "type": "graph",
        "title": "How fast is a ping?",
        "description": "Round trip.",
        "datasource": "Towpath",
        "targets": [
            {"refId": "A", "query": 'SELECT mean("icmp_rtt_ms") FROM "device"'}
        ],
        "yaxes": [{"format": "ms", "max": None}, {"format": "short"}],
        "legend": {"show": True},
        "nullPointMode": "null",
        "fill": 1,
    }
    assert findings(tmp_path, dashboard(old)) == []
    for path, to, check in (
        (("yaxes", 0, "format"), "s", "units"),
        (("yaxes", 0, "max"), "100", "axis"),
        (("legend",), None, "legend"),
        (("nullPointMode",), None, "legend"),
        (("targets", 0, "query"), 'SELECT mean("icmp_rt_ms") FROM "device"', "names"),
    ):
        (found,) = findings(tmp_path, dashboard(changed(old, *path, to=to)))
        assert found.check == check
    single = {**old, "type": "singlestat", "format": "s"}
    (found,) = findings(tmp_path, dashboard(single))
    assert "in ms, with the unit 's'" in str(found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"", "is not JSON"),
        (b"[" * 200_000, "is nested too deeply"),
        (b"[]", "it is not an object"),
        (b"null", "it is not an object"),
        (b'{"panels": 3}', "it has no panels"),
        (b'{"name": "left-pad"}', "it has no panels"),
        (b'{"apiVersion": "v1", "kind": "ConfigMap", "spec": {}}', "but of 'v1'"),
        (b"1" * 5000, "is not JSON"),
        (b" " * (MAX_BYTES + 1), "expected 16 MB at most"),
    ],
)
def test_what_is_not_a_dashboard_is_said_to_be_none(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "x.json").write_bytes(content)
    (found,) = check_folder(tmp_path, CATALOGUE)
    assert found.check == "file"
    assert message in str(found)


def test_folders_links_and_unreadable_files_do_not_end_the_check(
    tmp_path: Path,
) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "mark.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(WRONG).encode())
    found = {Path(f.where).name: f.text for f in check_folder(tmp_path, CATALOGUE)}
    assert found.keys() == {"folder.json", "gone.json", "pipe.json", "mark.json"}
    assert "cannot be read: No such file" in found["gone.json"]
    assert "is not a file" in found["folder.json"]
    assert "is not a file" in found["pipe.json"]
    assert "no panels" in found["mark.json"]


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["$device", "now-1h", "timeseries", "byName", "\ud800", "{", "/d/"]
    )
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
    ),
    max_leaves=8,
)
_BOARDS = {"towpath-port": frozenset({"port"})}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    own = [path] if path else []
    return own + [
        place for key, each in children for place in _places(each, (*path, key))
    ]


@functools.cache
def _form(n: int) -> tuple[Any, list[tuple[Any, ...]]]:
    """A form of a dashboard, and all places in it."""
    if n == 0:
        variables = {"list": [variable()]}
        form = dashboard(graph(), _row(table(), WRONG), templating=variables)
    elif n == 1:
        form = _v2('SELECT mean("icmp_rtt_ms") FROM "device"')["spec"]
    else:
        form = grafana_dashboard("towpath-site")
    return form, _places(form)


@given(st.data())
def test_any_json_in_any_place_of_a_dashboard_makes_no_error(
    data: st.DataObject,
) -> None:
    n = data.draw(st.integers(0, 2))
    form, places = _form(n)
    document = json.loads(json.dumps(form))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places))
        holder: Any = document
        try:
            for name in place[:-1]:
                holder = holder[name]
            holder[place[-1]] = data.draw(_JSON)
        except (KeyError, IndexError, TypeError):
            # Its place has been replaced.
            continue
    classic = classic_of(document, "u") if n == 1 else document
    for finding in check_dashboard(read_dashboard("x", classic), CATALOGUE, _BOARDS):
        assert str(finding).startswith("x")
        assert "\n" not in str(finding)


@given(st.text() | st.text("\"'/()[]{}$, =~selctFROMGUPBYwhtopim12*\\-", max_size=200))
def test_any_text_is_read_as_a_query_without_an_error(text: str) -> None:
    read_facts(text)


@pytest.mark.parametrize(
    "part", ["'", '"', "/*", "top(", "(", "${", "[[", "=~ /", "FROM ", "a AS ", ", "]
)
def test_a_hostile_query_of_the_greatest_length_is_read(part: str) -> None:
    # In time by the square of its length it would take many minutes.
    facts = read_facts("SELECT " + part * (LONGEST // len(part)))
    assert len(facts.measurements) <= 1
