"""What is drawn around the values of a panel: legend, tooltip, sorting, joined rows, as
classic JSON. Pure."""

from __future__ import annotations

from typing import Any

from dashboards.grafana import classic_sites
from dashboards.grafana.board import WORST_FIRST, Legend, Panel
from dashboards.grafana.board_rows import calculation_json, groups_json, tests_json

# Grafana sorts a legend by the name that it shows for a calculation.
_CALCULATIONS = {
    "lastNotNull": "Last *",
    "max": "Max",
    "mean": "Mean",
    "min": "Min",
    "sum": "Total",
}
# Rows of a state timeline that are drawn at once (from Grafana 11 on).
_TIMELINE_PAGE = 20
# Grafana shows 25 tiles if nothing else is set. A stack of switches has 600 ports.
_MOST_TILES = 1000


def panel_options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "timeseries":
            return {
                "legend": _legend(_legend_of(panel)),
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case "table":
            return _table(panel)
        case "state-timeline":
            return {
                "mergeValues": True,
                "showValue": "never",
                "rowHeight": 0.8,
                "alignValue": "left",
                "perPage": _TIMELINE_PAGE,
                "legend": _legend(panel.legend or Legend()),
                "tooltip": {"mode": "single", "sort": "none"},
            }
        case "barchart":
            return _bar_chart(panel)
        case "geomap":
            return _map(panel)
        case "text":
            return {"mode": "markdown", "content": panel.text}
    reduce: dict[str, Any] = {"calcs": [panel.reduce], "fields": "", "values": False}
    if panel.tile:
        reduce = {"calcs": [], "fields": "", "values": True, "limit": _MOST_TILES}
    if panel.kind == "bargauge":
        return {
            "orientation": "horizontal",
            "displayMode": "basic",
            "valueMode": "color",
            "namePlacement": "auto",
            "sizing": "auto",
            "minVizWidth": 8,
            "minVizHeight": 16,
            "maxVizHeight": 300,
            "showUnfilled": True,
            "legend": _legend(Legend("hidden")),
            "reduceOptions": reduce,
        }
    if panel.kind == "gauge":
        return {
            "orientation": "auto",
            "sizing": "auto",
            "minVizWidth": 75,
            "minVizHeight": 75,
            # The half circle that it was before Grafana 12.3 added others.
            "shape": "gauge",
            "barShape": "flat",
            "barWidthFactor": 0.4,
            "segmentCount": 1,
            "segmentSpacing": 0.3,
            "effects": {},
            "showThresholdLabels": False,
            "showThresholdMarkers": True,
            "reduceOptions": reduce,
        }
    named = bool(panel.tile) or not (panel.has_one_line or panel.reduces_rows)
    return {
        "reduceOptions": reduce,
        "colorMode": "background" if panel.tiles else "value",
        "graphMode": "area" if panel.sparkline else "none",
        "justifyMode": "auto",
        "textMode": panel.stat_text or ("value_and_name" if named else "value"),
        "orientation": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }


def transformations(panel: Panel) -> list[dict[str, Any]]:
    """Returns how the answers of a panel's queries become one table."""
    if not panel.is_of_rows:
        return []
    steps = classic_sites.names_step(panel)
    if len(panel.targets) > 1:
        # Rows are merged if all columns of the same name are equal, so without times.
        steps += [
            {
                "id": "filterFieldsByName",
                "options": {"exclude": {"names": ["Time", "time"]}},
            },
            {"id": "merge", "options": {}},
        ]
    steps += [calculation_json(calculated) for calculated in panel.calculated]
    if panel.rows_if:
        steps.append(tests_json(panel.rows_if, panel.rows_match))
    if panel.sort and (panel.rows_at_most or panel.tile or panel.grouped):
        name, descending = panel.sort
        sort = [{"field": name, "desc": descending}]
        steps.append({"id": "sortBy", "options": {"fields": {}, "sort": sort}})
    if panel.grouped:
        steps.append(groups_json(panel.grouped))
    if panel.rows_at_most:
        limit = {"limitField": str(panel.rows_at_most)}
        steps.append({"id": "limit", "options": limit})
    steps.append(
        {
            "id": "organize",
            "options": {
                # Without buckets the time of a row is the start of the range.
                "excludeByName": {
                    "Time": True,
                    "time": True,
                    **dict.fromkeys(_unshown(panel), True),
                    **dict.fromkeys(classic_sites.UNSHOWN if steps else (), True),
                },
                "indexByName": {name: n for n, name in enumerate(panel.columns)},
                "renameByName": {
                    name: column.title for name, column in panel.columns.items()
                },
            },
        }
    )
    return steps


def _unshown(panel: Panel) -> list[str]:
    """Returns the columns that tiles do without, such as the one they are sorted by:
    each column of numbers would be a tile."""
    if not panel.tile:
        return []
    queried = [
        name
        for target in panel.targets
        for name in (*target.query.group_by, *(p.name for p in target.query.picks))
    ]
    names = [*queried, *(calculated.name for calculated in panel.calculated)]
    return [name for name in names if name not in panel.columns]


def _legend_of(panel: Panel) -> Legend:
    if panel.legend is not None:
        return panel.legend
    is_grouped = any(target.query.group_by for target in panel.targets)
    return WORST_FIRST if is_grouped else Legend()


def _legend(legend: Legend) -> dict[str, Any]:
    if legend.place == "hidden":
        mode = {"showLegend": False, "displayMode": "list", "placement": "bottom"}
        return {**mode, "calcs": []}
    options: dict[str, Any] = {
        "showLegend": True,
        "displayMode": "table" if legend.is_table else "list",
        "placement": legend.place,
        "calcs": list(legend.calcs),
    }
    if legend.sort_by:
        options["sortBy"] = _CALCULATIONS[legend.sort_by]
        options["sortDesc"] = legend.descending
    if legend.width:
        options["width"] = legend.width
    return options


def _table(panel: Panel) -> dict[str, Any]:
    options: dict[str, Any] = {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"}
    if panel.sort:
        name, descending = panel.sort
        title = panel.columns[name].title if name in panel.columns else name
        options["sortBy"] = [{"displayName": title, "desc": descending}]
    return options


def _bar_chart(panel: Panel) -> dict[str, Any]:
    return {
        "orientation": "horizontal",
        "xTickLabelRotation": 0,
        "xTickLabelSpacing": 0,
        "xTickLabelMaxLength": 0,
        "showValue": "auto",
        "stacking": "normal" if panel.stacked else "none",
        "groupWidth": 0.7,
        "barWidth": 0.9,
        "barRadius": 0,
        "fullHighlight": False,
        "legend": _legend(panel.legend or Legend()),
        "tooltip": {"mode": "multi", "sort": "none"},
    }


def _map(panel: Panel) -> dict[str, Any]:
    """One marker per row. The map behind it is Grafana's default, which its
    administrator can change or switch off."""
    assert panel.place is not None
    titles = {name: column.title for name, column in panel.columns.items()}
    latitude, longitude = (titles.get(name, name) for name in panel.place)
    colour = {"fixed": "blue"}
    if panel.colour_by:
        colour["field"] = titles.get(panel.colour_by, panel.colour_by)
    return {
        "view": {"id": "fit", "lat": 0, "lon": 0, "zoom": 12, "allLayers": True},
        "controls": {"showZoom": True, "mouseWheelZoom": False, "showScale": True},
        "basemap": {"type": "default", "name": "Map"},
        "tooltip": {"mode": "details"},
        "layers": [
            {
                "type": "markers",
                "name": panel.title,
                "tooltip": True,
                "location": {
                    "mode": "coords",
                    "latitude": latitude,
                    "longitude": longitude,
                },
                "config": {
                    "showLegend": False,
                    "style": {
                        "color": colour,
                        "opacity": 0.8,
                        "size": {"fixed": 8, "min": 4, "max": 16},
                        "symbol": {
                            "mode": "fixed",
                            "fixed": "img/icons/marker/circle.svg",
                        },
                    },
                },
            }
        ],
    }
