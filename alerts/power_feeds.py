"""Whether what gives power to devices (a UPS or PDU) has failed. Pure.

A dead PDU reports nothing, and often is reached only through what it powers. That it
has failed follows from what it alone powers: all of that is silent, and nothing else
explains why. `powered_by` in the estate tells what it powers; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from alerts.alert import Evidence
from alerts.domain_finding import DomainFinding
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule import Rule
from alerts.window import Window
from collectors.few_names import few_names
from probes.wire.counted_text import DOES_NOT_ANSWER, counted_part

_UNREACHABLE = "device_unreachable"
# Devices that lost their power together stop answering within this time.
_TOGETHER_MS = 300_000
_MOST_NAMES = 4


class PowerFeedState(NamedTuple):
    """What depends on one feed alone. `silent`: what does not answer, without other
    reason; `firsts`: those of them that no other silent device explains; `answering`:
    what was measured to answer since. `itself`: silent, hidden (it is reached only
    through what it powers), answers or unknown."""

    silent: tuple[str, ...]
    firsts: tuple[str, ...]
    answering: tuple[str, ...]
    itself: str
    since_ms: int
    is_way_known: bool

    @property
    def has_failed(self) -> bool:
        """One silent device proves it if the feed itself is silent too, on a way of its
        own; else it takes two that have nothing else in common."""
        least = 1 if self.itself == "silent" else 2
        return len(self.firsts) >= least and not self.answering and self.is_way_known


def power_feed_failed(
    rule: Rule,
    active: Mapping[str, AlertState],
    window: Window,
    estate_index: EstateIndex,
) -> Iterator[DomainFinding]:
    """Everything that a UPS or PDU alone powers is silent."""
    unreachable = {
        state.subject["device"]: state
        for state in active.values()
        if state.rule == _UNREACHABLE
    }
    held = {
        state.subject["device"] for state in active.values() if state.rule == rule.id
    }
    suspected = {
        feed
        for device in unreachable.keys() & estate_index.devices.keys()
        for feed in estate_index.devices[device].powered_by
    }
    for feed in sorted(suspected | held):
        state = feed_state(feed, unreachable, window, estate_index)
        known = estate_index.devices.get(feed)
        yield DomainFinding(
            {"device": feed},
            state.has_failed,
            state.since_ms,
            float(len(state.silent)),
            known.site if known else "",
        )


def feed_state(
    feed: str,
    unreachable: Mapping[str, AlertState],
    window: Window,
    estate_index: EstateIndex,
) -> PowerFeedState:
    graph = estate_index.graph
    explained = graph.explain(unreachable.keys())
    fed = dependents(feed, unreachable.keys(), estate_index)
    inside = fed | {feed}
    silent = {
        device
        for device in fed & unreachable.keys()
        if inside.issuperset(explained.get(device, (device,)))
    }
    firsts = {
        device
        for device in silent
        if explained.get(device, (device,)) in ((device,), (feed,))
    }
    times = [unreachable[device].since_ms for device in firsts]
    # Most of them together: one may have failed long before, for another reason.
    since_ms = max(
        times,
        default=0,
        key=lambda t: (sum(t <= other <= t + _TOGETHER_MS for other in times), t),
    )
    firsts = {
        device
        for device in firsts
        if 0 <= unreachable[device].since_ms - since_ms <= _TOGETHER_MS
    }
    answering = {
        device
        for device in fed - unreachable.keys()
        if window.known_until_ms(_UNREACHABLE, {"device": device}) > since_ms
    }
    if feed in unreachable:
        is_hidden = bool(set(explained.get(feed, ())) & silent)
        itself = "hidden" if is_hidden else "silent"
    elif window.known_until_ms(_UNREACHABLE, {"device": feed}) > since_ms:
        itself = "answers"
    else:
        itself = "unknown"
    # Without a neighbour that answers, the whole place may be cut off.
    dark = unreachable.keys() | (graph.links.keys() - estate_index.polled)
    is_way_known = any(
        graph.links.get(device, set()) - dark for device in firsts | {feed}
    )
    return PowerFeedState(
        tuple(sorted(silent)),
        tuple(sorted(firsts)),
        tuple(sorted(answering)),
        itself,
        since_ms,
        is_way_known,
    )


def dependents(
    feed: str, silent: Collection[str], estate_index: EstateIndex
) -> set[str]:
    """The polled devices that `feed` powers, and no other feed that may still work: one
    that is not polled may, unless all that it powers is silent."""

    def is_gone(other: str) -> bool:
        if other in estate_index.polled:
            return other in silent
        powered = estate_index.polled.intersection(estate_index.powers[other])
        return powered <= set(silent)

    return {
        device
        for device in estate_index.powers.get(feed, ())
        if device in estate_index.polled
        and all(
            other == feed or is_gone(other)
            for other in estate_index.devices[device].powered_by
        )
    }


def describe_feed(
    state: PowerFeedState, names: Mapping[str, str]
) -> tuple[tuple[Evidence, ...], str]:
    """The evidence, and how sure it is. `names`: device → how people call it."""
    if not state.silent:
        return (), ""
    total = len(state.silent) + len(state.answering)
    shown = few_names([names[device] for device in state.silent], _MOST_NAMES)
    what = "device(s) that only it powers"
    part = counted_part(len(state.silent), total, what, *DOES_NOT_ANSWER)
    itself = {
        "silent": "it does not answer itself",
        "hidden": "it does not answer itself, and is reached only through these",
        "answers": "it answers itself",
        "unknown": "it is not polled itself",
    }[state.itself]
    evidence = (
        Evidence(f"{part}: {shown}"),
        Evidence(itself),
    )
    sure = {
        "silent": (
            "Sure: neither it nor anything that it alone powers answers, and what is "
            "next to them does."
        ),
        "answers": (
            "Likely its output is off or its breaker has tripped: it answers, and "
            "nothing that it alone powers does."
        ),
    }.get(
        state.itself,
        "Likely: devices that have nothing else in common fell silent together, and it "
        "powers all of them.",
    )
    return evidence, sure
