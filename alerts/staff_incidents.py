"""What staff are told of open alerts: few, in fixed words, of their own site or of what
everybody uses. No device, port, address, figure or group of people is named."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import structlog

from alerts.alert import Alert
from alerts.alert_access import open_alerts
from collectors.estate.estate_model import Estate
from collectors.failure_log import FailureLog
from probes.wire.clock import MonotonicClock
from probes.wire.display import displayable
from probes.wire.policy import Incident

_KEPT_S = 10.0
# Rules whose condition staff feel; any other one is not theirs to know of.
_EVERYBODY = {
    "calls_poor_everywhere": "Calls are poor for many of the council's staff",
    "vpn_gateway_down": "A VPN gateway of the council does not answer",
}
_OF_A_SITE = {
    "site_unreachable": "{site} has lost its network",
    "line_down": "The line of {site} is down",
    "line_full_down": "The line of {site} is full",
    "line_full_up": "The line of {site} is full",
    "on_backup_line": "{site} runs on its spare line, which may be slower",
}

log = structlog.get_logger()


def incidents(
    alerts: Iterable[Alert], estate: Estate, sites: Collection[str]
) -> list[Incident]:
    """Those of `alerts` that somebody of `sites` (where they belong, and where they
    are) may feel, the oldest first. Pure.

    Only what is firing; what another alert explains is left to that one. The same
    words are said once.
    """
    names = {each.id: displayable(each.name or each.id) for each in estate.sites}
    found: dict[str, int] = {}
    for alert in alerts:
        if alert.state != "firing" or alert.suppressed_by:
            continue
        says = _EVERYBODY.get(alert.rule, "")
        if not says and alert.site and alert.site in sites:
            words = _OF_A_SITE.get(alert.rule, "")
            says = words.format(site=names.get(alert.site, alert.site))
        if says:
            # As long as `Incident` takes.
            says = says[:200]
            found[says] = min(found.get(says, alert.since_ms), alert.since_ms)
    return [
        Incident(says, since_ms)
        for says, since_ms in sorted(found.items(), key=lambda each: each[1])
    ]


class KnownIncidents:
    """`known(sites)`, from the alert engine's file; empty where there is none on
    this machine. Read every ten seconds at most; blocking."""

    def __init__(
        self,
        standing: Path,
        estate: Callable[[], Estate],
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._standing, self._estate, self._monotonic_s = standing, estate, monotonic_s
        self._alerts: Sequence[Alert] = ()
        self._read_s: float | None = None
        self._failures = FailureLog("staff_incidents_not_read", level="warning")

    def __call__(self, sites: Collection[str]) -> list[Incident]:
        now_s = self._monotonic_s()
        if self._read_s is None or now_s - self._read_s >= _KEPT_S:
            self._alerts, self._read_s = self._read(), now_s
        return incidents(self._alerts, self._estate(), sites)

    def _read(self) -> Sequence[Alert]:
        try:
            alerts = open_alerts(self._standing)
        except (sqlite3.Error, OSError) as error:
            self._failures.failed(error)
            return ()
        self._failures.recovered()
        return alerts
