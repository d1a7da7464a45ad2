"""Boards and panels as values: what is shown, not Grafana's JSON for it.

Every panel uses `Query` values, so that `checks` can check each name against the
catalogue, and tests can run each query on a real InfluxDB.

What a board may say, beside `Panel(title, description, targets, unit, kind, …)`:
- `kind`: timeseries, stat, table, state-timeline, bargauge, gauge, barchart, geomap,
  text (`text`: Markdown; no query).
- Size: `width` of 24, `height`; `repeat`: one panel per value of a variable
  (`repeat_direction` "h" or "v", `repeat_per_row`).
- `columns` of a table: query column → `TableColumn(title, unit, width=, decimals=,
  hidden=, value_texts=, steps=, colour="text"|"background"|"none", gauge=, maximum=,
  link=, link_title=, more_links=, align=, absent=, otherwise=)`.
  `sort=("answered_mean", False)`: by column and
  whether descending; `rows_at_most`. Several `targets` are merged into one row per
  subject: they need the same `by`, and no other column of one name.
- Graphs: `legend=Legend(place, calcs, sort_by, descending)`, `stacked`, `bars`,
  `line_texts` (name of a line → (text, colour)), `soft_minimum`/`soft_maximum`,
  `minimum`/`maximum`,
  `fill`, `draw_thresholds`, `link=PanelLink(title, link_to(…, port=label("port")))` for
  its lines.
- `PanelQuery(query, legend, variables, below=, searches={tag: text box}, unit=,
  colour=)`; the last two are for its lines alone.
- Stats: `sparkline`, `tiles` (coloured background), `stat_text`, `reduce` (lastNotNull,
  max, mean … of what the query returns), `no_value` (the text if there is nothing).
  `tile="name_last"`: one tile per row, named by that column, the first of `columns`;
  the last one is the value. `reduces_rows`: one figure of all rows (`reduce="sum"`).
- Rows: `rows_if` (`RowTest`), `calculated` (`Calculated`), `grouped` (`RowGroups`):
  `board_rows`.
- `value_texts`: number or text → (text, colour). `steps`: `steps_of_rule("line_down")`,
  `verdict_steps("call_poor_ratio")`, `BUSY`, `PLAIN`. `place=("latitude_last",
  "longitude_last")`, the columns of a map; it is coloured by `colour_by`.
- `links`: `PanelLink`s of a panel. `time_from="60m"`: always the last hour.
- `BoardRow(title, panels, collapsed=, repeat=)`: a collapsed row queries nothing until
  it is opened.
- `Variable(name, label, measurement, tag, within, multiple, kind=, where=, influxql=,
  default=, hidden=, all_value=)`, `search_box()`, `choice_of()`: `board_variables`.
- `Board(uid, …, links=("towpath-estate",))`: boards linked by name at the top; all are
  in a list beside them. `link_to`, `column`, `label`, `cell`, `choice`: `board_links`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, render
from collectors.store.influxql_ranges import render_ranges
from collectors.store.query import Aggregate, Pick, Query, Where
from dashboards.grafana.board_colours import (
    AMBER,
    BAD,
    BLUE,
    BUSY,
    GOOD,
    GREEN,
    INFORMATION,
    LOOK,
    MAINTENANCE,
    NEUTRAL,
    PLAIN,
    PURPLE,
    RED,
    UP,
    Steps,
    steps_of_rule,
    verdict_steps,
)
from dashboards.grafana.board_links import (
    PanelLink,
    cell,
    choice,
    column,
    label,
    link_to,
)
from dashboards.grafana.board_rows import Calculated, RowGroups, RowTest
from dashboards.grafana.board_variables import (
    Variable,
    busiest,
    choice_of,
    search_box,
    sites,
)

__all__ = [
    "AMBER",
    "BAD",
    "BLUE",
    "BUSY",
    "GOOD",
    "GREEN",
    "INFORMATION",
    "LOOK",
    "LOWEST_FIRST",
    "MAINTENANCE",
    "NEUTRAL",
    "OF_ROWS",
    "OVER_TIME",
    "PERSONAL",
    "PLAIN",
    "PURPLE",
    "RED",
    "SHARED",
    "UNITS",
    "UP",
    "WORST_FIRST",
    "Board",
    "BoardRow",
    "Calculated",
    "Legend",
    "Panel",
    "PanelKind",
    "PanelLink",
    "PanelQuery",
    "RowGroups",
    "RowTest",
    "Steps",
    "TableColumn",
    "ValueTexts",
    "Variable",
    "busiest",
    "cell",
    "choice",
    "choice_of",
    "column",
    "label",
    "link_to",
    "search_box",
    "select",
    "sites",
    "steps_of_rule",
    "unit_of",
    "verdict_steps",
]

PanelKind = Literal[
    "timeseries",
    "stat",
    "table",
    "state-timeline",
    "bargauge",
    "gauge",
    "barchart",
    "geomap",
    "text",
]
OVER_TIME = frozenset({"timeseries", "state-timeline"})
# Panels of rows instead of lines.
OF_ROWS = frozenset({"table", "geomap", "barchart"})
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
    "1/s": "suffix:/s",
    "byte": "decbytes",
    "packet": "short",
    "flag": "percentunit",
    "1": "short",
    "MOS": "none",
    "dBm": "dBm",
    "GBP": "currencyGBP",
}
ValueTexts = Mapping[int, tuple[str, str]] | Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class PanelQuery:
    """One query of a panel, and the name of its lines (`$tag_port in`).

    `variables`: tag → the variable whose values are shown. `searches`: tag → the text
    box; any part of the tag's value matches, whatever its case. `below`: draw it below
    the axis. `unit`, `colour`: those of its lines, if not the panel's. `estimated`: its
    percentiles of many subjects over weeks are those of ranks of days.
    """

    query: Query
    legend: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    below: bool = False
    searches: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    colour: str = ""
    estimated: bool = False

    def influxql(
        self, kind: PanelKind, over_time: bool = False, newest: bool = False
    ) -> str:
        """Returns InfluxQL, with buckets of Grafana's interval if `kind` is drawn over
        time (or `over_time`). Otherwise it has one row per group: a subject of a table,
        or one figure. Long ranges read roll-ups, unless only the `newest` is shown."""
        has_buckets = over_time or kind in OVER_TIME
        grafana = Grafana(
            interval="$__interval" if has_buckets else "",
            variables=self.variables,
            searches=self.searches,
            # Nulls make a stretch without data a gap instead of a line.
            fill="null",
        )
        declared = CATALOGUE.measurement(self.query.measurement)
        if newest:
            return render(self.query, declared, grafana)
        return render_ranges(self.query, declared, grafana, self.estimated)


@dataclass(frozen=True)
class TableColumn:
    """How a table shows one of its columns. `width` in pixels. A `hidden` column can
    still be part of a link. `colour`: what `steps` and `value_texts` colour. `absent`:
    the text without a value (none with a `link`). `otherwise`: that of other texts."""

    title: str
    unit: str = ""
    value_texts: ValueTexts = field(default_factory=dict)
    steps: Steps = ()
    gauge: bool = False
    link: str = ""
    width: int = 0
    decimals: int | None = None
    hidden: bool = False
    colour: Literal["text", "background", "none"] = "text"
    maximum: float | None = None
    link_title: str = ""
    align: Literal["", "left", "center", "right"] = ""
    absent: str = ""
    otherwise: str = ""
    more_links: tuple[PanelLink, ...] = ()

    @property
    def addresses(self) -> list[str]:
        return [self.link, *(link.url for link in self.more_links)]


@dataclass(frozen=True)
class Legend:
    """The names of the lines: a list, or a table with figures (`calcs`) that is sorted
    by one of them, the worst first."""

    place: Literal["bottom", "right", "hidden"] = "bottom"
    calcs: tuple[str, ...] = ()
    sort_by: str = ""
    descending: bool = True
    width: int = 0

    @property
    def is_table(self) -> bool:
        return bool(self.calcs)


WORST_FIRST = Legend("bottom", ("max", "mean", "lastNotNull"), "max")
LOWEST_FIRST = Legend("bottom", ("min", "mean", "lastNotNull"), "min", descending=False)


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is Grafana's name; `value_texts` map values to text and colour.

    `newest`: it shows the present, so it reads only the last `NEWEST_PERIODS` periods
    of its measurements, whatever range is selected: what has stopped sending shows no
    figure instead of an old one. (Grafana does this for ranges that end now; for a
    range in the past it reads all of it.) `legend`, `fill`, `draw_thresholds`: if None,
    they follow from the number of lines.
    """

    title: str
    description: str
    targets: tuple[PanelQuery, ...] = ()
    unit: str = ""
    kind: PanelKind = "timeseries"
    width: int = 12
    height: int = 8
    steps: Steps = ((None, GREEN),)
    value_texts: ValueTexts = field(default_factory=dict)
    line_texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    columns: Mapping[str, TableColumn] = field(default_factory=dict)
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    newest: bool = False
    soft_minimum: float | None = None
    soft_maximum: float | None = None
    legend: Legend | None = None
    stacked: bool = False
    fill: int | None = None
    draw_thresholds: bool | None = None
    link: PanelLink | None = None
    links: tuple[PanelLink, ...] = ()
    sort: tuple[str, bool] | None = None
    rows_at_most: int = 0
    repeat: str = ""
    repeat_direction: Literal["h", "v"] = "h"
    repeat_per_row: int = 4
    sparkline: bool = False
    tiles: bool = False
    stat_text: Literal["", "value", "name", "value_and_name", "none"] = ""
    reduce: str = "lastNotNull"
    place: tuple[str, str] | None = None
    colour_by: str = ""
    text: str = ""
    rows_if: tuple[RowTest, ...] = ()
    rows_match: Literal["all", "any"] = "all"
    calculated: tuple[Calculated, ...] = ()
    grouped: RowGroups | None = None
    tile: str = ""
    tile_colours: Mapping[str, str] = field(default_factory=dict)
    reduces_rows: bool = False
    no_value: str = ""
    time_from: str = ""
    bars: bool = False

    @property
    def newest_ms(self) -> int:
        """How far back a panel about the present reads, by its slowest measurement."""
        names = [target.query.measurement for target in self.targets]
        slowest_s = max(CATALOGUE.measurement(name).period_s for name in names)
        return NEWEST_PERIODS * 1000 * slowest_s

    @property
    def is_of_rows(self) -> bool:
        """True if its queries return one table instead of lines."""
        return self.kind in OF_ROWS or bool(self.tile) or self.reduces_rows

    @property
    def has_one_line(self) -> bool:
        """True if no query can return more than one line, and there is one query."""
        return len(self.targets) == 1 and not self.targets[0].query.group_by

    def influxql(self, target: PanelQuery) -> str:
        """Returns the query of one of its targets, as Grafana's files have it."""
        return target.influxql(self.kind, self.sparkline, self.newest)


@dataclass(frozen=True)
class BoardRow:
    """A group of panels under a heading. A `collapsed` one queries nothing until it is
    opened. `repeat`: the variable that it is repeated by."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False
    repeat: str = ""


@dataclass(frozen=True)
class Board:
    """One dashboard; a `personal` one queries the database of laptops' own results.
    `links`: uids of the boards above and below it, linked by name."""

    uid: str
    title: str
    description: str
    rows: tuple[BoardRow, ...]
    variables: tuple[Variable, ...] = ()
    personal: bool = False
    since: str = "now-24h"
    refresh: str = "1m"
    links: tuple[str, ...] = ()

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
