"""`experience`: what groups of at least LEAST agents measured. Pure.

Results count in windows of a fixed grid, each in one window: those that arrived within
`settle_s` after it in the window that they were measured in, later ones in the window
that they arrived in. A result that is later than a whole window is ignored here, but it
is stored with the personal results. Every `period_s` there is one row for each group
that may be shown: the row at time T is about the last window that was over by
T + period. So the rows of a window are copies of each other. They depend only on the
journal and on who is in which team (`TeamMembers`), and calculating them again gives
the same.

Windows do not overlap, because differences of rows that share results are about fewer
agents than each row. No row, and no figure in a row, is about fewer than `least`
agents, and none can be worked out from the others (`disclosure_control`). Figures about
calls, VPN, web, names and bandwidth are suppressed each by the agents that have them
(`group_figures`).

The path and the Teams relay are measured every half hour and have windows of their own,
twice as long.

Every result is in `window_s / period_s` rows. So the weighted mean over rows is the
mean of the results themselves. Only a count must be divided by the number of copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Annotated, Self

import msgspec
from pydantic import Field, model_validator

from collectors.batch import Batch
from collectors.experience.agent_results import AgentPlace, AgentResult, read_results
from collectors.experience.disclosure_control import GroupName
from collectors.experience.group_figures import (
    FIGURES,
    TOTALS,
    ExperienceFigures,
    call_tests,
    cause_rows,
    is_of_no_front_door,
    rounded,
)
from collectors.experience.group_shares import GroupedFigures
from collectors.experience.other_outcomes import uncertain_beside
from collectors.experience.small_teams import merged_teams
from collectors.experience.team_places import team_places
from collectors.experience.value_disclosure import ShownGroups
from collectors.experience.window_groups import (
    GroupCells,
    by_group_of,
    by_place_of,
)
from collectors.experience.window_rows import (
    vpn_products,
    with_teams,
    with_vpn_products,
    without_duplicates,
)
from collectors.strict_model import StrictModel
from probes.wire.measurements import CATALOGUE
from probes.wire.probe_list import PROBES
from probes.wire.sample import Sample, Value

LEAST = 10
# What is measured every half hour has long windows, of as many usual ones.
LONG = frozenset(probe.name for probe in PROBES if probe.group_windows > 1)
LONG_WINDOWS = max(probe.group_windows for probe in PROBES)
GroupFields = dict[GroupName, dict[str, Value]]


class GroupsConfig(StrictModel):
    """`least` is the size of the smallest group that is shown, 5 or more."""

    period_s: Annotated[int, Field(ge=60, le=3600)] = 300
    window_s: Annotated[int, Field(ge=60, le=86_400)] = 900
    settle_s: Annotated[int, Field(ge=0, le=3600)] = 60
    least: Annotated[int, Field(ge=5)] = LEAST

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window_s < self.period_s or self.window_s % self.period_s:
            raise ValueError(
                f"window_s = {self.window_s}: expected a multiple of "
                f"period_s = {self.period_s}"
            )
        return self


class ExperienceWindow:
    """Collects rows and returns the samples of each period that is over."""

    def __init__(self, config: GroupsConfig) -> None:
        self._config = config
        self._period_ms = config.period_s * 1000
        self._window_ms = config.window_s * 1000
        self._settle_ms = config.settle_s * 1000
        self._rows: list[AgentResult] = []
        self._places: dict[AgentPlace, AgentPlace] = {}
        # The last window of each length, by its end, and what it showed.
        self._window: tuple[int, list[Sample]] = (0, [])
        self._long: tuple[int, GroupFields] = (0, {})
        # No window that begins before is shown.
        self.since_ms = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, batch: Batch) -> int | None:
        """Adds the rows of a batch of personal results; ignores other batches.

        Rows that are too late for every window are left out, and so are rows from the
        future (a clock that is wrong by more than a period). Returns the newest time
        until which an added row counts, or None if none was added.
        """
        if batch.measurement not in CATALOGUE or "agent" not in batch.schema.tags:
            return None
        latest_ms = batch.received_ms + self._period_ms
        oldest_ms = batch.received_ms - self._settle_ms - self._window_ms
        newest_ms: int | None = None
        extra_ms = self._extra_ms(batch.measurement)
        for row in read_results(batch, self._places):
            if not oldest_ms < row.time_ms <= latest_ms:
                continue
            self._rows.append(row)
            newest_ms = max(row.time_ms + extra_ms, newest_ms or 0)
        return newest_ms

    def _extra_ms(self, kind: str) -> int:
        """Returns how much longer rows of that kind are needed than others: for a long
        window, that may have ended a window ago."""
        return 2 * (LONG_WINDOWS - 1) * self._window_ms if kind in LONG else 0

    def first_ms(self) -> int | None:
        """Returns the time of the first row; None if there is none."""
        return min((row.time_ms for row in self._rows), default=None)

    def next_end_ms(self, emitted_ms: int) -> int:
        """Returns the end of the period after the one that ended at `emitted_ms`."""
        return (emitted_ms // self._period_ms + 1) * self._period_ms

    def is_over(self, end_ms: int, now_ms: int) -> bool:
        """Returns True if everything that counts in that period has arrived."""
        return now_ms >= end_ms + self._settle_ms

    def needed_from_ms(self, end_ms: int) -> int:
        """Returns the time from which rows are needed for periods that end after
        `end_ms`: those of a window and, for what is delivered twice, of the one
        before it."""
        last_ms = _floor(end_ms + self._period_ms, self._window_ms)
        return last_ms - 2 * self._window_ms

    def samples(self, end_ms: int, teams: Mapping[str, str] = {}) -> list[Sample]:
        """Returns the `experience` rows of the period that ends at `end_ms`. `teams`:
        agent → its team, for those in one."""
        time_ms = end_ms - self._period_ms
        last_ms = _floor(end_ms, self._window_ms)
        if self._window[0] != last_ms:
            self._window = last_ms, self._samples(last_ms, time_ms, teams)
        return [
            msgspec.structs.replace(sample, time_ms=time_ms, fields={**sample.fields})
            for sample in self._window[1]
        ]

    def _samples(
        self, last_ms: int, time_ms: int, teams: Mapping[str, str]
    ) -> list[Sample]:
        """Returns the samples of the window that ends at `last_ms`."""
        begin_ms, long_ms = last_ms - self._window_ms, self._window_ms * LONG_WINDOWS
        if begin_ms < self.since_ms:
            return []
        # What is delivered twice counts when it first came.
        rows = without_duplicates(self._rows)
        merged = merged_teams(teams, self._config.least)
        long_end_ms = _floor(last_ms, long_ms)
        if self._long[0] != long_end_ms:
            found = self._counted(rows, long_end_ms, long_ms, LONG)
            products = self._counted(rows, long_end_ms, self._window_ms, {"vpn"})
            self._long = (
                long_end_ms,
                long_fields(with_teams(found, merged), products, self._config.least),
            )
        samples = window_samples(
            with_teams(self._counted(rows, last_ms, self._window_ms), merged),
            time_ms,
            self._config.least,
            self._long[1],
            with_teams(self._counted(rows, begin_ms, self._window_ms, LONG), merged),
        )
        for sample in samples:
            if "calls" in sample.fields:
                part = self._period_ms / self._window_ms
                sample.fields["calls_once"] = float(sample.fields["calls"]) * part
        return samples

    def _counted(
        self,
        rows: Iterable[AgentResult],
        end_ms: int,
        length_ms: int,
        kinds: Set[str] | None = None,
    ) -> list[AgentResult]:
        """Returns the rows of those kinds that count in the window before `end_ms`;
        none if it began before any window is shown."""
        begin_ms = end_ms - length_ms
        if begin_ms < self.since_ms:
            return []
        return [
            row
            for row in rows
            if begin_ms <= self._counts_ms(row) < end_ms
            and (kinds is None or row.kind in kinds)
        ]

    def _counts_ms(self, row: AgentResult) -> int:
        """Returns the time in whose window a row counts."""
        return max(row.time_ms, row.received_ms - self._settle_ms)

    def forget(self, before_ms: int) -> None:
        """Removes the rows that count only before that time."""
        self._rows = [
            row
            for row in self._rows
            if row.time_ms + self._extra_ms(row.kind) >= before_ms
        ]
        if not self._rows:
            self._places.clear()


def _floor(time_ms: int, step_ms: int) -> int:
    return time_ms // step_ms * step_ms


def window_samples(
    rows: Sequence[AgentResult],
    time_ms: int,
    least: int,
    long: Mapping[GroupName, Mapping[str, Value]] | None = None,
    earlier: Sequence[AgentResult] = (),
) -> list[Sample]:
    """Returns the samples of one window at `time_ms`, one for each group shown.

    `long`: the figures of the last long window; None: those of `rows`. `earlier` rows
    may be the cause of a poor call, and count for nothing else.
    """
    if long is None:
        long = long_fields([row for row in rows if row.kind in LONG], rows, least)
    products = vpn_products(rows)
    rows, earlier = (with_vpn_products(some, products) for some in (rows, earlier))
    by_kind = _by_kind([*rows, *cause_rows([*rows, *earlier])])
    # Each place is an atom, and has one number for all figures of the window.
    by_place = by_place_of(rows)
    places = tuple(by_place)
    by_group = by_group_of(by_place)
    shown = GroupCells(places, by_place, least).showable().names
    fields: GroupFields = {
        group: {"agents": rounded(len({row.agent for row in by_group[group]}))}
        for group in shown
    }
    for group in shown:
        if group[0] == "team":
            fields[group].update(team_places(by_group[group], shown, least))
        fields[group].update(long.get(group, {}))
    usual = [one for one in FIGURES if one.kind not in LONG]
    found, present = _figures(usual, by_kind, places, least, shown)
    for group, own in found.items():
        fields[group].update(own)
    rest = by_place_of(filter(is_of_no_front_door, by_kind.get("web", ())))
    shown_rest = GroupCells(places, rest, least).showable(shown).names
    _hide_totals(fields, present, by_group_of(rest).keys() - shown_rest)
    for group_fields in fields.values():
        group_fields["call_tests"] = call_tests(group_fields, "call_path" in by_kind)
    return [
        Sample("experience", {"by": by, "group": group}, fields[by, group], time_ms)
        for by, group in sorted(fields)
    ]


def long_fields(
    rows: Sequence[AgentResult], vpn_rows: Iterable[AgentResult], least: int
) -> GroupFields:
    """Returns the figures of a long window's rows. Whether a group has them does not
    depend on the windows that show them."""
    rows = with_vpn_products(rows, vpn_products(vpn_rows))
    figures = [one for one in FIGURES if one.kind in LONG]
    places = tuple(by_place_of(rows))
    return _figures(figures, _by_kind(rows), places, least, None)[0]


def _figures(
    wanted: Iterable[ExperienceFigures],
    by_kind: Mapping[str, Sequence[AgentResult]],
    places: Sequence[AgentPlace],
    least: int,
    allowed: frozenset[GroupName] | None,
) -> tuple[GroupFields, dict[str, Set[GroupName]]]:
    """Returns the figures of the groups that may be shown, among those `allowed`, and
    the groups that have results of each weight."""
    fields: GroupFields = {}
    present: dict[str, Set[GroupName]] = {}
    # The agents that have a figure decide for which groups it is shown. Many figures
    # have the same agents.
    known: dict[frozenset[object], tuple[GroupCells, ShownGroups]] = {}
    for figures in wanted:
        measured = [
            row for row in by_kind.get(figures.kind, ()) if figures.has_value(row)
        ]
        by_place = by_place_of(measured)
        by_group = by_group_of(by_place)
        grouped = GroupedFigures(figures, by_group, least)
        present[figures.weight] = by_group.keys()
        agents = frozenset((row.location, row.agent) for row in measured)
        if agents not in known:
            cells = GroupCells(places, by_place, least)
            known[agents] = cells, cells.showable(allowed)
        cells, groups = known[agents]
        safe = groups.safe(grouped.parts_of_shares(groups.names))
        for group in uncertain_beside(safe, figures, measured, cells):
            fields.setdefault(group, {}).update(grouped.fields(group))
    return fields, present


def _hide_totals(
    fields: Mapping[GroupName, dict[str, Value]],
    present: Mapping[str, Set[GroupName]],
    hidden_rest: Set[GroupName],
) -> None:
    """Removes each total of which a part is hidden. `present`: weight → the groups that
    have results of it. `hidden_rest`: groups with requests to Microsoft that have no
    figure of their own, and would have none."""
    for total, parts in TOTALS.items():
        for group, group_fields in fields.items():
            if (total == "microsoft_ok_ratio" and group in hidden_rest) or any(
                group in present[weight] and share not in group_fields
                for weight, share in parts.items()
            ):
                group_fields.pop(total, None)


def _by_kind(rows: Sequence[AgentResult]) -> dict[str, list[AgentResult]]:
    """Returns the rows that have values, by kind."""
    by_kind: dict[str, list[AgentResult]] = {}
    for row in rows:
        if row.values:
            by_kind.setdefault(row.kind, []).append(row)
    return by_kind
