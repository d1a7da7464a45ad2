"""Checks of the queries of a dashboard: names, personal data, variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from collectors.store.rolled_measurements import (
    rolled_fields,
    rolled_name,
    rolled_steps,
)
from dashboards.grafana.board import PERSONAL, SHARED
from dashboards.grafana.checks.dashboard_document import (
    DashboardDocument,
    NamedSource,
    Target,
    VariableDocument,
)
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.influxql_facts import (
    LONGEST,
    InfluxqlFacts,
    VariableUse,
    read_facts,
)
from probes.wire.catalogue import Catalogue, Measurement, UnknownName
from probes.wire.display import shortened

_FLUX = re.compile(r"\|>|^\s*(?:import\s+\"|from\s*\(\s*bucket)")
# Grafana's own, whose values nobody can choose freely.
_OWN = re.compile(r"__\w+|timeFilter|interval|[0-9]+")
# Values of these are written into the dashboard.
_FIXED = frozenset({"custom", "constant", "interval", "datasource"})
_RAW_FORMS = frozenset({"raw", "csv", "text", "pipe", "glob", "distributed"})


def check_queries(
    dashboard: DashboardDocument, catalogue: Catalogue
) -> Iterator[Finding]:
    for panel in dashboard.panels:
        where = f"{dashboard.where}, panel {shown(panel.title)}"
        for target in panel.targets:
            yield from _check_target(where, target, dashboard, catalogue)
    for variable in dashboard.variables.values():
        if variable.kind == "query":
            where = f"{dashboard.where}, variable {shown(variable.name)}"
            yield from _check_target(where, _as_target(variable), dashboard, catalogue)
    for name, target in dashboard.annotations:
        where = f"{dashboard.where}, annotation {shown(name)}"
        yield from _check_target(where, target, dashboard, catalogue)


def shown(name: str) -> str:
    """Returns a name from a file for a message: quoted, on one line, not too long."""
    return repr(shortened(name, 81))


def influxql_of(target: Target) -> InfluxqlFacts | None:
    """Returns what a query names; None if it is not of InfluxDB, or not InfluxQL."""
    if not target.source.is_influx or not target.text or _FLUX.search(target.text):
        return None
    return read_facts(target.text)


def declared_of(measurement: str, catalogue: Catalogue) -> Measurement:
    """Returns the measurement of that name, or the one that is rolled up as it. Raises
    `UnknownName`."""
    rolled = _roll_ups(catalogue).get(measurement)
    return rolled or catalogue.measurement(measurement)


@lru_cache(maxsize=4)
def _roll_ups(catalogue: Catalogue) -> dict[str, Measurement]:
    return {
        rolled_name(declared.name, step): declared
        for declared in catalogue
        for step in rolled_steps(declared)
    }


def _as_target(variable: VariableDocument) -> Target:
    return Target("", variable.source, variable.text, True, variable.has_text)


def _check_target(
    where: str, target: Target, dashboard: DashboardDocument, catalogue: Catalogue
) -> Iterator[Finding]:
    source = target.source
    if not source.is_influx:
        return
    if not target.text:
        # Without a type, a query without InfluxQL is that of another kind of source.
        if source.type or target.has_text or source.uid in (SHARED, PERSONAL):
            text = "has no InfluxQL text as its query"
            yield Finding("language", where, text)
        return
    if len(target.text) > LONGEST:
        text = f"has a query of {len(target.text)} characters, the most is {LONGEST}"
        yield Finding("language", where, text)
        return
    if _FLUX.search(target.text):
        text = "has a query in Flux, which is not checked; expected InfluxQL"
        yield Finding("language", where, text)
        return
    facts = read_facts(target.text)
    yield from _check_names(where, facts, source, catalogue)
    yield from _check_variables(where, facts, dashboard.variables)


def _check_names(
    where: str, facts: InfluxqlFacts, source: NamedSource, catalogue: Catalogue
) -> Iterator[Finding]:
    for measurement in facts.measurements:
        try:
            declared = declared_of(measurement, catalogue)
        except UnknownName as unknown:
            # Another InfluxDB has other measurements, unless this is a slip.
            if _may_be_towpath(source) or "did you mean" in str(unknown):
                yield Finding("names", where, str(unknown))
            continue
        if declared.personal and source.uid != PERSONAL:
            text = (
                f"{declared.name!r} is about one laptop and may only be queried from "
                f"the data source {PERSONAL!r}; for groups large enough use "
                "'experience'"
            )
            yield Finding("personal", where, text)
        elif source.uid == PERSONAL and not declared.personal:
            text = f"{declared.name!r} is not in {PERSONAL!r}; expected {SHARED!r}"
            yield Finding("personal", where, text)
    yield from _check_fields(where, facts, catalogue)


def _may_be_towpath(source: NamedSource) -> bool:
    return source.is_variable or source.uid in ("", SHARED, PERSONAL)


def _check_fields(
    where: str, facts: InfluxqlFacts, catalogue: Catalogue
) -> Iterator[Finding]:
    """A query may read several measurements, such as rows for short ranges and
    roll-ups for long ones: each name has to be in one of them."""
    declared = []
    for measurement in facts.measurements:
        try:
            declared.append(declared_of(measurement, catalogue))
        except UnknownName:
            return
    if not declared:
        return
    first = declared[0]
    fields = {field.name for each in declared for field in each.fields}
    for each in declared:
        if rolled_steps(each):
            fields |= {part.name for part in rolled_fields(each)}
    tags = {tag.name for each in declared for tag in each.tags}
    for name in sorted(facts.fields - fields):
        try:
            first.field(name)
        except UnknownName as unknown:
            yield Finding("names", where, str(unknown))
    for name in sorted(facts.names - fields - tags):
        try:
            first.tag(name)
        except UnknownName as unknown:
            yield Finding("names", where, str(unknown))


def _check_variables(
    where: str, facts: InfluxqlFacts, variables: Mapping[str, VariableDocument]
) -> Iterator[Finding]:
    for use in dict.fromkeys(facts.variables):
        if not use.name or _OWN.fullmatch(use.name):
            continue
        variable = variables.get(use.name)
        if variable is None:
            text = f"uses ${use.name}, which is not a variable of the board"
            yield Finding("variables", where, text)
        elif variable.kind != "adhoc" and (text := _unsafe(use, variable)):
            yield Finding("variables", where, text)


def _unsafe(use: VariableUse, variable: VariableDocument) -> str:
    """Returns why a variable may break the query where it is; empty if it does not."""
    is_fixed = variable.kind in _FIXED and not variable.multiple
    expected = f"expected =~ /^${{{use.name}:regex}}$/"
    match use.place:
        case "text" if not is_fixed:
            return (
                f"has ${use.name} in a text in quotes, which several values or a value "
                f"with a quote break; {expected}"
            )
        case "regex" if use.form in _RAW_FORMS or (
            # Grafana escapes what may be several values, and in most versions only it.
            not (use.form or variable.multiple or is_fixed)
        ):
            return (
                f"has ${use.name} in a regular expression without escaping, so a value "
                f"with a dot, bracket or slash selects something else; {expected}"
            )
        case "bare" | "name" if variable.kind == "textbox":
            return (
                f"has the text box ${use.name} as part of the query itself, so anybody "
                f"can change what it does; {expected}"
            )
        case "bare" if variable.multiple and not use.form:
            return (
                f"has ${use.name} outside a regular expression, where several values "
                f"are not InfluxQL; {expected}"
            )
    return ""
