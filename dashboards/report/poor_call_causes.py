"""Where poor calls fail, as a report shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collectors.experience.group_figures import MOSTLY
from dashboards import figure_text
from dashboards.report.report_data import ReportContent
from probes.wire.call_cause import CAUSES

# Smaller shares and changes are not named.
_MIN_SHARE = 0.0005


@dataclass(frozen=True)
class GroupCauses:
    """One group's month: the share of its laptops whose test call was poor, by where it
    failed, weighted by laptops. `before`: the same for the month before; None if it is
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
        """The causes that occurred, most common first."""
        present = [name for name in CAUSES if self.shares[name] >= _MIN_SHARE]
        return sorted(present, key=lambda name: -self.shares[name])

    def changed(self, name: str) -> bool:
        """Whether a cause is more or less common than in the month before."""
        if self.before is None:
            return False
        return abs(self.shares[name] - self.before[name]) >= _MIN_SHARE


def causes_by_group(content: ReportContent) -> list[GroupCauses]:
    """Returns offices, homes, the report's sites and providers, as far as shown."""
    labelled = [
        *((place, _place(place.group)) for place in content.places),
        *(
            pair
            for site in content.sites
            for pair in (
                (site.experience, f"In {site.site.name}"),
                (site.staff_at_home, f"Staff of {site.site.name}, at home"),
            )
        ),
        *(
            (
                provider,
                f"{figure_text.group_name('provider', provider.group)} (provider)",
            )
            for provider in content.providers
        ),
    ]
    return [
        GroupCauses(group.by, group.group, label, shares, _shares(group.before))
        for group, label in labelled
        if (shares := _shares(group.values)) is not None
    ]


def cause_sentences(groups: list[GroupCauses], past: str) -> list[str]:
    """Returns the causes in a few sentences; `past` names the month before."""
    by_group = {(group.by, group.group): group for group in groups}
    sentences = []
    for place, at in (("home", "At home"), ("office", "In offices")):
        causes = by_group.get(("place", place))
        if causes is not None:
            sentences.append(f"{at}, {_sentence(causes, past)}")
    providers = [group for group in groups if group.by == "provider" and group.order]
    if len(providers) > 1:
        worst = max(providers, key=lambda group: group.total)
        name = figure_text.group_name("provider", worst.group)
        sentences.append(f"The worst provider was {name}: {_sentence(worst, past)}")
    return sentences


def _sentence(causes: GroupCauses, past: str) -> str:
    if not causes.order:
        return "hardly any test calls were poor."
    first, *others = causes.order
    where = (
        f"mostly at {MOSTLY[first]} ({figure_text.percent(causes.shares[first], 1)})"
    )
    if others and causes.shares[others[0]] >= causes.total / 5:
        share = figure_text.percent(causes.shares[others[0]], 1)
        where += f", then at {MOSTLY[others[0]]} ({share})"
    total = figure_text.percent(causes.total, 1)
    text = f"on average {total} of laptops had a poor test call, {where}."
    if causes.before is None:
        return text
    if not causes.changed(first):
        return f"{text} The main cause is as common as in {past}."
    change = causes.shares[first] - causes.before[first]
    points = figure_text.number(abs(change) * 100, "points", 1)
    return (
        f"{text} The main cause is {'up' if change > 0 else 'down'} {points} on {past}."
    )


def _place(group: str) -> str:
    return {"office": "Offices", "home": "At home"}.get(
        group, figure_text.identifier_text(group)
    )


def _shares(values: Mapping[str, float] | None) -> Mapping[str, float] | None:
    names = {name: f"cause_{name}_ratio_mean" for name in CAUSES}
    if values is None or not all(field in values for field in names.values()):
        return None
    return {name: values[field] for name, field in names.items()}
