"""Checks of how panels show values: units, axes, legends, areas, states. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboards.grafana.checks.dashboard_document import (
    DashboardDocument,
    Json,
    PanelDocument,
    mapping,
    maps_values,
    number,
    text,
)
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.query_checks import (
    declared_of,
    influxql_of,
    shown,
)
from dashboards.grafana.checks.series_checks import lines_of
from dashboards.grafana.checks.unit_checks import check_units
from probes.wire.catalogue import Catalogue, UnknownName

# Panels that show numbers, so that a unit is needed.
_NUMERIC = frozenset(
    {
        "barchart",
        "bargauge",
        "gauge",
        "heatmap",
        "histogram",
        "piechart",
        "stat",
        "state-timeline",
        "status-history",
        "table",
        "timeseries",
        "trend",
    }
)
_TIMELINES = frozenset({"state-timeline", "status-history"})
# The most that a value can be, by the unit of the catalogue and by that of Grafana.
_BOUNDS = {"ratio": 1.0, "flag": 1.0, "MOS": 5.0}
_BOUNDS_SHOWN = {"percentunit": 1.0, "percent": 100.0}
# Areas of more opacity than this (percent) hide what is behind them.
_FAINT = 10
_OUTSIDE = frozenset({"row", "text", "news", "dashlist", "welcome", "alertlist"})


def check_panels(
    dashboard: DashboardDocument, catalogue: Catalogue
) -> Iterator[Finding]:
    for panel in dashboard.panels:
        where = f"{dashboard.where}, panel {shown(panel.title)}"
        if panel.kind in _OUTSIDE:
            continue
        if not panel.description.strip():
            yield Finding("descriptions", where, "has no description")
        yield from check_units(where, panel, catalogue, panel.kind in _NUMERIC)
        yield from _check_states(where, panel, catalogue)
        yield from _check_axis(where, panel, catalogue)
        if panel.kind == "timeseries":
            yield from _check_graph(where, panel)
            yield from _check_fill(where, panel, dashboard)


def _check_graph(where: str, panel: PanelDocument) -> Iterator[Finding]:
    if not mapping(panel.options.get("legend")):
        text = "has no settings for its legend; expected options.legend"
        yield Finding("legend", where, text)
    if "spanNulls" not in panel.custom:
        text = (
            "does not say what is drawn for missing values; expected custom.spanNulls: "
            "false, or the longest gap in ms that a line may cross"
        )
        yield Finding("legend", where, text)


def _check_axis(
    where: str, panel: PanelDocument, catalogue: Catalogue
) -> Iterator[Finding]:
    """A value above a fixed maximum is not drawn; a soft maximum grows with it."""
    if panel.kind not in ("timeseries", "barchart", "trend"):
        return
    bound = _BOUNDS_SHOWN.get(panel.unit)
    if bound is None:
        bound = _largest(panel, catalogue)
    settings: list[Json] = [panel.defaults]
    settings += [override.properties for override in panel.overrides]
    for setting in settings:
        maximum = number(setting.get("max"))
        own = _BOUNDS_SHOWN.get(text(setting.get("unit")), bound)
        if maximum is not None and (own is None or maximum < own):
            yield Finding(
                "axis",
                where,
                f"has a fixed maximum of {maximum:g}, which hides greater values; "
                "expected custom.axisSoftMax",
            )


def _largest(panel: PanelDocument, catalogue: Catalogue) -> float | None:
    """Returns the most that any value of a panel can be, if the catalogue bounds it."""
    bounds: list[float | None] = []
    for target in panel.targets:
        facts = influxql_of(target)
        if facts is None:
            return None
        for column in facts.columns:
            for measurement in facts.measurements:
                try:
                    field = declared_of(measurement, catalogue).field(column.field)
                except UnknownName:
                    return None
                bounds.append(_BOUNDS.get(field.unit))
    known = [bound for bound in bounds if bound is not None]
    return max(known) if known and len(known) == len(bounds) else None


def _check_fill(
    where: str, panel: PanelDocument, dashboard: DashboardDocument
) -> Iterator[Finding]:
    opacity = number(panel.custom.get("fillOpacity")) or 0
    stacking = text(mapping(panel.custom.get("stacking")).get("mode")) or "none"
    style = text(panel.custom.get("drawStyle")) or "line"
    if opacity <= _FAINT or stacking != "none" or style != "line":
        return
    below = {
        override.options
        for override in panel.overrides
        if override.properties.get("custom.transform") == "negative-Y"
        and isinstance(override.options, str)
    }
    above = [target for target in panel.targets if target.ref_id not in below]
    lines = sum(lines_of(target, panel, dashboard).most for target in above)
    if lines > 2:
        yield Finding(
            "fill",
            where,
            "has filled areas that may hide each other; expected custom.fillOpacity of "
            f"{_FAINT} at most, or stacking",
        )


def _check_states(
    where: str, panel: PanelDocument, catalogue: Catalogue
) -> Iterator[Finding]:
    """With threshold colours, Grafana merges the states of a timeline by threshold and
    ignores their value texts: one step gives every state the same colour."""
    if panel.kind not in _TIMELINES:
        return
    kinds: list[tuple[str, Json]] = [("", panel.defaults)]
    for override in panel.overrides:
        if {"color", "mappings"} & override.properties.keys():
            about = f" for {shown(str(override.options))}"
            kinds.append((about, {**panel.defaults, **override.properties}))
    has_texts = _queries_text(panel, catalogue)
    for about, settings in kinds:
        mode = mapping(settings.get("color")).get("mode")
        if mode == "thresholds" and (
            maps_values(settings.get("mappings")) or has_texts
        ):
            yield Finding(
                "states",
                where,
                f"is a state timeline of texts with threshold colours{about}, so an "
                "outage may not show; expected color mode 'palette-classic'",
            )


def _queries_text(panel: PanelDocument, catalogue: Catalogue) -> bool:
    texts = {
        field.name
        for measurement in catalogue
        for field in measurement.fields
        if field.type == "str"
    }
    queried: set[Any] = set()
    for target in panel.targets:
        facts = influxql_of(target)
        queried |= facts.fields | facts.names if facts else set()
    return bool(texts & queried)
