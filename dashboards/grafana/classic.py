"""A `Board` as classic dashboard JSON (schemaVersion 42), which Grafana 9 to 13 read.

Pure. Panel ids follow from their order, so that alert rules can refer to them. What a
panel's fields and options are is in `classic_fields` and `classic_options`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, render
from collectors.store.query import Query, Where
from dashboards.grafana import classic_sites
from dashboards.grafana.board import OVER_TIME, SHARED, Board, BoardRow, Panel, select
from dashboards.grafana.board_links import links_json
from dashboards.grafana.classic_fields import field_config, period_ms, ref_id
from dashboards.grafana.classic_options import panel_options, transformations
from dashboards.grafana.classic_variables import variable_json
from dashboards.grafana.range_texts import range_texts

SCHEMA_VERSION = 42
# Grafana's interval is the range divided by this, and decides which roll-ups are read:
# graphs read rows up to 20 hours and roll-ups by the hour from two weeks on. Figures
# over the whole range, which have no points, do so from two and a half hours and two
# days on.
_POINTS, _POINTS_OF_ONE = 500, 60
SHARED_TAG, PERSONAL_TAG = "towpath", "towpath personal data"


def dashboard_json(board: Board, boards: tuple[Board, ...]) -> dict[str, Any]:
    """Returns the JSON of `board`, with links to `boards`. Shared and personal boards
    never link to each other: they are in organisations of their own."""
    source = _source(board.datasource)
    return {
        "id": None,
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": [PERSONAL_TAG if board.personal else SHARED_TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "liveNow": False,
        "weekStart": "monday",
        "timezone": "browser",
        "refresh": board.refresh,
        "time": {"from": board.since, "to": "now"},
        "timepicker": {"refresh_intervals": ["30s", "1m", "5m", "15m"]},
        "fiscalYearStartMonth": 3,
        "links": list(_links(board, boards)),
        "annotations": {"list": list(_annotations(board))},
        "templating": {
            "list": [variable_json(variable, source) for variable in board.variables]
        },
        "panels": list(_rows(board, source)),
    }


def panel_ids(board: Board) -> dict[str, int]:
    """Returns the title of each panel → its id in the JSON: rows and panels are
    numbered in order, from 1."""
    ids: dict[str, int] = {}
    heading = 1
    for row in board.rows:
        numbered = enumerate(row.panels, heading + 1)
        ids |= {panel.title: number for number, panel in numbered}
        heading += 1 + len(row.panels)
    return ids


def _source(uid: str) -> dict[str, str]:
    return {"type": "influxdb", "uid": uid}


def _links(board: Board, boards: tuple[Board, ...]) -> Iterator[dict[str, Any]]:
    """The boards above and below this one by name, then a list of all of them."""
    shared = {
        "icon": "dashboard",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
    others = {other.uid: other for other in boards if other.personal == board.personal}
    for uid in board.links:
        if uid in others and uid != board.uid:
            yield {
                "type": "link",
                "title": others[uid].title,
                "tooltip": others[uid].description,
                "url": f"/d/{uid}",
                "asDropdown": False,
                "tags": [],
                **shared,
            }
    if len(others) > 1:
        yield {
            "type": "dashboards",
            "title": "All boards",
            "tooltip": "",
            "url": "",
            "asDropdown": True,
            "tags": [PERSONAL_TAG if board.personal else SHARED_TAG],
            **shared,
        }


def _annotations(board: Board) -> Iterator[dict[str, Any]]:
    """Annotations on every graph: critical incidents from start to end (of the selected
    site, if the board has a site) and events (of the selected device, if it has one).
    """
    if board.personal:
        return
    selectors = {variable.name for variable in board.variables}
    incidents = select(
        "incident",
        ("title", "last"),
        ("summary", "last"),
        ("until_ms", "last"),
        by=("rule", "subject"),
        where=(Where("severity", ("critical",)),),
    )
    yield _annotation(
        "Alerts", "red", incidents, {"site"} & selectors, "title_last", "summary_last"
    ) | {"timeEndColumn": "until_ms_last"}
    if "device" in selectors:
        events = select("event", ("text", "last"), by=("event", "port"))
        yield _annotation("Events", "blue", events, {"device"}, "event", "text_last")


def _annotation(
    name: str, colour: str, query: Query, by: set[str], title: str, text: str
) -> dict[str, Any]:
    influxql = render(
        query,
        CATALOGUE.measurement(query.measurement),
        Grafana(interval="1m", variables={tag: tag for tag in sorted(by)}),
    )
    source = _source(SHARED)
    return {
        "name": name,
        "datasource": source,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "query": influxql,
        "target": {
            "refId": name,
            "datasource": source,
            "query": influxql,
            "rawQuery": True,
            "resultFormat": "table",
        },
        "textColumn": text,
        "titleColumn": title,
        "tagsColumn": ",".join(query.group_by),
    }


def _rows(board: Board, source: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The rows and panels of a board in order. The panels of a collapsed row are inside
    it, and take no room."""
    number, top = 0, 0
    for row in board.rows:
        number += 1
        heading = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            "panels": [],
            **({"repeat": row.repeat} if row.repeat else {}),
        }
        top += 1
        panels, height = _placed(row, number, top, source)
        number += len(panels)
        if row.collapsed:
            yield {**heading, "panels": panels}
        else:
            yield heading
            yield from panels
            top += height


def _placed(
    row: BoardRow, number: int, top: int, source: dict[str, str]
) -> tuple[list[dict[str, Any]], int]:
    """Returns the panels of a row from left to right, numbered after `number`, and the
    height of all."""
    panels, first, left, tallest = [], top, 0, 0
    for panel in row.panels:
        if left + panel.width > 24:
            top, left, tallest = top + tallest, 0, 0
        number += 1
        place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
        panels.append({"id": number, "gridPos": place, **_panel(panel, source)})
        left += panel.width
        tallest = max(tallest, panel.height)
    return panels, top + tallest - first


def _panel(panel: Panel, source: dict[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": " ".join([panel.description, *range_texts(panel)]),
    }
    if panel.targets:
        document |= {
            "datasource": source,
            "interval": f"{_shortest_ms(panel) // 1000}s",
            "maxDataPoints": _POINTS if panel.kind in OVER_TIME else _POINTS_OF_ONE,
            "targets": [
                *(
                    _target(ref_id(n), panel.influxql(target), panel, source)
                    | {"alias": target.legend}
                    for n, target in enumerate(panel.targets)
                ),
                *(
                    _target(classic_sites.QUERY, query, panel, source)
                    for query in classic_sites.names_query(panel)
                ),
            ],
            "fieldConfig": field_config(panel),
            "transformations": transformations(panel),
        }
    document |= {"options": panel_options(panel), "links": links_json(panel.links)}
    if panel.newest:
        document["timeFrom"] = f"{panel.newest_ms // 60_000}m"
    if panel.time_from:
        document["timeFrom"] = panel.time_from
    if panel.repeat:
        document["repeat"] = panel.repeat
        document["repeatDirection"] = panel.repeat_direction
        if panel.repeat_direction == "h":
            document["maxPerRow"] = panel.repeat_per_row
    return document


def _shortest_ms(panel: Panel) -> int:
    """Returns the shortest bucket of a panel. In a state timeline, a test that runs
    less often than others would have gaps that look as if it had not run."""
    periods = [period_ms(target) for target in panel.targets]
    return max(periods) if panel.kind == "state-timeline" else min(periods)


def _target(
    name: str, influxql: str, panel: Panel, source: dict[str, str]
) -> dict[str, Any]:
    return {
        "refId": name,
        "datasource": source,
        "rawQuery": True,
        "query": influxql,
        "resultFormat": "table" if panel.is_of_rows else "time_series",
        "alias": "",
        "hide": False,
    }
