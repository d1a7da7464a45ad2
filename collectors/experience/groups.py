"""`experience`: what groups of at least LEAST agents measured. Pure.

Every `period_s` there is one row for each group that may be shown. Agents measure every
ten minutes, so a row covers the last `window_s`: the row at time T has what was
measured in [T + period - window, T + period) and had arrived `settle_s` after that. A
result that arrives later counts in later windows that still cover its time. If none
does, it is ignored here, but it is stored with the personal results. So a row depends
only on the journal and on who is in which team (`TeamMembers`), and calculating it
again gives the same row.

No row, and no figure in a row, is about fewer than `least` agents, and none can be
worked out from the others (`disclosure_control`). Figures about calls, VPN, web,
names and bandwidth are suppressed each by the agents that have them (`group_figures`).

The path and the Teams relay are measured every half hour and count in three windows.

Windows overlap: every result is in `window_s / period_s` of them. So the weighted mean
over windows is the mean of the results themselves. Only a count must be divided by the
overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Annotated, Self

from pydantic import Field, model_validator

from collectors.batch import Batch
from collectors.experience.agent_results import AgentPlace, AgentResult, read_results
from collectors.experience.disclosure_control import GroupName
from collectors.experience.group_figures import (
    FIGURES,
    TOTALS,
    call_tests,
    cause_rows,
    is_of_no_front_door,
    rounded,
)
from collectors.experience.group_history import (
    AGENTS,
    WindowGroups,
    WindowHistory,
)
from collectors.experience.group_shares import GroupedFigures
from collectors.experience.overlapping_windows import OverlappingWindows
from collectors.experience.small_teams import SmallTeams
from collectors.experience.team_places import team_places
from collectors.experience.value_disclosure import ShownGroups
from collectors.experience.window_groups import (
    GroupCells,
    by_group_of,
    by_place_of,
)
from collectors.experience.window_rows import (
    with_teams,
    with_vpn_products,
    without_duplicates,
)
from collectors.strict_model import StrictModel
from probes.wire.measurements import CATALOGUE
from probes.wire.probe_list import PROBES
from probes.wire.sample import Sample, Value

LEAST = 10
# In how many windows a result counts, for probes with more than one.
_WINDOWS = {
    probe.name: probe.group_windows for probe in PROBES if probe.group_windows > 1
}


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
        self._rows: list[AgentResult] = []
        self._places: dict[AgentPlace, AgentPlace] = {}
        self.history = WindowHistory(self._period_ms, self._periods())

    def _periods(self) -> dict[str, int]:
        """Returns in how many periods the results of each figure count."""
        window = self._window_ms // self._period_ms
        return {AGENTS: window} | {
            figures.weight: window * _WINDOWS.get(figures.kind, 1)
            for figures in FIGURES
        }

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
        settle_ms = self._config.settle_s * 1000
        oldest_ms = batch.received_ms - self._window_ms - self._period_ms - settle_ms
        newest_ms: int | None = None
        extra_ms = self._extra_ms(batch.measurement)
        for row in read_results(batch, self._places):
            if not oldest_ms - extra_ms < row.time_ms <= latest_ms:
                continue
            self._rows.append(row)
            newest_ms = max(row.time_ms + extra_ms, newest_ms or 0)
        return newest_ms

    def _extra_ms(self, kind: str) -> int:
        """Returns how much longer than one window rows of that kind count."""
        return (_WINDOWS.get(kind, 1) - 1) * self._window_ms

    def first_end_ms(self, whole: bool) -> int | None:
        """Returns the end of the first period that has rows.

        With `whole`, returns the end of the first one with rows for a whole window.
        """
        if not self._rows:
            return None
        first_ms = min(row.time_ms for row in self._rows)
        if whole:
            starts: dict[str, int] = {}
            for row in self._rows:
                starts[row.kind] = min(row.time_ms, starts.get(row.kind, row.time_ms))
            first_ms = max(ms + self._extra_ms(kind) for kind, ms in starts.items())
            first_ms += self._window_ms - 1
        return self.next_end_ms(first_ms)

    def next_end_ms(self, emitted_ms: int) -> int:
        """Returns the end of the period after the one that ended at `emitted_ms`."""
        return (emitted_ms // self._period_ms + 1) * self._period_ms

    def is_over(self, end_ms: int, now_ms: int) -> bool:
        """Returns True if everything that counts in that period has arrived."""
        return now_ms >= end_ms + self._config.settle_s * 1000

    def needed_from_ms(self, end_ms: int) -> int:
        """Returns the time from which rows are needed for windows that end after
        `end_ms`."""
        return end_ms + self._period_ms - self._window_ms

    def samples(self, end_ms: int, teams: Mapping[str, str] = {}) -> list[Sample]:
        """Returns the `experience` rows of the period that ends at `end_ms`. `teams`:
        agent → its team, for those in one."""
        history = self.history
        known_small = history.hidden.before(AGENTS, end_ms)
        small = SmallTeams(teams, self._config.least, known_small)
        begin_ms = end_ms - self._window_ms
        settled_ms = end_ms + self._config.settle_s * 1000
        rows, earlier = [], []
        for row in self._rows:
            if row.time_ms >= end_ms or row.received_ms >= settled_ms:
                continue
            if row.time_ms >= begin_ms:
                rows.append(row)
            elif row.time_ms + self._extra_ms(row.kind) >= begin_ms:
                earlier.append(row)
        samples, window = window_samples(
            with_teams(rows, small.merged),
            end_ms - self._period_ms,
            self._config.least,
            with_teams(earlier, small.merged),
            OverlappingWindows(history, end_ms, self._age(end_ms)),
            small.protected,
        )
        window.hidden = small.with_small(window.hidden)
        history.add(end_ms, window)
        for sample in samples:
            if "calls" in sample.fields:
                part = self._period_ms / self._window_ms
                sample.fields["calls_once"] = float(sample.fields["calls"]) * part
        return samples

    def _age(self, end_ms: int) -> Callable[[AgentResult], int]:
        """Returns in how many windows before that one a row was, as a function."""
        period_ms, settle_ms = self._period_ms, self._config.settle_s * 1000

        def age(row: AgentResult) -> int:
            # The first window that it was in ended after that.
            after_ms = max(row.time_ms, row.received_ms - settle_ms)
            return (end_ms - 1 - after_ms) // period_ms

        return age

    def forget(self, before_ms: int) -> None:
        """Removes the rows that count only before that time."""
        self._rows = [
            row
            for row in self._rows
            if row.time_ms + self._extra_ms(row.kind) >= before_ms
        ]
        if not self._rows:
            self._places.clear()


def window_samples(
    rows: Sequence[AgentResult],
    time_ms: int,
    least: int,
    earlier: Sequence[AgentResult] = (),
    windows: OverlappingWindows | None = None,
    protected: frozenset[GroupName] = frozenset(),
) -> tuple[list[Sample], WindowGroups]:
    """Returns the samples of one window at `time_ms`, one for each group shown, and
    which groups were hidden, too small and shown.

    `earlier` rows are from before the window. They count for figures, but not for the
    number of agents. `windows`: those before it that overlap it; None if there are
    none. `protected`: groups to hide.
    """
    rows, earlier = with_vpn_products(
        without_duplicates(rows), without_duplicates(earlier)
    )
    # Each place is an atom, and has one number for all figures of the window.
    places = tuple(by_place_of([*rows, *earlier]))
    by_place = by_place_of(rows)
    by_group = by_group_of(by_place)
    cells = GroupCells(places, by_place, least)
    shown = alone = cells.showable(None, frozenset()).names
    if kept := protected | (windows.hidden(AGENTS) if windows else frozenset()):
        shown = cells.showable(None, kept).names
    window = WindowGroups({AGENTS: frozenset(by_group) - alone})
    fields: dict[GroupName, dict[str, Value]] = {
        group: {"agents": rounded(len({row.agent for row in by_group[group]}))}
        for group in shown
    }
    for group in shown:
        if group[0] == "team":
            fields[group].update(team_places(by_group[group], shown, least))
    by_kind = _by_kind([*rows, *earlier])
    # The agents that have a figure decide for which groups it is shown. Many figures
    # have the same agents.
    known_cells: dict[object, GroupCells] = {}
    known: dict[object, ShownGroups] = {}
    present: dict[str, Set[GroupName]] = {}
    for figures in FIGURES:
        measured = [
            row for row in by_kind.get(figures.kind, ()) if figures.has_value(row)
        ]
        by_place = by_place_of(measured)
        by_group = by_group_of(by_place)
        new = by_place_of(row for row in measured if not (windows and windows.age(row)))
        absent = sum(
            1 << at
            for at, place in enumerate(places)
            if place in by_place and place not in new
        )
        grouped = GroupedFigures(figures, by_group, least)
        # Shares of what is new alone may follow from those of the window before.
        new_grouped = GroupedFigures(figures, by_group_of(new), least)
        agents = frozenset((row.location, row.agent) for row in measured)
        if agents not in known_cells:
            known_cells[agents] = GroupCells(places, by_place, least)
        cells = known_cells[agents]
        kept = protected | (windows.hidden(figures.weight) if windows else frozenset())
        found = []
        for allowed, hidden_before in dict.fromkeys(
            ((alone, frozenset[GroupName]()), (shown, kept))
        ):
            if (key := (agents, allowed, hidden_before)) not in known:
                known[key] = cells.showable(allowed, hidden_before)
            groups = known[key]
            safe = groups.safe(grouped.parts_of_shares(groups.names))
            nothing = dict.fromkeys(safe, 0.0)
            sums = [nothing | one for one in new_grouped.parts_of_shares(safe)]
            found.append(groups.safe(sums, safe, absent))
        window.hidden[figures.weight] = frozenset(by_group) - found[0]
        safe = found[-1]
        if windows:
            safe = windows.safe(safe, figures, measured, cells, window)
        window.shown[figures.weight] = safe
        present[figures.weight] = by_group.keys()
        for group in safe:
            fields[group].update(grouped.fields(group))
    rest = by_place_of(filter(is_of_no_front_door, by_kind.get("web", ())))
    shown_rest = GroupCells(places, rest, least).showable(alone, frozenset()).names
    _hide_totals(fields, present, by_group_of(rest).keys() - shown_rest)
    for group_fields in fields.values():
        group_fields["call_tests"] = call_tests(group_fields, "call_path" in by_kind)
    samples = [
        Sample("experience", {"by": by, "group": group}, fields[by, group], time_ms)
        for by, group in sorted(fields)
    ]
    return samples, window


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
    """Returns the rows that have values, and those of causes, by kind."""
    by_kind: dict[str, list[AgentResult]] = {}
    for row in [*rows, *cause_rows(rows)]:
        if row.values:
            by_kind.setdefault(row.kind, []).append(row)
    return by_kind
