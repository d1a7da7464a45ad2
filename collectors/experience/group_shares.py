"""The figures of groups of rows, and what their shares are made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collectors.experience.agent_results import AgentResult
from collectors.experience.disclosure_control import GroupName
from collectors.experience.group_figures import ExperienceFigures
from probes.wire.sample import Value


class GroupedFigures:
    """`figures` of groups of rows, each calculated once."""

    def __init__(
        self,
        figures: ExperienceFigures,
        by_group: Mapping[GroupName, Sequence[AgentResult]],
        least: int,
    ) -> None:
        self._figures, self._by_group, self._least = figures, by_group, least
        self._known: dict[GroupName, dict[str, Value]] = {}

    def fields(self, group: GroupName) -> dict[str, Value]:
        """Returns the fields of one group."""
        if group not in self._known:
            rows = self._by_group[group]
            self._known[group] = self._figures.fields_of_group(rows, self._least)
        return self._known[group]

    def parts_of_shares(
        self, groups: Iterable[GroupName]
    ) -> list[dict[GroupName, float]]:
        """Returns what each share of those groups that have rows is made of: for every
        share the number of calls, checks or laptops that it counts, and of the others.
        They add up over groups, and none is less than 0."""
        fields = {
            group: self.fields(group) for group in groups if group in self._by_group
        }
        unit_count = self._figures.unit_count
        counts = {group: unit_count(self._by_group[group]) for group in fields}
        sums: list[dict[GroupName, float]] = []
        names = {name for group in fields.values() for name in group}
        for name in sorted(name for name in names if name.endswith("_ratio")):
            shares = {group: fields[group].get(name) for group in fields}
            known = {
                group: float(share)
                for group, share in shares.items()
                if isinstance(share, int | float)
            }
            if len(known) == len(fields):
                sums.append({group: known[group] * counts[group] for group in known})
                sums.append(
                    {group: (1 - known[group]) * counts[group] for group in known}
                )
        return sums
