"""Decides which alerts are paged, and which are suppressed by another alert. Pure.

1. Notifications are suppressed, measurements never: every alert keeps its own state.
2. Pages are suppressed, resolutions never: whatever was paged gets its resolution.
3. The parent is confirmed first: nothing is paged while a possible cause is pending, or
   before the cause was measured after the alert began (or a period has passed).
4. If a cause ends and its consequence does not, the consequence is paged once it has
   been measured again.
5. A silence or maintenance also covers the consequences of what it covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import (
    AlertState,
    AlertStates,
    StateChanges,
    alert_key,
)
from alerts.rule_files import Explanation, Rules
from alerts.silence_coverage import SilenceCoverage
from alerts.window import Window
from collectors.server_measurements import CATALOGUE

# After a cause has ended, its consequences have this long to be measured again.
SETTLE_MS = 30_000
# Two ends of one cable are seen to fail within this time of each other.
_TOGETHER_MS = 180_000


class Decision(NamedTuple):
    """The states that change, and the keys of alerts to page and to resolve."""

    changes: StateChanges
    pages: list[str]
    resolutions: list[str]


class _PossibleCauses(NamedTuple):
    """Subjects of one rule that would explain an alert: any of them, or only `all`."""

    rule: str
    subjects: tuple[dict[str, str], ...]
    all: bool = False


def decide_notifications(
    states: AlertStates,
    rules: Rules,
    window: Window,
    estate_index: EstateIndex,
    coverage: SilenceCoverage,
    now_ms: int,
) -> Decision:
    """Decides for every alert state whether it is paged, resolved or held back."""
    changes: StateChanges = {}
    pages: list[str] = []
    resolutions: list[str] = []
    active = {key: state for key, state in states.items() if state.is_open}
    direct = {
        key: _direct_cause(alert_state, active, rules, estate_index)
        for key, alert_state in active.items()
    }
    for key, alert_state in states.items():
        if not alert_state.is_open:
            if alert_state.paged_ms is not None:
                resolutions.append(key)
                changes[key] = msgspec.structs.replace(alert_state, paged_ms=None)
            continue
        root = _root_cause(key, direct)
        freed_ms = alert_state.freed_ms
        if alert_state.suppressed_by and not root:
            freed_ms = _ended_ms(states.get(alert_state.suppressed_by), now_ms)
        silenced_until_ms = coverage.until_ms(alert_state)
        after = alert_state
        if (root, freed_ms, silenced_until_ms) != (
            alert_state.suppressed_by,
            alert_state.freed_ms,
            alert_state.silenced_until_ms,
        ):
            after = msgspec.structs.replace(
                alert_state,
                suppressed_by=root,
                explained_by=root or alert_state.explained_by,
                freed_ms=freed_ms,
                silenced_until_ms=silenced_until_ms,
            )
        if (
            after.paged_ms is None
            and not root
            and not silenced_until_ms
            and _is_due(after, rules, window, estate_index, now_ms)
        ):
            after = msgspec.structs.replace(after, paged_ms=now_ms, explained_by="")
            pages.append(key)
        if after is not alert_state:
            changes[key] = after
    return Decision(changes, pages, resolutions)


def consequences(key: str, states: AlertStates) -> list[AlertState]:
    """The open alerts that the alert of `key` explains, directly or through others."""
    return [
        state
        for state in states.values()
        if state.is_open and state.suppressed_by == key
    ]


def _is_due(
    alert_state: AlertState,
    rules: Rules,
    window: Window,
    estate_index: EstateIndex,
    now_ms: int,
) -> bool:
    rule = rules.find(alert_state.rule, alert_state.site)
    if alert_state.state != "firing" or rule is None:
        return False
    if alert_state.clear_ms is not None and not alert_state.flapping:
        # It is well again and only waits for `keep_for`.
        return False
    if now_ms < alert_state.since_ms + rule.page_after_ms:
        return False
    if alert_state.freed_ms:
        measured_again = (
            alert_state.bad_ms > alert_state.freed_ms or rule.silence == "blind"
        )
        if now_ms < alert_state.freed_ms + SETTLE_MS or not measured_again:
            return False
    # A rule's `hold` may be shorter than the period of what would explain the alert.
    for explanation in rules.links.get(alert_state.rule, ()):
        cause_rule = rules.find(explanation.cause, alert_state.site)
        if cause_rule is None:
            continue
        period_ms = CATALOGUE.measurement(cause_rule.measurement).period_s * 1000
        waited = now_ms >= alert_state.since_ms + period_ms + SETTLE_MS
        if waited or cause_rule.silence == "blind":
            continue
        for causes in _possible_causes(explanation, alert_state, estate_index):
            for subject in causes.subjects:
                if (
                    window.known_until_ms(explanation.cause, subject)
                    < alert_state.since_ms
                ):
                    return False
    return True


def _direct_cause(
    alert_state: AlertState,
    active: Mapping[str, AlertState],
    rules: Rules,
    estate_index: EstateIndex,
) -> str:
    """The key of the nearest alert that explains `alert_state`; empty if none does.

    A pending cause counts: its consequences are not paged before it is confirmed.
    """
    for explanation in rules.links.get(alert_state.rule, ()):
        for causes in _possible_causes(explanation, alert_state, estate_index):
            keys = [alert_key(causes.rule, subject) for subject in causes.subjects]
            present = [
                key
                for key in keys
                if key in active and _is_in_time(explanation, active[key], alert_state)
            ]
            if present and (not causes.all or len(present) == len(keys)):
                return present[0]
    return ""


def _is_in_time(
    explanation: Explanation, cause: AlertState, alert_state: AlertState
) -> bool:
    if explanation.relation == "parent_port":
        return abs(cause.since_ms - alert_state.since_ms) <= _TOGETHER_MS
    return True


def _root_cause(key: str, direct: Mapping[str, str]) -> str:
    """The first cause in the chain above `key`; empty if there is none. If causes form
    a loop (a wrong estate), the lowest key is the root, so that somebody is paged."""
    visited = [key]
    current = direct.get(key, "")
    while current:
        if current in visited:
            lowest = min(visited[visited.index(current) :])
            return "" if lowest == key else lowest
        visited.append(current)
        further = direct.get(current, "")
        if not further:
            return current
        current = further
    return ""


def _ended_ms(cause: AlertState | None, now_ms: int) -> int:
    if cause is None or cause.resolved_ms is None:
        return now_ms
    return cause.resolved_ms


def _possible_causes(
    explanation: Explanation, alert_state: AlertState, estate_index: EstateIndex
) -> Iterator[_PossibleCauses]:
    for subjects, all_of_them in _RELATIONS[explanation.relation](
        alert_state, estate_index
    ):
        candidates = tuple(
            subject
            for subject in subjects
            if explanation.cause != alert_state.rule or subject != alert_state.subject
        )
        if candidates:
            yield _PossibleCauses(explanation.cause, candidates, all_of_them)


_Subjects = Iterator[tuple[list[dict[str, str]], bool]]


def _ancestor(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    """The devices above its device, or above every way out of its site."""
    device = alert_state.subject.get("device")
    if device:
        yield [{"device": d} for d in estate_index.ancestors(device)], False
        return
    tops = estate_index.tops.get(alert_state.site, [])
    for above in estate_index.ancestors(tops[0]) if tops else ():
        if all(above in estate_index.ancestors(top) for top in tops):
            yield [{"device": above}], False


def _everything(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    yield [{}], False


def _same_site(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    if alert_state.site:
        yield [{"site": alert_state.site}], False


def _same_device(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    if alert_state.subject.get("device"):
        yield [{"device": alert_state.subject["device"]}], False


def _same_subject(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    yield [dict(alert_state.subject)], False


def _site_lines(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    """Every line of its site that is measured from the far end. A line measured from
    inside the site is measured by a device that still answers: it explains nothing."""
    lines = [
        line for line in estate_index.lines_of.get(alert_state.site, []) if line.far_end
    ]
    yield [{"line": line.id} for line in lines], True


def _site_line(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    lines = estate_index.lines_of.get(alert_state.site, [])
    yield [{"line": line.id} for line in lines], False


def _primary_line(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    lines = estate_index.lines_of.get(alert_state.site, [])
    yield [{"line": line.id} for line in lines if line.role == "primary"], False


def _line_port(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    place = (alert_state.subject.get("device", ""), alert_state.subject.get("port", ""))
    line = estate_index.line_at.get(place)
    if line is not None:
        yield [{"line": line.id}], False


def _site_line_port(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    lines = estate_index.lines_of.get(alert_state.site, [])
    yield [{"device": line.device, "port": line.port} for line in lines], False


def _site_tops(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    tops = estate_index.tops.get(alert_state.site, [])
    if tops:
        yield [{"device": device} for device in tops], True


def _parent_port(alert_state: AlertState, estate_index: EstateIndex) -> _Subjects:
    """The devices below the one whose port this is: the port is their cable."""
    device = alert_state.subject.get("device", "")
    if (device, alert_state.subject.get("port", "")) not in estate_index.line_at:
        children = estate_index.children.get(device, [])
        yield [{"device": child} for child in children], False


_RELATIONS: dict[str, Callable[[AlertState, EstateIndex], _Subjects]] = {
    "ancestor": _ancestor,
    "everything": _everything,
    "line_port": _line_port,
    "parent_port": _parent_port,
    "primary_line": _primary_line,
    "same_device": _same_device,
    "same_site": _same_site,
    "same_subject": _same_subject,
    "site_line": _site_line,
    "site_lines": _site_lines,
    "site_line_port": _site_line_port,
    "site_tops": _site_tops,
}
