"""Checks of how many lines a graph has, and how many rows a table has for one subject.
Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dashboards.grafana.checks.dashboard_document import (
    DashboardDocument,
    PanelDocument,
    Target,
    text,
)
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.influxql_facts import InfluxqlFacts
from dashboards.grafana.checks.query_checks import influxql_of, shown

MOST_LINES = 12
_MANY = 1_000_000
# Tags that have a dozen values at most in any council.
_FEW = frozenset(
    {
        "channel",
        "connection",
        "folder",
        "gateway",
        "interface",
        "process",
        "reader",
        "role",
        "severity",
        "transport",
    }
)
# Tags that follow from another tag, and so add no lines.
_FOLLOWING = {
    "site": frozenset({"device", "line", "gateway"}),
    "role": frozenset({"device", "line"}),
    "supplier": frozenset({"line"}),
    "description": frozenset({"port"}),
}
# Tags that have a dozen values at most for one value of another: any, or one of these.
_FEW_OF = {
    "line": ("site", frozenset[str]()),
    "sensor": ("port", frozenset[str]()),
    "group": ("by", frozenset({"all", "place", "connection", "vpn"})),
}
# Transformations after which a table has one row for each subject.
_ONE_ROW = frozenset({"groupBy", "limit", "reduce", "groupingToMatrix"})
_ONE_TABLE = frozenset(
    {"merge", "joinByField", "seriesToColumns", "concatenate", "reduce", "groupBy"}
    | {"seriesToRows", "timeSeriesTable", "joinByLabels", "appendRows"}
)


@dataclass(frozen=True)
class Lines:
    """How many lines a query may draw, and the tag that they are many by."""

    most: int
    by: str = ""


def check_series(dashboard: DashboardDocument) -> Iterator[Finding]:
    for panel in dashboard.panels:
        where = f"{dashboard.where}, panel {shown(panel.title)}"
        if panel.kind == "timeseries":
            yield from _check_lines(where, panel, dashboard)
        elif panel.kind == "table":
            yield from _check_rows(where, panel)


def lines_of(
    target: Target, panel: PanelDocument, dashboard: DashboardDocument
) -> Lines:
    facts = influxql_of(target)
    if facts is None:
        return Lines(1)
    most, by = 1, ""
    for tag in facts.groups:
        if _FOLLOWING.get(tag, frozenset()) & set(facts.groups):
            continue
        count = _values(tag, facts, panel, dashboard)
        most *= count
        if count > MOST_LINES:
            by = tag
    if facts.series_limit:
        most, by = min(most, facts.series_limit), ""
    return Lines(min(most, _MANY), by)


def _values(
    tag: str, facts: InfluxqlFacts, panel: PanelDocument, dashboard: DashboardDocument
) -> int:
    """Returns the most values that a tag can have in a query."""
    chosen = facts.chosen.get(tag)
    if isinstance(chosen, frozenset):
        return len(chosen)
    if chosen is not None:
        variable = dashboard.variables.get(chosen)
        if chosen in panel.repeat:
            return 1
        if variable is not None and not variable.multiple:
            return 1
        if variable is not None:
            narrowed = influxql_of(Target("", variable.source, variable.text, True))
            counts = [variable.options] if variable.kind == "custom" else []
            if narrowed is not None:
                counts += [*narrowed.tops, *filter(None, [narrowed.limit])]
            if counts:
                return min(counts)
    return 2 if tag in _FEW or _is_few(tag, facts, panel, dashboard) else _MANY


def _is_few(
    tag: str, facts: InfluxqlFacts, panel: PanelDocument, dashboard: DashboardDocument
) -> bool:
    """Whether another tag is fixed, of whose values this one has few."""
    other, values = _FEW_OF.get(tag, ("", frozenset[str]()))
    chosen = facts.chosen.get(other)
    if chosen is None:
        return False
    if values:
        return isinstance(chosen, frozenset) and chosen <= values and len(chosen) <= 2
    return _values(other, facts, panel, dashboard) == 1


def _check_lines(
    where: str, panel: PanelDocument, dashboard: DashboardDocument
) -> Iterator[Finding]:
    if any(name == "reduce" for name, _ in panel.transformations):
        return
    for target in panel.targets:
        lines = lines_of(target, panel, dashboard)
        if lines.most > MOST_LINES:
            many = f"for each {lines.by!r}" if lines.by else f"{lines.most} times"
            yield Finding(
                "series",
                where,
                f"draws a line {many}, which may be more than {MOST_LINES}; expected "
                f"SLIMIT {MOST_LINES}, or a variable of the busiest (top or LIMIT)",
            )
            return


def _check_rows(where: str, panel: PanelDocument) -> Iterator[Finding]:
    steps = {name for name, _ in panel.transformations}
    # A query whose rows become settings of the others' columns.
    settings = {
        text(options.get("configRefId"))
        for name, options in panel.transformations
        if name == "configFromData"
    }
    queries = [
        (target, facts)
        for target in panel.targets
        if target.ref_id not in settings
        and (facts := influxql_of(target)) is not None
        and facts.measurements
    ]
    if len(queries) > 1 and not steps & _ONE_TABLE:
        yield Finding(
            "rows",
            where,
            f"is a table of {len(queries)} queries that shows one at a time; expected "
            "the transformation 'merge'",
        )
    for target, facts in queries:
        if steps & _ONE_ROW or facts.limit:
            continue
        if facts.by_time:
            yield Finding(
                "rows",
                where,
                "is a table grouped by time, so each subject has a row per interval; "
                "leave time() out of GROUP BY",
            )
        elif facts.is_raw:
            yield Finding(
                "rows",
                where,
                "is a table of every single row; expected last() or another function "
                "and GROUP BY, or LIMIT",
            )
        if not target.is_table and facts.groups and not steps & _ONE_TABLE:
            yield Finding(
                "rows",
                where,
                "is a table of time series, which shows one subject at a time; "
                "expected resultFormat 'table'",
            )
    # What follows from another tag gives a subject no further rows.
    groups = {
        tuple(
            sorted(
                tag
                for tag in facts.groups
                if not _FOLLOWING.get(tag, frozenset()) & set(facts.groups)
            )
        )
        for _, facts in queries
    }
    if len(groups) > 1 and "merge" in steps and not steps & _ONE_ROW:
        different = sorted({tag for tags in groups for tag in tags})
        yield Finding(
            "rows",
            where,
            "merges queries with different GROUP BY, so a subject has several rows; "
            f"expected {', '.join(different)} in each",
        )
