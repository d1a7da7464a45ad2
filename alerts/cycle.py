"""One cycle: from new rows and known states to everything that changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import Alert
from alerts.alert_text import alert_from_state
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import (
    AlertState,
    AlertStates,
    StateChanges,
    evaluate,
)
from alerts.outbox import OutboxEntry
from alerts.rule_files import Rules
from alerts.suppression import Silence, decide_notifications
from alerts.window import Window
from probes.wire.sample import Sample

FindDestinations = Callable[[Alert], Sequence[tuple[str, int, bool]]]
"""An alert → (channel, earliest time, whether it waits for business hours)."""


class CycleResult(NamedTuple):
    """What a cycle changes; `states` are all states afterwards."""

    states: dict[str, AlertState]
    changes: StateChanges
    alerts: dict[str, Alert]
    pages: list[OutboxEntry]
    ended: list[str]
    dropped: list[str]
    samples: list[Sample]


def run_cycle(
    window: Window,
    estate_index: EstateIndex,
    rules: Rules,
    states: AlertStates,
    shown: Mapping[str, Alert],
    silences: Sequence[Silence],
    ways: FindDestinations,
    now_ms: int,
) -> CycleResult:
    """Evaluates the rules, suppresses consequences and fills in the texts. `shown`:
    episode → the alert as last shown, so that unchanged ones are not written again."""
    changes = evaluate(window, estate_index, states, now_ms)
    merged = _merged(states, changes)
    decision = decide_notifications(
        merged, rules, window, estate_index, silences, now_ms
    )
    merged = _merged(merged, decision.changes)
    changes = {**changes, **decision.changes}

    samples: list[Sample] = []
    for key in list(changes):
        sample, alert_state = _state_change(
            states.get(key), changes[key], rules, now_ms
        )
        if sample is not None:
            samples.append(sample)
        if alert_state is not None:
            changes[key] = merged[key] = alert_state

    alerts: dict[str, Alert] = {}
    dropped: list[str] = []
    for key in changes:
        before = states.get(key)
        if before is None or not before.is_open:
            continue
        after = merged.get(key)
        if after is not None and after.episode == before.episode and after.firing_ms:
            continue
        if after is None or not after.is_open:
            dropped.append(before.episode)
    open_now = [alert_state for alert_state in merged.values() if alert_state.is_open]
    # Counts of who is affected change with other alerts: whenever anything changed,
    # those that explain others are filled in again.
    for alert_state in open_now if changes else ():
        if alert_state.key in changes or not alert_state.suppressed_by:
            alert = alert_from_state(alert_state, merged, rules, window, estate_index)
            if shown.get(alert_state.episode) != alert:
                alerts[alert_state.episode] = alert
    for key in changes:
        ended = merged.get(key)
        if ended is not None and not ended.is_open and ended.firing_ms:
            alert = alert_from_state(ended, merged, rules, window, estate_index)
            last = shown.get(ended.episode)
            if last is not None:
                # How many were affected is known only from before it ended.
                alert = msgspec.structs.replace(
                    alert, affected=last.affected, paged_ms=last.paged_ms
                )
            alerts[ended.episode] = alert

    pages = [
        OutboxEntry(merged[key].episode, "page", channel, alert, next_ms, int(deferred))
        for key in decision.pages
        for alert in [
            alerts.get(merged[key].episode)
            or alert_from_state(merged[key], merged, rules, window, estate_index)
        ]
        for channel, next_ms, deferred in ways(alert)
    ]
    ended_episodes = [merged[key].episode for key in decision.resolutions]
    return CycleResult(merged, changes, alerts, pages, ended_episodes, dropped, samples)


def _merged(states: AlertStates, changes: StateChanges) -> dict[str, AlertState]:
    merged = dict(states)
    for key, alert_state in changes.items():
        if alert_state is None:
            merged.pop(key, None)
        else:
            merged[key] = alert_state
    return merged


def _state_change(
    before: AlertState | None, after: AlertState | None, rules: Rules, now_ms: int
) -> tuple[Sample | None, AlertState | None]:
    """The row of `alert` for a change of state, and the state that records it."""
    alert_state = after or before
    assert alert_state is not None
    state = "resolved" if after is None else after.state
    suppressed = int(bool(after is not None and after.suppressed_by))
    recorded = f"{state}/{suppressed}" if state != "resolved" else ""
    if recorded == alert_state.recorded:
        return None, None
    rule = rules.find(alert_state.rule, alert_state.site)
    sample = Sample(
        "alert",
        {
            "rule": alert_state.rule,
            "site": alert_state.site,
            "subject": alert_state.key.partition("/")[2],
            "severity": rule.severity if rule else "info",
        },
        {
            "state": state,
            "firing": int(state == "firing"),
            "suppressed": suppressed,
            "cause": after.suppressed_by if after is not None else "",
        },
        now_ms,
    )
    if after is None:
        return sample, None
    return sample, msgspec.structs.replace(after, recorded=recorded)
