"""Why a group of laptops has no figures: too few, not there, or not measured. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.store.query import Pick, Query, Row
from dashboards import figure_text


def agents(from_ms: int, to_ms: int) -> Query:
    """Laptops enrolled and heard, by the site they belong to."""
    picks = (Pick("expected", "max"), Pick("heard", "max"))
    return Query("self_agents", picks, from_ms, to_ms, (), ("home_site",))


@dataclass(frozen=True)
class Evidence:
    """What is known of laptops beside their figures.

    `groups` were told at some time; `expected` and `heard` are laptops enrolled, and
    heard at once, by the site they belong to.
    """

    groups: frozenset[tuple[str, str]]
    expected: Mapping[str, int]
    heard: Mapping[str, int]

    @classmethod
    def of(cls, told: Iterable[Row], laptops: Iterable[Row]) -> Evidence:
        """From rows of `experience` by group, and the answer to `agents`."""
        counts: dict[str, dict[str, int]] = {"expected_max": {}, "heard_max": {}}
        for row in laptops:
            for name, by_site in counts.items():
                by_site[row.tags.get("home_site", "")] = int(row.values.get(name) or 0)
        groups = {(row.tags.get("by", ""), row.tags.get("group", "")) for row in told}
        return cls(frozenset(groups), counts["expected_max"], counts["heard_max"])

    def absent(self, by: str, group: str, least: int) -> str:
        """Why a group has no figures, in words; `least` is the smallest shown."""
        if (by, group) in self.groups:
            # At other hours.
            return figure_text.HIDDEN
        site = group.split("/")[0] if by in ("site", "home_site_place") else None
        heard, expected = (
            sum(known.values()) if site is None else known.get(site, 0)
            for known in (self.heard, self.expected)
        )
        if heard and (self.groups or heard < least):
            return figure_text.HIDDEN
        if not heard and not expected and self.expected:
            return figure_text.NOT_THERE
        return figure_text.NOT_MEASURED


_OF_CALLS_THAT_GOT_THROUGH = frozenset(
    {"mos_estimated_p50", "rtt_p95_ms", "loss_mean_ratio", "jitter_p95_ms"}
)


def missing(name: str, by: str, group: str, poor: float | None) -> str:
    """Why a group that has figures does not have that one; `poor` is its share of poor
    calls."""
    if name in _OF_CALLS_THAT_GOT_THROUGH and poor == 1:
        return figure_text.FAILED
    if name == "vpn_up_ratio" and (by == "site" or (by, group) == ("place", "office")):
        return figure_text.NOT_IN_OFFICES
    return figure_text.TOO_FEW
