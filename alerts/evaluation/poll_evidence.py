"""What polls show of a fault that a device reported itself (`ended_by`). Pure.

A trap is a claim: a poll confirms it, and a poll ends it, even if the trap that should
end it was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from alerts.evaluation.alert_states import AlertState, AlertStates
from alerts.evaluation.part_names import named_parts
from alerts.rule import EndedBy
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


def named_members(
    end: EndedBy, subject: Mapping[str, str], members: Sequence[Series]
) -> tuple[Sequence[Series], bool]:
    """The series that an event about `subject` may be about, and whether that is
    certain: whatever matches, or those that its `about` names."""
    if not end.names:
        return members, True
    about = subject.get("about", "")
    names = named_parts(about, {series.tags[end.names] for series in members})
    if names:
        return [series for series in members if series.tags[end.names] in names], True
    return ([] if end.named else members), False


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
        parts, is_named = named_members(end, subject, members)
        for series in parts:
            value = series.latest(end.when.field)
            if not isinstance(value, int | float):
                continue
            is_well = end.when.holds(value, False)
            if (
                not is_well
                and not (end.names and is_named)
                and others.include(end.measurement, series, since_ms)
            ):
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
