"""Which open alerts are about the same part of a device (relation `same_part`). Pure.

Two rules of one measurement are about the same part if their subjects agree. A rule
about events of a device is about what its `ended_by` reads: that is data, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from alerts.alert import SEVERITY_ORDER
from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.poll_evidence import named_members
from alerts.rule_files import Explanation
from alerts.window import Window

# If nothing tells which part a device reports, what polls find this much earlier or
# later is the same.
_TOGETHER_MS = 600_000


def same_part_subjects(
    explanation: Explanation,
    alert_state: AlertState,
    candidates: Sequence[AlertState],
    window: Window,
) -> Iterator[dict[str, str]]:
    """The subjects of `candidates`, alerts of the explanation's cause, that are about
    the same part as `alert_state` and are the ones to page."""
    rules = window.rules
    rule = rules.find(alert_state.rule, alert_state.site)
    cause = rules.find(explanation.cause, alert_state.site)
    if rule is None or cause is None:
        return
    weaker = SEVERITY_ORDER[cause.severity] - SEVERITY_ORDER[rule.severity]
    if weaker > 0 or (explanation.reverse and weaker == 0):
        return
    for other in candidates:
        reported, polled = other, alert_state
        if explanation.reverse:
            reported, polled = polled, reported
        if is_same_part(reported, polled, window):
            yield dict(other.subject)


def is_same_part(reported: AlertState, polled: AlertState, window: Window) -> bool:
    """Whether both are about one part; `reported`: of the rule that has `ended_by`, if
    one has."""
    polled_rule = window.rules.find(polled.rule, polled.site)
    if polled_rule is None:
        return False
    for rule_index, rule in window.rules.find_all(reported.rule):
        if not rule.applies_at(reported.site):
            continue
        if rule.measurement == polled_rule.measurement:
            return _agree(reported.subject, polled.subject)
        for end, members in window.ends(rule_index, reported.subject):
            if end.measurement != polled_rule.measurement or not end.applies_to(
                reported.subject
            ):
                continue
            parts, is_certain = named_members(end, reported.subject, members)
            if any(polled.subject.items() <= part.tags.items() for part in parts):
                apart_ms = abs(reported.since_ms - polled.since_ms)
                return is_certain or apart_ms <= _TOGETHER_MS
    return False


def _agree(subject: Mapping[str, str], other: Mapping[str, str]) -> bool:
    shared = subject.keys() & other.keys()
    return bool(shared) and all(subject[tag] == other[tag] for tag in shared)
