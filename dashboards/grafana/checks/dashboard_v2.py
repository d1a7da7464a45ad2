"""The dashboard schema v2 of Grafana 12 and 13 (dashboard.grafana.app/v2…), as the
classic JSON that the checks read. Pure.

Its panels are elements by name, its queries and variables say their kind around what
the classic JSON has, and rows, tabs and repeats are in the layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboards.grafana.checks.dashboard_document import (
    Json,
    mapping,
    objects,
    text,
)


def is_v2(spec: Json) -> bool:
    return "elements" in spec and "panels" not in spec


def classic_of(spec: Json, uid: str) -> Json:
    """Returns the classic form of a v2 dashboard's `spec`."""
    time = mapping(spec.get("timeSettings"))
    repeats = dict(_repeats(spec.get("layout")))
    return {
        "uid": uid,
        "title": spec.get("title"),
        "description": spec.get("description"),
        "time": {"from": time.get("from"), "to": time.get("to")},
        "refresh": time.get("autoRefresh"),
        "links": spec.get("links"),
        "panels": [
            {**_panel(element), "repeat": repeats.get(name, "")}
            for name, element in mapping(spec.get("elements")).items()
            if isinstance(element, dict)
        ],
        "templating": {"list": [_variable(v) for v in objects(spec.get("variables"))]},
        "annotations": {"list": [_mark(m) for m in objects(spec.get("annotations"))]},
    }


def _panel(element: Json) -> dict[str, Any]:
    spec = mapping(element.get("spec"))
    if element.get("kind") == "LibraryPanel":
        return {"libraryPanel": spec.get("libraryPanel")}
    shown = mapping(spec.get("vizConfig"))
    look = mapping(shown.get("spec"))
    data = mapping(mapping(spec.get("data")).get("spec"))
    return {
        "type": text(shown.get("group")) or text(shown.get("kind")),
        "title": spec.get("title"),
        "description": spec.get("description"),
        "links": spec.get("links"),
        "options": look.get("options"),
        "fieldConfig": look.get("fieldConfig"),
        "targets": [
            _query(mapping(query.get("spec"))) for query in objects(data.get("queries"))
        ],
        "transformations": [
            {"id": step.get("kind"), **mapping(step.get("spec"))}
            for step in objects(data.get("transformations"))
        ],
    }


def _query(spec: Json) -> dict[str, Any]:
    """Returns a target of what says its kind and data source around it."""
    query = mapping(spec.get("query"))
    source = mapping(spec.get("datasource")) or mapping(query.get("datasource"))
    kind = text(query.get("group")) or text(query.get("kind"))
    return {
        **mapping(query.get("spec")),
        "refId": spec.get("refId"),
        "datasource": {
            "type": "" if kind == "DataQuery" else kind,
            "uid": text(source.get("uid")) or text(source.get("name")),
        },
    }


def _variable(item: Json) -> dict[str, Any]:
    spec = dict(mapping(item.get("spec")))
    kind = text(item.get("kind")).removesuffix("Variable").lower()
    if kind == "query":
        target = _query(spec)
        written = target.get("query") or target.get("__legacyStringValue")
        spec |= {"query": written, "datasource": target["datasource"]}
    return {**spec, "type": "textbox" if kind == "text" else kind}


def _mark(item: Json) -> dict[str, Any]:
    spec = mapping(item.get("spec"))
    old = mapping(spec.get("legacyOptions"))
    return {**old, **_query(spec), "name": spec.get("name")}


def _repeats(layout: Any) -> Iterator[tuple[str, str]]:
    """Yields the elements that are repeated, or in a row that is, and by what."""
    waiting = [(layout, "")]
    while waiting:
        item, repeat = waiting.pop()
        if isinstance(item, list):
            waiting += [(each, repeat) for each in item]
        elif isinstance(item, dict):
            own = text(mapping(item.get("repeat")).get("value")) or repeat
            element = text(mapping(item.get("element")).get("name"))
            if element and own:
                yield element, own
            waiting += [(each, own) for each in item.values()]
