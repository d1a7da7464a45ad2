"""`Situation`: the open alerts and the estate, for everything that relates alerts."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping

from alerts.domain_functions import failed_lines
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState, alert_key
from alerts.rule import Rule
from alerts.window import Window

UNREACHABLE = "device_unreachable"
PORT_DOWN = "port_down"
# Two ends of one cable are seen to fail within this time of each other.
TOGETHER_MS = 180_000
# An outage of this many devices explains one that stops answering at the same time, if
# it is not known how that one is connected.
_MANY_DEVICES = 5
# Lines of one supplier that fail this long after each other may have one cause.
_SUSPECTED_MS = 300_000
# Two polls and a while: longer nobody waits for what has the same power.
_POWER_SUSPECTED_MS = 150_000
# What was not measured for so long is not measured any more.
_UNMEASURED_MS = 600_000


class Situation:
    """The open alerts and the estate, for the relations of one evaluation."""

    def __init__(
        self,
        active: Mapping[str, AlertState],
        estate_index: EstateIndex,
        window: Window,
    ) -> None:
        self.active, self.estate_index, self.window = active, estate_index, window
        self._failing: dict[str, dict[str, list[tuple[int, str]]]] = {}
        self.unreachable = {
            alert_state.subject["device"]
            for alert_state in active.values()
            if alert_state.rule == UNREACHABLE and "device" in alert_state.subject
        }

    def first_causes(self, device: str) -> tuple[str, ...]:
        """The devices that do not answer and through which alone `device` is reached;
        itself if Towpath gets as far as its neighbour."""
        if device not in self.unreachable:
            return ()
        causes = self.explained.get(device, ())
        planned = self._planned_with(causes[0]) if len(causes) == 1 else None
        if planned is not None:
            return (planned,)
        if len(causes) == 1 and not self._is_way_known(causes[0]):
            outage = self._outage_with(causes[0])
            return causes if outage is None else (outage,)
        return causes

    def alerts_on(self, device: str, rule: str) -> list[AlertState]:
        """The open alerts of that rule about a device or its parts."""
        return self._by_device.get((device, rule), [])

    @functools.cached_property
    def _by_device(self) -> dict[tuple[str, str], list[AlertState]]:
        by_device: dict[tuple[str, str], list[AlertState]] = {}
        for state in self.active.values():
            if state.subject.get("device"):
                place = (state.subject["device"], state.rule)
                by_device.setdefault(place, []).append(state)
        return by_device

    @functools.cached_property
    def explained(self) -> Mapping[str, tuple[str, ...]]:
        """Each device that does not answer → the first of those on the ways to it."""
        return self.estate_index.graph.explain(self.unreachable, self._cut_ways)

    @functools.cached_property
    def _cut_ways(self) -> set[tuple[str, str]]:
        """Devices that do not answer, each with a neighbour whose port to it was down
        well before: it was reached another way, and that has failed now."""
        cut = set()
        for state in self.active.values():
            near = state.subject.get("device", "")
            place = (near, state.subject.get("port", ""))
            far = self.estate_index.graph.leads_to.get(place)
            if state.rule == PORT_DOWN and far in self.unreachable:
                key = alert_key(UNREACHABLE, {"device": far})
                if state.since_ms < self.active[key].since_ms - TOGETHER_MS:
                    cut.add((far, near))
        return cut

    def _is_way_known(self, device: str) -> bool:
        """Whether something that it is linked to answers."""
        return not self.estate_index.graph.links[device] <= self.unreachable

    def _planned_with(self, device: str) -> str | None:
        """A device of its site that is in maintenance and fell silent at the same time,
        if it is not known how `device` is connected: it may be behind that one."""
        if device not in self.estate_index.graph.strays:
            return None
        own = self.active[alert_key(UNREACHABLE, {"device": device})]
        for state in self.active.values():
            if (
                state.rule == UNREACHABLE
                and state.site == own.site
                and state.silenced_until_ms > own.silenced_until_ms
                and abs(state.since_ms - own.since_ms) <= TOGETHER_MS
            ):
                return state.subject["device"]
        return None

    def _outage_with(self, device: str) -> str | None:
        """The device whose failure stopped many others at the same time as `device`."""
        since_ms = self.active[alert_key(UNREACHABLE, {"device": device})].since_ms
        counts = Counter(
            causes[0] for causes in self.explained.values() if len(causes) == 1
        )
        for cause, count in counts.most_common():
            if count < _MANY_DEVICES or count <= counts[device]:
                return None
            began_ms = self.active[alert_key(UNREACHABLE, {"device": cause})].since_ms
            if abs(began_ms - since_ms) <= TOGETHER_MS:
                return cause
        return None

    def is_feed_well(self, feed: str) -> bool:
        """Whether a UPS or PDU is polled, answers, and no alert says that it fails."""
        if feed not in self.estate_index.polled or feed in self.unreachable:
            return False
        causes = {
            explanation.cause
            for explanation in self.window.rules.links.get(UNREACHABLE, ())
            if explanation.relation == "power"
        }
        return not any(self.alerts_on(feed, rule) for rule in causes)

    def is_awaited(self, rule: str, subject: dict[str, str], since_ms: int) -> bool:
        """Whether it was not measured since then, and will be: what never was, or was
        last long ago, will not, nor what is read from a device that does not answer. If
        rows have come only lately, or again after a pause, nobody can tell."""
        if rule != UNREACHABLE and self._read_from(subject) in self.unreachable:
            return False
        known_ms = self.window.known_until_ms(rule, subject)
        measured_ms = max(known_ms, self.window.heard_since_ms(rule))
        return known_ms < since_ms and measured_ms >= since_ms - _UNMEASURED_MS

    def _read_from(self, subject: Mapping[str, str]) -> str:
        """The device that is read to know how a device, a part of it or a line is."""
        line = self.estate_index.lines.get(subject.get("line", ""))
        return line.device if line is not None else subject.get("device", "")

    def suspected_until_ms(self, rule: Rule, alert_state: AlertState) -> int:
        """Until when it may turn out that something in common has failed; 0 if nothing
        speaks for it."""
        if rule.function == "power_feed_failed":
            return self._power_suspected_until_ms(alert_state)
        if rule.function == "supplier_outage":
            return self._supplier_suspected_until_ms(rule.id, alert_state)
        return 0

    def _power_suspected_until_ms(self, alert_state: AlertState) -> int:
        """Until all was measured that has its power from the same UPS or PDU, and that
        itself."""
        known = self.estate_index.devices.get(alert_state.subject.get("device", ""))
        since_ms = alert_state.since_ms
        for feed in known.powered_by if known else ():
            for device in (feed, *self.estate_index.powers[feed]):
                if self.is_awaited(UNREACHABLE, {"device": device}, since_ms):
                    return since_ms + _POWER_SUSPECTED_MS
        return 0

    def _supplier_suspected_until_ms(self, rule: str, alert_state: AlertState) -> int:
        """Another line of each supplier failed minutes before or after, or each other
        supplier of the site is known to have failed."""
        until_ms = 0
        for supplier in self.suppliers(alert_state):
            if alert_key(rule, {"supplier": supplier}) in self.active:
                continue
            others = [
                known_ms
                for known_ms, site in self._failing_lines(rule).get(supplier, ())
                if site != alert_state.site
                and abs(known_ms - alert_state.known_ms) <= _SUSPECTED_MS
            ]
            if not others:
                return 0
            settled_ms = max(alert_state.known_ms, *others) + _SUSPECTED_MS // 2
            until_ms = max(
                until_ms, min(settled_ms, alert_state.known_ms + _SUSPECTED_MS)
            )
        return until_ms

    def _failing_lines(self, rule: str) -> Mapping[str, list[tuple[int, str]]]:
        """Supplier → since when and at which sites its lines have failed, or may have:
        no device of the site was measured to answer since one does not."""
        if rule not in self._failing:
            failing: dict[str, list[tuple[int, str]]] = {}
            for failed in failed_lines(rule, self.active, self.estate_index):
                place = (failed.known_ms, failed.line.site)
                failing.setdefault(failed.line.supplier, []).append(place)
            for state in self.active.values():
                if state.rule == UNREACHABLE and not state.suppressed_by:
                    suppliers = self.suppliers(state)
                    if len(suppliers) == 1:
                        place = (state.known_ms, state.site)
                        failing.setdefault(suppliers[0], []).append(place)
            self._failing[rule] = failing
        return self._failing[rule]

    def suppliers(self, alert_state: AlertState) -> list[str]:
        """The supplier of its line, or those of all lines of its site; none if one is
        not known, or if something else at the site of a device answers."""
        if alert_state.subject.get("device") and self._answers_at(alert_state):
            return []
        line = self.estate_index.lines.get(alert_state.subject.get("line", ""))
        at_site = self.estate_index.lines_of.get(alert_state.site, [])
        suppliers = {one.supplier for one in ([line] if line else at_site)}
        return [] if "" in suppliers else sorted(suppliers)

    def earliest_ms(self, alert_state: AlertState) -> int:
        """When it may have begun: while the device that is read for it does not answer,
        nobody knows how it is."""
        device = self._read_from(alert_state.subject)
        unmeasured = self.active.get(alert_key(UNREACHABLE, {"device": device}))
        since_ms = unmeasured.since_ms if unmeasured else alert_state.since_ms
        return min(since_ms, alert_state.since_ms)

    def _answers_at(self, alert_state: AlertState) -> bool:
        """Whether a device at its site was measured to answer after it began."""
        others = self.estate_index.polled_at.get(alert_state.site, ())
        return any(
            self.window.known_until_ms(UNREACHABLE, {"device": device})
            > alert_state.since_ms
            for device in others
            if device not in self.unreachable
        )

    def next_devices(self, alert_state: AlertState) -> list[str]:
        """The polled devices above its device, and next to it or to its site, that
        answered when they were last measured."""
        estate_index = self.estate_index
        device = alert_state.subject.get("device")
        inside = (
            [device] if device else estate_index.polled_at.get(alert_state.site, [])
        )
        links = estate_index.graph.links
        beside = {other for one in inside for other in links.get(one, ())}
        beside.update(*(estate_index.ancestors(one) for one in inside))
        return sorted((beside - self.unreachable) & estate_index.polled)

    def contradicted_until_ms(self, alert_state: AlertState) -> int:
        """When a device above its device was last measured not to answer, although one
        between them does: it must be measured again after that. 0 if there is none."""
        above = self.estate_index.only_ways(alert_state.subject.get("device", ""))
        return max(
            (
                state.newest_ms
                for state in self.active.values()
                if state.rule == UNREACHABLE and state.subject.get("device") in above
            ),
            default=0,
        )
