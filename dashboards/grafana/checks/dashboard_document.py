"""A dashboard's JSON as values, whatever version of Grafana or hand wrote it. Pure.

Every reader here accepts any JSON: what is not of the expected type counts as absent.
Panels of Grafana 8 and older (`graph`, `singlestat`, `rows`) are read as their
successors, and library panels if the export contains them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class NamedSource:
    """A data source, as far as a board names it."""

    type: str = ""
    uid: str = ""

    @property
    def is_variable(self) -> bool:
        return "$" in self.uid or "[[" in self.uid

    @property
    def is_influx(self) -> bool:
        """False if it is certainly another kind of source."""
        if self.type:
            return self.type == "influxdb"
        return self.uid not in ("-- Dashboard --", "-- Grafana --", "grafana")


@dataclass(frozen=True)
class Target:
    """One query. `text` is empty if it has none that could be InfluxQL."""

    ref_id: str
    source: NamedSource
    text: str
    is_table: bool
    has_text: bool = True


@dataclass(frozen=True)
class FieldOverride:
    """Properties of some lines or columns. `matcher` is `byName`, `byFrameRefID` …"""

    matcher: str
    options: Any
    properties: Json


@dataclass(frozen=True)
class PanelDocument:
    title: str
    description: str
    kind: str
    targets: tuple[Target, ...]
    defaults: Json
    custom: Json
    overrides: tuple[FieldOverride, ...]
    options: Json
    transformations: tuple[tuple[str, Json], ...]
    links: tuple[str, ...]
    repeat: frozenset[str]
    # A panel of Grafana 8 or older.
    is_old: bool = False

    @property
    def unit(self) -> str:
        return text(self.defaults.get("unit"))


@dataclass(frozen=True)
class VariableDocument:
    name: str
    kind: str
    source: NamedSource
    text: str
    has_text: bool
    multiple: bool
    options: int


@dataclass(frozen=True)
class DashboardDocument:
    """`links`: the addresses at the top, or the kind of a list of boards."""

    where: str
    uid: str
    title: str
    description: str
    since: str
    until: str
    refresh: str
    panels: tuple[PanelDocument, ...]
    variables: Mapping[str, VariableDocument]
    annotations: tuple[tuple[str, Target], ...]
    links: tuple[str, ...] = ()


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    """Returns the objects of a list."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def number(value: Any) -> float | None:
    """Returns a number, also if it is written as text, as older versions do."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def maps_values(mappings: Any) -> bool:
    """Whether value mappings give values a text, and not only absent ones."""
    return any(mapping.get("type") != "special" for mapping in objects(mappings))


def read_dashboard(where: str, document: Json) -> DashboardDocument:
    """Returns a classic dashboard (not the schema v2)."""
    time = mapping(document.get("time"))
    variables = [
        _variable(item)
        for item in objects(mapping(document.get("templating")).get("list"))
    ]
    marks = objects(mapping(document.get("annotations")).get("list"))
    return DashboardDocument(
        where=where,
        uid=text(document.get("uid")),
        title=text(document.get("title")),
        description=text(document.get("description")),
        since=text(time.get("from")),
        until=text(time.get("to")),
        refresh=text(document.get("refresh")),
        panels=tuple(_panels(document)),
        variables={variable.name: variable for variable in variables},
        annotations=tuple(
            (text(mark.get("name")), _target(mark, NamedSource()))
            for mark in marks
            if mark.get("query")
        ),
        links=tuple(
            text(link.get("url")) or text(link.get("type"))
            for link in objects(document.get("links"))
        ),
    )


def _panels(document: Json) -> Iterator[PanelDocument]:
    """Yields the panels, also those within rows, and without the rows themselves."""
    library = mapping(document.get("__elements"))
    # In order, without recursion: a file may nest as deeply as it likes.
    waiting = [
        (panel, frozenset[str]())
        for panel in [*objects(document.get("panels")), *objects(document.get("rows"))]
    ]
    waiting.reverse()
    while waiting:
        panel, repeats = waiting.pop()
        repeats |= {text(panel.get("repeat"))} - {""}
        inner = objects(panel.get("panels"))
        waiting += [(each, repeats) for each in reversed(inner)]
        reference = mapping(panel.get("libraryPanel"))
        if reference:
            model = mapping(library.get(text(reference.get("uid")))).get("model")
            if not model and "type" not in panel:
                # Its content is in Grafana only.
                continue
            panel = {**panel, **mapping(model)}
        if text(panel.get("type")) not in ("row", "") or panel.get("targets"):
            yield _panel(panel, repeats)


def _panel(panel: Json, repeats: frozenset[str]) -> PanelDocument:
    kind = text(panel.get("type"))
    own = read_source(panel.get("datasource"))
    config = mapping(panel.get("fieldConfig"))
    defaults = mapping(config.get("defaults"))
    custom = mapping(defaults.get("custom"))
    options = mapping(panel.get("options"))
    is_old = kind in _OLD_KINDS
    if is_old:
        kind, defaults, custom, options = _modern(kind, panel)
    overrides = tuple(map(_override, objects(config.get("overrides"))))
    return PanelDocument(
        title=text(panel.get("title")),
        description=text(panel.get("description")),
        kind=kind,
        targets=tuple(_target(each, own) for each in objects(panel.get("targets"))),
        defaults=defaults,
        custom=custom,
        overrides=overrides,
        options=options,
        transformations=tuple(
            (text(each.get("id")), mapping(each.get("options")))
            for each in objects(panel.get("transformations"))
            if each.get("disabled") is not True
        ),
        links=tuple(_links(panel, defaults, overrides)),
        repeat=repeats,
        is_old=is_old,
    )


_OLD_KINDS = {"graph": "timeseries", "singlestat": "stat", "table-old": "table"}


def _modern(kind: str, panel: Json) -> tuple[str, Json, Json, Json]:
    """Returns kind, defaults, custom fields and options as the successor has them."""
    defaults: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    options: dict[str, Any] = {}
    axis = next(iter(objects(panel.get("yaxes"))), {})
    if kind == "graph":
        defaults = {"unit": axis.get("format"), "max": number(axis.get("max"))}
        custom = {
            "fillOpacity": 10 * (number(panel.get("fill")) or 0),
            "stacking": {"mode": "normal" if panel.get("stack") else "none"},
            "drawStyle": "bars" if panel.get("bars") else "line",
        }
        if "nullPointMode" in panel:
            custom["spanNulls"] = panel["nullPointMode"] == "connected"
        if "legend" in panel:
            options["legend"] = panel["legend"]
    elif kind == "singlestat":
        defaults = {"unit": panel.get("format")}
    else:
        styles = objects(panel.get("styles"))
        defaults = {"unit": next((text(s.get("unit")) for s in styles), "")}
    return _OLD_KINDS[kind], defaults, custom, options


def _override(item: Json) -> FieldOverride:
    matcher = mapping(item.get("matcher"))
    properties = {
        text(each.get("id")): each.get("value")
        for each in objects(item.get("properties"))
    }
    return FieldOverride(text(matcher.get("id")), matcher.get("options"), properties)


def _links(
    panel: Json, defaults: Json, overrides: tuple[FieldOverride, ...]
) -> Iterator[str]:
    """Yields the addresses that a panel, its lines and its cells link to."""
    for holder in (panel, defaults, *(each.properties for each in overrides)):
        for link in objects(holder.get("links")):
            yield text(link.get("url"))


def _target(item: Json, parent: NamedSource) -> Target:
    source = read_source(item.get("datasource"), parent)
    query = item.get("query")
    if isinstance(query, dict):
        # The queries of variables from Grafana 10 on.
        query = query.get("query")
    if not text(query) and item.get("measurement"):
        query = _built_query(item)
    return Target(
        ref_id=text(item.get("refId")),
        source=source,
        text=text(query),
        is_table=item.get("resultFormat") != "time_series",
        has_text=isinstance(query, str),
    )


def read_source(value: Any, parent: NamedSource | None = None) -> NamedSource:
    """Returns a data source, which was a name up to Grafana 8, or `parent`."""
    if isinstance(value, dict):
        return NamedSource(text(value.get("type")), text(value.get("uid")))
    if text(value):
        return NamedSource(uid=text(value))
    return parent or NamedSource()


def _built_query(item: Json) -> str:
    """Returns the InfluxQL of a query that was made with Grafana's query editor."""
    columns = []
    selected = item.get("select")
    for parts in selected if isinstance(selected, list) else ():
        expression, alias = "", ""
        for part in objects(parts):
            kind, params = text(part.get("type")), _texts(part.get("params"))
            if kind == "field":
                expression = _quoted(params[0] if params else "")
            elif kind == "alias":
                alias = f" AS {_quoted(params[0] if params else '')}"
            elif kind == "math":
                expression += " ".join(["", *params])
            else:
                expression = f"{kind}({', '.join([expression, *params])})"
        columns.append(expression + alias)
    groups, fill = [], ""
    for part in objects(item.get("groupBy")):
        kind, params = text(part.get("type")), _texts(part.get("params"))
        if kind == "tag":
            groups += [name if "::" in name else _quoted(name) for name in params]
        elif kind == "fill":
            fill = f" fill({', '.join(params)})"
        else:
            groups.append(f"{kind}({', '.join(params)})")
    conditions = ["$timeFilter"]
    for tag in objects(item.get("tags")):
        value, sign = text(tag.get("value")), text(tag.get("operator"))
        if not sign:
            sign = "=~" if value.startswith("/") else "="
        shown = value if "~" in sign or sign in "<>" else f"'{value}'"
        conditions.append(f"{_quoted(text(tag.get('key')))} {sign} {shown}")
    limits = "".join(
        f" {name.upper()} {item[name]}"
        for name in ("limit", "slimit")
        if number(item.get(name)) is not None
    )
    return (
        f"SELECT {', '.join(columns)} FROM {_quoted(text(item.get('measurement')))}"
        f" WHERE {' AND '.join(conditions)}"
        + (f" GROUP BY {', '.join(groups)}" if groups else "")
        + fill
        + limits
    )


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _variable(item: Json) -> VariableDocument:
    target = _target(item, NamedSource())
    return VariableDocument(
        name=text(item.get("name")),
        kind=text(item.get("type")),
        source=target.source,
        text=target.text,
        has_text=target.has_text,
        multiple=item.get("multi") is True or item.get("includeAll") is True,
        options=len(objects(item.get("options"))),
    )
