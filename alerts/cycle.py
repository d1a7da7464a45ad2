"""One cycle: from new rows and known states to everything that changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import Alert
from alerts.alert_rows import alert_row, incident_row, state_change
from alerts.alert_text import alert_from_state
from alerts.domain_alerts import evaluate_domains
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import (
    AlertState,
    AlertStates,
    StateChanges,
)
from alerts.evaluation.learning import Learning
from alerts.evaluation.rule_evaluation import evaluate
from alerts.late_causes import find_late_causes
from alerts.outbox_entry import OutboxEntry
from alerts.rule_files import Rules
from alerts.silence import Silence
from alerts.silence_coverage import SilenceCoverage
from alerts.suppression import decide_notifications
from alerts.window import Window
from probes.wire.sample import Sample

FindDestinations = Callable[[Alert], Sequence[tuple[str, int, bool]]]
"""An alert → (channel, earliest time, whether it waits for business hours)."""


class CycleResult(NamedTuple):
    """What a cycle changes; `states` are all states afterwards. `updates`: episode →
    the paged alert with a cause that was found since. `baseline`: key → what entered
    the baseline; None for what left it."""

    states: dict[str, AlertState]
    changes: StateChanges
    alerts: dict[str, Alert]
    pages: list[OutboxEntry]
    updates: dict[str, Alert]
    ended: list[str]
    dropped: list[str]
    samples: list[Sample]
    baseline: dict[str, Alert | None]

    def still_open(self, shown: Mapping[str, Alert]) -> dict[str, Alert]:
        """Episode → the open alerts after the cycle, of those shown before it."""
        return {
            episode: alert
            for episode, alert in {**shown, **self.alerts}.items()
            if alert.state != "resolved" and episode not in self.dropped
        }


def run_cycle(
    window: Window,
    estate_index: EstateIndex,
    rules: Rules,
    states: AlertStates,
    shown: Mapping[str, Alert],
    silences: Sequence[Silence],
    ways: FindDestinations,
    now_ms: int,
    learning: Learning | None = None,
) -> CycleResult:
    """Evaluates the rules, suppresses consequences and fills in the texts. `shown`:
    episode → the alert as last shown, so that unchanged ones are not written again.
    `learning`: what is new, and so may be baseline."""
    if learning is not None:
        learning.renew_replaced(window)
    changes = evaluate(window, estate_index, states, now_ms, learning)
    merged = _merged(states, changes)
    changes |= evaluate_domains(window, estate_index, merged, states, now_ms)
    merged = _merged(states, changes)
    decision = decide_notifications(
        merged,
        rules,
        window,
        estate_index,
        SilenceCoverage(silences, rules, estate_index, now_ms),
        now_ms,
    )
    merged = _merged(merged, decision.changes)
    changes = {**changes, **decision.changes}

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
                # What was affected and observed is known only from before it ended.
                alert = msgspec.structs.replace(
                    alert,
                    affected=last.affected,
                    paged_ms=last.paged_ms,
                    cause=last.cause,
                    domain=last.domain,
                    evidence=last.evidence,
                    sure=last.sure,
                    events=last.events,
                )
            alerts[ended.episode] = alert

    def current(alert_state: AlertState) -> Alert:
        """The alert as it is now; as last shown, if it no longer has a state."""
        episode = alert_state.episode
        return (
            alerts.get(episode)
            or shown.get(episode)
            or alert_from_state(alert_state, merged, rules, window, estate_index)
        )

    late_changes, updates = find_late_causes(merged, current, now_ms)
    merged = _merged(merged, late_changes)
    changes |= late_changes

    def told_channels(key: str) -> set[str]:
        """The channels that have the page which the alert of `key` joins."""
        consequence = decision.joined.get(key)
        if consequence is None:
            return set()
        routed = ways(current(merged[consequence]))
        return {channel for channel, _, deferred in routed if not deferred}

    samples: list[Sample] = []
    for key, after in list(changes.items()):
        if changed := state_change(states.get(key), after):
            state, recorded = changed
            alert_state = after or states[key]
            samples.append(alert_row(current(alert_state), state, now_ms))
            if after is not None:
                recorded_state = msgspec.structs.replace(after, recorded=recorded)
                changes[key] = merged[key] = recorded_state
    own = [key for key in decision.pages if key not in decision.joined]
    samples += [
        incident_row(current(merged[key])) for key in (*own, *decision.resolutions)
    ]

    pages = [
        OutboxEntry(merged[key].episode, "page", channel, alert, next_ms, int(deferred))
        for key in decision.pages
        for alert in [current(merged[key])]
        for told in [told_channels(key)]
        for channel, next_ms, deferred in ways(alert)
        if channel not in told
    ]
    ended_episodes = [merged[key].episode for key in decision.resolutions]
    baseline: dict[str, Alert | None] = {}
    for key in changes:
        before, after = states.get(key), merged.get(key)
        if after is not None and after.is_baseline:
            baseline[key] = alert_from_state(after, merged, rules, window, estate_index)
        elif before is not None and before.is_baseline:
            baseline[key] = None
    return CycleResult(
        merged,
        changes,
        alerts,
        pages,
        updates,
        ended_episodes,
        dropped,
        samples,
        baseline,
    )


def _merged(states: AlertStates, changes: StateChanges) -> dict[str, AlertState]:
    merged = dict(states)
    for key, alert_state in changes.items():
        if alert_state is None:
            merged.pop(key, None)
        else:
            merged[key] = alert_state
    return merged
