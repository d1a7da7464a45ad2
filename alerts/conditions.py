"""What the rows of one subject say: bad, well, or nothing. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from alerts.estate_index import Topology
from alerts.rule import Condition, Rule
from alerts.rule_functions import FUNCTIONS
from alerts.window import Series, Subject, Window
from probes.wire.sample import Value

# Agents answer from a cache: what is read this soon after may be from before.
_CACHED_MS = 30_000


class ConditionResult(NamedTuple):
    """What a subject's rows say. `bad` is None where they say nothing."""

    bad: bool | None
    time_ms: int
    value: float | None = None
    site: str = ""
    shows: dict[str, Value] = {}  # noqa: RUF012 - never changed


def is_surely_well(
    window: Window, at: int, rule: Rule, subject: Subject, now_ms: int
) -> bool:
    """True where `judge` would surely not find it bad: nearly every row is of something
    that is well, and is done with here."""
    if not rule.when or rule.silence == "blind":
        return False
    members = window.members(at, subject)
    if len(members) > 1 and rule.across == "any" and rule.least > 1:
        return False
    fails = False
    for series in members:
        bad, _ = _holds(rule, series, False)
        if bad:
            if rule.across == "any":
                return False
            continue
        fails = True
        fresh = series.last_ms >= now_ms - window.reach_ms[at]
        if rule.across == "all" and bad is False and fresh:
            # One that is surely well settles it for all of them.
            return True
    return fails and rule.across == "any"


def judge(
    window: Window,
    at: int,
    rule: Rule,
    subject: Subject,
    topology: Topology,
    now_ms: int,
    held: bool,
) -> ConditionResult:
    """What the rows of one subject say now."""
    about = named(rule, subject)
    if not topology.knows(about):
        return ConditionResult(None, now_ms)
    members = window.members(at, subject)
    newest = max((each.last_ms for each in members), default=0)
    if rule.silence == "blind":
        silent_since = max(newest, window.opened_ms)
        if now_ms - silent_since >= rule.blind_after:
            silent_s = (now_ms - silent_since) / 1000
            site = members[0].site if members else _site_of(about, topology)
            return ConditionResult(
                True, silent_since + rule.blind_after, silent_s, site
            )
    reach = window.reach_ms[at]
    # Rows are spread over a period: one that is a reach older than the newest is of a
    # port, or of a set of tags, that is no longer there.
    fresh = [s for s in members if s.last_ms >= max(newest, now_ms) - reach]
    if not fresh:
        return ConditionResult(None, newest, site=members[0].site if members else "")
    site = fresh[0].site
    shows = _shown(rule, fresh)
    if rule.function:
        finding = FUNCTIONS[rule.function](fresh, topology, now_ms)
        if finding is None:
            return ConditionResult(None, newest, site=site)
        return ConditionResult(finding.bad, newest, finding.value, site, shows)
    if not rule.when:
        return ConditionResult(False, newest, site=site)
    found = [(_holds(rule, series, held), series) for series in fresh]
    known = [(bad, value, series) for (bad, value), series in found if bad is not None]
    if not known:
        return ConditionResult(None, newest, site=site)
    bad_ones = [(value, series) for bad, value, series in known if bad]
    if rule.across == "all":
        bad = len(bad_ones) == len(known) and len(known) >= rule.least
        return ConditionResult(bad, newest, float(len(bad_ones)), site, shows)
    if len(bad_ones) >= rule.least:
        value, series = bad_ones[0]
        return ConditionResult(True, newest, value, series.site, _shown(rule, [series]))
    return ConditionResult(False, newest, known[0][1], site, shows)


def _holds(rule: Rule, series: Series, held: bool) -> tuple[bool | None, float | None]:
    """(all conditions hold, the first one's value); None where one cannot be told."""
    first: float | None = None
    unknown = False
    for n, condition in enumerate(rule.when):
        value = _aggregate(condition, series)
        if value is None:
            value = condition.missing
        if n == 0:
            first = value
        if value is None:
            unknown = True
        elif not condition.holds(value, held):
            return False, first
    if unknown:
        return (False if rule.absent == "clear" else None), first
    return True, first


def _aggregate(condition: Condition, series: Series) -> float | None:
    if condition.aggregate == "last":
        value = series.latest(condition.field)
        return float(value) if isinstance(value, int | float) else None
    ring = series.ring(condition.field)
    if ring is None:
        return None
    times, values = ring.since(series.last_ms - condition.over)
    if not values:
        return None
    if condition.aggregate == "count":
        return float(len(values))
    if condition.aggregate == "rise":
        pairs = itertools.pairwise(values)
        # A counter that fell began anew: all of it is growth.
        return sum(b - a if b >= a else b for a, b in pairs)
    if condition.aggregate == "sum":
        return sum(values)
    # Half a window must be covered, or the first row after a start would decide.
    if times[-1] - times[0] < condition.over * 0.4:
        return None
    match condition.aggregate:
        case "mean":
            return _mean(condition, series, times, values)
        case "min":
            return min(values)
        case "max":
            return max(values)
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _mean(
    condition: Condition, series: Series, times: Sequence[int], values: Sequence[float]
) -> float | None:
    """Weighted if the catalogue says by what; None if nothing was counted."""
    weight = series.weight_of(condition.field)
    if not weight:
        return sum(values) / len(values)
    ring = series.ring(weight)
    if ring is None:
        return None
    when, weights = ring.since(series.last_ms - condition.over)
    if len(when) != len(times):
        known = dict(zip(when, weights, strict=True))
        weights = [known.get(time_ms, 0.0) for time_ms in times]
    pairs = list(zip(values, weights, strict=True))
    total = sum(weighs for _, weighs in pairs)
    return sum(value * weighs for value, weighs in pairs) / total if total else None


def contradicted_ms(
    window: Window, at: int, subject: Mapping[str, str], told_ms: int
) -> int | None:
    """When polls showed that what a device told at `told_ms` is over; None if they did
    not. A part that is no longer measured is not well."""
    for end, members in window.ends(at, subject):
        if not end.applies_to(subject):
            continue
        values = [(s.latest(end.when.field), s.last_ms) for s in members]
        known = [
            (value, at_ms) for value, at_ms in values if isinstance(value, int | float)
        ]
        if known and all(
            at_ms >= told_ms + _CACHED_MS and end.when.holds(value, False)
            for value, at_ms in known
        ):
            return max(at_ms for _, at_ms in known)
    return None


def _shown(rule: Rule, members: Iterable[Series]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for series in members:
        for name in rule.shows:
            value = series.latest(name)
            if value is not None:
                found.setdefault(name, value)
    return found


def silent(
    window: Window, at: int, rule: Rule, topology: Topology, now_ms: int
) -> set[Subject]:
    """Subjects that have said nothing for too long, those never heard included."""
    if now_ms - window.opened_ms < rule.blind_after:
        return set()
    oldest = now_ms - rule.blind_after
    found = {
        subject
        for subject in window.subjects(at)
        if max(s.last_ms for s in window.members(at, subject)) <= oldest
    }
    expected: Iterable[str] = ()
    if rule.expects == "devices":
        expected = topology.polled
    elif rule.expects == "gateways":
        expected = topology.gateways
    for each in expected:
        tag = "device" if rule.expects == "devices" else "gateway"
        if not rule.applies_at(_site_of({tag: each}, topology)):
            continue
        subject = tuple(each if name == tag else "" for name in rule.subject)
        if not window.members(at, subject):
            found.add(subject)
    return found


def named(rule: Rule, subject: Subject) -> dict[str, str]:
    return dict(zip(rule.subject, subject, strict=True))


def _site_of(subject: Mapping[str, str], topology: Topology) -> str:
    if subject.get("device") in topology.devices:
        return topology.devices[subject["device"]].site
    if subject.get("gateway") in topology.gateways:
        return topology.gateways[subject["gateway"]].site or ""
    return subject.get("site", "")
