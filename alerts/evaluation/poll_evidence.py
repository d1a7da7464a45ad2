"""What polls show of a fault that a device reported itself (`ended_by`). Pure.

A trap is a claim: a poll confirms it, and a poll ends it, even if the trap that should
end it was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from alerts.evaluation.alert_states import AlertState, AlertStates
from alerts.series import Series
from alerts.window import Window

# SNMP agents answer from a cache: a value read this soon after may be from before.
CACHED_MS = 30_000
# What polls found bad this long before the device reported a fault is another fault.
_EARLIER_MS = 600_000


class PollEvidence(NamedTuple):
    """`is_bad`: the fault that was reported is still there; None if polls do not tell.
    `at_ms`: when they showed it."""

    is_bad: bool | None = None
    at_ms: int = 0


class OtherFaults:
    """What polls found bad already, by measurement: parts in the baseline, and alerts.
    A power supply that was never fitted says nothing about the one that fails."""

    def __init__(self, window: Window, states: AlertStates) -> None:
        self._by_measurement: dict[str, list[AlertState]] = {}
        for alert_state in states.values():
            rule = window.rules.find(alert_state.rule, alert_state.site)
            if rule is not None and (alert_state.is_open or alert_state.is_baseline):
                self._by_measurement.setdefault(rule.measurement, []).append(
                    alert_state
                )

    def include(self, measurement: str, series: Series, since_ms: int) -> bool:
        """True if `series` was bad well before `since_ms`."""
        tags = series.tags
        return any(
            (fault.is_baseline or fault.since_ms < since_ms - _EARLIER_MS)
            and fault.subject.items() <= tags.items()
            for fault in self._by_measurement.get(measurement, ())
        )


def poll_evidence(
    window: Window,
    rule_index: int,
    subject: Mapping[str, str],
    since_ms: int,
    event_ms: int,
    others: OtherFaults,
) -> PollEvidence:
    """What polls show of the fault that began at `since_ms` and was last reported at
    `event_ms`. A part that is no longer polled does not count as well."""
    for end, members in window.ends(rule_index, subject):
        if not end.applies_to(subject):
            continue
        well: list[int] = []
        bad: list[int] = []
        is_certain = True
        for series in members:
            value = series.latest(end.when.field)
            if not isinstance(value, int | float):
                continue
            is_well = end.when.holds(value, False)
            if not is_well and others.include(end.measurement, series, since_ms):
                continue
            if series.last_ms < event_ms + CACHED_MS:
                is_certain = False
                continue
            (well if is_well else bad).append(series.last_ms)
        if bad:
            return PollEvidence(True, max(bad))
        if well and is_certain:
            return PollEvidence(False, max(well))
    return PollEvidence()
