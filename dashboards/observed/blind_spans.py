"""When the monitor saw nothing, or nothing true, by its alerts. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.alert import Alert
from alerts.rule import CUT_OFF
from dashboards.observed.time_spans import Span

_RULES = ("monitor_blind", CUT_OFF)


def blind_spans(alerts: Iterable[Alert], now_ms: int) -> list[Span]:
    """Returns the spans of alerts that fired; open ones last until `now_ms`."""
    return [
        (alert.since_ms, alert.resolved_ms or now_ms)
        for alert in alerts
        if alert.rule in _RULES and alert.firing_ms is not None
    ]
