"""Where poor calls break: what a report says of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collectors.experience.group_figures import MOSTLY
from dashboards import figure_text
from dashboards.report.report_data import Content
from probes.wire.call_cause import CAUSES

# A share this small is no cause to name, and no change.
_LEAST = 0.0005


@dataclass(frozen=True)
class Broken:
    """One group's month: of all laptops, the share whose test call was poor by where it
    breaks, weighted by laptops; `before`: the same of the month before, None if it is
    not known."""

    by: str
    group: str
    label: str
    shares: Mapping[str, float]
    before: Mapping[str, float] | None

    @property
    def total(self) -> float:
        return sum(self.shares.values())

    @property
    def total_before(self) -> float | None:
        return None if self.before is None else sum(self.before.values())

    @property
    def order(self) -> list[str]:
        """The causes there are, the commonest first."""
        there = [name for name in CAUSES if self.shares[name] >= _LEAST]
        return sorted(there, key=lambda name: -self.shares[name])

    def changed(self, name: str) -> bool:
        """Whether a cause is more or less common than in the month before."""
        if self.before is None:
            return False
        return abs(self.shares[name] - self.before[name]) >= _LEAST


def broken(content: Content) -> list[Broken]:
    """Offices, homes, the sites asked for, and providers, as far as they are shown."""
    labelled = [
        *((each, _place(each.group)) for each in content.places),
        *(
            pair
            for site in content.sites
            for pair in (
                (site.experience, f"In {site.site.name}"),
                (site.staff_at_home, f"Staff of {site.site.name}, at home"),
            )
        ),
        *(
            (each, f"{figure_text.group('provider', each.group)} (provider)")
            for each in content.providers
        ),
    ]
    return [
        Broken(group.by, group.group, label, shares, _shares(group.before))
        for group, label in labelled
        if (shares := _shares(group.values)) is not None
    ]


def said(found: list[Broken], past: str) -> list[str]:
    """The same in a few plain sentences; `past` names the month before."""
    by_group = {(each.by, each.group): each for each in found}
    told = []
    for group, at in (("home", "At home"), ("office", "In offices")):
        one = by_group.get(("place", group))
        if one is not None:
            told.append(f"{at}, {_sentence(one, past)}")
    providers = [each for each in found if each.by == "provider" and each.order]
    if len(providers) > 1:
        worst = max(providers, key=lambda each: each.total)
        name = figure_text.group("provider", worst.group)
        told.append(f"Of the providers, {name} had most: {_sentence(worst, past)}")
    return told


def _sentence(found: Broken, past: str) -> str:
    if not found.order:
        return "hardly any test call was poor."
    first, *others = found.order
    where = f"mostly at {MOSTLY[first]} ({figure_text.percent(found.shares[first], 1)})"
    if others and found.shares[others[0]] >= found.total / 5:
        share = figure_text.percent(found.shares[others[0]], 1)
        where += f", then at {MOSTLY[others[0]]} ({share})"
    all_of_it = figure_text.percent(found.total, 1)
    text = f"on average {all_of_it} of laptops had a poor test call: {where}."
    if found.before is None:
        return text
    if not found.changed(first):
        return f"{text} The first is as common as in {past}."
    change = found.shares[first] - found.before[first]
    points = figure_text.number(abs(change) * 100, "points", 1)
    return f"{text} The first is {'up' if change > 0 else 'down'} {points} on {past}."


def _place(group: str) -> str:
    return {"office": "Offices", "home": "At home"}.get(group, figure_text.said(group))


def _shares(values: Mapping[str, float] | None) -> Mapping[str, float] | None:
    names = {name: f"cause_{name}_ratio_mean" for name in CAUSES}
    if values is None or not all(field in values for field in names.values()):
        return None
    return {name: values[field] for name, field in names.items()}
