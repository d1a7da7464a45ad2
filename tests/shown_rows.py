"""The rows that a table or tiles show: the answer of a real InfluxDB, after what
Grafana does with it."""

from __future__ import annotations

from typing import Any

from grafana_asks import Influx, filled
from grafana_files import all_panels, grafana_dashboards


def panel_document(board: str, title: str) -> dict[str, Any]:
    """The JSON of a panel of a shared board."""
    document = grafana_dashboards()[f"dashboards/shared/{board}.json"]
    panel: dict[str, Any] = next(
        panel for panel in all_panels(document) if panel["title"] == title
    )
    return panel


def shown_rows(influx: Influx, board: str, title: str, chosen: dict[str, str]) -> Any:
    """The rows that a panel shows, in its order, by the names in its query."""
    panel = panel_document(board, title)
    minutes = int(panel.get("timeFrom", "60m").rstrip("m"))
    query = filled(panel["targets"][0]["query"], chosen, minutes * 60)
    rows = [
        {
            **series.get("tags", {}),
            **dict(zip(series["columns"], series["values"][0], strict=True)),
        }
        for series in influx.ask(query, "towpath")
    ]
    titles: dict[str, str] = {}
    for step in panel["transformations"]:
        rows = transformed(rows, step)
        titles |= step["options"].get("renameByName", {})
    for order in panel["options"].get("sortBy", []):
        [name] = [name for name in titles if titles[name] == order["displayName"]]
        rows = _sorted(rows, name, order["desc"])
    return rows


def transformed(rows: list[Any], step: dict[str, Any]) -> list[Any]:
    """The rows after one transformation of Grafana."""
    options = step["options"]
    if step["id"] == "calculateField":
        return [{**row, options["alias"]: _calculated(row, options)} for row in rows]
    if step["id"] == "filterByValue":
        match = any if options["match"] == "any" else all
        return [
            row for row in rows if match(_passes(row, f) for f in options["filters"])
        ]
    if step["id"] == "sortBy":
        [order] = options["sort"]
        return _sorted(rows, order["field"], order["desc"])
    if step["id"] == "limit":
        return rows[: int(options["limitField"])]
    return rows


def _calculated(row: dict[str, Any], options: dict[str, Any]) -> float | None:
    if options["mode"] == "reduceRow":
        names = options["reduce"]["include"]
        return max((v for n in names if (v := row.get(n)) is not None), default=None)
    binary = options["binary"]
    values = [
        row[name] if name in row else float(name)
        for name in (binary["left"], binary["right"])
    ]
    if None in values:
        return None
    left, right = values
    return float(left + right if binary["operator"] == "+" else left - right)


def _passes(row: dict[str, Any], test: dict[str, Any]) -> bool:
    value, limit = row.get(test["fieldName"]), test["config"]["options"]["value"]
    if value is None:
        return False
    return bool(
        {
            "equal": lambda: value == limit,
            "notEqual": lambda: value != limit,
            "greater": lambda: value > limit,
            "greaterOrEqual": lambda: value >= limit,
            "lower": lambda: value < limit,
            "lowerOrEqual": lambda: value <= limit,
        }[test["config"]["id"]]()
    )


def _sorted(rows: list[Any], name: str, descending: bool) -> list[Any]:
    """What has no value is less than any other."""
    return sorted(
        rows,
        key=lambda row: (row.get(name) is not None, row.get(name, 0)),
        reverse=descending,
    )
