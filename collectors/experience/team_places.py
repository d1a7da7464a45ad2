"""Where most of a team's laptops are, and how they are connected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Set

from collectors.experience.agent_results import AgentResult
from collectors.experience.disclosure_control import GroupName
from probes.wire.sample import Value

# Of ten laptops eight: what they have in common may explain what the team has.
_MOST = 0.8
_NOTHING = ("unknown", "down", "absent")


def team_places(
    rows: Iterable[AgentResult], shown: Set[GroupName], least: int
) -> dict[str, Value]:
    """`mostly_site`, `mostly_provider` and `mostly_vpn` of the rows of one team: only a
    group that is shown itself, with at least `least` of the team's laptops."""
    agents: set[str] = set()
    among: dict[GroupName, set[str]] = {}
    for row in rows:
        agents.add(row.agent)
        groups = [("provider", row.location.provider), ("vpn", row.location.vpn)]
        if row.location.place == "office":
            groups.append(("site", row.location.site))
        for group in groups:
            among.setdefault(group, set()).add(row.agent)
    return {
        f"mostly_{by}": name
        for (by, name), members in among.items()
        if (by, name) in shown
        and name not in _NOTHING
        and len(members) >= max(least, _MOST * len(agents))
    }
