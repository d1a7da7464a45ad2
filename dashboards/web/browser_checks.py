"""Checks of browsers (`/check`) that were sent with a support code: reading what the
form says, and what it means for calls. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from collectors.support_codes import BrowserCheck, SentCheck
from dashboards import call_quality, figure_text
from dashboards.state_levels import Level

# A call with video in a group needs this much (Microsoft: 4 Mbit/s down, 2 up at best;
# it works with less).
VIDEO_MBPS = 2.5
# What the check calls its figures, and the criterion that has their limits.
JUDGED: Mapping[str, str] = {
    "rtt": "rtt_p95_ms",
    "jitter": "jitter_p95_ms",
    "late": "loss_mean_ratio",
    "lost": "loss_mean_ratio",
}
# The figures of the form, and the most that a check can find. Those of `_MAYBE` may be
# empty.
_MOST: Mapping[str, float] = {"rtt_ms": 60_000, "jitter_ms": 60_000, "late_ratio": 1}
_MAYBE: Mapping[str, float] = {
    "down_mbps": 100_000,
    "up_mbps": 100_000,
    "lost_ratio": 1,
}
FIELDS = (*_MOST, *_MAYBE, "is_away")
_LONGEST = 40
_WORDS: Mapping[Level, str] = {
    "ok": "Yes, ready for calls",
    "warn": "Perhaps: calls may not be good",
    "bad": "No: calls will be poor",
}


class CheckUnreadable(ValueError):
    """The figures are none that a check can find."""


class JudgedCheck(NamedTuple):
    """A check in words. `rows`: what, result, good for calls."""

    at_ms: int
    level: Level
    word: str
    rows: tuple[tuple[str, str, str], ...]
    is_away: bool


def read_check(fields: Mapping[str, str]) -> BrowserCheck:
    """Reads the fields of the form. Raises `CheckUnreadable`."""
    rtt_ms, jitter_ms, late_ratio = (
        _read(fields.get(name, ""), most) for name, most in _MOST.items()
    )
    down_mbps, up_mbps, lost_ratio = (
        _read(fields[name], most) if fields.get(name) else None
        for name, most in _MAYBE.items()
    )
    is_away = fields.get("is_away") == "1"
    return BrowserCheck(
        rtt_ms, jitter_ms, late_ratio, down_mbps, up_mbps, is_away, lost_ratio
    )


def judge_check(sent: SentCheck) -> JudgedCheck:
    """Says what a check means for calls, by the limits of the page `/check`."""
    check, rows = sent.check, []
    levels: list[Level] = []
    for title, name, value in (
        ("Time for a word and back", "rtt", check.rtt_ms),
        ("How unevenly it arrives", "jitter", check.jitter_ms),
        ("Arrives too late", "late", check.late_ratio),
        ("Lost on the way", "lost", check.lost_ratio),
    ):
        criterion = call_quality.BY_FIELD[JUDGED[name]]
        good = f"at most {criterion.limit(criterion.good)}"
        if value is None:
            rows.append((title, "not measured", good))
            continue
        levels.append(criterion.level(value))
        rows.append((title, criterion.value_text(value), good))
    for title, speed in (("Download", check.down_mbps), ("Upload", check.up_mbps)):
        shown = "not measured" if speed is None else figure_text.rate(speed * 1e6)
        if speed is not None and speed < VIDEO_MBPS:
            levels.append("warn")
        rows.append((title, shown, f"at least {VIDEO_MBPS} Mbit/s, with video"))
    if check.is_away:
        # Browsers slow a page in the background down: its figures prove little.
        levels.append("warn")
    level = max(levels, key=call_quality.LEVELS.index)
    return JudgedCheck(sent.at_ms, level, _WORDS[level], tuple(rows), check.is_away)


def _read(text: str, most: float) -> float:
    try:
        value = float(text) if len(text) <= _LONGEST else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:  # neither is anything that is no number
        raise CheckUnreadable
    return value
