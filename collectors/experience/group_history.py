"""Which groups were hidden, too small and shown in the last windows, as long as later
windows overlap. Pure.

Windows overlap, so the rows of two windows share most of their results. If a group is
hidden in one window and shown in the next ones, what it had in the first may follow
from the differences. So it is shown again when no window is left that overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from collectors.experience.disclosure_control import GroupName

# What is hidden is decided for the number of agents and for each figure, by its weight.
AGENTS = "agents"
FigureGroups = dict[str, frozenset[GroupName]]
# As it is saved: the end of each window, and its groups of each figure.
SavedHistory = list[tuple[int, dict[str, list[GroupName]]]]


class GroupHistory:
    """`periods`: figure → in how many periods its results count."""

    def __init__(self, period_ms: int, periods: Mapping[str, int]) -> None:
        self._period_ms, self._periods = period_ms, periods
        self._windows: dict[int, FigureGroups] = {}

    def before(self, figure: str, end_ms: int) -> frozenset[GroupName]:
        """Returns the groups of all windows before the one that ends at `end_ms` that
        overlap it."""
        return self.since(figure, end_ms, self._periods[figure] - 1)

    def since(self, figure: str, end_ms: int, age: int) -> frozenset[GroupName]:
        """Returns the groups of the `age` windows before that one."""
        return frozenset().union(*(self.at(figure, end_ms, n + 1) for n in range(age)))

    def at(self, figure: str, end_ms: int, age: int) -> frozenset[GroupName]:
        """Returns the groups of the window `age` periods before that one."""
        window = self._windows.get(end_ms - age * self._period_ms, {})
        return window.get(figure, frozenset())

    def extend(
        self, figure: str, end_ms: int, age: int, groups: Iterable[GroupName]
    ) -> None:
        """Adds groups to the window `age` periods before that one."""
        window = self._windows.setdefault(end_ms - age * self._period_ms, {})
        window[figure] = window.get(figure, frozenset()).union(groups)

    def add(self, end_ms: int, groups: FigureGroups) -> None:
        """Adds the window that ends then, and forgets those that no later one
        overlaps."""
        oldest_ms = end_ms - max(self._periods.values()) * self._period_ms
        self._windows = {
            end: window for end, window in self._windows.items() if end > oldest_ms
        }
        self._windows[end_ms] = {
            figure: names for figure, names in groups.items() if names
        }

    def saved(self) -> SavedHistory:
        return [
            (end, {figure: sorted(groups) for figure, groups in window.items()})
            for end, window in sorted(self._windows.items())
        ]

    def load(self, saved: Iterable[tuple[int, dict[str, list[GroupName]]]]) -> None:
        """Continues where another process has stopped."""
        self._windows = {
            end: {figure: frozenset(groups) for figure, groups in window.items()}
            for end, window in saved
        }


class WindowGroups(msgspec.Struct):
    """The groups of one window: `hidden` whatever was hidden before, `shown`, and
    `uncertain` by share: those that must stay so in what was new in that window."""

    hidden: FigureGroups = {}
    shown: FigureGroups = {}
    uncertain: FigureGroups = {}


class SavedGroups(msgspec.Struct):
    """The histories as they are saved."""

    hidden: SavedHistory = []
    shown: SavedHistory = []
    uncertain: SavedHistory = []


class WindowHistory:
    """The history of each kind of `WindowGroups`."""

    def __init__(self, period_ms: int, periods: Mapping[str, int]) -> None:
        self.hidden, self.shown, self.uncertain = (
            GroupHistory(period_ms, periods) for _ in range(3)
        )

    def add(self, end_ms: int, window: WindowGroups) -> None:
        self.hidden.add(end_ms, window.hidden)
        self.shown.add(end_ms, window.shown)
        self.uncertain.add(end_ms, window.uncertain)

    def saved(self) -> SavedGroups:
        return SavedGroups(
            self.hidden.saved(), self.shown.saved(), self.uncertain.saved()
        )

    def load(self, saved: SavedGroups) -> None:
        self.hidden.load(saved.hidden)
        self.shown.load(saved.shown)
        self.uncertain.load(saved.uncertain)
