"""Evaluates the rules on the window: which alert states change. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import (
    AlertState,
    AlertStates,
    StateChanges,
    alert_key,
)
from alerts.evaluation.conditions import (
    PARTS,
    ConditionResult,
    check_conditions,
    is_clearly_ok,
    silent_subjects,
    subject_tags,
)
from alerts.evaluation.learning import Learning, has_failed_anew, was_well
from alerts.evaluation.poll_evidence import OtherFaults, poll_evidence
from alerts.evaluation.transitions import (
    end,
    keep_if_flapped,
    new_state,
    next_state,
    start,
)
from alerts.rule import Rule
from alerts.series import Subject, Target
from alerts.window import Window
from probes.wire.sample import Value


def evaluate(
    window: Window,
    estate_index: EstateIndex,
    states: AlertStates,
    now_ms: int,
    learning: Learning | None = None,
) -> StateChanges:
    """The states that change. Looks only at subjects with new rows and open alerts.
    Without `learning`, everything has long been known and nothing is baseline."""
    changes: StateChanges = {}
    known: dict[Target, str] = {}
    for key, alert_state in states.items():
        place = _rule_and_subject(window, alert_state)
        if place is None:
            gone = keep_if_flapped(alert_state, now_ms)
            if alert_state.is_open:
                gone = end(alert_state, now_ms, "its rule is no longer in use")
            if gone != alert_state:
                changes[key] = gone
            continue
        if window.rules[place[0]].evidence == "rows":
            known[place] = key
    others: OtherFaults | None = None
    quiet: set[Target] = set()
    for rule_index, rule in enumerate(window.rules):
        if rule.silence == "blind":
            quiet |= {
                (rule_index, subject)
                for subject in silent_subjects(
                    window, rule_index, rule, estate_index, now_ms
                )
            }
    for target in (*known, *(window.changed | quiet).difference(known)):
        rule_index, subject = target
        rule = window.rules[rule_index]
        if target not in known and is_clearly_ok(
            window, rule_index, rule, subject, now_ms
        ):
            if learning is not None and target in window.new:
                learning.look(window, target, subject_tags(rule, subject), None)
            continue
        tags = subject_tags(rule, subject)
        key = known.get(target) or alert_key(rule.id, tags)
        before = states.get(key)
        if before is not None and not estate_index.knows(before.subject):
            if before.is_open:
                changes[key] = end(before, now_ms, "it was removed from the estate")
            elif before.is_baseline or before.usual:
                changes[key] = None
            continue
        is_baseline = before is not None and before.is_baseline
        is_fault = learning is not None and learning.wants_alert(key)
        if is_baseline and not is_fault and target not in window.changed:
            continue
        result = check_conditions(
            window, rule_index, rule, subject, estate_index, now_ms, _is_holding(before)
        )
        if rule.ended_by and before is not None:
            others = others or OtherFaults(window, states)
            result = _as_polls_show(result, before, window, target, tags, others)
        if before is not None and is_baseline:
            is_news = has_failed_anew(window, target)
            after = _next_in_baseline(
                before, result, rule, tags, now_ms, is_fault, is_news
            )
            if after is None and not (rule.function or was_well(window, target)):
                # A port that is down although nobody expects it any more.
                after = before
        elif before is not None and before.usual:
            after = _next_of_news(before, result, rule, tags, now_ms)
        elif learning is not None and _is_baseline(
            learning, before, result, window, target, tags
        ):
            after = new_state("baseline", result, rule, tags)
        else:
            after = next_state(before, result, rule, tags, now_ms)
        if learning is not None:
            learning.look(window, target, tags, result)
        if after != before:
            changes[key] = after
    return changes


def _is_baseline(
    learning: Learning,
    before: AlertState | None,
    result: ConditionResult,
    window: Window,
    target: Target,
    subject: dict[str, str],
) -> bool:
    if not result.bad:
        return False
    if before is not None and (not before.is_open or before.paged_ms is not None):
        return False
    since_ms = None if before is None else before.since_ms
    return learning.is_first_look(window, target, subject, since_ms)


def _next_in_baseline(
    before: AlertState,
    result: ConditionResult,
    rule: Rule,
    subject: dict[str, str],
    now_ms: int,
    is_fault: bool,
    is_news: bool,
) -> AlertState | None:
    """What was so when first seen stays so until it is well once, its state changes to
    another fault, another of several parts fails, or an engineer decides that it is
    one."""
    if result.bad is None:
        return before
    if not result.bad:
        return None
    if is_fault:
        result = result._replace(time_ms=before.since_ms)
        return start(None, result, rule, subject, now_ms)
    if is_news or not _is_as_before(before.shows, result.shows, rule):
        usual = {
            name: before.shows[name]
            for name in (*rule.news, PARTS)
            if name in before.shows
        }
        news = start(None, result, rule, subject, now_ms)
        return msgspec.structs.replace(news, usual=usual)
    if PARTS not in result.shows:
        return before
    # A part that is well leaves the baseline, as a subject does.
    shows = {**before.shows, PARTS: result.shows[PARTS]}
    return msgspec.structs.replace(before, shows=shows)


def _next_of_news(
    before: AlertState,
    result: ConditionResult,
    rule: Rule,
    subject: dict[str, str],
    now_ms: int,
) -> AlertState | None:
    """What became news ends when it is again as it was in the baseline, and is there
    again: a power supply that was fitted, failed and was taken out."""
    if result.bad is None:
        return next_state(before, result, rule, subject, now_ms) or before
    if not result.bad:
        # It was well: from now on it is an alert like any other.
        before = msgspec.structs.replace(before, usual={})
        return next_state(before, result, rule, subject, now_ms)
    if not _is_as_before(before.usual, result.shows, rule):
        after = next_state(before, result, rule, subject, now_ms)
        return after and msgspec.structs.replace(after, usual=before.usual)
    if before.state == "firing":
        well = result._replace(bad=False)
        return next_state(before, well, rule, subject, now_ms)
    return new_state("baseline", result, rule, subject)


def _is_as_before(
    before: Mapping[str, Value], shows: Mapping[str, Value], rule: Rule
) -> bool:
    """Whether nothing that is news differs, and no other part has failed."""
    if any(name in shows and shows[name] != before.get(name) for name in rule.news):
        return False
    both = PARTS in shows and PARTS in before
    return not both or not _parts(shows) - _parts(before)


def _parts(shows: Mapping[str, Value]) -> set[str]:
    return set(str(shows[PARTS]).split("\n"))


def _as_polls_show(
    result: ConditionResult,
    before: AlertState,
    window: Window,
    target: Target,
    subject: dict[str, str],
    others: OtherFaults,
) -> ConditionResult:
    """`result` of the device's own events, or what polls have shown since."""
    reported_ms = result.time_ms if result.bad is not None else 0
    event_ms = max(before.bad_ms, reported_ms)
    if not before.is_open:
        # Events from before the end belong to the alert that ended.
        over = before.resolved_ms is not None and event_ms <= before.resolved_ms
        return result._replace(bad=None) if over and result.bad else result
    shown = poll_evidence(window, target[0], subject, before.since_ms, event_ms, others)
    if shown.is_bad is None:
        return result
    return ConditionResult(
        shown.is_bad, shown.at_ms, before.value, before.site, before.shows
    )


def _is_holding(before: AlertState | None) -> bool:
    return before is not None and before.is_open and before.clear_ms is None


def _rule_and_subject(
    window: Window, alert_state: AlertState
) -> tuple[int, Subject] | None:
    """The rule and subject of `alert_state`; None if no rule covers it any more."""
    for rule_index, rule in window.rules.find_all(alert_state.rule):
        if rule.applies_at(alert_state.site):
            if set(rule.subject) != set(alert_state.subject):
                return None
            return rule_index, tuple(alert_state.subject[tag] for tag in rule.subject)
    return None
