"""The events that a page named are remembered as they are. Pure."""

from __future__ import annotations

from virtual_council import MINUTE_MS

from alerts.alert import Alert
from alerts.evaluation.alert_states import AlertState
from alerts.late_causes import find_late_causes


def test_an_event_is_told_once_whatever_its_name_is() -> None:
    """Names come from calendars, and may have lines."""
    subject = {"device": "core"}
    paged = AlertState(
        "device_unreachable", subject, "hall", "firing", 0, 0, 0, paged_ms=1
    )
    shown = Alert(
        "device_unreachable",
        subject,
        "critical",
        "firing",
        0,
        domain="device:core",
        events=("Full council\nin public, from 18:00",),
    )

    def current(_: AlertState) -> Alert:
        return shown

    changes, _ = find_late_causes({paged.key: paged}, current, 1)
    states = {paged.key: paged, **changes}
    for minute in range(3):
        assert find_late_causes(states, current, minute * MINUTE_MS) == ({}, {})
