"""Figures as British people read them. Pure. An absent value has a text, never 0."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from collectors.estate.opening_hours import OpeningHours, OpenRange
from probes.wire.durations import duration_text

LONDON = ZoneInfo("Europe/London")
NOTHING = "no data"
# For a group without figures: it is too small, or would reveal a small one by
# subtraction.
HIDDEN = "not shown: too few laptops, here or in a related group"
# For a figure from too few laptops, in a group that may be shown.
TOO_FEW = "too few laptops"
NO_LAPTOPS = "no laptop with the agent"
NOT_MEASURED = "not measured"
NOT_KNOWN = "not known: the store does not answer"
NOT_IN_OFFICES = "not counted in offices"
# A failed call has neither delay nor quality.
FAILED = "no call succeeded"
_DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
_NAMES = {
    "unknown": "Not known",
    "wifi": "Wi-Fi",
    "vpn": "VPN",
    "ups": "UPS",
    "web": "Web",
}
# Where poor calls fail (`probes.wire.call_cause`).
CAUSES = {
    "laptop": "Laptop",
    "wifi": "Wi-Fi",
    "line": "Line",
    "provider": "Provider",
    "vpn": "VPN",
    "edge": "Council's edge",
    "microsoft": "Microsoft",
    "unknown": "Not known",
}
_RATES = ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"))


def percent(ratio: float | None, digits: int = 0) -> str:
    """Returns `85%` for `0.853`. Never rounds up to 100%, or down to 0%: a small share
    is `under 1%`."""
    if ratio is None:
        return NOTHING
    if ratio == 1:
        return "100%"
    text = f"{ratio * 100:.{digits}f}"
    if ratio < 1 and float(text) >= 100:
        text = f"{100 - 10**-digits:.{digits}f}"
    if ratio > 0 and float(text) == 0:
        text = f"under {10**-digits:.{digits}f}"
    return text + "%"


def rate(bps: float | None) -> str:
    """Returns `94 Mbit/s` for `94_200_000`."""
    if bps is None:
        return NOTHING
    for size, unit in _RATES:
        if abs(bps) >= size:
            value = bps / size
            text = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
            return f"{text.removesuffix('.0')} {unit}"
    return f"{bps:.0f} bit/s"


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """Returns `12 ms` for `12.34, "ms"`."""
    if value is None:
        return NOTHING
    return f"{value:,.{digits}f}" + (f" {unit}" if unit else "")


def short_number(value: float, unit: str, digits: int) -> str:
    """Returns `12 ms`, but `1.2 ms`: decimal places only below 10."""
    return number(value, unit, 0 if value >= 10 or not value else digits)


def per_second(value: float) -> str:
    """Returns `0.25 per s`."""
    return short_number(value, "per s", 2)


def duration(ms: float) -> str:
    """Returns a length of time as `duration_text` does, of milliseconds."""
    return duration_text(ms / 1000)


def ago(then_ms: int | None, now_ms: int) -> str:
    """Returns `20 s ago`; a time just ahead of our clock is `now`."""
    if then_ms is None:
        return "never"
    if then_ms >= now_ms - 1000:
        return "now"
    return duration(now_ms - then_ms) + " ago"


def when(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """Returns `Mon 23 Nov, 14:05`."""
    at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
    return f"{at:%a} {at.day} {at:%b}, {at:%H:%M}"


def clock(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """Returns `14:05:09`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone):%H:%M:%S}"


def zone_name(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """Returns `GMT` or `BST`, what the zone's clocks show at that time."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone):%Z}"


def zone_text(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """Returns `UK time (GMT)`, or `Europe/Berlin time (CET)`."""
    place = "UK" if zone.key == LONDON.key else zone.key
    return f"{place} time ({zone_name(time_ms, zone)})"


def hour(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """Returns `14:05`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone):%H:%M}"


def weekday_hour(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """Returns `Mon 14:05`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone):%a %H:%M}"


def short_day(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """Returns `23 Nov`."""
    at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
    return f"{at.day} {at:%b}"


def day(value: date) -> str:
    """Returns `31 March 2027`."""
    return f"{value.day} {value:%B %Y}"


def day_and_time(at: datetime) -> str:
    """Returns `31 March 2027, 14:05`."""
    return f"{day(at.date())}, {at:%H:%M}"


def iso(time_ms: int) -> str:
    """Returns `2026-11-23T14:05:09Z`, for machines and `<time datetime>`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def hours(value: OpeningHours) -> str:
    """Returns `Monday to Friday, 08:00 to 18:00` or `at all hours`."""
    ranges = value.ranges or (OpenRange(opens=value.opens, closes=value.closes),)
    by_days = [
        (
            _weekdays(value.days if open_range.days is None else open_range.days),
            open_range,
        )
        for open_range in ranges
    ]
    if [(days, times.opens, times.closes) for days, times in by_days] == [
        ("every day", "00:00", "24:00")
    ]:
        return "at all hours"
    return "; ".join(
        f"{days}, {times.opens} to {times.closes}" for days, times in by_days
    )


def _weekdays(days: Iterable[int]) -> str:
    """Returns `Monday to Friday and Sunday`."""
    known = sorted(set(days))
    if len(known) == 7:
        return "every day"
    runs: list[list[int]] = []
    for day in known:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [
        name
        for run in runs
        for name in (
            [f"{_DAYS[run[0]]} to {_DAYS[run[-1]]}"]
            if len(run) > 2
            else [_DAYS[day] for day in run]
        )
    ]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def money(pounds: float | None) -> str:
    return NOTHING if pounds is None else f"£{pounds:,.0f}"


def group_name(by: str, name: str) -> str:
    """Returns the name of a group of laptops: a provider's own, or one of ours."""
    return name if by == "provider" and name != "unknown" else identifier_text(name)


def state_text(state: str) -> str:
    """Returns a device's own state as words: `battery needs replacing` for
    `batteryNeedsReplacing`. Anything else stays as it is."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", state.replace("_", " "))
    return apart.lower() if apart != state else state


def identifier_text(name: str) -> str:
    """Returns `Device unreachable` for `device_unreachable`."""
    if name in _NAMES:
        return _NAMES[name]
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
