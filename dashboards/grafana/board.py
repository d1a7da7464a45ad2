"""Boards and panels as values: what is shown, not how Grafana writes it down.

Every panel asks with `Query` values, so that `check` can hold each name against the
catalogue and the tests can put each question to a real InfluxDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, identifier, render
from collectors.store.query import Aggregate, Pick, Query, Where
from dashboards.call_quality import BY_FIELD

Kind = Literal["timeseries", "stat", "table", "state-timeline", "bargauge"]
OVER_TIME = frozenset({"timeseries", "state-timeline"})
SHARED = "towpath-shared"
PERSONAL = "towpath-personal"
# A poll may be late or lost, and a group's row is written after its window has ended.
NEWEST_PERIODS = 5
# Grafana names its units; the catalogue names the council's.
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
    """A choice at the top of a board: the values of a tag.

    `within`: tag -> variable that narrows it, such as a site's devices.
    """

    name: str
    label: str
    measurement: str
    tag: str
    within: Mapping[str, str] = field(default_factory=dict)
    several: bool = True

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
    """One question of a panel and the name its lines carry (`$tag_port in`).

    `below`: drawn below the axis.
    """

    query: Query
    legend: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    below: bool = False

    def influxql(self, kind: Kind) -> str:
        """In buckets of Grafana's interval if `kind` draws over time, else one row per
        group: a table has one row per subject, a stat one figure."""
        return render(
            self.query,
            CATALOGUE.measurement(self.query.measurement),
            Grafana(
                interval="$__interval" if kind in OVER_TIME else "",
                variables=self.variables,
                # Nulls, so that a stretch without data is a gap and not a line.
                fill="null",
            ),
        )


@dataclass(frozen=True)
class TableColumn:
    """How a table shows one of its columns."""

    title: str
    unit: str = ""
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    steps: Steps = ()
    gauge: bool = False
    link: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is Grafana's name; `words` give values words and colours.

    `newest`: it asks about now, so only the last `NEWEST_PERIODS` periods of its
    measurements are read, whatever range is chosen: what has stopped sending shows no
    figure instead of an old one. (Grafana does this for ranges that end now; for one in
    the past it is the whole range.)
    """

    title: str
    description: str
    targets: tuple[PanelQuery, ...]
    unit: str
    kind: Kind = "timeseries"
    width: int = 12
    height: int = 8
    steps: Steps = ((None, GREEN),)
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    columns: Mapping[str, TableColumn] = field(default_factory=dict)
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    newest: bool = False

    @property
    def newest_ms(self) -> int:
        """How far back a panel about now looks: as far as its slowest measurement."""
        periods = (CATALOGUE.measurement(t.query.measurement) for t in self.targets)
        return NEWEST_PERIODS * 1000 * max(each.period_s for each in periods)


@dataclass(frozen=True)
class BoardRow:
    """A headed group of panels."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard; `personal` ones ask the database of laptops' own results."""

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


def ask(
    measurement: str,
    *picks: tuple[str, Aggregate],
    by: tuple[str, ...] = (),
    where: tuple[Where, ...] = (),
) -> Query:
    """A question whose times Grafana gives; buckets are never under the period."""
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
    """Grafana's unit for a field of the catalogue."""
    return UNITS[CATALOGUE.measurement(measurement).field(name).unit]


def limits_of(name: str) -> Steps:
    """The colours of a figure of calls, by the one verdict on it."""
    found = BY_FIELD[name]
    if found.is_less_worse:
        return ((None, RED), (found.poor, AMBER), (found.good, GREEN))
    return ((None, GREEN), (found.good, AMBER), (found.poor, RED))
