"""The dashboards are as Grafana's published types for versions 9 to 13 have them."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from grafana_files import all_panels, grafana_dashboards
from grafana_schema import MAJORS, GrafanaSchema, grafana_schemas, publish

from dashboards.grafana.board import (
    Board,
    BoardRow,
    Panel,
    PanelKind,
    PanelQuery,
    TableColumn,
    select,
)
from dashboards.grafana.classic import dashboard_json


def _of_kind(kind: PanelKind) -> Panel:
    query = select("device", ("up", "last"), by=("device",))
    return Panel(
        f"What is a {kind}?",
        "One of each kind, whether or not a board has one.",
        () if kind == "text" else (PanelQuery(query),),
        "none",
        kind,
        value_texts={1: ("up", "green")},
        columns={"device": TableColumn("Device"), "up_last": TableColumn("Up")},
        place=("up_last", "up_last"),
        text="Text",
    )


_EVERY_KIND = Board(
    "every-kind",
    "Every kind",
    "A panel of each kind.",
    (BoardRow("Panels", tuple(map(_of_kind, get_args(PanelKind)))),),
)
SCHEMAS = grafana_schemas()
DASHBOARDS = grafana_dashboards() | {
    "every-kind.json": dashboard_json(_EVERY_KIND, (_EVERY_KIND,))
}
# An older Grafana ignores a field that it does not know. The newest must know all,
# apart from these.
_OLD_SPELLINGS = {
    "table override.hidden",  # `hideFrom` from Grafana 12 on
}
# Not in the published types, but Grafana or its InfluxDB plugin reads and writes it.
_UNPUBLISHED = {
    "variable.definition",
    "annotation.query",
    "annotation.textColumn",
    "annotation.timeEndColumn",
    "annotation.titleColumn",
    "annotation.tagsColumn",
}
# An InfluxDB target is not as the one of Grafana's own annotations, and a link of a
# panel is not as one of a dashboard.
_OTHER_TYPES = re.compile(r"annotation\.target\.\w+|panel\.links\[\d+\]\.\w+")
# The types of Grafana 9 are unfinished: required fields that it never writes, numbers
# that may be null, and mappings of absent values, which it has had since Grafana 8.
_UNFINISHED = re.compile(
    r".* is missing|.*(thresholds\.steps\[\d+\]\.value|\.id) is None, expected number"
    r"|.*mappings\[\d+\]\.(type is 'special'|options\.match is 'null(\+nan)?'), .*"
)


def faults(schema: GrafanaSchema, newest: bool) -> set[str]:
    """What of our dashboards a version would not read as it is meant."""
    misfits = {
        misfit
        for document in DASHBOARDS.values()
        for misfit in schema.dashboard_misfits(document)
    }
    return {misfit for misfit in misfits if not _is_known(misfit, schema, newest)}


def _is_known(misfit: str, schema: GrafanaSchema, newest: bool) -> bool:
    place, _, fault = misfit.partition(" is ")
    if _OTHER_TYPES.fullmatch(place):
        return True
    if fault == "unknown":
        return not newest or place in _OLD_SPELLINGS | _UNPUBLISHED
    return schema.version.startswith("9.") and bool(_UNFINISHED.fullmatch(misfit))


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.version)
def test_the_dashboards_fit_the_types_that_each_grafana_publishes(
    schema: GrafanaSchema,
) -> None:
    assert faults(schema, newest=schema is SCHEMAS[-1]) == set()


def test_there_is_a_description_of_every_major_version() -> None:
    assert [int(s.version.split(".")[0]) for s in SCHEMAS] == list(MAJORS)
    for schema in SCHEMAS[1:]:
        kinds = {p["type"] for d in DASHBOARDS.values() for p in all_panels(d)}
        assert kinds <= set(schema.panels)


@pytest.mark.parametrize(
    ("kind", "change", "fault"),
    [
        (
            "table",
            lambda p: p["options"].update(footer={"show": False}),
            "options.footer is unknown",
        ),
        (
            "table",
            lambda p: p["fieldConfig"]["defaults"]["custom"].pop("inspect"),
            "custom.inspect is missing",
        ),
        (
            "table",
            lambda p: p["fieldConfig"]["defaults"]["custom"].pop("cellOptions"),
            "custom.cellOptions is missing",
        ),
        (
            "state-timeline",
            lambda p: p["options"]["legend"].pop("calcs"),
            "legend.calcs is missing",
        ),
        (
            "timeseries",
            lambda p: p["fieldConfig"]["defaults"]["custom"].update(drawStyle="curve"),
            "drawStyle is 'curve', expected one of",
        ),
        ("stat", lambda p: p.update(title=3), "title is 3, expected string"),
        ("stat", lambda p: p.update(nonsense=3), "panel.nonsense is unknown"),
    ],
)
def test_a_misfit_of_a_panel_is_found(kind: str, change: Any, fault: str) -> None:
    panel = copy.deepcopy(
        next(p for d in DASHBOARDS.values() for p in all_panels(d) if p["type"] == kind)
    )
    assert not any(fault in text for text in SCHEMAS[-1].panel_misfits(panel))
    change(panel)
    assert any(fault in text for text in SCHEMAS[-1].panel_misfits(panel))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_dashboards_fit_the_newest_release_of_each_grafana_on_npm(
    tmp_path: Path,
) -> None:
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm and node are not installed")
    for major in (*map(str, MAJORS), "latest"):
        try:
            text = publish(major, tmp_path)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"npm does not answer: {error}")
        schema = msgspec.json.decode(text.encode(), type=GrafanaSchema)
        assert faults(schema, newest=major in (str(MAJORS[-1]), "latest")) == set()
