"""One cycle: from rows and standing to everything that changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import Alert
from alerts.alert_text import alert_of
from alerts.estate_index import Topology
from alerts.evaluate import Changes, Entry, Standing, evaluate
from alerts.outbox import OutboxEntry
from alerts.rule_files import Rules
from alerts.suppression import Silence, decide
from alerts.window import Window
from probes.wire.sample import Sample

Ways = Callable[[Alert], Sequence[tuple[str, int, bool]]]
"""An alert → (channel, not before, whether it waits for business hours)."""


class CycleResult(NamedTuple):
    """What a cycle changes: `standing` is the whole of it afterwards."""

    standing: dict[str, Entry]
    changes: Changes
    alerts: dict[str, Alert]
    pages: list[OutboxEntry]
    ended: list[str]
    dropped: list[str]
    samples: list[Sample]


def cycle(
    window: Window,
    topology: Topology,
    rules: Rules,
    standing: Standing,
    shown: Mapping[str, Alert],
    silences: Sequence[Silence],
    ways: Ways,
    now_ms: int,
) -> CycleResult:
    """Evaluates, suppresses, and words what became of it. `shown`: episode → alert as
    last shown, so that only what reads differently is written again."""
    changes = evaluate(window, topology, standing, now_ms)
    merged = _merged(standing, changes)
    decision = decide(merged, rules, window, topology, silences, now_ms)
    merged = _merged(merged, decision.changes)
    changes = {**changes, **decision.changes}

    samples: list[Sample] = []
    for key in list(changes):
        said, entry = _say(standing.get(key), changes[key], rules, now_ms)
        if said is not None:
            samples.append(said)
        if entry is not None:
            changes[key] = merged[key] = entry

    alerts: dict[str, Alert] = {}
    dropped: list[str] = []
    for key in changes:
        before = standing.get(key)
        if before is None or not before.is_open:
            continue
        after = merged.get(key)
        if after is not None and after.episode == before.episode and after.firing_ms:
            continue
        if after is None or not after.is_open:
            dropped.append(before.episode)
    open_now = [entry for entry in merged.values() if entry.is_open]
    # Counts of who is affected change with others: those that stand for others are
    # worded again whenever anything changed.
    for entry in open_now if changes else ():
        if entry.key in changes or not entry.suppressed_by:
            alert = alert_of(entry, merged, rules, window, topology)
            if shown.get(entry.episode) != alert:
                alerts[entry.episode] = alert
    for key in changes:
        ended = merged.get(key)
        if ended is not None and not ended.is_open and ended.firing_ms:
            alert = alert_of(ended, merged, rules, window, topology)
            last = shown.get(ended.episode)
            if last is not None:
                # How many it touched is known only from before it ended.
                alert = msgspec.structs.replace(
                    alert, affected=last.affected, paged_ms=last.paged_ms
                )
            alerts[ended.episode] = alert

    pages = [
        OutboxEntry(merged[key].episode, "page", channel, alert, next_ms, int(deferred))
        for key in decision.pages
        for alert in [
            alerts.get(merged[key].episode)
            or alert_of(merged[key], merged, rules, window, topology)
        ]
        for channel, next_ms, deferred in ways(alert)
    ]
    ended_episodes = [merged[key].episode for key in decision.resolutions]
    return CycleResult(merged, changes, alerts, pages, ended_episodes, dropped, samples)


def _merged(standing: Standing, changes: Changes) -> dict[str, Entry]:
    merged = dict(standing)
    for key, entry in changes.items():
        if entry is None:
            merged.pop(key, None)
        else:
            merged[key] = entry
    return merged


def _say(
    before: Entry | None, after: Entry | None, rules: Rules, now_ms: int
) -> tuple[Sample | None, Entry | None]:
    """The row of `alert` for a change of state, and the entry that remembers it."""
    entry = after or before
    assert entry is not None
    state = "resolved" if after is None else after.state
    suppressed = int(bool(after is not None and after.suppressed_by))
    told = f"{state}/{suppressed}" if state != "resolved" else ""
    if told == entry.told:
        return None, None
    rule = rules.of(entry.rule, entry.site)
    sample = Sample(
        "alert",
        {
            "rule": entry.rule,
            "site": entry.site,
            "subject": entry.key.partition("/")[2],
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
    return sample, msgspec.structs.replace(after, told=told)
