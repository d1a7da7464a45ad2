"""`OpeningHours`: when a site is open, and the functions that calculate it.

Hours are local times at the site. When summer time starts or ends, an hour that does
not exist is not open, and an hour that comes twice is open twice.
"""

from __future__ import annotations

import functools
import itertools
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from collectors.strict_model import StrictModel
from probes.wire.catalogue import did_you_mean
from probes.wire.daily_hours import DAY_MINUTES, minute_of, within

Opens = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Closes = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Days = tuple[Annotated[int, Field(ge=0, le=6)], ...]

# Hours repeat every week. The second week is needed because a site's only hour may be
# the one that summer time skips.
_AHEAD_DAYS = 15


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, zoneinfo.available_timezones())
        raise ValueError(
            f"no time zone is called {name!r}, expected one such as Europe/London{hint}"
        ) from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


def check_not_empty(opens: str, closes: str) -> None:
    """Raises `ValueError` if hours begin and end at the same time, as that could mean
    always or never."""
    if opens == closes:
        raise ValueError(
            f"opens and closes are both {opens}: for the whole day write 00:00 and "
            "24:00, for a closed day leave it out of days"
        )


class OpenRange(StrictModel):
    """One of several ranges. Without `days` it has those of its `OpeningHours`."""

    opens: Opens
    closes: Closes
    days: Days | None = None

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        check_not_empty(self.opens, self.closes)
        return self


class OpeningHours(StrictModel):
    """Business hours in the site's time zone, `HH:MM`, Monday 0 … Sunday 6.

    If `closes` is before `opens`, they cross midnight: the night belongs to the day it
    begins on. `ranges` stands instead of `opens` and `closes`, for several ranges a day
    or other times on other days.
    """

    opens: Opens = "08:00"
    closes: Closes = "18:00"
    days: Days = (0, 1, 2, 3, 4)
    ranges: tuple[OpenRange, ...] = ()
    timezone: TimeZone = "Europe/London"

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        check_not_empty(self.opens, self.closes)
        if self.ranges and {"opens", "closes"} & self.model_fields_set:
            raise ValueError("expected either ranges, or opens and closes, not both")
        return self


class _Shift(NamedTuple):
    opens: int
    closes: int
    days: frozenset[int]


@functools.lru_cache(maxsize=4096)
def _shifts(hours: OpeningHours) -> tuple[_Shift, ...]:
    """Returns the ranges of `hours` in minutes of the day."""
    ranges = hours.ranges or (OpenRange(opens=hours.opens, closes=hours.closes),)
    return tuple(
        _Shift(
            minute_of(span.opens),
            minute_of(span.closes),
            frozenset(hours.days if span.days is None else span.days),
        )
        for span in ranges
    )


def is_open(hours: OpeningHours, at_ms: int) -> bool:
    """Returns True if `at_ms` is within business hours."""
    local = _local(at_ms, ZoneInfo(hours.timezone))
    minute = local.hour * 60 + local.minute
    weekday = local.weekday()
    return any(within(*shift, weekday, minute) for shift in _shifts(hours))


def next_opening_ms(hours: OpeningHours, from_ms: int) -> int | None:
    """Returns the first time at or after `from_ms` within business hours.

    That is `from_ms` itself if the site is open then, and None if it never opens.
    """
    return _next_ms(hours, from_ms, opened=True)


def next_closing_ms(hours: OpeningHours, from_ms: int) -> int | None:
    """Returns the first time at or after `from_ms` outside business hours, or None if
    the site never closes."""
    return _next_ms(hours, from_ms, opened=False)


@functools.lru_cache(maxsize=256)
def open_spans(
    hours: OpeningHours, from_ms: int, to_ms: int
) -> tuple[tuple[int, int], ...]:
    """Returns when a site is open in `[from_ms, to_ms)`."""
    spans = []
    begin = next_opening_ms(hours, from_ms)
    while begin is not None and begin < to_ms:
        end = next_closing_ms(hours, begin)
        spans.append((begin, to_ms if end is None else min(end, to_ms)))
        begin = None if end is None else next_opening_ms(hours, end)
    return tuple(spans)


def usual_hours(of_sites: Iterable[OpeningHours]) -> OpeningHours:
    """Returns the hours of most sites, which count as the council's."""
    counted = Counter(of_sites).most_common(1)
    return counted[0][0] if counted else OpeningHours()


def _next_ms(hours: OpeningHours, from_ms: int, opened: bool) -> int | None:
    if is_open(hours, from_ms) is opened:
        return from_ms
    return min(
        (
            at_ms
            for at_ms in set(_changes_ms(hours, from_ms))
            if at_ms > from_ms and is_open(hours, at_ms) is opened
        ),
        default=None,
    )


def _changes_ms(hours: OpeningHours, from_ms: int) -> Iterator[int]:
    """Yields every time in the fortnight after `from_ms` at which the site may open or
    close: the ends of its ranges, and changes to and from summer time."""
    zone = ZoneInfo(hours.timezone)
    first = _local(from_ms, zone).date() - timedelta(days=1)
    days = [first + timedelta(days=n) for n in range(_AHEAD_DAYS + 2)]
    minutes = {m % DAY_MINUTES for shift in _shifts(hours) for m in shift[:2]}
    for day in days:
        for minute in minutes:
            at = datetime.combine(day, time(*divmod(minute, 60)), zone)
            # A local time may come twice.
            yield from {_ms(at), _ms(at.replace(fold=1))}
    midnights = [_ms(datetime.combine(day, time(), zone)) for day in days]
    for begin_ms, end_ms in itertools.pairwise(midnights):
        yield from _clock_change_ms(begin_ms, end_ms, zone)


def _clock_change_ms(begin_ms: int, end_ms: int, zone: ZoneInfo) -> Iterator[int]:
    """Yields when the offset from UTC changes between two times, if it does."""
    before = _local(begin_ms, zone).utcoffset()
    if _local(end_ms, zone).utcoffset() == before:
        return
    while end_ms - begin_ms > 1:
        middle_ms = (begin_ms + end_ms) // 2
        if _local(middle_ms, zone).utcoffset() == before:
            begin_ms = middle_ms
        else:
            end_ms = middle_ms
    yield end_ms


def _local(at_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
