"""Boards and panels as values: what is shown, not Grafana's JSON for it.

Every panel uses `Query` values, so that `board_checks` can check each name against the
catalogue, and tests can run each query on a real InfluxDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, identifier, render
from collectors.store.query import Aggregate, Pick, Query, Where
from dashboards.call_quality import BY_FIELD

PanelKind = Literal["timeseries", "stat", "table", "state-timeline", "bargauge"]
OVER_TIME = frozenset({"timeseries", "state-timeline"})
SHARED = "towpath-shared"
PERSONAL = "towpath-personal"
# A poll may be late or lost, and a group's row is written after the end of its window.
NEWEST_PERIODS = 5
# The catalogue's unit → Grafana's name for it.
UNITS = {
    "bit/s": "bps",
    "ratio": "percentunit",
    "ms": "ms",
    "s": "s",
    "d": "d",
    "1/s": "cps",
    "byte": "decbytes",
    "packet": "short",
    "flag": "percentunit",
    "1": "short",
    "MOS": "none",
    "dBm": "dBm",
}
GREEN, AMBER, RED, BLUE = "green", "orange", "red", "blue"
UP = {1: ("Up", GREEN), 0: ("Down", RED)}
Steps = tuple[tuple[float | None, str], ...]
BUSY: Steps = ((None, GREEN), (0.7, AMBER), (0.85, RED))


@dataclass(frozen=True)
class Variable:
    """A selector at the top of a board: the values of a tag.

    `within`: tag → the variable that narrows it, such as the site for its devices.
    """

    name: str
    label: str
    measurement: str
    tag: str
    within: Mapping[str, str] = field(default_factory=dict)
    multiple: bool = True

    def query(self) -> str:
        narrowed = " AND ".join(
            f"{identifier(tag)} =~ /^${variable}$/"
            for tag, variable in self.within.items()
        )
        return (
            f"SHOW TAG VALUES FROM {identifier(self.measurement)}"
            f" WITH KEY = {identifier(self.tag)}"
            + (f" WHERE {narrowed}" if narrowed else "")
        )


@dataclass(frozen=True)
class PanelQuery:
    """One query of a panel, and the name of its lines (`$tag_port in`).

    `below`: draw it below the axis.
    """

    query: Query
    legend: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    below: bool = False

    def influxql(self, kind: PanelKind) -> str:
        """Returns InfluxQL, with buckets of Grafana's interval if `kind` is drawn over
        time. Otherwise it has one row per group: a subject of a table, or one
        figure."""
        return render(
            self.query,
            CATALOGUE.measurement(self.query.measurement),
            Grafana(
                interval="$__interval" if kind in OVER_TIME else "",
                variables=self.variables,
                # Nulls make a stretch without data a gap instead of a line.
                fill="null",
            ),
        )


@dataclass(frozen=True)
class TableColumn:
    """How a table shows one of its columns."""

    title: str
    unit: str = ""
    value_texts: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    steps: Steps = ()
    gauge: bool = False
    link: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is Grafana's name; `value_texts` map values to text and colour.

    `newest`: it shows the present, so it reads only the last `NEWEST_PERIODS` periods
    of its measurements, whatever range is selected: what has stopped sending shows no
    figure instead of an old one. (Grafana does this for ranges that end now; for a
    range in the past it reads all of it.)
    """

    title: str
    description: str
    targets: tuple[PanelQuery, ...]
    unit: str
    kind: PanelKind = "timeseries"
    width: int = 12
    height: int = 8
    steps: Steps = ((None, GREEN),)
    value_texts: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    columns: Mapping[str, TableColumn] = field(default_factory=dict)
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    newest: bool = False

    @property
    def newest_ms(self) -> int:
        """How far back a panel about the present reads, by its slowest measurement."""
        measurements = [
            CATALOGUE.measurement(target.query.measurement) for target in self.targets
        ]
        return (
            NEWEST_PERIODS
            * 1000
            * max(measurement.period_s for measurement in measurements)
        )


@dataclass(frozen=True)
class BoardRow:
    """A group of panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard; a `personal` one queries the database of laptops' own results."""

    uid: str
    title: str
    description: str
    rows: tuple[BoardRow, ...]
    variables: tuple[Variable, ...] = ()
    personal: bool = False
    since: str = "now-24h"
    refresh: str = "1m"

    @property
    def datasource(self) -> str:
        return PERSONAL if self.personal else SHARED

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.rows for panel in row.panels]


def select(
    measurement: str,
    *picks: tuple[str, Aggregate],
    by: tuple[str, ...] = (),
    where: tuple[Where, ...] = (),
) -> Query:
    """Returns a query whose time range Grafana sets. Buckets are never shorter than the
    measurement's period."""
    period_ms = CATALOGUE.measurement(measurement).period_s * 1000
    return Query(
        measurement,
        tuple(Pick(name, aggregate) for name, aggregate in picks),
        0,
        1,
        where,
        by,
        period_ms,
    )


def unit_of(measurement: str, name: str) -> str:
    """Returns Grafana's unit for a field of the catalogue."""
    return UNITS[CATALOGUE.measurement(measurement).field(name).unit]


def verdict_steps(name: str) -> Steps:
    """Returns the colour steps of a call figure, by its limits for good and poor."""
    limits = BY_FIELD[name]
    if limits.is_less_worse:
        return ((None, RED), (limits.poor, AMBER), (limits.good, GREEN))
    return ((None, GREEN), (limits.good, AMBER), (limits.poor, RED))
