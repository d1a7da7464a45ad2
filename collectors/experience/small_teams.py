"""All teams of too few laptops as one group. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from collectors.estate.estate_model import SMALL_TEAMS


def merged_teams(teams: Mapping[str, str], least: int) -> dict[str, str]:
    """Returns agent → the team that it is shown in. `teams`: agent → its team."""
    # By who is in a team, not by who reports now: a laptop that is off moves nobody
    # from one group to another.
    sizes = Counter(teams.values())
    return {
        agent: SMALL_TEAMS if sizes[team] < least else team
        for agent, team in teams.items()
    }
