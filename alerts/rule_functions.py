"""Conditions that a rule's data cannot express, as named functions.

Each receives the series of one subject, the estate and the time. It returns a
`RuleFinding`, or None if there is nothing to decide by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from alerts.estate_index import EstateIndex
from alerts.series import Series

# Minutes of runtime, the share of a PoE budget, and how much worse home may be.
_RUNTIME_MIN, _POE_SHARE, _MUCH_WORSE = 15.0, 0.9, 0.1
_FEWEST_CALLS = 20
_SESSION_SHARE = 0.85
# The names that profiles of firewalls and VPN gateways give to what these count.
VPN_FIGURES = "VPN|GlobalProtect|AnyConnect|IKE|IPsec"
_VPN = re.compile(VPN_FIGURES)
_POE = re.compile(r"PoE (?P<kind>drawn|left|budget|supply)\b(?P<which>.*)", re.I)


class RuleFinding(NamedTuple):
    """`parts`: which of several are bad, if the subject has several."""

    bad: bool
    value: float | None = None
    parts: frozenset[str] = frozenset()


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
    """For rows of `self_agents` or `self_team`: no laptop at all has reported in
    business hours, though at least the smallest reportable group was expected. Laptops
    sleep, so a silent night means nothing."""
    open_now = [s for s in sites if estate_index.is_open(_home_of(s), now_ms)]
    if not open_now:
        return None
    expected = sum(int(s.latest("expected") or 0) for s in open_now)
    if expected < estate_index.least_agents:
        return None
    # `heard` looks back an hour, so the first hour of the day may still be empty.
    an_hour_ago = now_ms - 3_600_000
    if not any(estate_index.is_open(_home_of(s), an_hour_ago) for s in open_now):
        return None
    heard = sum(int(s.latest("heard") or 0) for s in sites)
    return RuleFinding(heard == 0, float(heard))


def _home_of(series: Series) -> str:
    """The site whose opening hours count."""
    return series.tags.get("home_site") or series.tags.get("site", "")


def ups_runtime_short(
    sensors: Sequence[Series], estate_index: EstateIndex, now_ms: int
) -> RuleFinding | None:
    """For the sensors of one UPS: it runs on battery, and the shortest runtime left is
    below a quarter of an hour."""
    states = [s.latest("on_battery") for s in sensors]
    if not any(state is not None for state in states):
        return None
    if 1 not in states:
        return RuleFinding(False)
    left = [
        float(value)
        for series in sensors
        if series.tags["class"] == "runtime"
        and "on battery" not in series.tags["sensor"].casefold()
        and isinstance(value := series.latest("value"), int | float)
    ]
    if not left:
        return None
    return RuleFinding(min(left) < _RUNTIME_MIN, min(left))


def poe_budget_spent(
    sensors: Sequence[Series], estate_index: EstateIndex, now_ms: int
) -> RuleFinding | None:
    """For power sensors of one device: the largest share of a PoE budget that is drawn.

    Makers state what is drawn with the budget as its limit, or two of drawn, left and
    budget. Power of a single port has neither.
    """
    supplies: dict[str, dict[str, float]] = {}
    for series in sensors:
        named = _POE.fullmatch(series.tags["sensor"])
        value, high = series.latest("value"), series.latest("high")
        if named is None or not isinstance(value, int | float):
            continue
        figures = supplies.setdefault(named["which"].strip(), {})
        kind = named["kind"].casefold()
        figures["drawn" if kind == "supply" else kind] = float(value)
        if kind in ("drawn", "supply") and isinstance(high, int | float) and high > 0:
            figures["budget"] = float(high)
    shares = {
        which: share
        for which, figures in supplies.items()
        if (share := _poe_share(figures)) >= 0
    }
    if not shares:
        return None
    spent = frozenset(which for which, share in shares.items() if share > _POE_SHARE)
    return RuleFinding(bool(spent), max(shares.values()), spent)


def _poe_share(figures: Mapping[str, float]) -> float:
    """Drawn of the budget; -1 if too little is known."""
    drawn, left = figures.get("drawn"), figures.get("left")
    budget = figures.get("budget")
    if budget is None and drawn is not None and left is not None:
        budget = drawn + left
    if drawn is None and budget is not None and left is not None:
        drawn = budget - left
    if drawn is None or not budget:
        return -1.0
    return drawn / budget


def vpn_sessions_spent(
    sensors: Sequence[Series], estate_index: EstateIndex, now_ms: int
) -> RuleFinding | None:
    """For one figure that a VPN gateway counts: its share of what the gateway reports
    as its licence or size."""
    for series in sensors:
        value, high = series.latest("value"), series.latest("high")
        if not (isinstance(value, int | float) and isinstance(high, int | float)):
            continue
        if high > 0 and _VPN.search(series.tags["sensor"]):
            return RuleFinding(value / high > _SESSION_SHARE, value / high)
    return None


def home_worse_than_office(
    places: Sequence[Series], estate_index: EstateIndex, now_ms: int
) -> RuleFinding | None:
    """For groups by place: poor calls at home less those in offices, each of enough
    calls. Ten more in a hundred is much."""
    ratios: dict[str, float] = {}
    for series in places:
        ratio, calls = series.latest("call_poor_ratio"), series.latest("calls")
        if not isinstance(ratio, int | float) or not isinstance(calls, int | float):
            continue
        if calls >= _FEWEST_CALLS:
            ratios[series.tags["group"]] = float(ratio)
    if not ratios.keys() >= {"home", "office"}:
        return None
    more = ratios["home"] - ratios["office"]
    return RuleFinding(more > _MUCH_WORSE, more)


FUNCTIONS: dict[str, Function] = {
    "agents_silent": agents_silent,
    "home_worse_than_office": home_worse_than_office,
    "on_backup": on_backup,
    "poe_budget_spent": poe_budget_spent,
    "ups_runtime_short": ups_runtime_short,
    "vpn_sessions_spent": vpn_sessions_spent,
}
# The units of their values, if not plain numbers.
FUNCTION_UNITS = {
    "home_worse_than_office": "ratio",
    "poe_budget_spent": "ratio",
    "vpn_sessions_spent": "ratio",
}
