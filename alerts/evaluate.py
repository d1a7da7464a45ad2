"""From rows to standing: pending → firing → resolved. Pure; time is passed in.

Durations are counted in the rows' own time. Between two rows a state goes on, but no
further than `reach` after the newest row: what was not measured ripens no alert.

Flapping: every beginning adds one to a counter that halves in half an hour (Zino's
decays too). Above 2.5 (the third beginning within some fifteen minutes) the alert stays
firing, and ends only when the counter is below one and all is well. With a rule's
`keep_for`, which bridges short recoveries, a port that goes up and down every few
minutes makes one page and one resolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from alerts.alert import State
from alerts.conditions import (
    ConditionResult,
    contradicted_ms,
    is_surely_well,
    judge,
    named,
    silent,
)
from alerts.estate_index import Topology
from alerts.rule import Rule
from alerts.window import FORGET_MS, Subject, Target, Window, reach_ms
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Value

FLAP_HALF_LIFE_MS = 30 * 60_000
FLAP_ENTER = 2.5
FLAP_LEAVE = 1.0
FLAP_CEILING = 8.0


class Entry(msgspec.Struct, frozen=True):
    """One rule's standing for one subject; what a restart must not forget.

    `state` is `resolved` for entries that only remember flaps. `episode` numbers what
    a page and its resolution belong to. `bad_ms`, `heard_ms`: times of the newest bad
    and the newest row. `clear_ms`: since when it has been well while still firing.
    `explained_by`: what explained it last; emptied when it is paged for itself.
    `freed_ms`: when the cause that explained it ended. `told`: what was last said of
    it in the journal.
    """

    rule: str
    subject: dict[str, str]
    site: str
    state: State
    since_ms: int
    bad_ms: int
    heard_ms: int
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
    told: str = ""

    @property
    def key(self) -> str:
        return key_of(self.rule, self.subject)

    @property
    def episode(self) -> str:
        """`device_unreachable/device=core-1@1700000000000`."""
        return f"{self.key}@{self.since_ms}"

    @property
    def is_open(self) -> bool:
        return self.state != "resolved"


Standing = Mapping[str, Entry]
Changes = dict[str, Entry | None]
"""Key -> what it is now; None where it need not be remembered any longer."""


def key_of(rule: str, subject: Mapping[str, str]) -> str:
    """The key of `alerts.alert.Alert`."""
    return f"{rule}/{','.join(f'{k}={v}' for k, v in sorted(subject.items()))}"


def evaluate(
    window: Window, topology: Topology, standing: Standing, now_ms: int
) -> Changes:
    """What becomes of `standing`, looking only at what changed or is under way."""
    changes: Changes = {}
    known: dict[Target, str] = {}
    for key, entry in standing.items():
        place = _place(window, entry)
        if place is None:
            gone = _rest(entry, now_ms)
            if entry.is_open:
                gone = _end(entry, now_ms, "its rule is no longer in use")
            if gone != entry:
                changes[key] = gone
            continue
        known[place] = key
    quiet: set[Target] = set()
    for at, rule in enumerate(window.rules):
        if rule.silence == "blind":
            quiet |= {
                (at, subject) for subject in silent(window, at, rule, topology, now_ms)
            }
    for target in (*known, *(window.touched | quiet).difference(known)):
        at, subject = target
        rule = window.rules[at]
        if target not in known and is_surely_well(window, at, rule, subject, now_ms):
            continue
        key = known.get(target) or key_of(rule.id, named(rule, subject))
        before = standing.get(key)
        if before is not None and before.is_open and not topology.knows(before.subject):
            changes[key] = _end(before, now_ms, "it was removed from the estate")
            continue
        verdict = judge(
            window, at, rule, subject, topology, now_ms, _is_holding(before)
        )
        if rule.ended_by:
            verdict = _unless_contradicted(
                verdict, before, window, at, named(rule, subject)
            )
        after = step(before, verdict, rule, named(rule, subject), now_ms)
        if after != before:
            changes[key] = after
    return changes


def step(
    before: Entry | None,
    verdict: ConditionResult,
    rule: Rule,
    subject: dict[str, str],
    now_ms: int,
) -> Entry | None:
    """The next standing of one subject. None: nothing worth remembering."""
    if verdict.bad is None:
        return _unheard(before, rule, now_ms)
    if before is None or not before.is_open:
        if not verdict.bad:
            return _rest(before, now_ms)
        return _begin(before, verdict, rule, subject, now_ms)
    return _go_on(before, verdict, rule, now_ms)


def _unless_contradicted(
    verdict: ConditionResult,
    before: Entry | None,
    window: Window,
    at: int,
    subject: dict[str, str],
) -> ConditionResult:
    """`verdict`, or that it is well, if polls have shown so since the device told."""
    if before is None or verdict.bad is False:
        return verdict
    told_ms = max(before.bad_ms, verdict.time_ms if verdict.bad else 0)
    if not before.is_open:
        # What it told before that is over with it.
        over = before.resolved_ms is not None and told_ms <= before.resolved_ms
        return verdict._replace(bad=None) if over else verdict
    shown_ms = contradicted_ms(window, at, subject, told_ms)
    if shown_ms is None:
        return verdict
    return ConditionResult(False, shown_ms, before.value, before.site)


def _begin(
    before: Entry | None,
    verdict: ConditionResult,
    rule: Rule,
    subject: dict[str, str],
    now_ms: int,
) -> Entry:
    flaps = 0.0 if before is None else _decayed(before, verdict.time_ms)
    since_ms = verdict.time_ms
    if before is not None and before.resolved_ms is not None:
        # An episode is named by its beginning: two never share one.
        since_ms = max(since_ms, before.since_ms + 1)
    entry = Entry(
        rule=rule.id,
        subject=subject,
        site=verdict.site,
        state="pending",
        since_ms=since_ms,
        bad_ms=verdict.time_ms,
        heard_ms=verdict.time_ms,
        value=verdict.value,
        shows=verdict.shows,
        told="" if before is None else before.told,
    )
    return _ripen(_flap(entry, flaps, verdict.time_ms), rule, now_ms)


def _go_on(
    before: Entry, verdict: ConditionResult, rule: Rule, now_ms: int
) -> Entry | None:
    heard_ms = max(before.heard_ms, verdict.time_ms)
    if verdict.bad:
        entry = msgspec.structs.replace(
            before,
            bad_ms=max(before.bad_ms, verdict.time_ms),
            heard_ms=heard_ms,
            value=verdict.value,
            shows=verdict.shows or before.shows,
            clear_ms=None,
        )
        if before.clear_ms is not None:
            entry = _flap(entry, _decayed(before, verdict.time_ms), verdict.time_ms)
        return _ripen(entry, rule, now_ms)
    if before.state == "pending":
        ended = msgspec.structs.replace(
            before, state="resolved", heard_ms=heard_ms, resolved_ms=verdict.time_ms
        )
        return _rest(ended, now_ms)
    clear_ms = verdict.time_ms if before.clear_ms is None else before.clear_ms
    # `value` stays the last bad one: "the line is 40 % full" is no fault, and "the line
    # was 92 % full" is what is over.
    entry = msgspec.structs.replace(before, heard_ms=heard_ms, clear_ms=clear_ms)
    reached_ms = min(now_ms, heard_ms + reach_ms(rule, CATALOGUE))
    if reached_ms - clear_ms < rule.keep_for:
        return entry
    if entry.flapping and _decayed(entry, now_ms) > FLAP_LEAVE:
        return entry
    return _end(entry, clear_ms, "")


def _unheard(before: Entry | None, rule: Rule, now_ms: int) -> Entry | None:
    """No rows: nothing starts and nothing ends, until there is no use in waiting."""
    if before is None or not before.is_open:
        return _rest(before, now_ms)
    if before.state == "pending":
        if now_ms - before.heard_ms <= 2 * reach_ms(rule, CATALOGUE):
            return _ripen(before, rule, now_ms)
        # What waits for its data for ever would hold back what it might explain.
        return _rest(
            msgspec.structs.replace(
                before, state="resolved", resolved_ms=before.heard_ms
            ),
            now_ms,
        )
    if now_ms - before.heard_ms > FORGET_MS:
        return _end(before, now_ms, "nothing was heard of it for a day")
    return before


def _ripen(entry: Entry, rule: Rule, now_ms: int) -> Entry:
    """Pending becomes firing once it has held, in the rows' own time."""
    if entry.state != "pending":
        return entry
    if rule.silence == "blind":
        reached_ms = now_ms
    else:
        reached_ms = min(now_ms, entry.bad_ms + reach_ms(rule, CATALOGUE))
    if reached_ms - entry.since_ms < rule.lasts and not entry.flapping:
        return entry
    firing_ms = max(entry.since_ms + (0 if entry.flapping else rule.lasts), 0)
    return msgspec.structs.replace(entry, state="firing", firing_ms=firing_ms)


def _flap(entry: Entry, flaps: float, time_ms: int) -> Entry:
    flaps = min(flaps + 1.0, FLAP_CEILING)
    return msgspec.structs.replace(
        entry,
        flaps=flaps,
        flaps_ms=time_ms,
        flapping=int(bool(entry.flapping) or flaps >= FLAP_ENTER),
    )


def _decayed(entry: Entry, time_ms: int) -> float:
    age_ms = max(0, time_ms - entry.flaps_ms)
    return entry.flaps * math.exp2(-age_ms / FLAP_HALF_LIFE_MS)


def _end(entry: Entry, resolved_ms: int, why: str) -> Entry:
    if not entry.is_open:
        return entry
    return msgspec.structs.replace(
        entry,
        state="resolved",
        resolved_ms=max(resolved_ms, entry.since_ms),
        clear_ms=None,
        flapping=0,
        why=why,
    )


def _rest(entry: Entry | None, now_ms: int) -> Entry | None:
    """What is over is kept only while its flaps still count."""
    if entry is None or _decayed(entry, now_ms) < 0.25:
        return None
    return entry


def _is_holding(before: Entry | None) -> bool:
    return before is not None and before.is_open and before.clear_ms is None


def _place(window: Window, entry: Entry) -> tuple[int, Subject] | None:
    """Which rule, and which of its subjects, `entry` is about."""
    for at, rule in window.rules.places(entry.rule):
        if rule.applies_at(entry.site):
            if set(rule.subject) != set(entry.subject):
                return None
            return at, tuple(entry.subject[tag] for tag in rule.subject)
    return None
