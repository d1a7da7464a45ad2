"""A `Board` as classic dashboard JSON (schemaVersion 42), which Grafana 9 to 13 read.

Pure. Panel ids follow from their order, so that alert rules can refer to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, render
from collectors.store.query import Query
from dashboards.grafana.board import (
    SHARED,
    Board,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    Variable,
    select,
)

SCHEMA_VERSION = 42


def dashboard_json(board: Board, boards: tuple[Board, ...]) -> dict[str, Any]:
    """Returns the JSON of `board`, with links to `boards`. Shared and personal boards
    never link to each other: they are in organisations of their own."""
    source = _source(board.datasource)
    return {
        "id": None,
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["towpath", "personal data"] if board.personal else ["towpath"],
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
        "links": [_link(other) for other in boards if _may_link(board, other)],
        "annotations": {"list": list(_annotations(board))},
        "templating": {
            "list": [_variable(variable, source) for variable in board.variables]
        },
        "panels": list(_panels(board, source)),
    }


def panel_ids(board: Board) -> dict[str, int]:
    """Returns the title of each panel → its id in the JSON."""
    return {
        panel["title"]: panel["id"]
        for panel in _panels(board, _source(board.datasource))
        if panel["type"] != "row"
    }


def _may_link(board: Board, other: Board) -> bool:
    return other.uid != board.uid and board.personal == other.personal


def _source(uid: str) -> dict[str, str]:
    return {"type": "influxdb", "uid": uid}


def _link(board: Board) -> dict[str, Any]:
    return {
        "type": "link",
        "title": board.title,
        "tooltip": board.description,
        "url": f"/d/{board.uid}",
        "icon": "dashboard",
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tags": [],
    }


def _annotations(board: Board) -> Iterator[dict[str, Any]]:
    """Annotations on every graph: changes of alerts (of the selected site, if the board
    has a site) and events (of the selected device, if it has one)."""
    if board.personal:
        return
    selectors = {variable.name for variable in board.variables}
    alerts = select("alert", ("cause", "last"), by=("rule", "subject"))
    yield _annotation(
        "Alerts", "red", alerts, {"site"} & selectors, "rule", "cause_last"
    )
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


def _variable(variable: Variable, source: dict[str, str]) -> dict[str, Any]:
    everything = {"text": "All", "value": "$__all"}
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": source,
        "query": variable.query(),
        "definition": variable.query(),
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "skipUrlSync": False,
        "multi": variable.multiple,
        "includeAll": variable.multiple,
        "allValue": ".*" if variable.multiple else None,
        "current": (
            {key: [value] for key, value in everything.items()}
            if variable.multiple
            else {}
        ),
        "options": [],
    }


def _panels(board: Board, source: dict[str, str]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in board.rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            "panels": [],
        }
        top += 1
        left, tallest = 0, 0
        for panel in row.panels:
            if left + panel.width > 24:
                top, left, tallest = top + tallest, 0, 0
            number += 1
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield {"id": number, "gridPos": place, **_panel(panel, source)}
            left += panel.width
            tallest = max(tallest, panel.height)
        top += tallest


def _panel(panel: Panel, source: dict[str, str]) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "interval": f"{min(_period_ms(t) for t in panel.targets) // 1000}s",
        "targets": [_target(t, n, panel, source) for n, t in enumerate(panel.targets)],
        "fieldConfig": {
            "defaults": _defaults(panel),
            "overrides": [*_below_axis(panel), *_columns(panel)],
        },
        "options": _options(panel),
        "transformations": _transformations(panel),
        "links": [],
        **({"timeFrom": f"{panel.newest_ms // 60_000}m"} if panel.newest else {}),
    }


def _period_ms(target: PanelQuery) -> int:
    assert target.query.every_ms is not None
    return target.query.every_ms


def _target(
    target: PanelQuery, n: int, panel: Panel, source: dict[str, str]
) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + n),
        "datasource": source,
        "rawQuery": True,
        "query": target.influxql(panel.kind),
        "resultFormat": "table" if panel.kind == "table" else "time_series",
        "alias": target.legend,
        "hide": False,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": _thresholds(panel.steps),
        "mappings": _mappings(panel.value_texts),
        "noValue": "no data",
        "custom": {},
    }
    for name, value in (
        ("decimals", panel.decimals),
        ("min", panel.minimum),
        ("max", panel.maximum),
    ):
        if value is not None:
            defaults[name] = value
    if panel.kind == "timeseries":
        coloured = any(value is not None for value, _ in panel.steps)
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 8,
            "showPoints": "never",
            "axisPlacement": "auto",
            # A gap longer than this breaks the line.
            "spanNulls": 3 * max(_period_ms(t) for t in panel.targets),
            "thresholdsStyle": {"mode": "dashed" if coloured else "off"},
        }
    else:
        defaults["color"] = {"mode": "thresholds"}
        if panel.kind == "state-timeline":
            # With threshold colours Grafana merges states by threshold and ignores the
            # value texts: one step gives every state the same colour.
            defaults["color"] = {"mode": "palette-classic"}
            defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False}
        if panel.kind == "table":
            defaults["custom"] = {"align": "auto", "filterable": True}
    return defaults


def _thresholds(steps: Steps) -> dict[str, Any]:
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": colour} for value, colour in steps],
    }


def _mappings(words: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:
    if not words:
        return []
    options = {
        str(value): {"text": text, "color": colour, "index": n}
        for n, (value, (text, colour)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]


def _below_axis(panel: Panel) -> Iterator[dict[str, Any]]:
    """Overrides for what is drawn below the axis, by the name of its lines."""
    for target in panel.targets:
        if target.below:
            pattern = re.sub(r"\\\$tag_[a-z_]+", ".*", re.escape(target.legend))
            yield {
                "matcher": {
                    "id": "byRegexp",
                    "options": f"/^{pattern.replace(chr(92) + ' ', ' ')}$/",
                },
                "properties": [{"id": "custom.transform", "value": "negative-Y"}],
            }


def _columns(panel: Panel) -> Iterator[dict[str, Any]]:
    for column in panel.columns.values():
        properties = list(_properties(column))
        if properties:
            yield {
                "matcher": {"id": "byName", "options": column.title},
                "properties": properties,
            }


def _properties(column: TableColumn) -> Iterator[dict[str, Any]]:
    if column.unit:
        yield {"id": "unit", "value": column.unit}
    if column.value_texts:
        yield {"id": "mappings", "value": _mappings(column.value_texts)}
    if column.steps:
        yield {"id": "thresholds", "value": _thresholds(column.steps)}
    if column.gauge:
        yield {"id": "min", "value": 0}
        yield {"id": "max", "value": 1}
        # Both spellings: Grafana 9.4 moved the option, and ignores the other.
        yield {"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "basic"}}
        yield {"id": "custom.displayMode", "value": "basic"}
    elif column.steps or column.value_texts:
        yield {"id": "custom.cellOptions", "value": {"type": "color-text"}}
        yield {"id": "custom.displayMode", "value": "color-text"}
    if column.link:
        link = {"title": f"Show this {column.title.lower()}", "url": column.link}
        yield {"id": "links", "value": [link]}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {
            "legend": {
                "showLegend": True,
                "displayMode": "table" if panel.width == 24 else "list",
                "placement": "bottom",
                "calcs": ["mean", "max", "lastNotNull"] if panel.width == 24 else [],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}
    if panel.kind == "state-timeline":
        return {
            "mergeValues": True,
            "showValue": "never",
            "rowHeight": 0.8,
            "alignValue": "left",
            "legend": {
                "showLegend": True,
                "displayMode": "list",
                "placement": "bottom",
            },
            "tooltip": {"mode": "single", "sort": "none"},
        }
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "bargauge":
        return {
            "orientation": "horizontal",
            "displayMode": "basic",
            "showUnfilled": True,
            "reduceOptions": reduce,
        }
    return {
        "reduceOptions": reduce,
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "value_and_name" if len(panel.targets) > 1 else "value",
        "orientation": "auto",
    }


def _transformations(panel: Panel) -> list[dict[str, Any]]:
    if panel.kind != "table":
        return []
    order = {name: n for n, name in enumerate(panel.columns)}
    return [
        {
            "id": "organize",
            "options": {
                # Without buckets the time of a row is the start of the range.
                "excludeByName": {"Time": True, "time": True},
                "indexByName": order,
                "renameByName": {
                    name: column.title for name, column in panel.columns.items()
                },
            },
        }
    ]
