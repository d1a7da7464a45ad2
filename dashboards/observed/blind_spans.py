"""When alerts say that the monitor saw nothing, or nothing true. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.alert import Alert
from dashboards.observed.time_spans import Span

CUT_OFF = "monitor_cut_off"
_RULES = ("monitor_blind", CUT_OFF)


def blind_spans(alerts: Iterable[Alert], now_ms: int) -> list[Span]:
    """Of alerts that fired; those that are not over last until `now_ms`."""
    return [
        (each.since_ms, each.resolved_ms or now_ms)
        for each in alerts
        if each.rule in _RULES and each.firing_ms is not None
    ]
