"""Decides which alerts are paged, and which are suppressed by another alert. Pure.

1. Notifications are suppressed, measurements never: every alert keeps its own state.
2. Pages are suppressed, resolutions never: whatever was paged gets its resolution.
3. The parent is confirmed first: nothing is paged while a possible cause is pending, or
   before the cause was measured after the alert began (or a period has passed).
4. If a cause ends and its consequence does not, the consequence is paged once it has
   been measured again.
5. A silence or maintenance also covers the consequences of what it covers.
6. A cause that is found after its consequence was paged joins that page: nobody is
   woken twice by one fault. What fails later is another fault, with a page of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import SEVERITY_ORDER
from alerts.domain_functions import OUTAGE_MS
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import (
    AlertState,
    AlertStates,
    StateChanges,
    alert_key,
)
from alerts.relations import possible_causes
from alerts.rule import Rule
from alerts.rule_files import Explanation, Rules
from alerts.silence_coverage import SilenceCoverage
from alerts.situation import TOGETHER_MS, Situation
from alerts.window import Window
from collectors.server_measurements import CATALOGUE

# Until a second poll has found it, what one poll found waits this long at most.
_SECOND_POLL_MS = 150_000
_POLL_MS = 60_000
# After a cause has ended, its consequences have this long to be measured again.
SETTLE_MS = 30_000
# A cause whose consequence's page has ended is paged itself this long after.
_LEFT_MS = 270_000
# A cause that began this long after its consequence is another fault.
_ONE_FAULT_MS = 300_000


class Decision(NamedTuple):
    """The states that change, and the keys of alerts to page and to resolve. `joined`:
    of those to page, the ones that join the page of a consequence, and its key."""

    changes: StateChanges
    pages: list[str]
    resolutions: list[str]
    joined: dict[str, str]


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
    joined: dict[str, str] = {}
    active = {key: state for key, state in states.items() if state.is_open}
    situation = Situation(active, estate_index, window)
    direct = {
        key: _direct_cause(alert_state, rules, situation)
        for key, alert_state in active.items()
    }
    roots = {key: _root_cause(key, direct) for key in active}
    paged = _paged_consequences(active, roots)
    episodes = {state.episode for state in active.values()}
    for key, alert_state in states.items():
        if not alert_state.is_open:
            if alert_state.paged_ms is not None:
                resolutions.append(key)
                changes[key] = msgspec.structs.replace(
                    alert_state,
                    paged_ms=None,
                    joins="",
                    follows=alert_state.follows
                    or ("" if alert_state.joins else alert_state.episode),
                )
            continue
        root = roots[key]
        freed_ms, released_ms = alert_state.freed_ms, alert_state.released_ms
        if alert_state.suppressed_by and not root:
            freed_ms = _ended_ms(states.get(alert_state.suppressed_by), now_ms)
            released_ms = now_ms
        silenced_until_ms = coverage.until_ms(alert_state)
        after = alert_state
        if (root, freed_ms, released_ms, silenced_until_ms) != (
            alert_state.suppressed_by,
            alert_state.freed_ms,
            alert_state.released_ms,
            alert_state.silenced_until_ms,
        ):
            after = msgspec.structs.replace(
                alert_state,
                suppressed_by=root,
                explained_by=root or alert_state.explained_by,
                freed_ms=freed_ms,
                released_ms=released_ms,
                silenced_until_ms=silenced_until_ms,
            )
        if after.joins and after.joins not in episodes:
            # The page that it had joined has ended, and it has not.
            after = msgspec.structs.replace(
                after, paged_ms=None, joins="", freed_ms=now_ms + _LEFT_MS
            )
        if (
            after.paged_ms is None
            and not root
            and not silenced_until_ms
            and _is_due(after, rules, window, situation, now_ms)
        ):
            told = _page_to_join(after, paged.get(key, ()), rules)
            if told is not None:
                joined[key] = told.key
            after = msgspec.structs.replace(
                after,
                paged_ms=now_ms,
                explained_by="",
                joins=told.episode if told is not None else "",
            )
            pages.append(key)
        if after is not alert_state:
            changes[key] = after
    return Decision(changes, pages, resolutions, joined)


def consequences(key: str, states: AlertStates) -> list[AlertState]:
    """The open alerts that the alert of `key` explains, directly or through others."""
    return [
        state
        for state in states.values()
        if state.is_open and state.suppressed_by == key
    ]


def _paged_consequences(
    active: AlertStates, roots: Mapping[str, str]
) -> dict[str, list[AlertState]]:
    """Each root cause → the alerts that it explains and that were paged already."""
    paged: dict[str, list[AlertState]] = {}
    for key, root in roots.items():
        alert_state = active[key]
        if root and alert_state.paged_ms is not None and not alert_state.joins:
            paged.setdefault(root, []).append(alert_state)
    return paged


def _page_to_join(
    cause: AlertState, paged: Sequence[AlertState], rules: Rules
) -> AlertState | None:
    """The first page that `cause` belongs to; None if it deserves one of its own: a
    critical cause does not join the page of a warning, nor that of something that had
    failed long before."""
    rule = rules.find(cause.rule, cause.site)
    for alert_state in sorted(paged, key=lambda state: state.paged_ms or 0):
        told = rules.find(alert_state.rule, alert_state.site)
        if (
            rule
            and told
            and cause.since_ms <= alert_state.since_ms + _ONE_FAULT_MS
            and SEVERITY_ORDER[told.severity] <= SEVERITY_ORDER[rule.severity]
        ):
            return alert_state
    return None


def _is_due(
    alert_state: AlertState,
    rules: Rules,
    window: Window,
    situation: Situation,
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
    if _waits_for_second_poll(alert_state, rule, now_ms):
        return False
    if alert_state.freed_ms:
        measured_again = (
            alert_state.bad_ms > alert_state.freed_ms
            or rule.silence == "blind"
            or (
                # What came and went with its cause must fail once more without it.
                alert_state.flapping
                and alert_state.bad_ms >= alert_state.freed_ms
                and now_ms >= alert_state.freed_ms + _SECOND_POLL_MS
            )
        )
        # What had the same cause is set free within this time too.
        freed_ms = max(alert_state.freed_ms, alert_state.released_ms)
        if now_ms < freed_ms + SETTLE_MS or not measured_again:
            return False
    return _are_causes_measured(alert_state, rules, window, situation, now_ms)


def _waits_for_second_poll(alert_state: AlertState, rule: Rule, now_ms: int) -> bool:
    """Whether one poll found it and the next, which may be late, has not come yet. A
    `hold` of a poll's period promises that one poll that is lost pages nobody, also if
    it was lost soon after an outage."""
    return (
        rule.evidence == "rows"
        and rule.measurement != "event"
        and rule.silence != "blind"
        and rule.page_after_ms >= _POLL_MS
        and alert_state.bad_ms <= alert_state.since_ms
        and (
            alert_state.clear_ms is not None
            or now_ms < alert_state.since_ms + _SECOND_POLL_MS
        )
    )


def _are_causes_measured(
    alert_state: AlertState,
    rules: Rules,
    window: Window,
    situation: Situation,
    now_ms: int,
) -> bool:
    """Whether everything that could explain it was measured after it began. A rule's
    `hold` may be shorter than the period of what would explain the alert, and a poll
    may be missing: after that long nobody waits any more."""
    for explanation in rules.links.get(alert_state.rule, ()):
        cause_rule = rules.find(explanation.cause, alert_state.site)
        if cause_rule is None or cause_rule.silence == "blind":
            continue
        if cause_rule.measurement == "event":
            # Events come when something happens: that none came tells all there is.
            continue
        if cause_rule.evidence == "alerts":
            if now_ms < situation.suspected_until_ms(cause_rule, alert_state):
                return False
            continue
        period_ms = CATALOGUE.measurement(cause_rule.measurement).period_s * 1000
        if explanation.relation == "ancestor":
            subjects = [
                {"device": device} for device in situation.next_devices(alert_state)
            ]
            # The nearest way to it decides: a missing poll there is worth the wait.
            period_ms *= 2
        else:
            subjects = [
                subject
                for causes in possible_causes(explanation, alert_state, situation)
                for subject in causes.subjects
            ]
        waited = now_ms >= alert_state.since_ms + period_ms + SETTLE_MS
        if explanation.relation == "ancestor":
            doubted_ms = situation.contradicted_until_ms(alert_state)
            if doubted_ms and (not waited or alert_state.bad_ms <= doubted_ms):
                return False
        if waited:
            continue
        for subject in subjects:
            if situation.is_awaited(explanation.cause, subject, alert_state.since_ms):
                return False
    return True


def _direct_cause(alert_state: AlertState, rules: Rules, situation: Situation) -> str:
    """The key of the nearest alert that explains `alert_state`; empty if none does.

    A pending cause counts: its consequences are not paged before it is confirmed.
    """
    active = situation.active
    for explanation in rules.links.get(alert_state.rule, ()):
        for causes in possible_causes(explanation, alert_state, situation):
            keys = [alert_key(causes.rule, subject) for subject in causes.subjects]
            present = [active[key] for key in keys if key in active]
            if causes.all:
                # It takes all of them, so the last to fail tells the time.
                last = max(present, key=lambda state: state.since_ms, default=None)
                if (
                    last is not None
                    and len(present) == len(keys)
                    and _is_in_time(explanation, last, alert_state, situation)
                ):
                    return present[0].key
                continue
            for cause in present:
                if _is_in_time(explanation, cause, alert_state, situation):
                    return cause.key
    return ""


def _is_in_time(
    explanation: Explanation,
    cause: AlertState,
    alert_state: AlertState,
    situation: Situation,
) -> bool:
    apart_ms = alert_state.since_ms - cause.since_ms
    match explanation.relation:
        case "parent_port" | "other_end" | "line_port":
            # If it is known what the port leads to, that may have failed long before
            # the port could be measured: the way to both was cut.
            is_known = situation.estate_index.is_end_known(alert_state.subject)
            return apart_ms >= -TOGETHER_MS and (is_known or apart_ms <= TOGETHER_MS)
        case "supplier":
            earliest_ms = situation.earliest_ms(alert_state) - cause.since_ms
            # What an outage has explained, it explains for as long as both last.
            is_early = earliest_ms <= 2 * OUTAGE_MS
            is_known = alert_state.suppressed_by == cause.key
            return apart_ms >= -OUTAGE_MS and (is_early or is_known)
        case "power":
            # A UPS that sends no trap is read every five minutes.
            return apart_ms >= -TOGETHER_MS
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
