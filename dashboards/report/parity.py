"""Experience parity: is the promise "equally good from anywhere" kept? Pure.

For each part of the promise: the share of working quarters of an hour that were good,
home minus office, paired within laptops (`collectors.experience.paired_difference`),
and its 95 % interval, against the council's margin:

- *kept*: the whole interval is inside the margin;
- *not kept*: the whole interval is beyond it, on one side;
- *cannot tell*: anything else, fewer than ENOUGH laptops and no measurement among it.

Months are worked out one by one and merged here. The mean of their intervals' ends, by
the quarters of an hour compared, is never narrower than the interval of all months
would be, whatever they have in common (they have most of their laptops).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from collectors.experience.good_quarter_hours import PARTS, ExperiencePart
from collectors.experience.group_figures import (
    MEASURED,
    NOT_MEASURED,
    TOO_FEW_LAPTOPS,
)
from collectors.experience.paired_difference import ENOUGH
from collectors.natural_order import natural_order
from collectors.store.query import Pick, Query, Row
from dashboards.observed import Span
from dashboards.report.report_queries import AskStore
from dashboards.report_config import ParityMargins
from dashboards.row_values import float_value

Verdict = Literal["kept", "not kept", "cannot tell"]


@dataclass(frozen=True)
class ParityFigures:
    """One part of the promise for one group. Shares are of good quarters of an hour of
    the laptops seen at both places; without a figure they are None. Numbers of laptops
    are rounded to 5; None: fewer than may be shown.

    `seen` of `possible` quarters of an hour, on `days` of `working_days`, in `months`
    months with a figure.
    """

    part: ExperiencePart
    by: str
    group: str
    margin: float
    verdict: Verdict
    reason: str
    home: float | None = None
    office: float | None = None
    low: float | None = None
    high: float | None = None
    laptops: int = 0
    home_only: int | None = None
    office_only: int | None = None
    seen: int = 0
    possible: int = 0
    days: int = 0
    working_days: int = 0
    months: int = 0

    @property
    def difference(self) -> float | None:
        """Home minus office."""
        if self.home is None or self.office is None:
            return None
        return self.home - self.office

    @property
    def coverage(self) -> float | None:
        """The share of those laptops' working quarters of an hour that was measured."""
        return min(1.0, self.seen / self.possible) if self.possible else None


_COUNTS = (
    "laptops",
    "home_only_laptops",
    "office_only_laptops",
    "matched",
    "effective_laptops",
)
_SUMS = ("seen", "possible", "days", "working_days")
_RATIOS = (
    "home_good_ratio",
    "office_good_ratio",
    "difference_low_ratio",
    "difference_high_ratio",
)


def parity_query(months: Sequence[Span]) -> Query:
    """Returns the query of the months' rows, one of each group, part and month."""
    return Query(
        "parity",
        (
            Pick("state", "last"),
            *(Pick(name, "max") for name in (*_COUNTS, *_SUMS)),
            *(Pick(name, "max") for name in _RATIOS),
        ),
        months[0][0],
        months[-1][1],
        (),
        ("by", "group", "part"),
        spans=tuple(months),
    )


async def gather_parity(
    ask: AskStore,
    months: Sequence[Span],
    margins: ParityMargins,
    sites: Sequence[str] | None,
) -> tuple[ParityFigures, ...]:
    """Returns the figures of the council and of the home sites `sites` (None: all)."""
    rows = await ask(parity_query(months)) if months else []
    return tuple(
        figures
        for figures in parity_figures(rows, margins)
        if sites is None or figures.by == "all" or figures.group in sites
    )


def parity_figures(
    rows: Iterable[Row], margins: ParityMargins
) -> tuple[ParityFigures, ...]:
    """Returns every group's figures over all months of `rows`, the whole council first
    and always with each part."""
    by_group: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        key = (row.tags["by"], row.tags["group"], row.tags["part"])
        by_group.setdefault(key, []).append(row)
    groups = sorted(
        {key[:2] for key in by_group} - {("all", "all")},
        key=lambda group: (group[0], natural_order(group[1])),
    )
    return tuple(
        _figures(part, *group, by_group.get((*group, part.name), []), margins)
        for group in (("all", "all"), *groups)
        for part in PARTS
        if group[0] == "all" or (*group, part.name) in by_group
    )


def _figures(
    part: ExperiencePart, by: str, group: str, rows: list[Row], margins: ParityMargins
) -> ParityFigures:
    margin = getattr(margins, part.name) / 100
    states = {str(row.values.get("state_last", "")) for row in rows}
    sums = {name: sum(_whole(row, name) for row in rows) for name in _SUMS}
    known = [row for row in rows if row.values.get("state_last") == MEASURED]
    weights = [_whole(row, "matched") for row in known]
    if not sum(weights):
        few = TOO_FEW_LAPTOPS in states
        reason = (
            "too few laptops were seen both at home and in an office"
            if few
            else NOT_MEASURED
        )
        return ParityFigures(
            part, by, group, margin, "cannot tell", reason, days=sums["days"]
        )
    home, office, low, high = (
        sum(
            weight * float(row.values[f"{name}_max"])
            for weight, row in zip(weights, known, strict=True)
        )
        / sum(weights)
        for name in _RATIOS
    )
    effective = max(_effective(row) for row in known)
    verdict, reason = verdict_of(low, high, margin, effective)
    return ParityFigures(
        part,
        by,
        group,
        margin,
        verdict,
        reason,
        home,
        office,
        low,
        high,
        laptops=max(_whole(row, "laptops") for row in known),
        home_only=_most(known, "home_only_laptops"),
        office_only=_most(known, "office_only_laptops"),
        months=len(known),
        **sums,
    )


def verdict_of(
    low: float, high: float, margin: float, laptops: float
) -> tuple[Verdict, str]:
    """Returns the verdict on an interval of home minus office, and why. `laptops`: how
    many the comparison is worth."""
    if laptops < ENOUGH:
        few = f"too few laptops: it takes {ENOUGH} that were often at both places"
        return "cannot tell", few
    reach = f"{points(low)} to {points(high)}"
    limit = f"{margin * 100:g} points"
    if -margin <= low and high <= margin:
        return "kept", f"the interval, {reach}, is within {limit}"
    if high < -margin:
        return "not kept", f"home is worse by more than {limit}: {reach}"
    if low > margin:
        return "not kept", f"the office is worse by more than {limit}: {reach}"
    return "cannot tell", f"the interval, {reach}, reaches beyond {limit} on one side"


def _effective(row: Row) -> int:
    """How many laptops a month's comparison is worth. Months of earlier versions have
    only their number."""
    known = float_value(row, "effective_laptops_max")
    return _whole(row, "laptops") if known is None else int(known)


def points(difference: float) -> str:
    """Returns a difference of shares such as `-1.4 points`; 0 has no sign."""
    value = round(difference * 100, 1)
    return f"{value:+.1f} points" if value else "0 points"


def _whole(row: Row, name: str) -> int:
    return int(float_value(row, f"{name}_max") or 0)


def _most(rows: Iterable[Row], name: str) -> int | None:
    return max((_whole(row, name) for row in rows), default=0) or None
