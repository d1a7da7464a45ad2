"""Conditions that a rule's data cannot express, as named functions.

Each receives the series of one subject, the estate and the time. It returns a
`RuleFinding`, or None if there is nothing to decide by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from alerts.estate_index import EstateIndex
from alerts.series import Series


class RuleFinding(NamedTuple):
    bad: bool
    value: float | None = None


Function = Callable[[Sequence[Series], EstateIndex, int], RuleFinding | None]


def on_backup(
    lines: Sequence[Series], estate_index: EstateIndex, now_ms: int
) -> RuleFinding | None:
    """For rows of `line` of one site: a backup line carries traffic while no primary
    line of the site is up and carrying."""
    primary = [s for s in lines if s.tags.get("role") == "primary"]
    backup = [s for s in lines if s.tags.get("role") == "backup"]
    if not primary or not backup:
        return None
    known = [s for s in backup if s.latest("carrying") is not None]
    if not known:
        return None
    carried = any(s.latest("up") == 1 and s.latest("carrying") == 1 for s in primary)
    working = sum(s.latest("carrying") == 1 for s in known)
    return RuleFinding(bool(working) and not carried, float(working))


def agents_silent(
    sites: Sequence[Series], estate_index: EstateIndex, now_ms: int
) -> RuleFinding | None:
    """For rows of `self_agents`: no laptop at all has reported in business hours,
    though at least the smallest reportable group was expected. Laptops sleep, so a
    silent night means nothing."""
    open_now = [s for s in sites if estate_index.is_open(s.tags["home_site"], now_ms)]
    if not open_now:
        return None
    expected = sum(int(s.latest("expected") or 0) for s in open_now)
    if expected < estate_index.least_agents:
        return None
    # `heard` looks back an hour, so the first hour of the day may still be empty.
    an_hour_ago = now_ms - 3_600_000
    if not any(
        estate_index.is_open(s.tags["home_site"], an_hour_ago) for s in open_now
    ):
        return None
    heard = sum(int(s.latest("heard") or 0) for s in sites)
    return RuleFinding(heard == 0, float(heard))


FUNCTIONS: dict[str, Function] = {
    "agents_silent": agents_silent,
    "on_backup": on_backup,
}
