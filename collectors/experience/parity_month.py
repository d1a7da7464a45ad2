"""Experience parity of one month: rows of `parity` from single laptops' results. Pure.

The counts of single laptops exist only while a month is worked out. What is kept is
about groups of at least `least` paired laptops: the council, and each home site if that
reveals no smaller one (`disclosure_control`). A month is worked out once and never
corrected, as two versions of a row would show the difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set

import msgspec

from collectors.experience.disclosure_control import Cells, GroupName, showable
from collectors.experience.good_quarter_hours import (
    PARTS,
    QUARTER_HOUR_MS,
    ExperiencePart,
    SeenQuarterHour,
)
from collectors.experience.group_figures import (
    MEASURED,
    NOT_MEASURED,
    TOO_FEW_LAPTOPS,
    rounded,
)
from collectors.experience.paired_difference import PlaceCounts, paired_difference
from collectors.experience.window_groups import ALL, group_sums
from probes.wire.sample import Sample, Value

_SEED = 2_026
_DIGITS = 3


_ALONE: Mapping[str, Callable[[PlaceCounts], bool]] = {
    "home_only_laptops": lambda one: not one.office_seen,
    "office_only_laptops": lambda one: not one.home_seen,
}


class WorkingTime(msgspec.Struct, frozen=True):
    """The working quarters of an hour of a month, and how many days they are on."""

    quarter_hours: int
    days: int


class ParityTally:
    """Counts the good quarters of an hour of each laptop, part and place."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, PlaceCounts]] = {
            part.name: {} for part in PARTS
        }
        self._home_sites: dict[str, Counter[str]] = {}
        self._days: dict[str, set[int]] = {part.name: set() for part in PARTS}

    def add(
        self, part: ExperiencePart, seen: Iterable[SeenQuarterHour], day: int
    ) -> None:
        """Adds what was seen on that day. Other places than home and office are not
        compared."""
        of_part = self._counts[part.name]
        for one in seen:
            if one.place not in ("home", "office"):
                continue
            counts = of_part.setdefault(one.agent, PlaceCounts())
            if one.place == "home":
                counts.home_seen += 1
                counts.home_good += one.is_good
            else:
                counts.office_seen += 1
                counts.office_good += one.is_good
            self._home_sites.setdefault(one.agent, Counter())[one.home_site] += 1
            self._days[part.name].add(day)

    def samples(self, time_ms: int, working: WorkingTime, least: int) -> list[Sample]:
        """Returns the month's rows: for each part one of the whole council, even if it
        only shows why there is no figure, and one for each home site that may be
        shown."""
        samples = []
        for part in PARTS:
            groups = self._groups(part.name)
            # Some counts are of all laptops, the shares of those that are paired.
            every = _showable(groups, least, lambda one: True)
            shown = _showable(groups, least, lambda one: one.is_paired, every)
            alone = {
                name: _showable(groups, least, counts, shown)
                for name, counts in _ALONE.items()
            }
            for group in sorted(shown | {ALL}):
                fields = _fields(groups.get(group, {}), working, group in shown) | {
                    "days": len(self._days[part.name]),
                    "working_days": working.days,
                }
                if group in shown:
                    fields |= _alone(groups[group], alone, group)
                tags = {"by": group[0], "group": group[1], "part": part.name}
                samples.append(Sample("parity", tags, fields, time_ms))
        return samples

    def _groups(self, part: str) -> dict[GroupName, dict[str, PlaceCounts]]:
        groups: dict[GroupName, dict[str, PlaceCounts]] = {}
        for agent, counts in self._counts[part].items():
            groups.setdefault(ALL, {})[agent] = counts
            # A laptop whose home site changed counts for the one it had most.
            sites = self._home_sites[agent]
            site = max(sorted(sites), key=lambda name: sites[name])
            groups.setdefault(("home_site", site or "unknown"), {})[agent] = counts
        return groups


def _showable(
    groups: Mapping[GroupName, Mapping[str, PlaceCounts]],
    least: int,
    counts: Callable[[PlaceCounts], bool],
    allowed: Set[GroupName] | None = None,
) -> set[GroupName]:
    """Returns the groups, among those `allowed`, whose laptops for which `counts` holds
    may be shown together."""
    sites = [name for name in groups if name != ALL]
    people = [
        {agent for agent, one in groups[name].items() if counts(one)} for name in sites
    ]
    atoms: dict[GroupName, list[int]] = {
        name: [at] for at, name in enumerate(sites) if people[at]
    }
    if not atoms:
        return set()
    atoms[ALL] = [at for at, agents in enumerate(people) if agents]
    return showable(Cells(people, atoms), group_sums(atoms), least, allowed)


def _fields(
    laptops: Mapping[str, PlaceCounts],
    working: WorkingTime,
    is_shown: bool,
) -> dict[str, Value]:
    if not laptops:
        return {"state": NOT_MEASURED}
    # In a fixed order, so that the same month gives the same interval.
    ordered = [laptops[agent] for agent in sorted(laptops)]
    found = paired_difference(ordered, _SEED) if is_shown else None
    if found is None:
        return {"state": TOO_FEW_LAPTOPS}
    return {
        "state": MEASURED,
        "home_good_ratio": round(found.home, _DIGITS),
        "office_good_ratio": round(found.office, _DIGITS),
        "difference_low_ratio": round(found.low, _DIGITS),
        "difference_high_ratio": round(found.high, _DIGITS),
        "matched": rounded(round(found.matched)),
        # Never up, as it decides whether there is a verdict.
        "effective_laptops": int(found.effective) // 5 * 5,
        "laptops": rounded(sum(one.is_paired for one in ordered)),
        "seen": rounded(sum(one.home_seen + one.office_seen for one in ordered)),
        "possible": rounded(len(ordered)) * working.quarter_hours,
    }


def _alone(
    laptops: Mapping[str, PlaceCounts],
    shown: Mapping[str, Set[GroupName]],
    group: GroupName,
) -> dict[str, Value]:
    """The numbers of laptops seen at one place only. Absent: too few to be shown, or
    none."""
    return {
        name: rounded(sum(counts(one) for one in laptops.values()))
        for name, counts in _ALONE.items()
        if group in shown[name]
    }


def working_quarter_hours(spans: Iterable[tuple[int, int]]) -> set[int]:
    """Returns the starts of the quarters of an hour that `spans` cover or touch."""
    return {
        at
        for begin, end in spans
        for at in range(
            begin // QUARTER_HOUR_MS * QUARTER_HOUR_MS, end, QUARTER_HOUR_MS
        )
    }
