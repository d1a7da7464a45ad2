"""A calendar month in the council's time zone, as milliseconds UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dashboards.figure_text import LONDON


@dataclass(frozen=True)
class Month:
    """`[from_ms, to_ms)`. If the clocks change, it is not a whole number of days."""

    year: int
    month: int
    zone: ZoneInfo = LONDON

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo = LONDON) -> Month:
        """Parses `2026-10`. Raises ValueError with what was expected."""
        match = re.fullmatch(r"(\d{4})-(\d{2})", text.strip())
        if not match or not 1 <= int(match[2]) <= 12 or int(match[1]) < 2000:
            raise ValueError(f"{text!r} is not a month, expected such as 2026-10")
        return cls(int(match[1]), int(match[2]), zone)

    @property
    def from_ms(self) -> int:
        return self._start(self.year, self.month)

    @property
    def to_ms(self) -> int:
        following = self.after()
        return self._start(following.year, following.month)

    @property
    def name(self) -> str:
        """Returns `October 2026`."""
        return f"{datetime(self.year, self.month, 1, tzinfo=self.zone):%B %Y}"

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    def before(self) -> Month:
        if self.month == 1:
            return Month(self.year - 1, 12, self.zone)
        return Month(self.year, self.month - 1, self.zone)

    def after(self) -> Month:
        if self.month == 12:
            return Month(self.year + 1, 1, self.zone)
        return Month(self.year, self.month + 1, self.zone)

    def days(self) -> list[tuple[int, int]]:
        """Returns every day as (from_ms, to_ms), from midnight to midnight."""
        starts = []
        for day in range(1, 32):
            try:
                at = datetime(self.year, self.month, day, tzinfo=self.zone)
            except ValueError:
                break
            starts.append(int(at.timestamp() * 1000))
        return list(zip(starts, [*starts[1:], self.to_ms], strict=True))

    def _start(self, year: int, month: int) -> int:
        return int(datetime(year, month, 1, tzinfo=self.zone).timestamp() * 1000)
