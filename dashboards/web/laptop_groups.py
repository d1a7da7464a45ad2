"""Figures of groups of laptops, as the status page shows them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collectors.experience.group_figures import rounded
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.missing_figures import why_missing


@dataclass(frozen=True)
class Group:
    """The figures of one group of laptops; `mostly`: where most of its poor calls
    fail."""

    by: str
    group: str
    values: dict[str, float]
    mostly: str = ""

    @property
    def tests(self) -> int | None:
        """Its test calls in the window of the row, to 5; None if they are not known."""
        calls = self.values.get("calls_last")
        return None if calls is None else rounded(int(calls))

    def why_missing(self, name: str) -> str:
        """Returns why the group lacks that figure."""
        poor = self.values.get("call_poor_ratio_last")
        return why_missing(name, self.by, self.group, poor)


def groups(rows: Sequence[Row] | None, by: str) -> list[Group]:
    """Returns the groups of one kind by their latest row, most laptops first."""
    newest: dict[str, Row] = {}
    for row in rows or ():
        group = row.tags.get("group", "")
        known = newest.get(group)
        if row.tags.get("by") == by and (
            known is None or (row.time_ms or 0) >= (known.time_ms or 0)
        ):
            newest[group] = row
    figures = [
        Group(
            by,
            group,
            {
                name: float(value)
                for name, value in row.values.items()
                if not isinstance(value, str)
            },
            str(row.values.get("mostly_last") or ""),
        )
        for group, row in newest.items()
    ]
    return sorted(
        figures,
        key=lambda group: (
            -group.values.get("agents_last", 0),
            natural_order(group.group),
        ),
    )
