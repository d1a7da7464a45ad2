"""Whether a rule's conditions hold for a subject: bad, well or unknown. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from alerts.estate_index import EstateIndex
from alerts.rule import Condition, Rule
from alerts.rule_functions import FUNCTIONS
from alerts.series import Series, Subject
from alerts.window import Window
from probes.wire.sample import Value

# Which of several parts a function finds bad, among what is shown.
PARTS = "parts"
# Of equal values, each of these is that value.
_MIDDLES = frozenset({"mean", "min", "max", "p95"})


class ConditionResult(NamedTuple):
    """The result for one subject. `bad` is None if its rows do not tell. `why` it is
    not bad, if not because all is well."""

    bad: bool | None
    time_ms: int
    value: float | None = None
    site: str = ""
    shows: dict[str, Value] = {}  # noqa: RUF012 - never changed
    why: str = ""


def is_clearly_ok(
    window: Window, rule_index: int, rule: Rule, subject: Subject, now_ms: int
) -> bool:
    """True if `check_conditions` would certainly not find it bad. Nearly every row is
    of something that is well, and needs no more than this."""
    if not rule.when or rule.silence == "blind":
        return False
    members = window.members(rule_index, subject)
    if len(members) == 1 and rule.across == "any":
        if _fails_at_once(rule, members[0]):
            return True
    elif len(members) > 1 and rule.across == "any" and rule.least > 1:
        return False
    fails = False
    for series in members:
        bad, _ = _holds(rule, series, False)
        if bad:
            if rule.across == "any":
                return False
            continue
        fails = True
        fresh = series.last_ms >= now_ms - window.reach_ms[rule_index]
        if rule.across == "all" and bad is False and fresh:
            # One that is certainly well decides for all of them.
            return True
    return fails and rule.across == "any"


def _fails_at_once(rule: Rule, series: Series) -> bool:
    """True if a condition certainly does not hold, as its value is absent, or was the
    same all the time: no window has to be searched for that."""
    for condition in rule.when:
        if condition.sure:
            continue
        if condition.aggregate == "last":
            value = series.latest(condition.field)
            if not isinstance(value, int | float):
                value = condition.missing
        elif condition.aggregate in _MIDDLES and condition.missing is None:
            ring = series.ring(condition.field)
            if ring is not None and ring.only_value is None:
                continue
            value = None if ring is None else ring.only_value
        else:
            continue
        if value is None or not condition.holds(value, False):
            return True
    return False


def check_conditions(
    window: Window,
    rule_index: int,
    rule: Rule,
    subject: Subject,
    estate_index: EstateIndex,
    now_ms: int,
    is_holding: bool,
) -> ConditionResult:
    """Whether the rule's conditions hold for this subject now."""
    about = subject_tags(rule, subject)
    if not estate_index.knows(about):
        return ConditionResult(None, now_ms)
    members = window.members(rule_index, subject)
    newest = max((series.last_ms for series in members), default=0)
    if rule.silence == "blind":
        silent_since = max(newest, window.opened_ms)
        if now_ms - silent_since >= rule.blind_after:
            silent_s = (now_ms - silent_since) / 1000
            site = members[0].site if members else _site_of(about, estate_index)
            return ConditionResult(
                True, silent_since + rule.blind_after, silent_s, site
            )
    reach = window.reach_ms[rule_index]
    # Rows are spread over a period: a series whose latest row is older than that is of
    # a port, or of a set of tags, that no longer exists. If measuring stops, all become
    # unknown together: the last rows of some devices say nothing about a whole site.
    if newest < now_ms - reach:
        return ConditionResult(None, newest, site=members[0].site if members else "")
    fresh = [s for s in members if s.last_ms >= newest - reach]
    site = fresh[0].site
    shows = _shown_fields(rule, fresh)
    if rule.function:
        finding = FUNCTIONS[rule.function](fresh, estate_index, now_ms)
        if finding is None:
            return ConditionResult(None, newest, site=site)
        if finding.parts:
            shows[PARTS] = "\n".join(sorted(finding.parts))
        return ConditionResult(finding.bad, newest, finding.value, site, shows)
    if not rule.when:
        return ConditionResult(False, newest, site=site)
    checked = [(_holds(rule, series, is_holding), series) for series in fresh]
    known = [
        (bad, value, series) for (bad, value), series in checked if bad is not None
    ]
    if not known:
        return ConditionResult(None, newest, site=site)
    bad_ones = [(value, series) for bad, value, series in known if bad]
    if rule.across == "all":
        bad = len(bad_ones) == len(known) and len(known) >= rule.least
        return ConditionResult(bad, newest, float(len(bad_ones)), site, shows)
    if len(bad_ones) >= rule.least:
        value, series = bad_ones[0]
        shows = _shown_fields(rule, [series])
        return ConditionResult(True, newest, value, series.site, shows)
    why = _why_over(rule, known[0][2]) if len(known) == 1 else ""
    return ConditionResult(False, newest, known[0][1], site, shows, why)


def _why_over(rule: Rule, series: Series) -> str:
    """The `otherwise` of the only condition that no longer holds; else empty."""
    if not any(condition.otherwise for condition in rule.when):
        return ""
    failed = [c for c in rule.when if not condition_holds(c, series, True)]
    return failed[0].otherwise if len(failed) == 1 else ""


def _holds(
    rule: Rule, series: Series, is_holding: bool
) -> tuple[bool | None, float | None]:
    """(whether all conditions hold, the first one's value); None if unknown."""
    first: float | None = None
    unknown = False
    for n, condition in enumerate(rule.when):
        value = aggregate_value(condition, series)
        if value is None:
            value = condition.missing
        if n == 0:
            first = value
        if not is_holding:
            value = _certain(condition, series, value)
        if value is None:
            unknown = True
        elif not condition.holds(value, is_holding):
            return False, first
    if unknown:
        return (False if rule.absent == "clear" else None), first
    return True, first


def condition_holds(
    condition: Condition, series: Series, is_holding: bool = False
) -> bool | None:
    """Whether one condition would begin an alert now, or let it go on; None if its
    value is unknown."""
    value = aggregate_value(condition, series)
    if value is None:
        value = condition.missing
    if not is_holding:
        value = _certain(condition, series, value)
    return None if value is None else condition.holds(value, is_holding)


def _certain(condition: Condition, series: Series, value: float | None) -> float | None:
    """`value`, or of a ratio that must be sure the least that it is."""
    if value is None or not condition.sure:
        return value
    count = series.latest(series.weight_of(condition.field))
    return least_ratio(value, count) if isinstance(count, int | float) else None


def least_ratio(ratio: float, count: float) -> float:
    """The least that `ratio`, seen in `count`, is with 95 % confidence (Wilson's lower
    bound, one-sided)."""
    if count <= 0:
        return 0.0
    z = 1.645
    # A sum of floats may make a ratio of a little more than 1.
    ratio = min(max(ratio, 0.0), 1.0)
    middle = ratio + z * z / (2 * count)
    spread = z * math.sqrt(ratio * (1 - ratio) / count + (z / (2 * count)) ** 2)
    return (middle - spread) / (1 + z * z / count)


def aggregate_value(condition: Condition, series: Series) -> float | None:
    """The figure that the condition compares; None if the rows do not give one."""
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
        # A counter that fell was restarted: its whole value is growth.
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
    """The mean, weighted as the catalogue says; None if the weights sum to zero."""
    weight_field = series.weight_of(condition.field)
    if not weight_field:
        return _between(sum(values) / len(values), values)
    ring = series.ring(weight_field)
    if ring is None:
        return None
    when, weights = ring.since(series.last_ms - condition.over)
    if len(when) != len(times):
        known = dict(zip(when, weights, strict=True))
        weights = [known.get(time_ms, 0.0) for time_ms in times]
    pairs = list(zip(values, weights, strict=True))
    total = sum(weight for _, weight in pairs)
    if not total:
        return None
    return _between(sum(value * weight for value, weight in pairs) / total, values)


def _between(mean: float, values: Sequence[float]) -> float:
    """The mean without its rounding error: that of ten times 0.95 is not above 0.95."""
    return min(max(mean, min(values)), max(values))


def _shown_fields(rule: Rule, members: Iterable[Series]) -> dict[str, Value]:
    shown: dict[str, Value] = {}
    for series in members:
        for name in rule.shows:
            value = series.latest(name)
            if value is not None:
                shown.setdefault(name, value)
    return shown


def silent_subjects(
    window: Window, rule_index: int, rule: Rule, estate_index: EstateIndex, now_ms: int
) -> set[Subject]:
    """Subjects without a row for too long, including those never seen."""
    if now_ms - window.opened_ms < rule.blind_after:
        return set()
    oldest = now_ms - rule.blind_after
    silent = {
        subject
        for subject in window.subjects(rule_index)
        if max(s.last_ms for s in window.members(rule_index, subject)) <= oldest
    }
    expected: Iterable[str] = ()
    if rule.expects == "devices":
        expected = estate_index.polled
    elif rule.expects == "gateways":
        expected = estate_index.gateways
    for name in expected:
        tag = "device" if rule.expects == "devices" else "gateway"
        if not rule.applies_at(_site_of({tag: name}, estate_index)):
            continue
        subject = tuple(name if part == tag else "" for part in rule.subject)
        if not window.members(rule_index, subject):
            silent.add(subject)
    return silent


def subject_tags(rule: Rule, subject: Subject) -> dict[str, str]:
    return dict(zip(rule.subject, subject, strict=True))


def _site_of(subject: Mapping[str, str], estate_index: EstateIndex) -> str:
    if subject.get("device") in estate_index.devices:
        return estate_index.devices[subject["device"]].site
    if subject.get("gateway") in estate_index.gateways:
        return estate_index.gateways[subject["gateway"]].site or ""
    return subject.get("site", "")
