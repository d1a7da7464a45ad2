"""Relations between alerts and what would explain them (`explains:` of a rule). Pure.

Each relation turns an alert into subjects of the other rule: any one of them explains
it, or only all of them together.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from alerts.domain_functions import FailedLine, failed_lines
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState, alert_key
from alerts.part_relation import same_part_subjects
from alerts.rule_files import Explanation
from alerts.window import Window
from collectors.estate.estate_model import Line

UNREACHABLE = "device_unreachable"
# Two ends of one cable are seen to fail within this time of each other.
TOGETHER_MS = 180_000
# An outage of this many devices explains one that falls silent with them, if nobody
# knows how it is connected.
_MANY_DEVICES = 5
# Lines of one supplier that fail this long after each other may have one cause.
_SUSPECTED_MS = 300_000


class PossibleCauses(NamedTuple):
    """Subjects of one rule that would explain an alert: any of them, or only `all`."""

    rule: str
    subjects: tuple[dict[str, str], ...]
    all: bool = False


class Situation:
    """The open alerts and the estate, for the relations of one evaluation."""

    def __init__(
        self,
        active: Mapping[str, AlertState],
        estate_index: EstateIndex,
        window: Window,
    ) -> None:
        self.active, self.estate_index, self.window = active, estate_index, window
        self._failed_lines: dict[str, list[FailedLine]] = {}
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
        causes = self._explained.get(device, ())
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
    def _explained(self) -> Mapping[str, tuple[str, ...]]:
        return self.estate_index.graph.explain(self.unreachable)

    def _is_way_known(self, device: str) -> bool:
        """Whether something that it is linked to answers."""
        return not self.estate_index.graph.links[device] <= self.unreachable

    def _outage_with(self, device: str) -> str | None:
        """The device whose failure stopped many others at the same time as `device`."""
        since_ms = self.active[alert_key(UNREACHABLE, {"device": device})].since_ms
        counts = Counter(
            causes[0] for causes in self._explained.values() if len(causes) == 1
        )
        for cause, count in counts.most_common():
            if count < _MANY_DEVICES or count <= counts[device]:
                return None
            began_ms = self.active[alert_key(UNREACHABLE, {"device": cause})].since_ms
            if abs(began_ms - since_ms) <= TOGETHER_MS:
                return cause
        return None

    def suspected_until_ms(self, rule: str, alert_state: AlertState) -> int:
        """Until when it may turn out that its supplier has failed, because another of
        the supplier's lines failed minutes before or after; 0 if none did."""
        suppliers = {
            subject["supplier"]
            for subjects, _ in _supplier(alert_state, self)
            for subject in subjects
        }
        if rule not in self._failed_lines:
            self._failed_lines[rule] = failed_lines(
                rule, self.active, self.estate_index
            )
        others = [
            f.since_ms
            for f in self._failed_lines[rule]
            if f.line.supplier in suppliers
            and f.line.site != alert_state.site
            and abs(f.since_ms - alert_state.since_ms) <= _SUSPECTED_MS
        ]
        if not others:
            return 0
        settled_ms = max(alert_state.since_ms, *others) + _SUSPECTED_MS // 2
        return min(settled_ms, alert_state.since_ms + _SUSPECTED_MS)

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


_Subjects = Iterator[tuple[list[dict[str, str]], bool]]
Relate = Callable[[AlertState, Situation], _Subjects]


def possible_causes(
    explanation: Explanation, alert_state: AlertState, situation: Situation
) -> Iterator[PossibleCauses]:
    """What would explain `alert_state` by this explanation, nearest first."""
    if not explanation.covers(alert_state.subject):
        return
    device = alert_state.subject.get("device", "")
    if explanation.relation == "same_device" and device:
        # Its parts too: a power supply that has failed explains what lacks power.
        for cause in situation.alerts_on(device, explanation.cause):
            yield PossibleCauses(explanation.cause, (cause.subject,))
    if explanation.relation == "same_part":
        reported = situation.alerts_on(device, explanation.cause)
        for subject in same_part_subjects(
            explanation, alert_state, reported, situation.window
        ):
            yield PossibleCauses(explanation.cause, (subject,))
        return
    for subjects, all_of_them in _RELATIONS[explanation.relation](
        alert_state, situation
    ):
        candidates = tuple(
            subject
            for subject in subjects
            if explanation.cause != alert_state.rule or subject != alert_state.subject
        )
        if candidates:
            yield PossibleCauses(explanation.cause, candidates, all_of_them)


def _ancestor(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The devices through which alone its device, or every device of its site, is
    reached. Cut off by two faults at once, either explains it."""
    device = alert_state.subject.get("device")
    if device:
        causes = situation.first_causes(device)
        if device not in causes:
            yield [{"device": cause} for cause in causes], False
        return
    estate_index = situation.estate_index
    causes_of = [
        situation.first_causes(device)
        for device in estate_index.polled_at.get(alert_state.site, ())
    ]
    places = {
        estate_index.devices[cause].site for causes in causes_of for cause in causes
    }
    if causes_of and all(causes_of) and alert_state.site not in places:
        yield [{"device": cause} for cause in causes_of[0]], False


def _everything(alert_state: AlertState, situation: Situation) -> _Subjects:
    yield [{}], False


def _same_site(alert_state: AlertState, situation: Situation) -> _Subjects:
    if alert_state.site:
        yield [{"site": alert_state.site}], False


def _same_device(alert_state: AlertState, situation: Situation) -> _Subjects:
    if alert_state.subject.get("device"):
        yield [{"device": alert_state.subject["device"]}], False


def _same_subject(alert_state: AlertState, situation: Situation) -> _Subjects:
    yield [dict(alert_state.subject)], False


def _lines(alert_state: AlertState, situation: Situation) -> list[Line]:
    return situation.estate_index.lines_of.get(alert_state.site, [])


def _site_lines(alert_state: AlertState, situation: Situation) -> _Subjects:
    """Every line of its site that is measured from the far end. A line measured from
    inside the site is measured by a device that still answers: it explains nothing."""
    far = [line for line in _lines(alert_state, situation) if line.far_end]
    yield [{"line": line.id} for line in far], True


def _site_line(alert_state: AlertState, situation: Situation) -> _Subjects:
    yield [{"line": line.id} for line in _lines(alert_state, situation)], False


def _primary_line(alert_state: AlertState, situation: Situation) -> _Subjects:
    lines = _lines(alert_state, situation)
    yield [{"line": line.id} for line in lines if line.role == "primary"], False


def _line_port(alert_state: AlertState, situation: Situation) -> _Subjects:
    place = (alert_state.subject.get("device", ""), alert_state.subject.get("port", ""))
    estate_index = situation.estate_index
    line = estate_index.line_at.get(place)
    if line is not None:
        yield [{"line": line.id}], False
    elif place not in estate_index.graph.leads_to and place[
        0
    ] in estate_index.graph.exits.get(alert_state.site, ()):
        # The line is measured at its far end; this may be the near one.
        lines = _lines(alert_state, situation)
        yield [{"line": line.id} for line in lines], False


def _site_line_port(alert_state: AlertState, situation: Situation) -> _Subjects:
    lines = _lines(alert_state, situation)
    yield [{"device": line.device, "port": line.port} for line in lines], False


def _site_tops(alert_state: AlertState, situation: Situation) -> _Subjects:
    tops = situation.estate_index.tops.get(alert_state.site, [])
    if tops:
        yield [{"device": device} for device in tops], True


def _parent_port(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The device at the other end of this port, or else those below its device."""
    estate_index = situation.estate_index
    device = alert_state.subject.get("device", "")
    place = (device, alert_state.subject.get("port", ""))
    if place in estate_index.graph.leads_to:
        yield [{"device": estate_index.graph.leads_to[place]}], False
    elif place not in estate_index.line_at:
        children = estate_index.children.get(device, [])
        yield [{"device": child} for child in children], False


def _other_end(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The port at the other end of its cable."""
    graph = situation.estate_index.graph
    device = alert_state.subject.get("device", "")
    other = graph.leads_to.get((device, alert_state.subject.get("port", "")))
    if other is not None:
        ports = graph.ports_to(other, device)
        yield [{"device": other, "port": port} for port in ports], False


def _supplier(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The supplier of its line, or of every line of its site."""
    estate_index = situation.estate_index
    line = estate_index.lines.get(alert_state.subject.get("line", ""))
    if line is not None:
        suppliers = {line.supplier}
    else:
        suppliers = {line.supplier for line in _lines(alert_state, situation)}
    if len(suppliers) == 1 and "" not in suppliers:
        yield [{"supplier": supplier} for supplier in suppliers], False


def _power(alert_state: AlertState, situation: Situation) -> _Subjects:
    """What feeds its device, a UPS that goes silent empty included; of a site, every
    UPS there."""
    estate_index = situation.estate_index
    device = alert_state.subject.get("device", "")
    feeds = (
        estate_index.feeds(device)
        if device
        else estate_index.ups_at.get(alert_state.site, [])
    )
    yield [{"device": feed} for feed in feeds], False


def _gateway_place(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The device that a VPN gateway is, or runs behind."""
    gateway = situation.estate_index.gateways.get(
        alert_state.subject.get("gateway", "")
    )
    if gateway is not None and gateway.device:
        causes = situation.first_causes(gateway.device) or (gateway.device,)
        yield [{"device": cause} for cause in causes], False


def _named_device(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The device that another one reports about by its name, such as an access point
    by its controller, or what it was reached through."""
    estate_index = situation.estate_index
    for device in estate_index.devices_called(alert_state.subject.get("about", "")):
        yield [{"device": device}], False
        beside = estate_index.graph.links.get(device, set())
        if beside and beside <= situation.unreachable:
            causes = {c for other in beside for c in situation.first_causes(other)}
            yield [{"device": cause} for cause in sorted(causes)], False


_RELATIONS: dict[str, Relate] = {
    "ancestor": _ancestor,
    "everything": _everything,
    "gateway_place": _gateway_place,
    "line_port": _line_port,
    "named_device": _named_device,
    "other_end": _other_end,
    "parent_port": _parent_port,
    "power": _power,
    "primary_line": _primary_line,
    "same_device": _same_device,
    "same_site": _same_site,
    "same_subject": _same_subject,
    "site_line": _site_line,
    "site_lines": _site_lines,
    "site_line_port": _site_line_port,
    "site_tops": _site_tops,
    "supplier": _supplier,
}
