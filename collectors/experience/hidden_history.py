"""Which groups were hidden in the last windows, and stay hidden while windows overlap.
Pure.

Windows overlap, so the rows of two windows share most of their results. If a group is
hidden in one window and shown in the next ones, what it had in the first may follow
from the differences. So it is shown again when no window is left that overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from collectors.experience.disclosure_control import GroupName

# What is hidden is decided for the number of agents and for each figure, by its weight.
AGENTS = "agents"
HiddenGroups = dict[str, frozenset[GroupName]]
# As it is saved: the end of each window, and what was hidden in it.
SavedHistory = list[tuple[int, dict[str, list[GroupName]]]]


class HiddenHistory:
    """`periods`: figure → in how many periods its results count."""

    def __init__(self, period_ms: int, periods: Mapping[str, int]) -> None:
        self._period_ms, self._periods = period_ms, periods
        self._windows: dict[int, HiddenGroups] = {}

    def protected(self, figure: str, end_ms: int) -> frozenset[GroupName]:
        """Returns the groups that were hidden in a window before the one that ends at
        `end_ms` and overlaps it."""
        overlapping = range(1, self._periods[figure])
        ends = (end_ms - n * self._period_ms for n in overlapping)
        return frozenset().union(
            *(
                self._windows[end].get(figure, frozenset())
                for end in ends
                if end in self._windows
            )
        )

    def add(self, end_ms: int, hidden: HiddenGroups) -> None:
        """Adds the window that ends then, and forgets those that no later one
        overlaps."""
        oldest_ms = end_ms - max(self._periods.values()) * self._period_ms
        self._windows = {
            end: groups for end, groups in self._windows.items() if end > oldest_ms
        }
        self._windows[end_ms] = {
            figure: groups for figure, groups in hidden.items() if groups
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
