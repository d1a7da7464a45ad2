"""Open alerts as staff see them: few, in fixed words, about their own site or what
everybody uses. They name no device, port, address, figure or group of people."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from alerts.alert import Alert
from alerts.alert_access import open_alerts
from collectors.estate.estate_model import Estate
from collectors.failure_log import FailureLog
from probes.wire.clock import MonotonicClock
from probes.wire.display import displayable
from probes.wire.policy import Incident

_KEPT_S = 10.0


class StaffText(NamedTuple):
    """What staff notice while it lasts, and what they noticed."""

    now: str
    past: str


# Rules whose condition staff notice. No other rule is shown to them.
_EVERYBODY = {
    "calls_poor_everywhere": StaffText(
        "Calls are poor for many of the council's staff",
        "Calls were poor for many of the council's staff",
    ),
    "microsoft_unreachable_everywhere": StaffText(
        "Microsoft 365 is hard to reach for many of the council's staff",
        "Microsoft 365 was hard to reach for many of the council's staff",
    ),
    "names_fail_everywhere": StaffText(
        "Websites and services do not open for many of the council's staff",
        "Websites and services did not open for many of the council's staff",
    ),
    "relay_blocked_everywhere": StaffText(
        "Teams calls do not get through for many of the council's staff",
        "Teams calls did not get through for many of the council's staff",
    ),
    "vpn_gateway_down": StaffText(
        "A VPN gateway of the council does not answer",
        "A VPN gateway of the council did not answer",
    ),
    "vpn_slow_everywhere": StaffText(
        "The VPN is slow for many of the council's staff",
        "The VPN was slow for many of the council's staff",
    ),
}
_OF_A_SITE = {
    "site_unreachable": StaffText(
        "{site} has lost its network", "{site} had no network"
    ),
    "line_down": StaffText("The line of {site} is down", "The line of {site} was down"),
    "line_full_down": StaffText(
        "The line of {site} is full", "The line of {site} was full"
    ),
    "line_full_up": StaffText(
        "The line of {site} is full", "The line of {site} was full"
    ),
    "on_backup_line": StaffText(
        "{site} runs on its spare line, which may be slower",
        "{site} ran on its spare line, which may have been slower",
    ),
}

_log = structlog.get_logger()


def incidents(
    alerts: Iterable[Alert], estate: Estate, sites: Collection[str]
) -> list[Incident]:
    """Returns the incidents that a member of staff may notice, oldest first. Pure.

    `sites`: the site that the person belongs to, and the one the laptop is at.

    Only firing alerts count, without those that another alert explains. The same text
    appears once.
    """
    names = {site.id: displayable(site.name or site.id) for site in estate.sites}
    since: dict[str, int] = {}
    for alert in alerts:
        if alert.state != "firing" or alert.suppressed_by:
            continue
        if alert.site in sites or alert.rule in _EVERYBODY:
            known = staff_text(alert, names)
        else:
            known = None
        if known is not None:
            # The longest text that `Incident` accepts.
            text = known.now[:200]
            since[text] = min(since.get(text, alert.since_ms), alert.since_ms)
    return [
        Incident(text, since_ms)
        for text, since_ms in sorted(since.items(), key=lambda item: item[1])
    ]


def staff_text(alert: Alert, site_names: Mapping[str, str]) -> StaffText | None:
    """What staff notice of an alert, as sentences without their end; None if nothing.
    Pure. `site_names`: by id, fit to be shown."""
    if text := _EVERYBODY.get(alert.rule):
        return text
    template = _OF_A_SITE.get(alert.rule) if alert.site else None
    if template is None:
        return None
    site = site_names.get(alert.site, alert.site)
    return StaffText(*(text.format(site=site) for text in template))


def incidents_by_site(
    alerts: Sequence[Alert], estate: Estate
) -> dict[str, list[Incident]]:
    """The incidents of each site with an alert; under the empty site, those that staff
    at all sites may notice. Pure."""
    sites = {"", *(alert.site for alert in alerts)}
    found = {site: incidents(alerts, estate, {site}) for site in sites}
    return {site: own for site, own in found.items() if own}


class KnownIncidents:
    """`known(sites)` returns incidents from the alert engine's file; none if it is not
    on this machine. Reads it every ten seconds at most; blocking."""

    def __init__(
        self,
        state_file: Path,
        estate: Callable[[], Estate],
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._state_file, self._estate, self._monotonic_s = (
            state_file,
            estate,
            monotonic_s,
        )
        self._alerts: Sequence[Alert] = ()
        self._read_s: float | None = None
        self._failures = FailureLog("staff_incidents_not_read", level="warning")

    def __call__(self, sites: Collection[str]) -> list[Incident]:
        return incidents(self._newest(), self._estate(), sites)

    def by_site(self) -> dict[str, list[Incident]]:
        """As `incidents_by_site`, of the alerts that are open now."""
        return incidents_by_site(self._newest(), self._estate())

    def _newest(self) -> Sequence[Alert]:
        now_s = self._monotonic_s()
        if self._read_s is None or now_s - self._read_s >= _KEPT_S:
            self._alerts, self._read_s = self._read(), now_s
        return self._alerts

    def _read(self) -> Sequence[Alert]:
        try:
            alerts = open_alerts(self._state_file)
        except (sqlite3.Error, OSError) as error:
            self._failures.failed(error)
            return ()
        self._failures.recovered()
        return alerts
