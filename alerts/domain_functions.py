"""What several alerts have in common, as named functions of rules with `evidence:
alerts`. Pure.

Nothing measures a supplier. That it has failed follows from what else has, and from
what has not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from alerts.domain_finding import DomainFinding
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.power_feeds import power_feed_failed
from alerts.rule import Rule
from alerts.window import Window
from collectors.estate.estate_model import Line

# Lines that fail within this time of the first have failed together.
OUTAGE_MS = 900_000
# Once an outage has begun, the next line fails within this time.
_NEXT_MS = 300_000
# Of all lines that have failed, this part must be the supplier's.
_OWN_SHARE = 0.8
# This part of the supplier's lines is enough; of a large supplier, twice `least`.
_FAILED_SHARE = 0.5
# Or the supplier's lines fail this many times as often as all others.
_MUCH_MORE = 4


class FailedLine(NamedTuple):
    """A line that is down, or of a site that is dark. `is_certain`: it is so now. It is
    not if it is well again and only waits for `keep_for`, or was not measured since
    something that explained it has ended. `known_ms`: since when nothing else explains
    it."""

    line: Line
    since_ms: int
    is_certain: bool
    known_ms: int


DomainFunction = Callable[
    [Rule, Mapping[str, AlertState], Window, EstateIndex], Iterator[DomainFinding]
]


def supplier_outage(
    rule: Rule,
    active: Mapping[str, AlertState],
    window: Window,
    estate_index: EstateIndex,
) -> Iterator[DomainFinding]:
    """At least `least` lines of one supplier have failed together, and hardly any of
    the others: half of its lines, or many."""
    failed = failed_lines(rule.id, active, estate_index)
    held = {
        state.subject["supplier"]: state
        for state in active.values()
        if state.rule == rule.id
    }
    for supplier in sorted({f.line.supplier for f in failed} | held.keys() - {""}):
        own = [f for f in failed if f.line.supplier == supplier]
        if supplier in held:
            began_ms = held[supplier].since_ms
            own = [f for f in own if f.since_ms >= began_ms - OUTAGE_MS]
            bad = len(own) >= min(2, rule.least)
            yield DomainFinding({"supplier": supplier}, bad, began_ms, len(own))
            continue
        own = _together([f for f in own if f.is_certain])
        if supplier and len(own) >= rule.least:
            began_ms = _beginning([f.since_ms for f in own])
            others = [
                f
                for f in failed
                if f.line.supplier != supplier
                and abs(f.since_ms - began_ms) <= OUTAGE_MS
            ]
            well = lines_up(supplier, began_ms, window)
            enough = len(own) >= min(2 * rule.least, _FAILED_SHARE * (len(own) + well))
            bad = enough and (
                len(own) >= _OWN_SHARE * (len(own) + len(others))
                or _fail_much_more(len(own), well, len(others), supplier, estate_index)
            )
            yield DomainFinding({"supplier": supplier}, bad, began_ms, len(own))


def _fail_much_more(
    own: int, well: int, others: int, supplier: str, estate_index: EstateIndex
) -> bool:
    """Whether a much larger part of its lines has failed than of the others: one dark
    site elsewhere says nothing about a supplier with three lines."""
    rest = sum(line.supplier != supplier for line in estate_index.lines.values())
    share = own / (own + well)
    return share >= _FAILED_SHARE and share * rest >= _MUCH_MORE * others


def same_fault_at_site(
    rule: Rule,
    active: Mapping[str, AlertState],
    window: Window,
    estate_index: EstateIndex,
) -> Iterator[DomainFinding]:
    """At least `least` devices of one site have an alert that the rule explains, each
    within `OUTAGE_MS` of another one: they share a room, or its air."""
    at_site: dict[str, dict[str, int]] = {}
    for state in active.values():
        device = state.subject.get("device", "")
        if device and state.site and is_explained(rule, state):
            since_ms = at_site.setdefault(state.site, {})
            since_ms[device] = min(state.since_ms, since_ms.get(device, state.since_ms))
    held = {state.site: state for state in active.values() if state.rule == rule.id}
    for site, since_ms in sorted(at_site.items()):
        times = sorted(since_ms.values())
        near = [a for a, b in itertools.pairwise(times) if b - a <= OUTAGE_MS]
        # Until the last of them is well, it is the same fault.
        bad = site in held or len(near) + 1 >= rule.least > 1
        began_ms = held[site].since_ms if site in held else min(near, default=times[0])
        yield DomainFinding({"site": site}, bad, began_ms, float(len(times)), site)


def is_explained(rule: Rule, state: AlertState) -> bool:
    """Whether `rule` names alerts like that of `state` as its consequences."""
    return any(
        state.rule in explains.rules
        and all(
            re.search(pattern, state.subject.get(tag, ""), re.IGNORECASE)
            for tag, pattern in explains.like.items()
        )
        for explains in rule.explains
    )


def failed_lines(
    cause: str, active: Mapping[str, AlertState], estate_index: EstateIndex
) -> list[FailedLine]:
    """Lines that have failed and for which nothing but `cause` accounts. A line that is
    measured from inside its site has failed if the whole site is dark and has no other
    supplier."""
    failed: dict[str, FailedLine] = {}
    dark: dict[str, AlertState] = {}
    for state in active.values():
        if state.suppressed_by and not state.suppressed_by.startswith(f"{cause}/"):
            continue
        line = estate_index.lines.get(state.subject.get("line", ""))
        if state.rule == "line_down" and line is not None:
            failed[line.id] = _failed_line(line, state)
        elif state.rule == "site_unreachable" or (
            state.rule == "device_unreachable"
            and len(estate_index.polled_at.get(state.site, ())) == 1
        ):
            dark[state.site] = state
    for site, state in dark.items():
        lines = estate_index.lines_of.get(site, [])
        if len({line.supplier for line in lines}) == 1:
            line = lines[0]
            failed.setdefault(line.id, _failed_line(line, state))
    return list(failed.values())


def _failed_line(line: Line, state: AlertState) -> FailedLine:
    is_certain = state.clear_ms is None and state.bad_ms >= state.freed_ms
    return FailedLine(line, state.since_ms, is_certain, state.known_ms)


def lines_up(supplier: str, since_ms: int, window: Window) -> int:
    """The lines of `supplier` that were measured as up after `since_ms`."""
    return sum(
        series.latest("up") == 1 and series.last_ms > since_ms
        for series in window.series("line")
        if series.tags.get("supplier") == supplier
    )


def _beginning(times_ms: Sequence[int]) -> int:
    """When the outage began. What failed long before everything else may belong to it,
    but does not tell when it began: it has a page, and the outage needs one."""
    times = sorted(times_ms)
    near = (a for a, b in itertools.pairwise(times) if b - a <= _NEXT_MS)
    return next(near, times[0])


def _together(failed: Sequence[FailedLine]) -> list[FailedLine]:
    """Of these, the largest group that failed within one outage."""
    times = sorted(f.since_ms for f in failed)
    begins = max(
        times,
        default=0,
        key=lambda t: sum(t <= other <= t + OUTAGE_MS for other in times),
    )
    return [f for f in failed if begins <= f.since_ms <= begins + OUTAGE_MS]


DOMAIN_FUNCTIONS: dict[str, DomainFunction] = {
    "power_feed_failed": power_feed_failed,
    "same_fault_at_site": same_fault_at_site,
    "supplier_outage": supplier_outage,
}
