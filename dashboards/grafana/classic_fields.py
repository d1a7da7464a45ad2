"""How a panel shows values: units, colours, thresholds, columns, as classic JSON. Pure.

Grafana calls it `fieldConfig`: defaults, and overrides for some columns or lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboards.grafana.absent_texts import nothing_text
from dashboards.grafana.board import (
    NEUTRAL,
    OVER_TIME,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    ValueTexts,
)
from dashboards.grafana.board_links import PanelLink, links_json

# Percent of opacity below a line that is alone, and of stacked areas.
_FILL_OF_ONE, _FILL_OF_STACK = 8, 30
# Grafana's letters are about 7 pixels wide; beside a title is a sign to filter by.
_LETTER_PX, _FILTER_PX, _LEAST_PX = 7, 34, 150
# Settings of columns that bars and lines do not have.
_OF_CELLS = {
    f"custom.{name}"
    for name in ("hidden", "width", "align", "cellOptions", "displayMode")
}


def field_config(panel: Panel) -> dict[str, Any]:
    return {
        "defaults": _defaults(panel),
        "overrides": [*_lines(panel), *_columns(panel), *_tiles(panel)],
    }


def ref_id(n: int) -> str:
    """Returns the name of a panel's nth query."""
    return chr(ord("A") + n)


def width_px(column: TableColumn) -> int:
    """Returns the width of a column, or the least that it needs if Grafana sets it: at
    least that of its title."""
    return max(column.width or _LEAST_PX, len(column.title) * _LETTER_PX + _FILTER_PX)


def period_ms(target: PanelQuery) -> int:
    """Returns the shortest bucket of a panel's query."""
    shortest_ms = target.query.every_ms or target.query.mean_step_ms
    assert shortest_ms is not None
    return shortest_ms


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": _thresholds(panel.steps),
        "mappings": [*_mappings(panel.value_texts), *_of_nothing(panel)],
        "noValue": nothing_text(panel),
        "color": {"mode": "thresholds"},
        "custom": {},
    }
    for name, value in (
        ("decimals", panel.decimals),
        ("min", panel.minimum),
        ("max", panel.maximum),
    ):
        if value is not None:
            defaults[name] = value
    if panel.link is not None:
        defaults["links"] = links_json((panel.link,))
    match panel.kind:
        case "timeseries":
            defaults["color"] = {"mode": "palette-classic"}
            defaults["custom"] = _graph(panel)
        case "state-timeline":
            # With threshold colours Grafana merges states by threshold and ignores the
            # value texts: one step gives every state the same colour.
            defaults["color"] = {"mode": "palette-classic"}
            defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0}
        case "table":
            defaults["custom"] = {
                "align": "auto",
                "filterable": True,
                "cellOptions": {"type": "auto"},
                "inspect": False,
            }
        case "barchart":
            defaults["custom"] = {"fillOpacity": 80, "lineWidth": 1}
    return defaults


def _graph(panel: Panel) -> dict[str, Any]:
    is_coloured = any(value is not None for value, _ in panel.steps)
    draws_steps = (
        is_coloured if panel.draw_thresholds is None else panel.draw_thresholds
    )
    fill = panel.fill
    if fill is None:
        # Overlapping areas hide each other.
        fill = _FILL_OF_ONE if panel.has_one_line else 0
        fill = _FILL_OF_STACK if panel.stacked else fill
    custom: dict[str, Any] = {
        "drawStyle": "bars" if panel.bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": fill,
        "showPoints": "never",
        "axisPlacement": "auto",
        # A gap longer than this breaks the line.
        "spanNulls": 3 * max(map(period_ms, panel.targets)),
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if draws_steps else "off"},
    }
    if panel.soft_minimum is not None:
        custom["axisSoftMin"] = panel.soft_minimum
    if panel.soft_maximum is not None:
        custom["axisSoftMax"] = panel.soft_maximum
    return custom


def _thresholds(steps: Steps) -> dict[str, Any]:
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": colour} for value, colour in steps],
    }


def _mappings(words: ValueTexts) -> list[dict[str, Any]]:
    if not words:
        return []
    options = {
        str(value): {"text": text, "color": colour, "index": n}
        for n, (value, (text, colour)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]


def _of_nothing(panel: Panel) -> list[dict[str, Any]]:
    """The text and colour of a figure without a value. Grafana would give it the colour
    of the lowest threshold, so nothing would be bad, or good. Where rows are filtered,
    nothing is what is hoped for."""
    if panel.kind not in ("stat", "gauge", "bargauge") or panel.rows_if:
        return []
    # For Grafana 9 each text is "nan", and tiles have columns of texts for their names
    # and links.
    match = "null" if panel.tile else "null+nan"
    return [_absent(nothing_text(panel), len(panel.value_texts), match)]


def _absent(text: str, index: int, match: str = "null+nan") -> dict[str, Any]:
    result = {"text": text, "color": NEUTRAL, "index": index}
    return {"type": "special", "options": {"match": match, "result": result}}


def _lines(panel: Panel) -> Iterator[dict[str, Any]]:
    """Overrides for the lines of one query."""
    for n, target in enumerate(panel.targets):
        properties: list[dict[str, Any]] = []
        if target.below:
            properties.append({"id": "custom.transform", "value": "negative-Y"})
        if target.unit:
            properties.append({"id": "unit", "value": target.unit})
        if target.colour:
            colour = {"mode": "fixed", "fixedColor": target.colour}
            properties.append({"id": "color", "value": colour})
        if properties:
            matcher = {"id": "byFrameRefID", "options": ref_id(n)}
            yield {"matcher": matcher, "properties": properties}
    for line, (text, its_colour) in panel.line_texts.items():
        properties = [{"id": "displayName", "value": text}]
        if its_colour != NEUTRAL:
            fixed = {"mode": "fixed", "fixedColor": its_colour}
            properties.append({"id": "color", "value": fixed})
        matcher = {"id": "byName", "options": line}
        yield {"matcher": matcher, "properties": properties}


def _columns(panel: Panel) -> Iterator[dict[str, Any]]:
    columns = list(panel.columns.values())
    # A tile shows two of its columns; the others are for links.
    shown = [columns[0], columns[-1]] if panel.tile else columns
    for column in columns:
        properties = [
            setting
            for setting in _properties(column, _absent_text(panel, column, shown))
            if panel.kind not in ("barchart", *OVER_TIME)
            or setting["id"] not in _OF_CELLS
        ]
        if properties:
            yield {
                "matcher": {"id": "byName", "options": column.title},
                "properties": properties,
            }


def _tiles(panel: Panel) -> Iterator[dict[str, Any]]:
    """The names of tiles, and the colours of some names."""
    if not panel.tile:
        return
    *_, value = panel.columns.values()
    if not value.value_texts:
        mappings = _mappings(panel.value_texts)
        mappings.append(_absent(nothing_text(panel), len(panel.value_texts)))
        yield _of_column(value, {"id": "mappings", "value": mappings})
    # The first column; Grafana 9 knows only this spelling, and later ones both.
    name = {"id": "displayName", "value": "${__cell_0}"}
    yield _of_column(value, name)
    for text, colour in panel.tile_colours.items():
        fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}
        yield {"matcher": {"id": "byName", "options": text}, "properties": [fixed]}


def _of_column(column: TableColumn, setting: dict[str, Any]) -> dict[str, Any]:
    matcher = {"id": "byName", "options": column.title}
    return {"matcher": matcher, "properties": [setting]}


def _absent_text(panel: Panel, column: TableColumn, shown: list[TableColumn]) -> str:
    """Returns the text of a cell without a value. Without it a cell shows the panel's
    text for no rows at all. A link takes the text of a column that is not shown:
    without a value it then chooses everything. A cell that is itself a link is empty,
    so that there is nothing to select."""
    if column.hidden or column not in shown:
        return column.absent or "$__all"
    if panel.kind == "table" and column.link:
        return ""
    return column.absent or "-"


def _properties(column: TableColumn, absent: str) -> Iterator[dict[str, Any]]:
    if column.unit:
        yield {"id": "unit", "value": column.unit}
    if column.decimals is not None:
        yield {"id": "decimals", "value": column.decimals}
    if column.width:
        yield {"id": "custom.width", "value": width_px(column)}
    # Grafana aligns texts for numbers, and columns without a value, as numbers.
    is_text = not column.unit or bool(column.value_texts)
    if column.align or (is_text and not column.hidden):
        yield {"id": "custom.align", "value": column.align or "left"}
    if column.hidden:
        # Both spellings: Grafana 12 moved the option, and ignores the other.
        yield {"id": "custom.hidden", "value": True}
        hidden = {"legend": False, "tooltip": False, "viz": True}
        yield {"id": "custom.hideFrom", "value": hidden}
    yield {"id": "noValue", "value": absent}
    mappings = _mappings(column.value_texts)
    if column.otherwise:
        result = {"text": column.otherwise, "index": len(column.value_texts)}
        other = {"pattern": ".*", "result": result}
        mappings.append({"type": "regex", "options": other})
    elif column.steps:
        text = "-" if absent == "$__all" else absent
        mappings.append(_absent(text, len(column.value_texts)))
    if mappings:
        yield {"id": "mappings", "value": mappings}
    if column.steps:
        yield {"id": "thresholds", "value": _thresholds(column.steps)}
    elif column.value_texts:
        # What has no text of its own, such as an absent value, is not good: no green.
        yield {"id": "thresholds", "value": _thresholds(((None, NEUTRAL),))}
    if column.gauge:
        maximum = 1 if column.maximum is None else column.maximum
        yield {"id": "min", "value": 0}
        yield {"id": "max", "value": maximum}
    yield from _cell(column)
    if column.link:
        title = column.link_title or f"Show this {column.title.lower()}"
        links = (PanelLink(title, column.link), *column.more_links)
        yield {"id": "links", "value": links_json(links)}


def _cell(column: TableColumn) -> Iterator[dict[str, Any]]:
    """Both spellings: Grafana 9.4 moved the option, and ignores the other."""
    is_coloured = bool(column.steps or column.value_texts) and column.colour != "none"
    if column.gauge:
        yield {"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "basic"}}
        yield {"id": "custom.displayMode", "value": "basic"}
    elif is_coloured and column.colour == "background":
        cell = {"type": "color-background", "mode": "basic"}
        yield {"id": "custom.cellOptions", "value": cell}
        yield {"id": "custom.displayMode", "value": "color-background-solid"}
    elif is_coloured:
        yield {"id": "custom.cellOptions", "value": {"type": "color-text"}}
        yield {"id": "custom.displayMode", "value": "color-text"}
