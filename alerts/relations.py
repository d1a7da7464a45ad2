"""Relations between alerts and what would explain them (`explains:` of a rule). Pure.

Each relation turns an alert into subjects of the other rule: any one of them explains
it, or only all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from alerts.evaluation.alert_states import AlertState
from alerts.part_relation import same_part_subjects
from alerts.rule_files import Explanation
from alerts.situation import Situation
from collectors.estate.estate_model import Line


class PossibleCauses(NamedTuple):
    """Subjects of one rule that would explain an alert: any of them, or only `all`."""

    rule: str
    subjects: tuple[dict[str, str], ...]
    all: bool = False


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


def _same_interface(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The mirrored port on which it was seen."""
    yield [{"interface": alert_state.subject["interface"]}], False


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
    """The supplier of its line; of a site, those of all its lines together."""
    suppliers = situation.suppliers(alert_state)
    yield [{"supplier": supplier} for supplier in suppliers], True


def _power(alert_state: AlertState, situation: Situation) -> _Subjects:
    """What feeds its device, a UPS that goes silent empty included, unless another feed
    of it is well; of a site, every UPS there, and what feeds all that is cut off
    first."""
    estate_index = situation.estate_index
    device = alert_state.subject.get("device", "")
    if device:
        feeds = estate_index.feeds(device)
        if any(situation.is_feed_well(feed) for feed in feeds):
            return
    else:
        firsts = {
            cause
            for one in estate_index.polled_at.get(alert_state.site, ())
            for cause in situation.first_causes(one)
        }
        common = [{first, *estate_index.feeds(first)} for first in firsts]
        shared = set.intersection(*common) if common else set()
        feeds = sorted({*estate_index.ups_at.get(alert_state.site, ()), *shared})
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


def _room_device(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The devices that its room needs, and those through which alone they are
    reached."""
    room = situation.estate_index.rooms.get(alert_state.subject.get("room", ""))
    for device in room.all_devices if room else ():
        causes = situation.first_causes(device) or (device,)
        yield [{"device": cause} for cause in causes], False


def _room_port(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The rooms on its port. The estate may call the port by another name than rows."""
    device = alert_state.subject.get("device", "")
    port = alert_state.subject.get("port", "")
    for room in situation.estate_index.rooms_on.get(device, ()):
        tags = {"room": room.id, "site": room.site}
        row = situation.window.find("room", tags)
        named = str(row.latest("places") or "") if row is not None else ""
        if (device, port) in room.places or f"{device} {port}" in named.split("\n"):
            yield [{"room": room.id}], False


def _team_place(alert_state: AlertState, situation: Situation) -> _Subjects:
    """The site, provider and VPN of most of its team's laptops."""
    row = situation.window.find("experience", alert_state.subject)
    for by in ("site", "provider", "vpn") if row is not None else ():
        name = row.latest(f"mostly_{by}") if row is not None else None
        if isinstance(name, str):
            yield [{"by": by, "group": name}], False


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
    "room_device": _room_device,
    "room_port": _room_port,
    "same_device": _same_device,
    "same_interface": _same_interface,
    "same_site": _same_site,
    "same_subject": _same_subject,
    "site_line": _site_line,
    "site_lines": _site_lines,
    "site_line_port": _site_line_port,
    "site_tops": _site_tops,
    "supplier": _supplier,
    "team_place": _team_place,
}
