"""The selectors at the top of a board, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import chosen, identifier, literal, show_tag_values
from collectors.store.influxql_ranges import render_top
from collectors.store.query import Query, Where

VariableKind = Literal["query", "textbox", "custom", "constant"]


@dataclass(frozen=True)
class Variable:
    """A selector at the top of a board: the values of a tag, unless `kind` is another.

    `within`: tag → the variable that narrows it, such as the site for its devices.
    `where`: fixed filters of the same measurement. `multiple`: several or all may be
    chosen. `influxql`: another query for the values, such as the busiest ports; its
    first column after the time counts. `default`: chosen until somebody chooses (for a
    `constant`, its value; for a `textbox`, its text). `hidden`: not shown, such as what
    a device has, to repeat a panel by. `all_value`: what "All" stands for in a query;
    empty: every value by name, as needed if the query narrows the values (top 10).
    `regex`: takes the shown text and the value from what the query returns, by groups
    with these names.
    """

    name: str
    label: str
    measurement: str = ""
    tag: str = ""
    within: Mapping[str, str] = field(default_factory=dict)
    multiple: bool = True
    kind: VariableKind = "query"
    where: tuple[Where, ...] = ()
    influxql: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    hidden: bool = False
    all_value: str = ".*"
    regex: str = ""

    def query(self) -> str:
        if self.influxql:
            return self.influxql
        narrowed = [
            f"{identifier(tag)} =~ /^{chosen(variable)}$/"
            for tag, variable in self.within.items()
        ]
        narrowed += [
            "("
            + " OR ".join(
                f"{identifier(where.tag)} = {literal(value)}" for value in where.values
            )
            + ")"
            for where in self.where
        ]
        return show_tag_values((self.measurement,), self.tag, narrowed)


def sites(multiple: bool = True) -> Variable:
    """Returns a selector of sites, which shows the name of each and holds its id."""
    return Variable(
        "site",
        "Site",
        "site_name",
        "label",
        multiple=multiple,
        regex=r"/^(?<text>.*) \((?<value>[^()]+)\)$/",
    )


def search_box(name: str = "search", label: str = "Search") -> Variable:
    """Returns a box to type part of a name in (`PanelQuery.searches`)."""
    return Variable(name, label, kind="textbox", multiple=False)


def choice_of(name: str, label: str, options: Mapping[str, str]) -> Variable:
    """Returns a selector of fixed values (value → text); the first is the default."""
    return Variable(
        name,
        label,
        kind="custom",
        options=options,
        multiple=False,
        default=next(iter(options)),
    )


def busiest(
    name: str,
    label: str,
    query: Query,
    count: int,
    within: Mapping[str, str],
    searches: Mapping[str, str] | None = None,
    above_zero: bool = False,
) -> Variable:
    """Returns a hidden variable: the `count` values of the query's one `by` tag that
    have the largest sum of its figures in the board's range. Graphs use it like any
    other: `variables={"port": name}`. `searches`: tag → the text box that narrows it.
    `above_zero`: only those whose sum is more than 0.

    `busiest("busiest", "Busiest ports", select("interface", ("in_bps", "max"),
    ("out_bps", "max"), by=("port",)), 12, {"device": "device"})`.
    """
    declared = CATALOGUE.measurement(query.measurement)
    return Variable(
        name,
        label,
        query.measurement,
        query.group_by[0],
        influxql=render_top(query, declared, count, within, searches, above_zero),
        hidden=True,
        all_value="",
    )
