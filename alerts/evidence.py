"""What a page says of its cause: the smallest domain that explains the evidence, the
evidence with what does not fit, and how sure that is. Pure.

Sure is a reason in words, not a figure: no probability is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from alerts.alert import Evidence
from alerts.domain_functions import (
    OUTAGE_MS,
    failed_lines,
    is_explained,
    lines_up,
)
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState, AlertStates
from alerts.power_feeds import describe_feed, feed_state
from alerts.situation import UNREACHABLE, Situation
from alerts.window import Window
from collectors.few_names import few_names
from collectors.natural_order import natural_order
from probes.wire.counted_text import DOES_NOT_ANSWER, counted, counted_part

_SHUT = 2
# A port was shut because of this fault if the trap came this long before it, or after.
_TRAP_BEFORE_MS, _TRAP_AFTER_MS = 900_000, 120_000
_MOST_NAMES, _MOST_SITES = 4, 8


class NamedCause(NamedTuple):
    """`domain`: `device:core-1`, `supplier:Teme` …; `cause` replaces the rule's text if
    the evidence shows more than it."""

    domain: str
    evidence: tuple[Evidence, ...] = ()
    sure: str = ""
    cause: str = ""


class _View(NamedTuple):
    """All that a diagnosis looks at."""

    alert_state: AlertState
    states: AlertStates
    window: Window
    estate_index: EstateIndex
    situation: Situation

    def name(self, device: str) -> str:
        known = self.estate_index.devices.get(device)
        return (known.name or known.id) if known else device

    def names(self, devices: Collection[str]) -> str:
        """`a, b, c and 4 more`."""
        names = sorted(map(self.name, devices), key=natural_order)
        return few_names(names, _MOST_NAMES)

    @property
    def behind(self) -> set[str]:
        """The devices that do not answer because of this alert."""
        return {
            state.subject["device"]
            for state in self.states.values()
            if state.is_open
            and state.suppressed_by == self.alert_state.key
            and state.rule == UNREACHABLE
        } - {self.alert_state.subject.get("device", "")}


class _PortState(NamedTuple):
    """A port that leads to what does not answer. `state`: shut, down or up."""

    device: str
    port: str
    state: str
    at_ms: int | None


def diagnose(
    alert_state: AlertState,
    states: AlertStates,
    window: Window,
    estate_index: EstateIndex,
) -> NamedCause:
    """The domain of an alert that no other explains, and what speaks for it."""
    active = {key: state for key, state in states.items() if state.is_open}
    situation = Situation(active, estate_index, window)
    view = _View(alert_state, states, window, estate_index, situation)
    diagnosis = _DIAGNOSES.get(alert_state.rule)
    if diagnosis is None:
        return NamedCause(domain_of(alert_state))
    return diagnosis(view)


def domain_of(alert_state: AlertState) -> str:
    """What the alert is about, as `kind:name`; its rule if it is about no part of the
    estate."""
    subject = alert_state.subject
    if subject.get("port"):
        return f"port:{subject['device']}/{subject['port']}"
    for kind in ("device", "line", "gateway", "room", "team", "supplier", "site"):
        if subject.get(kind):
            return f"{kind}:{subject[kind]}"
    if "by" in subject:
        return f"{subject['by']}:{subject['group']}"
    if "process" in subject or alert_state.rule.startswith("monitor_"):
        return f"monitor:{subject.get('process', '')}"
    return f"rule:{alert_state.rule}"


def _diagnose_device(view: _View) -> NamedCause:
    device = view.alert_state.subject.get("device", "")
    unreachable = view.situation.unreachable
    polled = view.estate_index.polled
    behind = view.behind
    answering = (view.estate_index.below(device) & polled) - unreachable
    beside = view.estate_index.graph.links.get(device, set()) & polled - unreachable
    evidence = []
    if behind or answering:
        total = len(behind) + len(answering)
        part = counted_part(len(behind), total, "device(s) behind it", *DOES_NOT_ANSWER)
        evidence.append(Evidence(f"{part} either"))
    explained = view.situation.explained
    assumed = {other for other in behind if device not in explained.get(other, ())}
    if assumed:
        evidence.append(
            Evidence(
                f"of these, {view.names(assumed)} fell silent at the same time: how "
                "they are connected is not recorded"
            )
        )
    if answering:
        evidence.append(Evidence(f"does not fit: {view.names(answering)} still answer"))
    if beside:
        verb = "answers" if len(beside) == 1 else "answer"
        evidence.append(Evidence(f"{view.names(beside)}, next to it, {verb}"))
    ports = _ports_to(view, [device], beside)
    evidence += _port_evidence(view, ports)
    shut = _shut_port(view, ports)
    if shut is not None:
        return shut._replace(evidence=tuple(evidence))
    hidden = {feed for feed in view.estate_index.feeds(device) if feed in behind}
    if hidden:
        evidence.append(
            Evidence(
                f"{view.names(hidden)}, which powers it, does not answer either, and "
                "is reached only through it"
            )
        )
        sure = "Not certain: it or its power has failed. From outside both look alike."
    elif answering:
        sure = "Not certain: part of what is recorded behind it still answers."
    elif not beside:
        sure = (
            "Likely: how it is connected is not recorded, so nothing else explains it."
        )
    elif behind:
        sure = "Sure: all that does not answer is reached only through it."
    else:
        sure = "Sure: it alone does not answer, and what is next to it does."
    return NamedCause(
        f"device:{device}", tuple(evidence), sure, _cable_cause(ports, view)
    )


def _diagnose_site(view: _View) -> NamedCause:
    site = view.alert_state.site
    index, unreachable = view.estate_index, view.situation.unreachable
    devices = index.polled_at.get(site, [])
    silent = [device for device in devices if device in unreachable]
    part = counted_part(len(silent), len(devices), "device(s)", *DOES_NOT_ANSWER)
    evidence = [Evidence(part)]
    behind = view.behind - set(devices)
    if behind:
        one, many = "device at another site is", "devices at other sites are"
        there = counted(len(behind), one, many)
        evidence.append(Evidence(f"{there} reached through it"))
    firsts = {
        first for device in silent for first in view.situation.first_causes(device)
    } & set(devices)
    beside = {
        other
        for first in firsts
        for other in index.graph.links.get(first, ())
        if other in index.polled and other not in unreachable
    }
    ports = _ports_to(view, firsts, beside)
    evidence += _port_evidence(view, ports)
    shut = _shut_port(view, ports)
    if shut is not None:
        return shut._replace(evidence=tuple(evidence))
    up = [
        series.tags["line"]
        for series in view.window.series("line")
        if series.site == site
        and series.latest("up") == 1
        and series.last_ms > view.alert_state.since_ms
    ]
    if up:
        evidence.append(
            Evidence(f"its line {', '.join(sorted(up, key=natural_order))} is up")
        )
        sure = "Likely its power or its router: its line is up."
    else:
        sure = (
            "Sure that the site is cut off. Whether its power, its router or its line "
            "has failed cannot be seen from outside."
        )
    return NamedCause(f"site:{site}", tuple(evidence), sure)


def _diagnose_supplier(view: _View) -> NamedCause:
    supplier = view.alert_state.subject.get("supplier", "")
    began_ms = view.alert_state.since_ms
    failed = failed_lines(
        view.alert_state.rule, view.situation.active, view.estate_index
    )
    own = [f for f in failed if f.line.supplier == supplier]
    others = [
        f
        for f in failed
        if f.line.supplier != supplier and abs(f.since_ms - began_ms) <= OUTAGE_MS
    ]
    well = lines_up(supplier, began_ms, view.window)
    sites = {f.line.site for f in own}
    listed = view.estate_index.sites
    named = sorted(
        (listed[site].name for site in sites & listed.keys()), key=natural_order
    )
    apart_ms = max((f.since_ms for f in own), default=began_ms) - began_ms
    evidence = [
        Evidence(f"{len(own)} of {len(own) + well} of its lines that are measured"),
        Evidence(f"all within {max(1, round(apart_ms / 60_000))} min of each other"),
    ]
    if named:
        evidence.insert(1, Evidence(f"sites: {few_names(named, _MOST_SITES)}"))
    if well:
        evidence.append(Evidence(f"does not fit: {well} of its lines are up"))
    if others:
        one, many = "line of another supplier", "lines of other suppliers"
        sure = f"Likely: {counted(len(others), one, many)} failed as well."
    elif well > len(own):
        sure = "Likely a part of its network: most of its lines are up."
    else:
        sure = "Sure: no line of another supplier failed at that time."
    return NamedCause(f"supplier:{supplier}", tuple(evidence), sure)


def _diagnose_line(view: _View) -> NamedCause:
    line = view.estate_index.lines.get(view.alert_state.subject.get("line", ""))
    if line is None:
        return NamedCause(domain_of(view.alert_state))
    devices = view.estate_index.polled_at.get(line.site, [])
    silent = [device for device in devices if device in view.situation.unreachable]
    evidence = [
        Evidence(f"port {line.port} of {view.name(line.device)}, its end, is down")
    ]
    if line.device not in devices or silent:
        what = "device(s) at its site"
        part = counted_part(len(silent), len(devices), what, *DOES_NOT_ANSWER)
        evidence.append(Evidence(part))
    sure = "Sure: it is measured at its own port."
    return NamedCause(f"line:{line.id}", tuple(evidence), sure)


def _diagnose_feed(view: _View) -> NamedCause:
    feed = view.alert_state.subject.get("device", "")
    unreachable = {
        state.subject["device"]: state
        for state in view.situation.active.values()
        if state.rule == UNREACHABLE
    }
    state = feed_state(feed, unreachable, view.window, view.estate_index)
    names = {device: view.name(device) for device in state.silent}
    evidence, sure = describe_feed(state, names)
    return NamedCause(f"device:{feed}", evidence, sure)


def _diagnose_together(view: _View) -> NamedCause:
    """Several devices of one site with the same fault."""
    alert_state = view.alert_state
    rule = view.window.rules.find(alert_state.rule, alert_state.site)
    devices = {
        state.subject["device"]
        for state in view.situation.active.values()
        if rule and state.site == alert_state.site and is_explained(rule, state)
    }
    evidence = Evidence(f"{view.names(devices)}: one soon after the other")
    sure = "Likely: devices of one site seldom fail like this by chance."
    return NamedCause(domain_of(alert_state), (evidence,), sure)


def _diagnose_monitor(view: _View) -> NamedCause:
    count = len(view.situation.unreachable)
    evidence = Evidence(f"{counted(count, 'device')} at once, and none that answers")
    sure = (
        "Likely Towpath's own cable, switch or firewall: all devices of a council do "
        "not fail at once."
    )
    return NamedCause("monitor:", (evidence,), sure)


def _ports_to(
    view: _View, devices: Iterable[str], beside: Collection[str]
) -> list[_PortState]:
    """The ports of devices that answer and that lead to `devices`, and their state."""
    ports = []
    for device in devices:
        for other in sorted(beside):
            for port in view.estate_index.graph.ports_to(other, device):
                state = _port_state(view, other, port)
                if state is not None:
                    ports.append(state)
    return ports


def _port_state(view: _View, device: str, port: str) -> _PortState | None:
    known = view.estate_index.devices[device]
    tags = {"device": device, "site": known.site, "role": known.role, "port": port}
    row = view.window.find("interface", tags)
    since_ms = view.alert_state.since_ms
    if row is None or row.last_ms < since_ms - 120_000:
        return None
    trap = view.window.find("event", {**tags, "event": "link_down", "about": ""})
    at_ms = None
    if trap and since_ms - _TRAP_BEFORE_MS <= trap.last_ms <= since_ms + _TRAP_AFTER_MS:
        at_ms = trap.last_ms
    if row.latest("admin") == _SHUT:
        return _PortState(device, port, "shut", at_ms or since_ms)
    if row.latest("up") in (0, 1):
        return _PortState(device, port, "up" if row.latest("up") else "down", at_ms)
    return None


def _port_evidence(view: _View, ports: Iterable[_PortState]) -> list[Evidence]:
    texts = {
        "shut": "was shut by an administrator",
        "down": "is down",
        "up": "is up",
    }
    return [
        Evidence(
            f"port {port.port} of {view.name(port.device)}, which leads to it, "
            f"{texts[port.state]}",
            port.at_ms,
        )
        for port in ports
    ]


def _shut_port(view: _View, ports: list[_PortState]) -> NamedCause | None:
    """The port whose shutting explains it: with two ways, the other must be down."""
    shut = [port for port in ports if port.state == "shut"]
    if not shut or any(port.state == "up" for port in ports):
        return None
    first = shut[0]
    return NamedCause(
        f"port:{first.device}/{first.port}",
        sure="Sure: there is no other way to it, and this one is shut.",
        cause=(
            f"Port {first.port} of {view.name(first.device)}, which leads to it, was "
            "shut by an administrator. Ask who did it, and open it again."
        ),
    )


def _cable_cause(ports: list[_PortState], view: _View) -> str:
    if not ports:
        return ""
    names = " and ".join(f"{p.port} of {view.name(p.device)}" for p in ports[:2])
    if all(port.state == "down" for port in ports):
        return (
            f"It has no power, or the cable to port {names} is cut: that port is down "
            "as well."
        )
    if all(port.state == "up" for port in ports):
        return (
            f"It has power, because port {names} is up, but its software hangs, or its "
            "management address was changed."
        )
    return ""


_DIAGNOSES: dict[str, Callable[[_View], NamedCause]] = {
    UNREACHABLE: _diagnose_device,
    "line_down": _diagnose_line,
    "monitor_cut_off": _diagnose_monitor,
    "power_feed_failed": _diagnose_feed,
    "site_power_failed": _diagnose_together,
    "site_too_warm": _diagnose_together,
    "site_unreachable": _diagnose_site,
    "supplier_outage": _diagnose_supplier,
}
