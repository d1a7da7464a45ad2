"""Which groups a row counts in, which of them are sums of others, and which may be
shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from collectors.experience.agent_results import AgentPlace, AgentResult
from collectors.experience.disclosure_control import (
    Cells,
    GroupName,
    GroupSum,
    secret_cells,
    showable,
)
from collectors.experience.value_disclosure import ShownGroups

ALL: GroupName = ("all", "all")


def group_names(location: AgentPlace) -> list[GroupName]:
    """Returns the groups that a row counts in.

    `site` is only one of them if the laptop is in an office. `vpn` is the product if
    the tunnel is up; otherwise down, absent or unknown.
    """
    names = [
        ALL,
        ("place", location.place),
        ("home_site", location.home_site),
        ("provider", location.provider),
        ("connection", location.connection),
        ("vpn", location.vpn),
        ("home_site_place", f"{location.home_site}/{location.place}"),
    ]
    if location.place == "office":
        names.append(("site", location.site))
    if location.team:
        names.append(("team", location.team))
    return names


def group_sums(groups: Iterable[GroupName]) -> list[GroupSum]:
    """Returns which of the groups are sums of others."""
    names = sorted(groups)
    lines = [
        GroupSum(ALL, tuple(g for g in names if g[0] == by))
        for by in (
            "place",
            "home_site",
            "provider",
            "connection",
            "vpn",
            "home_site_place",
            "team",
        )
    ]
    if ("place", "office") in names:
        lines.append(
            GroupSum(("place", "office"), tuple(g for g in names if g[0] == "site"))
        )
    for by, end in (("home_site", 0), ("place", 1)):
        for total in [g for g in names if g[0] == by]:
            parts = [
                g
                for g in names
                if g[0] == "home_site_place"
                and g[1].rpartition("/")[::2][end] == total[1]
            ]
            lines.append(GroupSum(total, tuple(parts)))
    return lines


def by_place_of(rows: Iterable[AgentResult]) -> dict[AgentPlace, list[AgentResult]]:
    by_place: dict[AgentPlace, list[AgentResult]] = {}
    for row in rows:
        by_place.setdefault(row.location, []).append(row)
    return by_place


def by_group_of(
    by_place: Mapping[AgentPlace, Sequence[AgentResult]],
) -> dict[GroupName, list[AgentResult]]:
    by_group: dict[GroupName, list[AgentResult]] = {}
    for location, rows in by_place.items():
        for group in group_names(location):
            by_group.setdefault(group, []).extend(rows)
    return by_group


class GroupCells:
    """The groups of some rows as cells. `places`: every place of the window, in the
    order of the atoms."""

    def __init__(
        self,
        places: Sequence[AgentPlace],
        by_place: Mapping[AgentPlace, Sequence[AgentResult]],
        least: int,
    ) -> None:
        atoms: dict[GroupName, list[int]] = {}
        for at, location in enumerate(places):
            if location in by_place:
                for group in group_names(location):
                    atoms.setdefault(group, []).append(at)
        people = [{row.agent for row in by_place.get(place, ())} for place in places]
        self._least = least
        self._cells = Cells(people, atoms)
        self._sums = group_sums(atoms) if atoms else []

    @property
    def small(self) -> frozenset[GroupName]:
        """Those of too few laptops."""
        cells = self._cells
        return frozenset(
            name for name, bits in cells.bits.items() if cells.count(bits) < self._least
        )

    def showable(self, allowed: Set[GroupName] | None = None) -> ShownGroups:
        """Returns the groups that may be shown, among those `allowed`."""
        cells, sums = self._cells, self._sums
        names = showable(cells, sums, self._least, allowed) if sums else set()
        return ShownGroups(cells, names, secret_cells(cells, self._least), sums)

    def smallest_first(self, names: Iterable[GroupName]) -> list[GroupName]:
        """Returns `names` by their number of laptops."""
        cells = self._cells
        return sorted(names, key=lambda name: (cells.count(cells.bits[name]), name))
