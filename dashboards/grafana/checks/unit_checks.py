"""Checks of units: each number has one, and it is that of the catalogue. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dashboards.grafana.board import UNITS
from dashboards.grafana.checks.dashboard_document import (
    PanelDocument,
    Target,
    mapping,
    maps_values,
    text,
)
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.influxql_facts import SelectedColumn
from dashboards.grafana.checks.query_checks import declared_of, influxql_of
from probes.wire.catalogue import Catalogue, Field, UnknownName

_TIMES = ("dateTime", "time:")
# What else shows the numbers of a unit of the catalogue right.
_ALSO = {
    "bit/s": {"binbps"},
    "ratio": set[str](),
    "flag": {"none", "short", "bool", "bool_yes_no", "bool_on_off"},
    "ms": {"dtdurationms", "clockms"},
    "s": {"dtdurations", "clocks"},
    "byte": {"bytes"},
    "packet": {"none", "locale", "sishort"},
    "1/s": {"cps", "ops", "reqps", "rps", "wps", "iops", "eps", "mps", "pps", "hertz"},
    "MOS": {"short"},
    "h": {"h"},
    "GHz": {"suffix:GHz"},
    "MHz": {"suffix:MHz"},
    "dB": {"dB"},
    "1/min": {"cpm", "opm", "rpm", "wpm"},
}
# Functions whose result has the unit of the field.
_KEEPING = re.compile(
    r"mean|median|mode|max|min|first|last|percentile|spread|stddev|"
    r"sum|sample|top|bottom|(?:non_negative_)?difference|moving_average|"
    r"cumulative_sum"
)


def check_units(
    where: str, panel: PanelDocument, catalogue: Catalogue, is_numeric: bool
) -> Iterator[Finding]:
    if not panel.targets or not any(t.source.is_influx for t in panel.targets):
        return
    for own in _units(panel):
        if own.startswith("suffix: "):
            fault = f"has the unit {own!r}, which Grafana shows after two spaces"
            expected = "suffix:" + own.removeprefix("suffix:").strip()
            yield Finding("units", where, f"{fault}; expected {expected!r}")
    if is_numeric and not panel.unit and not _all_have_units(panel):
        yield Finding("units", where, "has no unit")
        return
    for target in panel.targets:
        facts = influxql_of(target)
        if facts is None or len(facts.measurements) != 1:
            continue
        for column in facts.columns:
            try:
                declared = declared_of(facts.measurements[0], catalogue)
                field = declared.field(column.field)
            except UnknownName:
                continue
            unit = _unit_of(column, target, panel)
            if _KEEPING.fullmatch(column.function) and unit is not None:
                fault = unit_fault(column.name, field, unit)
                if fault:
                    yield Finding("units", where, fault)


def _units(panel: PanelDocument) -> dict[str, None]:
    units = [override.properties.get("unit") for override in panel.overrides]
    return dict.fromkeys(text(unit) for unit in (panel.unit, *units))


def unit_fault(name: str, field: Field, unit: str) -> str:
    """Returns what is wrong with the unit of a column of `field`; empty if nothing."""
    if field.type == "str" or field.unit == "1" or unit.startswith("suffix:"):
        return ""
    usual = UNITS.get(field.unit, "")
    if field.unit in ("ms", "s") and unit.startswith(_TIMES):
        return ""
    if unit in {usual, *_ALSO.get(field.unit, ())} - {""}:
        return ""
    if not usual and not _ALSO.get(field.unit):
        return ""
    expected = usual or min(_ALSO[field.unit])
    return (
        f"shows {name!r}, which is in {field.unit}, with the unit {unit or 'none'!r}; "
        f"expected {expected!r}"
    )


def _all_have_units(panel: PanelDocument) -> bool:
    """Whether overrides give a unit to each number: those of a table's columns, or
    texts for the states of a timeline."""
    if maps_values(panel.defaults.get("mappings")):
        return True
    given = [o for o in panel.overrides if o.properties.get("unit")]
    return panel.kind == "table" and bool(given)


def _unit_of(
    column: SelectedColumn, target: Target, panel: PanelDocument
) -> str | None:
    """Returns the unit of a column or line; None if it is shown as texts or not at
    all, or if only Grafana can find out."""
    titles = {column.name}
    for name, options in panel.transformations:
        if name == "organize":
            titles.add(text(mapping(options.get("renameByName")).get(column.name)))
            if mapping(options.get("excludeByName")).get(column.name):
                return None
    unit, is_text = panel.unit, maps_values(panel.defaults.get("mappings"))
    for override in panel.overrides:
        matches = {
            "byName": override.options in titles
            if isinstance(override.options, str)
            else False,
            "byFrameRefID": override.options == target.ref_id,
            "byType": override.options == "number",
        }.get(override.matcher)
        properties = override.properties
        if matches is None and {"unit", "mappings"} & properties.keys():
            return None
        if matches:
            unit = text(properties.get("unit")) or unit
            is_text = is_text or maps_values(properties.get("mappings"))
            if (
                properties.get("custom.hidden") is True
                or "custom.hideFrom" in properties
            ):
                return None
    return None if is_text else unit
