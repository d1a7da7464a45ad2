"""Alerts whose evidence is other alerts: one for what several have in common. Pure."""

from __future__ import annotations

from alerts.domain_functions import DOMAIN_FUNCTIONS
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import (
    AlertState,
    AlertStates,
    StateChanges,
    alert_key,
)
from alerts.evaluation.conditions import ConditionResult
from alerts.evaluation.transitions import next_state
from alerts.window import Window

_STEP_MS = 30_000


def evaluate_domains(
    window: Window,
    estate_index: EstateIndex,
    states: AlertStates,
    before: AlertStates,
    now_ms: int,
) -> StateChanges:
    """The states of rules with `evidence: alerts` that change. `states`: those of all
    rules, as they are after the rows were evaluated; `before`: of the last cycle. What
    is new is evidence from the next cycle on, when it is known what explains it."""
    changes: StateChanges = {}
    # Nothing new is measured: a time for each second would be written each second.
    time_ms = now_ms - now_ms % _STEP_MS
    active = {
        key: state
        for key, state in states.items()
        if state.is_open and key in before and before[key].is_open
    }
    for rule in window.rules:
        if rule.evidence != "alerts":
            continue
        kept = {key for key, state in states.items() if state.rule == rule.id}
        for finding in DOMAIN_FUNCTIONS[rule.function](
            rule, active, window, estate_index
        ):
            key = alert_key(rule.id, finding.subject)
            kept.discard(key)
            known = states.get(key)
            began = known is None or not known.is_open
            result = ConditionResult(
                finding.bad or (None if _is_blinded(known, window) else False),
                finding.since_ms if began and finding.bad else time_ms,
                finding.value,
                finding.site,
            )
            after = next_state(known, result, rule, finding.subject, now_ms)
            if after != known:
                changes[key] = after
        for key in kept:
            # Without any evidence left, it is over.
            state = states[key]
            bad = None if _is_blinded(state, window) else False
            result = ConditionResult(bad, time_ms)
            gone = next_state(state, result, rule, state.subject, now_ms)
            if gone != state:
                changes[key] = gone
    return changes


def _is_blinded(state: AlertState | None, window: Window) -> bool:
    """Whether it was paged and is explained by an alert about everything, such as that
    Towpath is cut off: nothing is measured then that could show its end."""
    if state is None or state.paged_ms is None:
        return False
    return any(
        explanation.relation == "everything"
        and state.suppressed_by.startswith(f"{explanation.cause}/")
        for explanation in window.rules.links.get(state.rule, ())
    )
