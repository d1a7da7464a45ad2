"""The rows that a table or tiles show: the answer of a real InfluxDB, after what
Grafana does with it."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

from grafana_asks import Influx, filled
from grafana_files import all_panels, grafana_dashboard

from dashboards.grafana.classic_sites import QUERY


def panel_document(board: str, title: str) -> dict[str, Any]:
    """The JSON of a panel of a shared board."""
    document = grafana_dashboard(board)
    panel: dict[str, Any] = next(
        panel for panel in all_panels(document) if panel["title"] == title
    )
    return panel


def shown_rows(influx: Influx, board: str, title: str, chosen: dict[str, str]) -> Any:
    """The rows that a panel shows, in its order, by the names in its query."""
    panel = panel_document(board, title)
    minutes = int(panel.get("timeFrom", "60m").rstrip("m"))
    queries = [
        filled(target["query"], chosen, minutes * 60)
        for target in panel["targets"]
        if target["refId"] != QUERY
    ]
    rows = _merged([influx.ask(query, "towpath") for query in queries])
    titles: dict[str, str] = {}
    for step in panel["transformations"]:
        rows = transformed(rows, step)
        titles |= step["options"].get("renameByName", {})
    for order in panel["options"].get("sortBy", []):
        [name] = [name for name in titles if titles[name] == order["displayName"]]
        rows = _sorted(rows, name, order["desc"])
    return rows


def _merged(answers: list[Any]) -> list[Any]:
    """One row for each subject, with the columns of all answers. As in Grafana, rows
    are merged that have the same tags, of those that all answers have."""
    every = [series for answer in answers for series in answer]
    names = [set(series.get("tags", {})) for series in every]
    shared = set.intersection(*names) if names else set()
    empty: dict[str, Any] = {}
    for series in every:
        empty |= dict.fromkeys([*series.get("tags", {}), *series["columns"]])
    rows: list[dict[str, Any]] = []
    of_key: dict[Any, list[dict[str, Any]]] = {}
    for series in every:
        tags = series.get("tags", {})
        columns = dict(zip(series["columns"], series["values"][0], strict=True))
        del columns["time"]
        values = {**tags, **columns}
        same = of_key.setdefault(tuple(tags[name] for name in sorted(shared)), [])
        for row in same:
            if all(row[name] in (None, value) for name, value in values.items()):
                row |= values
                break
        else:
            rows.append({**empty, **values})
            same.append(rows[-1])
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
    left, right = (_operand(row, binary[side]) for side in ("left", "right"))
    if left is None or right is None:
        return None
    return float(_OPERATORS[binary["operator"]](left, right))


_OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def _operand(row: dict[str, Any], name: str) -> float | None:
    """A column's value, or a number as text."""
    with contextlib.suppress(ValueError):
        return float(name)
    value: float | None = row.get(name)
    return value


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
