"""Turns condition results into alert states: pending → firing → resolved. Pure: the
time is passed in.

Durations are counted in the time of the rows. A state is assumed to last between two
rows, but only for `reach` after the newest one: a gap in measurements never makes a
pending alert fire.

Flapping: each start adds one to a counter that halves every half hour (Zino's decays
too). Above 2.5 (the third start within about fifteen minutes) the alert stays firing,
and ends only when the counter is below one and all is well. Together with a rule's
`keep_for`, which bridges short recoveries, a port that goes up and down every few
minutes sends one page and one resolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from alerts.alert import StateName
from alerts.estate_index import EstateIndex
from alerts.evaluation.conditions import (
    ConditionResult,
    check_conditions,
    contradicted_at_ms,
    is_clearly_ok,
    silent_subjects,
    subject_tags,
)
from alerts.rule import Rule
from alerts.series import Subject, Target
from alerts.window import FORGET_MS, Window, reach_ms
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Value

FLAP_HALF_LIFE_MS = 30 * 60_000
FLAP_ENTER = 2.5
FLAP_LEAVE = 1.0
FLAP_CEILING = 8.0


class AlertState(msgspec.Struct, frozen=True):
    """The state of one rule for one subject. It survives a restart.

    `state` is `resolved` for those kept only for their flap counter. `episode` names
    what a page and its resolution belong to. `bad_ms`, `newest_ms`: times of the newest
    bad row and of the newest row. `clear_ms`: since when it has been well while still
    firing. `explained_by`: the latest cause; cleared when this alert is paged itself.
    `freed_ms`: when that cause ended. `recorded`: the state last written to the
    journal.
    """

    rule: str
    subject: dict[str, str]
    site: str
    state: StateName
    since_ms: int
    bad_ms: int
    newest_ms: int = msgspec.field(name="heard_ms")
    value: float | None = None
    shows: dict[str, Value] = {}
    firing_ms: int | None = None
    clear_ms: int | None = None
    resolved_ms: int | None = None
    why: str = ""
    flaps: float = 0.0
    flaps_ms: int = 0
    flapping: int = 0
    suppressed_by: str = ""
    explained_by: str = ""
    freed_ms: int = 0
    silenced_until_ms: int = 0
    paged_ms: int | None = None
    recorded: str = msgspec.field(name="told", default="")

    @property
    def key(self) -> str:
        return alert_key(self.rule, self.subject)

    @property
    def episode(self) -> str:
        """`device_unreachable/device=core-1@1700000000000`."""
        return f"{self.key}@{self.since_ms}"

    @property
    def is_open(self) -> bool:
        return self.state != "resolved"


AlertStates = Mapping[str, AlertState]
StateChanges = dict[str, AlertState | None]
"""Key → its new state; None if it need not be kept."""


def alert_key(rule: str, subject: Mapping[str, str]) -> str:
    """The key of `alerts.alert.Alert`."""
    return f"{rule}/{','.join(f'{k}={v}' for k, v in sorted(subject.items()))}"


def evaluate(
    window: Window, estate_index: EstateIndex, states: AlertStates, now_ms: int
) -> StateChanges:
    """The states that change. Looks only at subjects with new rows and open alerts."""
    changes: StateChanges = {}
    known: dict[Target, str] = {}
    for key, alert_state in states.items():
        place = _rule_and_subject(window, alert_state)
        if place is None:
            gone = _keep_if_flapped(alert_state, now_ms)
            if alert_state.is_open:
                gone = _end(alert_state, now_ms, "its rule is no longer in use")
            if gone != alert_state:
                changes[key] = gone
            continue
        known[place] = key
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
            continue
        key = known.get(target) or alert_key(rule.id, subject_tags(rule, subject))
        before = states.get(key)
        if (
            before is not None
            and before.is_open
            and not estate_index.knows(before.subject)
        ):
            changes[key] = _end(before, now_ms, "it was removed from the estate")
            continue
        result = check_conditions(
            window, rule_index, rule, subject, estate_index, now_ms, _is_holding(before)
        )
        if rule.ended_by:
            result = _unless_contradicted(
                result, before, window, rule_index, subject_tags(rule, subject)
            )
        after = next_state(before, result, rule, subject_tags(rule, subject), now_ms)
        if after != before:
            changes[key] = after
    return changes


def next_state(
    before: AlertState | None,
    result: ConditionResult,
    rule: Rule,
    subject: dict[str, str],
    now_ms: int,
) -> AlertState | None:
    """The next state of one subject; None if there is nothing to keep."""
    if result.bad is None:
        return _without_rows(before, rule, now_ms)
    if before is None or not before.is_open:
        if not result.bad:
            return _keep_if_flapped(before, now_ms)
        return _start(before, result, rule, subject, now_ms)
    return _continue(before, result, rule, now_ms)


def _unless_contradicted(
    result: ConditionResult,
    before: AlertState | None,
    window: Window,
    rule_index: int,
    subject: dict[str, str],
) -> ConditionResult:
    """`result`, or "well" if polls since the device's own event show that it is."""
    if before is None or result.bad is False:
        return result
    event_ms = max(before.bad_ms, result.time_ms if result.bad else 0)
    if not before.is_open:
        # Events from before the end belong to the alert that ended.
        over = before.resolved_ms is not None and event_ms <= before.resolved_ms
        return result._replace(bad=None) if over else result
    shown_ms = contradicted_at_ms(window, rule_index, subject, event_ms)
    if shown_ms is None:
        return result
    return ConditionResult(False, shown_ms, before.value, before.site)


def _start(
    before: AlertState | None,
    result: ConditionResult,
    rule: Rule,
    subject: dict[str, str],
    now_ms: int,
) -> AlertState:
    flaps = 0.0 if before is None else _flaps_at(before, result.time_ms)
    since_ms = result.time_ms
    if before is not None and before.resolved_ms is not None:
        # The start time names the episode: no two episodes may share it.
        since_ms = max(since_ms, before.since_ms + 1)
    alert_state = AlertState(
        rule=rule.id,
        subject=subject,
        site=result.site,
        state="pending",
        since_ms=since_ms,
        bad_ms=result.time_ms,
        newest_ms=result.time_ms,
        value=result.value,
        shows=result.shows,
        recorded="" if before is None else before.recorded,
    )
    return _fire_if_due(_add_flap(alert_state, flaps, result.time_ms), rule, now_ms)


def _continue(
    before: AlertState, result: ConditionResult, rule: Rule, now_ms: int
) -> AlertState | None:
    newest_ms = max(before.newest_ms, result.time_ms)
    if result.bad:
        alert_state = msgspec.structs.replace(
            before,
            bad_ms=max(before.bad_ms, result.time_ms),
            newest_ms=newest_ms,
            value=result.value,
            shows=result.shows or before.shows,
            clear_ms=None,
        )
        if before.clear_ms is not None:
            alert_state = _add_flap(
                alert_state, _flaps_at(before, result.time_ms), result.time_ms
            )
        return _fire_if_due(alert_state, rule, now_ms)
    if before.state == "pending":
        ended = msgspec.structs.replace(
            before, state="resolved", newest_ms=newest_ms, resolved_ms=result.time_ms
        )
        return _keep_if_flapped(ended, now_ms)
    clear_ms = result.time_ms if before.clear_ms is None else before.clear_ms
    # `value` stays the last bad one: the resolution is about "the line was 92 % full",
    # not about "the line is 40 % full".
    alert_state = msgspec.structs.replace(
        before, newest_ms=newest_ms, clear_ms=clear_ms
    )
    reached_ms = min(now_ms, newest_ms + reach_ms(rule, CATALOGUE))
    if reached_ms - clear_ms < rule.keep_for:
        return alert_state
    if alert_state.flapping and _flaps_at(alert_state, now_ms) > FLAP_LEAVE:
        return alert_state
    return _end(alert_state, clear_ms, "")


def _without_rows(
    before: AlertState | None, rule: Rule, now_ms: int
) -> AlertState | None:
    """Without rows nothing starts and nothing ends, until waiting is pointless."""
    if before is None or not before.is_open:
        return _keep_if_flapped(before, now_ms)
    if before.state == "pending":
        if now_ms - before.newest_ms <= 2 * reach_ms(rule, CATALOGUE):
            return _fire_if_due(before, rule, now_ms)
        # An alert pending for ever would hold back everything that it might explain.
        return _keep_if_flapped(
            msgspec.structs.replace(
                before, state="resolved", resolved_ms=before.newest_ms
            ),
            now_ms,
        )
    if now_ms - before.newest_ms > FORGET_MS:
        return _end(before, now_ms, "no measurements for a day")
    return before


def _fire_if_due(alert_state: AlertState, rule: Rule, now_ms: int) -> AlertState:
    """Pending becomes firing after the rule's `for`, in the time of the rows."""
    if alert_state.state != "pending":
        return alert_state
    if rule.silence == "blind":
        reached_ms = now_ms
    else:
        reached_ms = min(now_ms, alert_state.bad_ms + reach_ms(rule, CATALOGUE))
    if reached_ms - alert_state.since_ms < rule.lasts and not alert_state.flapping:
        return alert_state
    firing_ms = max(
        alert_state.since_ms + (0 if alert_state.flapping else rule.lasts), 0
    )
    return msgspec.structs.replace(alert_state, state="firing", firing_ms=firing_ms)


def _add_flap(alert_state: AlertState, flaps: float, time_ms: int) -> AlertState:
    flaps = min(flaps + 1.0, FLAP_CEILING)
    return msgspec.structs.replace(
        alert_state,
        flaps=flaps,
        flaps_ms=time_ms,
        flapping=int(bool(alert_state.flapping) or flaps >= FLAP_ENTER),
    )


def _flaps_at(alert_state: AlertState, time_ms: int) -> float:
    """The flap counter, decayed until `time_ms`."""
    age_ms = max(0, time_ms - alert_state.flaps_ms)
    return alert_state.flaps * math.exp2(-age_ms / FLAP_HALF_LIFE_MS)


def _end(alert_state: AlertState, resolved_ms: int, why: str) -> AlertState:
    if not alert_state.is_open:
        return alert_state
    return msgspec.structs.replace(
        alert_state,
        state="resolved",
        resolved_ms=max(resolved_ms, alert_state.since_ms),
        clear_ms=None,
        flapping=0,
        why=why,
    )


def _keep_if_flapped(alert_state: AlertState | None, now_ms: int) -> AlertState | None:
    """A resolved state is kept only while its flap counter still matters."""
    if alert_state is None or _flaps_at(alert_state, now_ms) < 0.25:
        return None
    return alert_state


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
