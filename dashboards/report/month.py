"""The time that a report is about, as whole days in the council's time zone."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from collectors.local_days import add_months, midnight_ms
from dashboards.figure_text import LONDON, day

# Years that a report may name: what a four-digit typing error is not.
_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_LONGEST_DAYS = 3 * 366


@dataclass(frozen=True)
class ReportPeriod:
    """From the start of `first` to the start of `end`, as `[from_ms, to_ms)` in UTC. If
    the clocks change, it is not a whole number of 24 hours."""

    first: date
    end: date
    zone: ZoneInfo = LONDON

    def __post_init__(self) -> None:
        if self.end <= self.first:
            raise ValueError(
                f"{self.last} is before {self.first}: expected the first day, then the "
                "last"
            )
        if (self.end - self.first).days > _LONGEST_DAYS:
            raise ValueError("a report is about three years at most")

    @property
    def from_ms(self) -> int:
        return midnight_ms(self.first, self.zone)

    @property
    def to_ms(self) -> int:
        return midnight_ms(self.end, self.zone)

    @property
    def last(self) -> date:
        """The last day in it."""
        return self.end - timedelta(days=1)

    @property
    def noun(self) -> str:
        """Returns `month`, `quarter`, `year` or, of any other range, `period`."""
        names = {1: "month", 3: "quarter", 12: "year"}
        return names.get(self._whole_months, "period")

    @property
    def noun_before(self) -> str:
        """Returns the time before it: `last month`, or `the period before`."""
        return "the period before" if self.noun == "period" else f"last {self.noun}"

    @property
    def name(self) -> str:
        """Returns `October 2026`, `October to December 2026`, `2026`, `April 2026 to
        March 2027` or `1 October 2026 to 9 October 2026`."""
        first, last = self.first, self.last
        if not self._whole_months:
            return day(first) if first == last else f"{day(first)} to {day(last)}"
        if self._whole_months == 1:
            return f"{first:%B %Y}"
        if self._whole_months == 12 and first.month == 1:
            return f"{first.year}"
        begin = f"{first:%B}" if first.year == last.year else f"{first:%B %Y}"
        return f"{begin} to {last:%B %Y}"

    @property
    def during(self) -> str:
        """Returns it after "the network": `in October 2026`, `from October to December
        2026`, `on 25 October 2026` or `from 1 October 2026 to 9 October 2026`."""
        if self.first == self.last:
            return f"on {self.name}"
        return f"{'from' if ' to ' in self.name else 'in'} {self.name}"

    def __str__(self) -> str:
        """Returns it for names of files: `2026-10`, `2026-10-to-2026-12`, or
        `2026-10-01-to-2026-10-09`."""
        if self._whole_months == 1:
            return f"{self.first:%Y-%m}"
        if self._whole_months:
            return f"{self.first:%Y-%m}-to-{self.last:%Y-%m}"
        return f"{self.first}-to-{self.last}"

    def before(self) -> ReportPeriod:
        """Returns the time before it that it is compared with: as many months if it is
        whole months, or else as many days."""
        if months := self._whole_months:
            return ReportPeriod(add_months(self.first, -months), self.first, self.zone)
        return ReportPeriod(self.first - (self.end - self.first), self.first, self.zone)

    def days(self) -> list[tuple[int, int]]:
        """Returns every day as (from_ms, to_ms), from midnight to midnight."""
        count = (self.end - self.first).days
        edges = [
            midnight_ms(self.first + timedelta(days=n), self.zone)
            for n in range(count + 1)
        ]
        return list(itertools.pairwise(edges))

    def months(self) -> list[Month]:
        """Returns the calendar months that are wholly in it."""
        begin = self.first
        if begin.day > 1:
            begin = add_months(begin.replace(day=1), 1)
        months = []
        while (after := add_months(begin, 1)) <= self.end:
            months.append(Month(begin.year, begin.month, self.zone))
            begin = after
        return months

    @property
    def _whole_months(self) -> int:
        """How many months it is; 0 if it does not begin and end with one."""
        if self.first.day != 1 or self.end.day != 1:
            return 0
        years = self.end.year - self.first.year
        return years * 12 + self.end.month - self.first.month


class Month(ReportPeriod):
    """A calendar month."""

    def __init__(self, year: int, month: int, zone: ZoneInfo = LONDON) -> None:
        first = date(year, month, 1)
        super().__init__(first, add_months(first, 1), zone)

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo = LONDON) -> Month:
        """Parses `2026-10`. Raises ValueError with what was expected."""
        match = re.fullmatch(r"(\d{4})-(\d{2})", text.strip(), re.ASCII)
        if not match or not 1 <= int(match[2]) <= 12 or not _is_year(match[1]):
            raise ValueError(f"{text!r} is not a month, expected such as 2026-10")
        return cls(int(match[1]), int(match[2]), zone)

    def before(self) -> Month:
        first = add_months(self.first, -1)
        return Month(first.year, first.month, self.zone)


def _is_year(text: str) -> bool:
    return _FIRST_YEAR <= int(text) < _LAST_YEAR


def quarter(text: str, zone: ZoneInfo = LONDON) -> ReportPeriod:
    """Parses `2026-Q4`, a quarter of a calendar year, or `2026-27-Q3`, one of a
    financial year (both October to December 2026)."""
    of, _, number = text.strip().upper().rpartition("Q")
    year = of.removesuffix("-")
    if not re.fullmatch("[1-4]", number) or not re.match(r"\d{4}", year, re.ASCII):
        raise ValueError(
            f"{text!r} is not a quarter, expected such as 2026-Q4 (October to "
            "December), or 2026-27-Q3 of a financial year, which is the same"
        )
    whole = (calendar_year if len(year) == 4 else financial_year)(year, zone)
    first = add_months(whole.first, 3 * int(number) - 3)
    return ReportPeriod(first, add_months(first, 3), zone)


def calendar_year(text: str, zone: ZoneInfo = LONDON) -> ReportPeriod:
    """Parses `2026`."""
    if not re.fullmatch(r"\d{4}", text.strip(), re.ASCII) or not _is_year(text):
        raise ValueError(
            f"{text!r} is not a year, expected such as 2026; April to March is "
            "--financial-year 2026-27"
        )
    return ReportPeriod(date(int(text), 1, 1), date(int(text) + 1, 1, 1), zone)


def financial_year(text: str, zone: ZoneInfo = LONDON) -> ReportPeriod:
    """Parses `2026-27`, from April to March."""
    match = re.fullmatch(r"(\d{4})[-/](?:20)?(\d{2})", text.strip(), re.ASCII)
    if (
        not match
        or not _is_year(match[1])
        or (int(match[1]) + 1) % 100 != int(match[2])
    ):
        raise ValueError(
            f"{text!r} is not a financial year, expected such as 2026-27 (April to "
            "March)"
        )
    year = int(match[1])
    return ReportPeriod(date(year, 4, 1), date(year + 1, 4, 1), zone)


def _parse_day(text: str) -> date:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip(), re.ASCII):
        with contextlib.suppress(ValueError):
            found = date.fromisoformat(text.strip())
            if _is_year(str(found.year)):
                return found
    raise ValueError(f"{text!r} is not a day, expected such as 2026-10-31")


def day_range(first: str, last: str, zone: ZoneInfo = LONDON) -> ReportPeriod:
    """Parses two days, both in the range."""
    begin, end = _parse_day(first), _parse_day(last)
    return ReportPeriod(begin, end + timedelta(days=1), zone)


_PARSERS = {
    "month": Month.parse,
    "quarter": quarter,
    "year": calendar_year,
    "financial-year": financial_year,
}


def parse_period(
    given: Mapping[str, str | None], zone: ZoneInfo = LONDON
) -> ReportPeriod:
    """Returns the one time that options name: `month`, `quarter`, `year`,
    `financial-year`, or `from` with `to`. Raises ValueError with what is wrong."""
    named = {name: text for name, text in given.items() if text is not None}
    if set(named) == {"from", "to"}:
        return day_range(named["from"], named["to"], zone)
    if len(named) == 1 and (parse := _PARSERS.get(next(iter(named)))) is not None:
        return parse(next(iter(named.values())), zone)
    options = ", ".join(f"--{name}" for name in _PARSERS)
    raise ValueError(f"expected one of {options}, or --from and --to together")
