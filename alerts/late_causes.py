"""Causes that become known after the page: one short update. Pure.

After "a switch does not answer" people must learn that its port was shut, that its
supplier has failed, or that a room behind it has an event soon. That is no new page: it
goes to those who have the page, once, when it has been so for a minute.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from alerts.alert import Alert
from alerts.evaluation.alert_states import AlertState, AlertStates, StateChanges

# Evidence of one fault arrives over a minute: only what stays is reported.
_STEADY_MS = 60_000


def find_late_causes(
    states: AlertStates, current: Callable[[AlertState], Alert], now_ms: int
) -> tuple[StateChanges, dict[str, Alert]]:
    """The states that change, and episode → the paged alert with its new cause."""
    changes: StateChanges = {}
    updates: dict[str, Alert] = {}
    for key, state in states.items():
        if not state.is_open or state.paged_ms is None or state.joins:
            continue
        known = _known_cause(state, states)
        if known is None:
            continue
        cause = current(known)
        after = state
        new = set(cause.events) - {*state.named_events}
        named = msgspec.structs.replace(
            state,
            named=cause.domain,
            named_events=(*state.named_events, *sorted(new)),
            renamed_ms=0,
        )
        if not (state.named or state.named_events):
            after = named
        elif cause.domain == state.named and not new:
            after = msgspec.structs.replace(state, renamed_ms=0)
        elif state.clear_ms is not None:
            # It is well again: a port that is open once more is no new cause.
            continue
        elif not state.renamed_ms:
            after = msgspec.structs.replace(state, renamed_ms=now_ms)
        elif now_ms - state.renamed_ms >= _STEADY_MS:
            after = named
            updates[state.episode] = _with_cause(current(state), cause)
        if after != state:
            changes[key] = after
    return changes, updates


def _known_cause(state: AlertState, states: AlertStates) -> AlertState | None:
    """What explains a paged alert: itself, or the alert that has joined a page. None if
    that is not certain yet, or has a page of its own."""
    if not state.suppressed_by:
        return state
    cause = states.get(state.suppressed_by)
    is_told_here = cause is not None and cause.state == "firing" and cause.joins
    return cause if is_told_here else None


def _with_cause(alert: Alert, cause: Alert) -> Alert:
    """The alert with what is known of its cause, and what to do about that."""
    if alert.key == cause.key:
        return alert
    return msgspec.structs.replace(
        alert,
        cause=f"{cause.summary}. {cause.cause}".strip(),
        runbook=cause.runbook,
        affected=cause.affected,
        domain=cause.domain,
        evidence=cause.evidence,
        sure=cause.sure,
        events=cause.events,
    )
