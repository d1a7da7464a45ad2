"""What the council knows to be wrong that a caller may notice, and whether it explains
the verdict on their laptop: if others have it too, their own line is not to blame.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from alerts.alert import Alert
from dashboards.web.laptop_day import LaptopDay
from dashboards.web.site_state import Cause
from probes.wire.diagnosis import Segment

_CALLS: frozenset[Segment] = frozenset({"line", "calls", "council"})
# What is wrong with an office's line is wrong for the laptops there.
OF_LINES = frozenset(
    {"line_down", "line_full_down", "line_full_up", "line_errors", "line_flapping"}
)
# What is wrong with a VPN gateway is wrong for those outside.
OF_GATEWAYS = frozenset({"vpn_gateway_down", "vpn_sessions_spent"})
# Rule → what it explains on a laptop that it concerns.
EXPLAINS: Mapping[str, frozenset[Segment]] = {
    "calls_poor_everywhere": _CALLS,
    "calls_poor_provider": _CALLS,
    "calls_poor_site": _CALLS,
    "calls_poor_vpn": _CALLS | {"vpn"},
    "names_fail_everywhere": frozenset({"network", "council"}),
    "names_fail_site": frozenset({"network", "council"}),
    "microsoft_unreachable_everywhere": frozenset({"microsoft"}),
    "microsoft_unreachable_site": frozenset({"microsoft"}),
    "vpn_slow_everywhere": frozenset({"vpn"}),
    "vpn_slow": frozenset({"vpn"}),
    "wifi_weak_site": frozenset({"wifi"}),
    "media_edge_unreachable_site": frozenset({"telephony"}),
    "media_edge_unreachable_team": frozenset({"telephony"}),
    **dict.fromkeys(OF_LINES, frozenset({"line", "calls"})),
    **dict.fromkeys(OF_GATEWAYS, frozenset({"vpn"})),
    "relay_blocked_everywhere": frozenset(),
    "relay_blocked_site": frozenset(),
    "home_worse_than_office": frozenset(),
}


class SharedFault(NamedTuple):
    """Something that is wrong for others too. `explains`: the first problem of the
    laptop's verdict is its consequence."""

    text: str
    explains: bool


def shared_faults(causes: Iterable[Cause], day: LaptopDay) -> list[SharedFault]:
    """Returns the open problems of the laptop's place, home site, provider or VPN, or
    of everybody, and what caused them. Those that explain its verdict come first."""
    first = day.verdict.problems[0].segment if day.verdict.problems else None
    faults = []
    for cause in causes:
        known = [a for a in (cause.alert, *cause.explains) if _concerns(a, day)]
        if known:
            text = cause.alert.summary or cause.alert.title
            explains = any(_is_here(a, day) and _fits(a, first) for a in known)
            faults.append(SharedFault(text, explains))
    return sorted(faults, key=lambda fault: not fault.explains)


def _fits(alert: Alert, first: Segment | None) -> bool:
    return first in EXPLAINS.get(alert.rule, ())


def _is_here(alert: Alert, day: LaptopDay) -> bool:
    """Returns whether it is about the network in which the laptop is: at home the line
    of its office is not."""
    return alert.rule not in OF_LINES or alert.site == day.where.site


def _concerns(alert: Alert, day: LaptopDay) -> bool:
    if alert.rule in OF_GATEWAYS:
        return day.where.place != "office" and day.where.vpn in {"up", "down"}
    if alert.rule not in EXPLAINS or alert.rule in OF_LINES:
        return bool(alert.site) and alert.site in {day.home_site, day.where.site}
    if not (group := alert.subject.get("group")):
        return True
    if alert.subject.get("by") == "team":
        # Nothing says in which team the laptop is, but few have such servers.
        segments = {problem.segment for problem in day.verdict.problems}
        return not EXPLAINS[alert.rule].isdisjoint(segments)
    here = {"site": day.where.site, "provider": day.provider, "vpn": day.vpn_product}
    return here.get(alert.subject.get("by", "")) == group
