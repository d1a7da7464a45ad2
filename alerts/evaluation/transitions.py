"""The transitions of an alert state: pending → firing → resolved. Pure: the time is
passed in.

Durations are counted in the time of the rows. A state is assumed to last between two
rows, but only for `reach` after the newest one: a gap in measurements never makes a
pending alert fire.

Flapping: each start adds to a counter that halves every half hour (Zino's decays too):
1 for a start while the alert is still open, or after one lost poll; 1.8 for one after
it had ended. At 2.5 (a second alert within a quarter of an hour, or the third start of
one) it becomes one alert: it is flapping, and ends when it has been well for one and a
half times the longest recovery so far, from ten minutes to half an hour. An alert that
begins again within a quarter of an hour continues the page of the one before.
"""

from __future__ import annotations

import math

import msgspec

from alerts.alert import StateName
from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.conditions import ConditionResult
from alerts.rule import Rule
from alerts.window import reach_ms
from collectors.server_measurements import CATALOGUE
from probes.wire.durations import duration_text

FLAP_HALF_LIFE_MS = 30 * 60_000
FLAP_ENTER = 2.5
FLAP_CEILING = 8.0
# What was paged and begins again within this time continues its page.
_AGAIN_MS = 15 * 60_000
_START_AGAIN, _START_ANEW = 1.0, 1.8
# How long a flapping alert must be well to end.
_STEADY_MS = 10 * 60_000
_LONGEST_STEADY_MS = 30 * 60_000


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
            return keep_if_flapped(before, now_ms)
        return start(before, result, rule, subject, now_ms)
    return _continue(before, result, rule, now_ms)


def new_state(
    state: StateName, result: ConditionResult, rule: Rule, subject: dict[str, str]
) -> AlertState:
    return AlertState(
        rule=rule.id,
        subject=subject,
        site=result.site,
        state=state,
        since_ms=result.time_ms,
        bad_ms=result.time_ms,
        newest_ms=result.time_ms,
        value=result.value,
        shows=result.shows,
    )


def start(
    before: AlertState | None,
    result: ConditionResult,
    rule: Rule,
    subject: dict[str, str],
    now_ms: int,
) -> AlertState:
    since_ms = result.time_ms
    if before is not None and before.resolved_ms is not None:
        # The start time names the episode: no two episodes may share it.
        since_ms = max(since_ms, before.since_ms + 1)
    alert_state = msgspec.structs.replace(
        new_state("pending", result, rule, subject),
        since_ms=since_ms,
        recorded="" if before is None else before.recorded,
    )
    weight, gap_ms = _START_AGAIN, 0
    if before is not None and before.resolved_ms is not None:
        recovery_ms = result.time_ms - before.resolved_ms
        if before.firing_ms:
            gap_ms = recovery_ms
            # One poll that was lost is no outage.
            was_outage = before.bad_ms > before.since_ms or rule.measurement == "event"
            weight = _START_ANEW if was_outage else _START_AGAIN
        if recovery_ms <= _AGAIN_MS:
            alert_state = msgspec.structs.replace(alert_state, follows=before.follows)
    alert_state = _add_flap(alert_state, before, result.time_ms, weight, gap_ms)
    return _fire_if_due(alert_state, rule, now_ms)


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
            gap_ms = result.time_ms - before.clear_ms
            if before.paged_ms is None and gap_ms >= rule.keep_for:
                # It starts once more, so it waits for its causes once more.
                alert_state = msgspec.structs.replace(
                    alert_state, freed_ms=result.time_ms
                )
            alert_state = _add_flap(
                alert_state, before, result.time_ms, _START_AGAIN, gap_ms
            )
        return _fire_if_due(alert_state, rule, now_ms)
    if before.state == "pending":
        ended = msgspec.structs.replace(
            before, state="resolved", newest_ms=newest_ms, resolved_ms=result.time_ms
        )
        return keep_if_flapped(ended, now_ms)
    clear_ms = result.time_ms if before.clear_ms is None else before.clear_ms
    # `value` stays the last bad one: the resolution is about "the line was 92 % full",
    # not about "the line is 40 % full".
    alert_state = msgspec.structs.replace(
        before, newest_ms=newest_ms, clear_ms=clear_ms
    )
    reached_ms = now_ms
    if rule.measurement != "event":
        reached_ms = min(now_ms, newest_ms + reach_ms(rule, CATALOGUE))
    return _end_if_steady(alert_state, rule, reached_ms, result.why)


def _end_if_steady(
    alert_state: AlertState, rule: Rule, reached_ms: int, why: str = ""
) -> AlertState:
    """Ends the alert if it has been well for long enough at `reached_ms`."""
    clear_ms = alert_state.clear_ms
    if clear_ms is None:
        return alert_state
    lasting_ms = rule.keep_for
    if alert_state.flapping:
        steady_ms = min(alert_state.flap_gap_ms * 3 // 2, _LONGEST_STEADY_MS)
        lasting_ms = max(lasting_ms, _STEADY_MS, steady_ms)
    if reached_ms - clear_ms < lasting_ms:
        return alert_state
    return end(alert_state, clear_ms, why)


def _without_rows(
    before: AlertState | None, rule: Rule, now_ms: int
) -> AlertState | None:
    """Without rows nothing starts and nothing ends, until waiting is pointless."""
    if before is None or not before.is_open:
        return keep_if_flapped(before, now_ms)
    if before.state == "pending":
        if now_ms - before.newest_ms <= 2 * reach_ms(rule, CATALOGUE):
            return _fire_if_due(before, rule, now_ms)
        # An alert pending for ever would hold back everything that it might explain.
        return keep_if_flapped(
            msgspec.structs.replace(
                before, state="resolved", resolved_ms=before.newest_ms
            ),
            now_ms,
        )
    if before.clear_ms is not None and rule.measurement == "event":
        # An event has ended until another comes.
        return _end_if_steady(before, rule, now_ms)
    if now_ms - before.newest_ms > rule.ends_after:
        what = "more was reported" if rule.measurement == "event" else "was measured"
        lasted = duration_text(rule.ends_after / 1000)
        return end(before, now_ms, f"nothing {what} for {lasted}")
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


def _add_flap(
    alert_state: AlertState,
    before: AlertState | None,
    time_ms: int,
    weight: float,
    gap_ms: int,
) -> AlertState:
    """Adds a start, `gap_ms` after the end before it."""
    flaps = weight if before is None else _flaps_at(before, time_ms) + weight
    longest_ms = 0 if before is None else before.flap_gap_ms
    return msgspec.structs.replace(
        alert_state,
        flaps=min(flaps, FLAP_CEILING),
        flaps_ms=time_ms,
        flapping=int(bool(alert_state.flapping) or flaps >= FLAP_ENTER),
        flap_gap_ms=max(gap_ms, longest_ms),
    )


def _flaps_at(alert_state: AlertState, time_ms: int) -> float:
    """The flap counter, decayed until `time_ms`."""
    age_ms = max(0, time_ms - alert_state.flaps_ms)
    return alert_state.flaps * math.exp2(-age_ms / FLAP_HALF_LIFE_MS)


def end(alert_state: AlertState, resolved_ms: int, why: str) -> AlertState:
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


def keep_if_flapped(alert_state: AlertState | None, now_ms: int) -> AlertState | None:
    """A resolved state is kept only while its flap counter still matters."""
    if alert_state is None or _flaps_at(alert_state, now_ms) < 0.25:
        return None
    return alert_state
