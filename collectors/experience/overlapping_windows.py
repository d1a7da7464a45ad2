"""Decides which groups of a window may be shown beside what earlier windows that
overlap it have shown. Pure.

A reader who has every window may come to know each part of a window: that none of a
group's calls in a window was poor makes every part of it known, and each later window
then adds the part that is new in it. So a part is looked at on its own, as if what has
been shown of any window that it is in were known of this part alone. In one part at
least, each small group must be uncertain (`other_outcomes`), and it must stay so as
long as windows have this part. What an earlier window has shown binds: only groups of
this window are hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from collectors.experience.agent_results import AgentPlace, AgentResult
from collectors.experience.disclosure_control import GroupName
from collectors.experience.group_figures import ExperienceFigures
from collectors.experience.group_history import WindowGroups, WindowHistory
from collectors.experience.other_outcomes import Outcomes
from collectors.experience.window_groups import GroupCells, by_group_of, by_place_of

Groups = frozenset[GroupName]


class OverlappingWindows(NamedTuple):
    """The windows before the one that ends at `end_ms`. `age`: in how many of them a
    row was."""

    history: WindowHistory
    end_ms: int
    age: Callable[[AgentResult], int]

    def hidden(self, figure: str) -> Groups:
        return self.history.hidden.before(figure, self.end_ms)

    def safe(
        self,
        names: Groups,
        figures: ExperienceFigures,
        measured: Sequence[AgentResult],
        cells: GroupCells,
        window: WindowGroups,
    ) -> Groups:
        """Returns which of `names` may be shown. `measured`: the rows that count for
        `figures`. Adds to `window` which groups must stay uncertain."""
        small = cells.small
        if not small or not names:
            return names
        by_group = by_group_of(by_place_of(measured))
        counts = {group: figures.shares_of(by_group[group]) for group in small}
        parts: dict[int, list[AgentResult]] = {}
        for row in measured:
            parts.setdefault(self.age(row), []).append(row)
        outcomes = {age: _outcomes(figures, rows) for age, rows in parts.items()}
        for share in figures.shares_of(measured):
            # That all or none of them were poor is no share of a single one.
            mixed = [
                group
                for group in sorted(small)
                if share in counts[group]
                and 0.0 < counts[group][share][0] < counts[group][share][1]
            ]
            ages = {
                age: of_age[share]
                for age, of_age in outcomes.items()
                if share in of_age
            }
            hidden = self._hidden(share, mixed, ages, names, figures, cells, window)
            names -= hidden
        return names

    def _hidden(
        self,
        share: str,
        mixed: Sequence[GroupName],
        parts: Mapping[int, Outcomes],
        names: Groups,
        figures: ExperienceFigures,
        cells: GroupCells,
        window: WindowGroups,
    ) -> Groups:
        """Returns which of `names` must be hidden for one share. `parts`: its outcomes
        in each part of the window, by age."""
        history = self.history
        order = cells.smallest_first(names)
        known = {
            age: history.shown.since(figures.weight, self.end_ms, age) for age in parts
        }
        hidden: Groups = frozenset()

        def more(group: GroupName, age: int) -> Groups | None:
            open_to = [
                name for name in order if name not in hidden and name not in known[age]
            ]
            return parts[age].hidden_for(group, open_to, known[age])

        for age in sorted(parts):
            for group in sorted(history.uncertain.at(share, self.end_ms, age)):
                hidden |= more(group, age) or frozenset()
        for group in mixed:
            ways = [
                (len(way), -age, way)
                for age in parts
                if (way := more(group, age)) is not None
            ]
            if ways:
                _, minus_age, way = min(ways, key=lambda one: one[:2])
                hidden |= way
                if minus_age:
                    history.uncertain.extend(share, self.end_ms, -minus_age, [group])
                else:
                    kept = window.uncertain.get(share, frozenset())
                    window.uncertain[share] = kept | {group}
        return hidden


def _outcomes(
    figures: ExperienceFigures, rows: Sequence[AgentResult]
) -> dict[str, Outcomes]:
    counts: dict[str, dict[AgentPlace, tuple[float, float]]] = {}
    for place, own in by_place_of(rows).items():
        for name, count in figures.shares_of(own).items():
            counts.setdefault(name, {})[place] = count
    return {name: Outcomes(by_place) for name, by_place in counts.items()}
