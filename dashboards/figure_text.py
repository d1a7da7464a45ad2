"""Figures as British people read them. Pure; absent values are said, never 0."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from collectors.estate.opening_hours import OpeningHours, OpenRange
from probes.wire.durations import duration_text

LONDON = ZoneInfo("Europe/London")
NOTHING = "no data"
# Of a group without figures: it is small, or would tell of a small one by subtraction.
HIDDEN = "not shown: too few laptops, here or in a group beside it"
# A figure that fewer gave than may be told of, in a group that may be shown.
TOO_FEW = "too few laptops"
NOT_THERE = "not there: no laptop with the agent"
NOT_MEASURED = "not measured"
NOT_KNOWN = "not known: the store does not answer"
NOT_IN_OFFICES = "not counted in offices"
# Of calls that got nowhere there is no delay, and nothing to hear.
FAILED = "no call got through"
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
# Where poor calls break (`probes.wire.call_cause`).
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
    """`0.853` → `85%`. Never rounds up to 100% what is not all of it."""
    if ratio is None:
        return NOTHING
    if ratio == 1:
        return "100%"
    text = f"{ratio * 100:.{digits}f}"
    if ratio < 1 and float(text) >= 100:
        text = f"{100 - 10**-digits:.{digits}f}"
    return text + "%"


def rate(bps: float | None) -> str:
    """`94_200_000` → `94 Mbit/s`."""
    if bps is None:
        return NOTHING
    for size, unit in _RATES:
        if abs(bps) >= size:
            value = bps / size
            text = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
            return f"{text.removesuffix('.0')} {unit}"
    return f"{bps:.0f} bit/s"


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """`12.34, "ms"` → `12 ms`."""
    if value is None:
        return NOTHING
    return f"{value:,.{digits}f}" + (f" {unit}" if unit else "")


def duration(ms: float) -> str:
    """Returns a length of time as `duration_text` does, of milliseconds."""
    return duration_text(ms / 1000)


def ago(then_ms: int | None, now_ms: int) -> str:
    """`20 s ago`; a time just ahead of our clock is `now`."""
    if then_ms is None:
        return "never"
    if then_ms >= now_ms - 1000:
        return "now"
    return duration(now_ms - then_ms) + " ago"


def when(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """`Mon 23 Nov, 14:05`."""
    at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
    return f"{at:%a} {at.day} {at:%b}, {at:%H:%M}"


def clock(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """`14:05:09`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone):%H:%M:%S}"


def hour(time_ms: int, zone: ZoneInfo = LONDON) -> str:
    """`14:05`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone):%H:%M}"


def day(value: date) -> str:
    """`31 March 2027`."""
    return f"{value.day} {value:%B %Y}"


def iso(time_ms: int) -> str:
    """For machines and `<time datetime>`: `2026-11-23T14:05:09Z`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def hours(value: OpeningHours) -> str:
    """`Monday to Friday, 08:00 to 18:00`; `at all hours`."""
    ranges = value.ranges or (OpenRange(opens=value.opens, closes=value.closes),)
    told = [
        (_weekdays(value.days if each.days is None else each.days), each)
        for each in ranges
    ]
    if [(days, each.opens, each.closes) for days, each in told] == [
        ("every day", "00:00", "24:00")
    ]:
        return "at all hours"
    return "; ".join(f"{days}, {each.opens} to {each.closes}" for days, each in told)


def _weekdays(days: Iterable[int]) -> str:
    """`Monday to Friday and Sunday`."""
    known = sorted(set(days))
    if len(known) == 7:
        return "every day"
    runs: list[list[int]] = []
    for day in known:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    told = [
        name
        for run in runs
        for name in (
            [f"{_DAYS[run[0]]} to {_DAYS[run[-1]]}"]
            if len(run) > 2
            else [_DAYS[day] for day in run]
        )
    ]
    return " and ".join([", ".join(told[:-1]), told[-1]] if told[1:] else told)


def money(pounds: float | None) -> str:
    return NOTHING if pounds is None else f"£{pounds:,.0f}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 site`, `2 sites`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def group(by: str, name: str) -> str:
    """A group of laptops: a provider by its own name, others in our words."""
    return name if by == "provider" and name != "unknown" else said(name)


def spelled(state: str) -> str:
    """A state in a device's own words: `batteryNeedsReplacing` → `battery needs
    replacing`; what is not run together stays as it is."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", state.replace("_", " "))
    return apart.lower() if apart != state else state


def said(name: str) -> str:
    """An identifier as words: `device_unreachable` → `Device unreachable`."""
    if name in _NAMES:
        return _NAMES[name]
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
