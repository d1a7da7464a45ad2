"""Notices for staff: what they may notice, since when, and what is done. Pure.

They have fixed words (`alerts.staff_incidents`), names of sites, and times: no device,
line, figure or group of people, and no text that people typed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from alerts.alert import Alert
from alerts.silence import Silence
from alerts.staff_incidents import StaffText, staff_text
from collectors.estate import Estate
from dashboards.figure_text import hour, when
from probes.wire.display import isolated

DAY_MS = 86_400_000
# Over for so long, a notice is in the feeds; planned, it is so far ahead.
KEPT_MS = AHEAD_MS = 7 * DAY_MS
_MOST = 100
NoticeState = Literal["problem", "planned", "over"]
# In the order of the lists.
_LABELS: dict[NoticeState, str] = {
    "problem": "Problem",
    "planned": "Planned work",
    "over": "Resolved",
}
_ORDER = {state: place for place, state in enumerate(_LABELS)}
# What people use → the rules about it. What is left is about a site.
SERVICES: Mapping[str, frozenset[str]] = {
    "Working from home (VPN)": frozenset({"vpn_gateway_down", "vpn_slow_everywhere"}),
    "Calls and meetings": frozenset(
        {"calls_poor_everywhere", "relay_blocked_everywhere"}
    ),
    "Microsoft 365": frozenset({"microsoft_unreachable_everywhere"}),
    "Websites and services": frozenset({"names_fail_everywhere"}),
}
OFFICES = "Offices"


class StaffNotice(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is what staff notice or noticed, without an end; `is_handled`: it is
    worked on. `until_ms` is None while it lasts; `changed_ms`: when this notice last
    changed."""

    id: str
    service: str
    text: str
    state: NoticeState
    since_ms: int
    until_ms: int | None
    changed_ms: int
    is_handled: bool = False

    @property
    def label(self) -> str:
        """`Problem`, as people read its state."""
        return _LABELS[self.state]

    def sentences(self, zone: ZoneInfo, now_ms: int) -> str:
        """`The VPN is slow since 09:10. We are working on it.`"""
        begun = _moment(self.since_ms, zone, now_ms)
        if self.until_ms is None:
            doing = "We are working on it" if self.is_handled else "We know about it"
            return f"{self.text}, since {begun}. {doing}."
        ended = _moment(self.until_ms, zone, now_ms)
        if self.state == "planned":
            verb = "is going on" if self.since_ms <= now_ms else "is planned"
            breaks = "There may be short breaks"
            return f"{self.text} {verb}, from {begun} to {ended}. {breaks}."
        if begun == ended:
            return f"{self.text} at {begun}, for less than a minute. This is over."
        return f"{self.text}, from {begun} to {ended}. This is over."


class StaffView(msgspec.Struct, frozen=True):
    """What the intranet shows. `services`: name → whether it works. `is_complete`: all
    that is watched can be seen at the moment."""

    services: tuple[tuple[str, bool], ...]
    notices: tuple[StaffNotice, ...]
    is_complete: bool

    @property
    def current(self) -> list[StaffNotice]:
        return [notice for notice in self.notices if notice.state != "over"]

    @property
    def over(self) -> list[StaffNotice]:
        return [notice for notice in self.notices if notice.state == "over"]

    @property
    def headline(self) -> str:
        problems = sum(notice.state == "problem" for notice in self.notices)
        if problems:
            return "There is a problem" if problems == 1 else "There are problems"
        if not self.is_complete:
            return "We cannot see everything at the moment"
        return "Everything that we watch is working"


def staff_view(
    alerts: Iterable[Alert],
    silences: Iterable[Silence],
    estate: Estate,
    is_complete: bool,
    now_ms: int,
) -> StaffView:
    """`alerts`: the causes among those that fire, and what ended in the last week."""
    names = {site.id: isolated(site.name or site.id) for site in estate.sites}
    planned = _planned(silences, estate, names, now_ms)
    # What fails during planned work at a site is announced as that.
    at_work = {site for site, notice in planned if notice.since_ms <= now_ms}
    problems = [alert for alert in alerts if alert.site not in at_work]
    notices = [*_problems(problems, names, now_ms), *(one for _, one in planned)]
    notices.sort(key=lambda one: (_ORDER[one.state], -one.since_ms, one.id))
    troubled = {one.service for one in notices if one.state == "problem"}
    services = tuple((name, name not in troubled) for name in (*SERVICES, OFFICES))
    return StaffView(services, tuple(notices[:_MOST]), is_complete)


def _problems(
    alerts: Iterable[Alert], names: Mapping[str, str], now_ms: int
) -> list[StaffNotice]:
    """One for each text and time: several alerts may mean the same to staff."""
    open_now: dict[str, StaffNotice] = {}
    ended: dict[tuple[str, int], StaffNotice] = {}
    for alert in alerts:
        text = staff_text(alert, names)
        is_explained = alert.state == "resolved" and alert.suppressed_by
        if text is None or is_explained or alert.firing_ms is None:
            continue
        notice = _notice(alert, text)
        if notice.until_ms is None and alert.state == "firing":
            open_now[text.now] = _joined(open_now.get(text.now), notice)
        elif notice.until_ms is not None and now_ms - notice.until_ms < KEPT_MS:
            ended[text.now, notice.since_ms] = notice
    return [*open_now.values(), *ended.values()]


def _notice(alert: Alert, text: StaffText) -> StaffNotice:
    service = next(
        (name for name, rules in SERVICES.items() if alert.rule in rules), OFFICES
    )
    changes = (alert.firing_ms, alert.acknowledged_ms, alert.resolved_ms)
    return StaffNotice(
        # Of what is noticed, so that a feed keeps the notice when it is over.
        id=_id(text.now, alert.since_ms),
        service=service,
        text=text.now if alert.resolved_ms is None else text.past,
        state="problem" if alert.resolved_ms is None else "over",
        since_ms=alert.since_ms,
        until_ms=alert.resolved_ms,
        changed_ms=max(change for change in changes if change is not None),
        is_handled=bool(alert.acknowledged_by),
    )


def _joined(before: StaffNotice | None, notice: StaffNotice) -> StaffNotice:
    if before is None:
        return notice
    first = min(before, notice, key=lambda one: one.since_ms)
    return msgspec.structs.replace(
        first,
        is_handled=before.is_handled or notice.is_handled,
        changed_ms=max(before.changed_ms, notice.changed_ms),
    )


def _planned(
    silences: Iterable[Silence], estate: Estate, names: Mapping[str, str], now_ms: int
) -> list[tuple[str, StaffNotice]]:
    """Planned work that staff may notice, with its site: of a site, or of its line."""
    sites = {line.id: line.site for line in estate.lines}
    found = {}
    for silence in silences:
        site = silence.site or sites.get(silence.line, "")
        is_narrow = bool(silence.device or silence.rule)
        soon = silence.from_ms < now_ms + AHEAD_MS and silence.until_ms > now_ms
        if not (silence.planned and site in names and soon) or is_narrow:
            continue
        text = f"Work on the network of {names[site]}"
        notice = StaffNotice(
            id=_id(text, silence.from_ms),
            service=OFFICES,
            text=text,
            state="planned",
            since_ms=silence.from_ms,
            until_ms=silence.until_ms,
            # When it was planned is not known: its beginning is what readers act on.
            changed_ms=min(silence.from_ms, now_ms - now_ms % DAY_MS),
        )
        found[notice.id] = (site, notice)
    return list(found.values())


def _id(text: str, since_ms: int) -> str:
    named = f"{since_ms} {text}".encode(errors="replace")
    return hashlib.blake2b(named, digest_size=8).hexdigest()


def _moment(time_ms: int, zone: ZoneInfo, now_ms: int) -> str:
    """`09:10` of today, else `Mon 23 Nov, 09:10`."""
    day, today = (
        datetime.fromtimestamp(at_ms / 1000, zone).date() for at_ms in (time_ms, now_ms)
    )
    return hour(time_ms, zone) if day == today else when(time_ms, zone)
