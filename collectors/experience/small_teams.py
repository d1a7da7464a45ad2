"""All teams of too few laptops as one group, and what must be hidden while which teams
these are changes. Pure.

Windows overlap. If a team becomes large enough, the group before it less the group
after it is that team as it was; so both are hidden until no window overlaps the change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from collectors.estate.estate_model import SMALL_TEAMS
from collectors.experience.disclosure_control import GroupName
from collectors.experience.group_history import AGENTS, FigureGroups

_MERGED = ("team", SMALL_TEAMS)
# How the history remembers a team that was in the group. No group has this name.
_SMALL = "small team"


class SmallTeams:
    """`teams`: agent → its team. `before`: what was hidden in windows that overlap."""

    def __init__(
        self, teams: Mapping[str, str], least: int, before: Iterable[GroupName]
    ) -> None:
        sizes = Counter(teams.values())
        self.small = frozenset(team for team, size in sizes.items() if size < least)
        # By who is in a team, not by who reports now: a laptop that is off moves
        # nobody from one group to another.
        self.merged: dict[str, str] = {
            agent: SMALL_TEAMS if team in self.small else team
            for agent, team in teams.items()
        }
        known = frozenset(name for by, name in before if by == _SMALL)
        self.protected: frozenset[GroupName] = (
            frozenset() if known == self.small else frozenset({_MERGED})
        )

    def with_small(self, hidden: FigureGroups) -> FigureGroups:
        """Returns what is hidden in this window, with the teams in the group."""
        more = self.protected | {("team", team) for team in self.small}
        every = {figure: groups | more for figure, groups in hidden.items()}
        every[AGENTS] |= {(_SMALL, team) for team in self.small}
        return every
