"""What a line is worth, and what to do by which date. Pure.

A line is judged by what it must carry: the 95th percentile of its use in each
direction, at 70 % of the contract at most, so that there is room to grow. A price is
only ever one that the council pays itself: the cheapest of its other lines that would
do. If it has none, the price is not known, and no pounds are shown. What a supplier can
build at a site is not known either.

A full line is never good value, however cheap: what people would have used does not
show in its use. So "go up" comes before everything about money.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from collectors.estate import Line
from collectors.natural_order import natural_order
from dashboards import figure_text
from dashboards.report.report_figures import (
    IDLE_RATIO,
    LineFigures,
    notice_day,
    reminder,
)
from dashboards.state_levels import BUSY_RATIO
from probes.wire.counted_text import counted

Advice = Literal[
    "cancel",
    "go down",
    "keep",
    "go up",
    "renegotiate",
    "test",
    "repair",
    "cannot tell",
]
# The use at which a line of the right size has its 95th percentile.
FULL_ENOUGH_RATIO = 0.7
# Twenty hours in a month of 720.
_MANY_BUSY = 20 / 720
_FEW_HOURS = 48
_UNUSED_RATIO = 0.01
# A smaller change of price is not worth a new contract.
_WORTH_RATIO = 0.1


@dataclass(frozen=True)
class LineValue:
    """One line, what it carried, and what to do with it.

    `change_per_year`: pounds that the advice costs (or, below 0, saves) a year; None if
    it is not known, 0 if nothing changes. `busiest_hour`: the local hour of the day
    with the highest mean use, and that mean. `decide_by`: the last day for notice, if
    it is still to come.
    """

    figures: LineFigures
    site_name: str
    name: str
    advice: Advice
    reason: str
    change_per_year: float | None
    busiest_hour: tuple[int, float] | None
    decide_by: date | None
    contract: str

    @property
    def headroom(self) -> float | None:
        """The share of the contract that is left in 95 % of the time."""
        use = self.figures.use_p95
        if use is None or self.figures.is_resized:
            return None
        return max(0.0, 1 - use)

    @property
    def used_down_mbps(self) -> float | None:
        """What it carried to the site in 95 % of the time at most."""
        return self._used(self.figures.down_p95, self.figures.line.down_mbps)

    @property
    def used_up_mbps(self) -> float | None:
        return self._used(self.figures.up_p95, self.figures.line.up_mbps)

    def _used(self, use: float | None, mbps: float) -> float | None:
        return None if use is None or self.figures.is_resized else use * mbps

    @property
    def saved_per_year(self) -> float:
        return max(0.0, -(self.change_per_year or 0.0))

    @property
    def needed_per_year(self) -> float:
        return max(0.0, self.change_per_year or 0.0)


@dataclass(frozen=True)
class SupplierSum:
    """All lines of one supplier. Sums are of known prices: `without_cost` lines have
    none, and `without_change` ones a change whose price is not known."""

    supplier: str
    lines: int
    cost_per_year: float
    saved_per_year: float
    needed_per_year: float
    without_cost: int
    without_change: int
    without_contract: int
    next_decision: date | None


def line_name(line: Line) -> str:
    """Returns a line's name for people: `BT, circuit ONEA123`."""
    parts = [line.supplier.strip() or "supplier not listed"]
    if circuit := line.circuit_ref.strip():
        parts.append(f"circuit {circuit}")
    return ", ".join(parts)


def line_values(
    figures: Sequence[LineFigures],
    estate_lines: Sequence[Line],
    site_names: Mapping[str, str],
    today: date,
    zone: ZoneInfo,
) -> tuple[LineValue, ...]:
    """Returns the value of each line: first what is needed, then the most money.
    `estate_lines` and `site_names`: those of the whole council, for its prices."""
    prices = _Prices(estate_lines, site_names)
    by_site: dict[str, list[LineFigures]] = defaultdict(list)
    for line in figures:
        by_site[line.line.site].append(line)
    values = []
    for line in figures:
        beside = [one for one in by_site[line.line.site] if one is not line]
        judge = _backup_advice if line.line.role == "backup" else _main_advice
        advice, reason, change = judge(line, beside, prices, today)
        dates = reminder(line.line, today)
        by = notice_day(line.line)
        values.append(
            LineValue(
                line,
                site_names.get(line.line.site, line.line.site),
                line_name(line.line),
                advice,
                reason,
                change,
                busiest_hour(line, zone),
                by if by is not None and by >= today else None,
                dates.text if dates else "No contract dates are listed.",
            )
        )
    order = ("go up", "repair", "cancel", "go down", "renegotiate", "test")
    rank = {advice: at for at, advice in enumerate(order)}
    values.sort(
        key=lambda value: (
            rank.get(value.advice, len(order)),
            -(value.saved_per_year + value.needed_per_year),
            natural_order(value.site_name),
            natural_order(value.figures.line.id),
        )
    )
    return tuple(values)


def is_full(figures: LineFigures) -> bool:
    """Returns whether the line was full often enough to hold people back."""
    use, busy = figures.use_p95, figures.busy_hours
    often = busy >= 5 and busy >= _MANY_BUSY * figures.observed_hours
    return often or (use is not None and use > BUSY_RATIO)


_Judged = tuple[Advice, str, float | None]


@dataclass(frozen=True)
class _Prices:
    """What the council pays for its lines, and where."""

    lines: Sequence[Line]
    site_names: Mapping[str, str]

    def cheapest(self, line: Line, down_mbps: float, up_mbps: float) -> Line | None:
        """Returns the cheapest other main line of at least these speeds. One that costs
        nothing is paid for elsewhere, such as with a rent, so it shows no price."""
        known = [
            other
            for other in self.lines
            if other.id != line.id
            and other.role == "primary"
            and other.cost_per_year
            and other.down_mbps >= down_mbps
            and other.up_mbps >= up_mbps
        ]
        return min(known, key=lambda one: (one.cost_per_year, one.id), default=None)

    def with_price(
        self, reason: str, other: Line | None, line: Line
    ) -> tuple[str, float | None]:
        """Returns the reason with what the council pays for `other`, and how much more
        or less than for `line` that is."""
        if other is None or other.cost_per_year is None:
            return f"{reason}; no line of the council shows its price.", None
        size = (
            f"{figure_text.rate(other.down_mbps * 1e6)} / "
            f"{figure_text.rate(other.up_mbps * 1e6)}"
        )
        paid = f"the council pays {figure_text.money(other.cost_per_year)} for {size}"
        where = self.site_names.get(other.site, other.site)
        at = "here too" if other.site == line.site else f"at {where}"
        if line.cost_per_year is None:
            return f"{reason}; {paid} {at}; its own cost is not listed.", None
        return f"{reason}; {paid} {at}.", other.cost_per_year - line.cost_per_year


def _main_advice(
    figures: LineFigures,
    beside: Sequence[LineFigures],
    prices: _Prices,
    today: date,
) -> _Judged:
    line = figures.line
    if figures.use_p95 is None:
        return "cannot tell", "Its use was not observed.", None
    if figures.is_resized:
        return "cannot tell", "Its size was changed: wait for a month of it.", None
    if is_full(figures):
        hours = counted(figures.busy_hours, "hour")
        reason = f"Full in {hours}: find out what fills it, or take a larger one"
        down, up = _needed_mbps(figures)
        if _down_full(figures):
            down = line.down_mbps / FULL_ENOUGH_RATIO
        if _up_full(figures):
            up = line.up_mbps / FULL_ENOUGH_RATIO
        return "go up", *prices.with_price(
            reason, prices.cheapest(line, down, up), line
        )
    if figures.observed_hours < _FEW_HOURS:
        hours = counted(figures.observed_hours, "hour")
        return "cannot tell", f"It was observed in {hours} only.", None
    if max(figures.down_max or 0.0, figures.up_max or 0.0) < _UNUSED_RATIO:
        where = "the site has another line." if beside else "is the site still in use?"
        cost = None if line.cost_per_year is None else -line.cost_per_year
        return "cancel", f"Nothing used it; {where}", cost
    return _size_advice(figures, prices, today)


def _size_advice(figures: LineFigures, prices: _Prices, today: date) -> _Judged:
    line = figures.line
    use = figures.use_p95 or 0.0
    quiet = figures.busy_hours == 0
    if quiet and line.cost_per_year is not None:
        cheaper = prices.cheapest(line, *_needed_mbps(figures))
        if cheaper is not None and _is_worth(line, cheaper):
            smaller = (
                cheaper.down_mbps < line.down_mbps or cheaper.up_mbps < line.up_mbps
            )
            reason = (
                f"It uses {figure_text.percent(use)} of its size"
                if smaller
                else "The council pays less for as much"
            )
            return (
                "go down" if smaller else "renegotiate",
                *prices.with_price(reason, cheaper, line),
            )
    if quiet and use < IDLE_RATIO and line.cost_per_year is None:
        return "go down", "Well below its size; its cost is not listed.", None
    if line.contract_end is not None and line.contract_end < today:
        return "renegotiate", "Its contract is over, and it fits its use.", None
    if quiet and use < IDLE_RATIO:
        return (
            "go down",
            "Well below its size; no smaller line of the council has a lower price, so "
            "ask for one.",
            None,
        )
    return "keep", "It fits its use.", 0.0


def _backup_advice(
    figures: LineFigures,
    beside: Sequence[LineFigures],
    _prices: _Prices,
    _today: date,
) -> _Judged:
    """A backup is judged by whether it works when it must, not by its use."""
    mains = [one for one in beside if one.line.role == "primary"]
    if not figures.observed_hours:
        return "cannot tell", "Backup: it was not observed.", None
    if figures.carrying_at and is_full(figures):
        hours = counted(figures.busy_hours, "hour")
        return "go up", f"Backup: full in {hours} while it carried traffic.", None
    failed = frozenset(hour for main in mains for hour in main.down_at)
    took_over = sum(hour in figures.carrying_at for hour in failed)
    if failed and not took_over:
        hours = counted(len(failed), "hour")
        return (
            "repair",
            f"Backup: the main line failed in {hours}, and this one carried nothing.",
            None,
        )
    if failed:
        hours = counted(took_over, "hour")
        reason = f"Backup: the main line failed, and this one took over in {hours}."
        return "keep", reason, 0.0
    if figures.carrying_at:
        hours = counted(figures.carried_hours, "hour")
        reason = f"Backup: tested or shared, it carried traffic in {hours}."
        return "keep", reason, 0.0
    which = "the main line did not fail" if mains else "no main line is listed"
    return "test", f"Backup: {which}, and nothing shows that this one works.", 0.0


def _needed_mbps(figures: LineFigures) -> tuple[float, float]:
    """Returns how large a line must be for what this one carried, to and from the site.
    In a direction that was not observed it must be as large as this one."""
    line = figures.line
    ways = ((figures.down_p95, line.down_mbps), (figures.up_p95, line.up_mbps))
    down, up = (
        mbps if use is None else use * mbps / FULL_ENOUGH_RATIO for use, mbps in ways
    )
    return down, up


def _down_full(figures: LineFigures) -> bool:
    return (figures.down_p95 or 0.0) >= (figures.up_p95 or 0.0)


def _up_full(figures: LineFigures) -> bool:
    return (figures.up_p95 or 0.0) > BUSY_RATIO or not _down_full(figures)


def _is_worth(line: Line, cheaper: Line) -> bool:
    cost, less = line.cost_per_year or 0.0, cheaper.cost_per_year or 0.0
    return less < cost * (1 - _WORTH_RATIO)


def busiest_hour(figures: LineFigures, zone: ZoneInfo) -> tuple[int, float] | None:
    """Returns the local hour of the day with the highest mean use, and that mean."""
    by_hour: dict[int, list[float]] = defaultdict(list)
    for time_ms, use in figures.hourly:
        by_hour[_local_hour(time_ms, zone)].append(use)
    means = {hour: sum(uses) / len(uses) for hour, uses in by_hour.items()}
    if not means:
        return None
    hour = max(sorted(means), key=lambda hour: means[hour])
    return hour, means[hour]


# Hundreds of lines have the same hours; a year has 8,760.
@functools.lru_cache(10_000)
def _local_hour(time_ms: int, zone: ZoneInfo) -> int:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone).hour


def _spelling(value: LineValue) -> str:
    """Returns the supplier's name as it was written, without spare spaces."""
    return " ".join(value.figures.line.supplier.split())


def supplier_sums(values: Iterable[LineValue]) -> tuple[SupplierSum, ...]:
    """Returns the sums of each supplier, the most expensive first."""
    by_supplier: dict[str, list[LineValue]] = defaultdict(list)
    for value in values:
        # People write `BT`, `bt` and `BT `: it is one supplier.
        by_supplier[_spelling(value).casefold()].append(value)
    sums = []
    for lines in by_supplier.values():
        spellings = Counter(map(_spelling, lines))
        supplier = min(spellings, key=lambda name: (-spellings[name], name))
        costs = [value.figures.line.cost_per_year for value in lines]
        dates = [value.decide_by for value in lines if value.decide_by is not None]
        sums.append(
            SupplierSum(
                supplier or "supplier not listed",
                len(lines),
                sum(cost for cost in costs if cost is not None),
                sum(value.saved_per_year for value in lines),
                sum(value.needed_per_year for value in lines),
                without_cost=sum(cost is None for cost in costs),
                without_change=sum(value.change_per_year is None for value in lines),
                without_contract=sum(
                    value.figures.line.contract_end is None for value in lines
                ),
                next_decision=min(dates, default=None),
            )
        )
    return tuple(
        sorted(sums, key=lambda one: (-one.cost_per_year, natural_order(one.supplier)))
    )
