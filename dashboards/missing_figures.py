"""Why a group of laptops has no figures: too few, none there, or not measured. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.store.query import Pick, Query, Row
from dashboards import figure_text


def laptops_query(from_ms: int, to_ms: int) -> Query:
    """Returns the query for laptops enrolled and reporting, by home site."""
    picks = (Pick("expected", "max"), Pick("heard", "max"), Pick("enough", "max"))
    return Query("self_agents", picks, from_ms, to_ms, (), ("home_site",))


@dataclass(frozen=True)
class LaptopCounts:
    """What is known of laptops apart from their figures.

    `groups`: those that had figures at some time. `expected`, `heard`: laptops
    enrolled, and reporting at the same time, by home site. `few`: sites with too few
    to be counted.
    """

    groups: frozenset[tuple[str, str]]
    expected: Mapping[str, int]
    heard: Mapping[str, int]
    few: frozenset[str] = frozenset()

    @classmethod
    def from_rows(cls, figures: Iterable[Row], laptops: Iterable[Row]) -> LaptopCounts:
        """Builds it from rows of `experience` by group and those of `laptops_query`."""
        counts: dict[str, dict[str, int]] = {"expected_max": {}, "heard_max": {}}
        few = set()
        for row in laptops:
            site = row.tags.get("home_site", "")
            if row.values.get("enough_max") == 0:
                few.add(site)
                continue
            for name, by_site in counts.items():
                by_site[site] = int(row.values.get(name) or 0)
        groups = {
            (row.tags.get("by", ""), row.tags.get("group", "")) for row in figures
        }
        return cls(
            frozenset(groups),
            counts["expected_max"],
            counts["heard_max"],
            frozenset(few),
        )

    def why_absent(self, by: str, group: str, least: int) -> str:
        """Returns why a group has no figures; `least` is the smallest group shown."""
        if (by, group) in self.groups:
            # It had figures at other hours.
            return figure_text.HIDDEN
        site = group.split("/")[0] if by in ("site", "home_site_place") else None
        if site in self.few or (self.few and not self.expected):
            return figure_text.HIDDEN
        heard, expected = (
            sum(counts.values()) if site is None else counts.get(site, 0)
            for counts in (self.heard, self.expected)
        )
        if heard and (self.groups or heard < least):
            return figure_text.HIDDEN
        if not heard and not expected and self.expected:
            return figure_text.NO_LAPTOPS
        return figure_text.NOT_MEASURED


_ONLY_OF_COMPLETED_CALLS = frozenset(
    {"mos_estimated_p50", "rtt_p95_ms", "loss_mean_ratio", "jitter_p95_ms"}
)


def why_missing(name: str, by: str, group: str, poor: float | None) -> str:
    """Returns why a group with figures lacks this one; `poor` is its share of poor
    calls."""
    if name in _ONLY_OF_COMPLETED_CALLS and poor == 1:
        return figure_text.FAILED
    if name == "vpn_up_ratio" and (by == "site" or (by, group) == ("place", "office")):
        return figure_text.NOT_IN_OFFICES
    return figure_text.TOO_FEW
