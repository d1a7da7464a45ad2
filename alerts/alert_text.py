"""Alerts as people read them: filled-in texts, values with units, who is affected."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.alert import Alert, Owner
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState, AlertStates
from alerts.evidence import NamedCause, diagnose, domain_of
from alerts.rule import Rule
from alerts.rule_files import Rules
from alerts.rule_functions import FUNCTION_UNITS
from alerts.suppression import consequences
from alerts.window import Window
from collectors.server_measurements import CATALOGUE
from probes.wire.counted_text import counted
from probes.wire.display import isolated
from probes.wire.durations import duration_text

_AGENTS_COUNTED_WITHIN_MS = 3_600_000
_SECONDS = {"s": 1, "ms": 0.001, "min": 60, "h": 3_600, "d": 86_400}


# What a rule's text reads for no alert in particular, in lists of rules.
GENERIC_VALUES = {
    "address": "ADDRESS",
    "channel": "CHANNEL",
    "circuit_ref": "REFERENCE",
    "class": "what it measures",
    "device_name": "the device",
    "event": "fan, temperature, stack …",
    "event_text": "the event",
    "expected_why": "why",
    "file": "its file (the page names it)",
    "folder": "state, journal or store",
    "from_subnet": "one subnet",
    "gateway_name": "the gateway",
    "group": "that provider",
    "home_site": "the site",
    "host": "the gateway's address",
    "interface": "the mirrored port",
    "line_device": "the device that the line ends on",
    "line_role": "primary or backup",
    "mostly": "one place (the page names it)",
    "node": "the DMZ node",
    "operation": "the test",
    "outcome": "the reason",
    "parent_name": "the device above it",
    "pool": "the pool",
    "port": "the port",
    "process": "that process",
    "processor": "the processor",
    "radio": "the radio",
    "reader": "the reader",
    "reading": "what it reads",
    "room_name": "the room",
    "sense": "the reason",
    "sensor": "the sensor",
    "setting": "ingest, store …",
    "site_name": "the site",
    "state_text": "why",
    "stream": "the stream",
    "stream_text": "why",
    "supplier": "the supplier",
    "supplier_phone": "its number",
    "support_hours": "its hours",
    "text": "the device's message",
    "team_name": "the team",
    "threshold": "the limit",
    "to_subnet": "another subnet",
    "value": "how much",
    "volume": "the disk",
}
# What a page reads if a value is not known: not every row has every field.
_UNKNOWN = {
    "event_text": "the event",
    "expected_why": "as the estate file sets",
    "file": "the file that this setting names",
    "mostly": "a place that is not known yet",
    "outcome": "the reason is not known",
    "reading": "by its own limits",
    "sense": "the reason is not known",
    "state_text": "the reason is not known",
    "stream_text": "the reason is not known",
    "text": "it gives no details",
    "value": "an unknown amount",
}


# Keys of closed lists, which are words but for the underscores.
_KEYS = frozenset({"event", "expected_why", "outcome", "sense"})


class _PlaceholderValues(dict[str, str]):
    """An unknown value gets a general text, so that it never stops a page."""

    def __missing__(self, key: str) -> str:
        return _UNKNOWN.get(key) or GENERIC_VALUES.get(key) or "unknown"


def alert_from_state(
    alert_state: AlertState,
    states: AlertStates,
    rules: Rules,
    window: Window,
    estate_index: EstateIndex,
) -> Alert:
    """Returns `alert_state` as an alert for people, with its texts filled in."""
    rule = rules.find(alert_state.rule, alert_state.site)
    values = placeholder_values(alert_state, rule, estate_index)
    affected: dict[str, int] = {}
    diagnosis = NamedCause(domain_of(alert_state))
    if alert_state.is_open and not alert_state.suppressed_by:
        affected = count_affected(alert_state, states, window, estate_index)
        diagnosis = diagnose(alert_state, states, window, estate_index)
    return Alert(
        rule=alert_state.rule,
        subject=alert_state.subject,
        severity=rule.severity if rule else "info",
        owner=rule.owner if rule else "network",
        state=alert_state.state,
        since_ms=alert_state.since_ms,
        site=alert_state.site,
        firing_ms=alert_state.firing_ms,
        resolved_ms=alert_state.resolved_ms,
        value=alert_state.value,
        summary=rule.summary.format_map(values) if rule else alert_state.key,
        cause=_root_cause_summary(alert_state, states, rules, estate_index)
        or isolated(diagnosis.cause)
        or (rule.cause.format_map(values) if rule else ""),
        runbook=rule.runbook.format_map(values) if rule else "",
        suppressed_by=alert_state.suppressed_by,
        explained_by=alert_state.explained_by,
        affected=affected,
        title=rule.title if rule else alert_state.rule,
        why=alert_state.why,
        flapping=alert_state.flapping,
        paged_ms=alert_state.paged_ms,
        silenced_until_ms=alert_state.silenced_until_ms,
        joins=alert_state.joins,
        follows=alert_state.follows
        if alert_state.follows != alert_state.episode
        else "",
        domain=diagnosis.domain,
        evidence=diagnosis.evidence,
        sure=diagnosis.sure,
        hours=rule.hours if rule else "always",
        site_name=site_name(alert_state.site, estate_index),
        events=affected_events(alert_state, states, estate_index),
    )


def affected_events(
    alert_state: AlertState, states: AlertStates, estate_index: EstateIndex
) -> tuple[str, ...]:
    """`Council chamber: Planning committee, 14:00 to 16:00`, for each room that has
    failed because of this alert."""
    texts = []
    for state in consequences(alert_state.key, states):
        room = estate_index.rooms.get(state.subject.get("room", ""))
        if room is not None and state.state == "firing" and "event_text" in state.shows:
            text = f"{room.name or room.id}: {state.shows['event_text']}"
            texts.append(isolated(text))
    return tuple(sorted(set(texts)))


def site_name(site: str, estate_index: EstateIndex) -> str:
    """Returns the name of a site, its id if the estate has it no more, or nothing."""
    known = estate_index.sites.get(site)
    return known.name if known else site


def placeholder_values(
    alert_state: AlertState, rule: Rule | None, estate_index: EstateIndex
) -> Mapping[str, str]:
    """A value for every placeholder that a text of `rule` may use."""
    values = {
        name: str(value).replace("_", " ") if name in _KEYS else str(value)
        for name, value in {**alert_state.shows, **alert_state.subject}.items()
    }
    site = site_name(alert_state.site, estate_index)
    values["site_name"] = site or "an unknown site"
    if rule is not None and alert_state.value is not None:
        values["value"] = format_value(alert_state.value, value_unit(rule))
    if rule is not None and rule.when:
        values["threshold"] = format_value(rule.when[0].threshold, value_unit(rule))
    device = estate_index.devices.get(alert_state.subject.get("device", ""))
    if device is not None:
        above = [estate_index.devices.get(id) for id in device.above]
        names = [known.name or known.id for known in above if known is not None]
        values["device_name"] = device.name or device.id
        values["address"] = str(device.address)
        if names:
            values["parent_name"] = " and ".join(names)
    line = estate_index.lines.get(alert_state.subject.get("line", ""))
    if line is not None:
        values["supplier"] = line.supplier or "the supplier"
        values["supplier_phone"] = line.supplier_phone or "no number recorded"
        values["support_hours"] = line.support_hours or "hours not recorded"
        values["circuit_ref"] = line.circuit_ref or line.id
        values["line_role"] = line.role
        device_at_end = estate_index.devices.get(line.device)
        name_at_end = device_at_end.name if device_at_end else ""
        values["line_device"] = name_at_end or line.device
    supplier = alert_state.subject.get("supplier", "")
    for known in estate_index.estate.lines if supplier else ():
        if known.supplier == supplier and known.supplier_phone:
            values["supplier_phone"] = known.supplier_phone
            values["support_hours"] = known.support_hours or "hours not recorded"
            break
    gateway = estate_index.gateways.get(alert_state.subject.get("gateway", ""))
    if gateway is not None:
        values["gateway_name"] = gateway.name or gateway.id
        values["host"] = gateway.host
    room = estate_index.rooms.get(alert_state.subject.get("room", ""))
    if room is not None:
        values["room_name"] = room.name or room.id
    subject_tags = alert_state.subject
    team_id = subject_tags.get("team", "")
    if subject_tags.get("by") == "team":
        team_id = subject_tags["group"]
    if team_id:
        team = estate_index.teams.get(team_id)
        name_of_team = team.name if team and team.name else team_id
        values["group" if "group" in subject_tags else "team_name"] = name_of_team
    for name, subject in (("device_name", "device"), ("gateway_name", "gateway")):
        if subject in alert_state.subject:
            values.setdefault(name, alert_state.subject[subject])
    if rule is not None and "text" in rule.shows:
        values.setdefault("text", rule.title)
    if "process" in alert_state.subject:
        values["process"] = process_name(alert_state.subject["process"])
    if "sensor" in alert_state.subject:
        # "low" tells more than "state".
        shown = values.get("state") or values.get("class", "")
        values["reading"] = _UNKNOWN["reading"] if shown == "state" else shown
    return _PlaceholderValues(
        {name: isolated(value) for name, value in values.items() if value}
    )


def process_name(name: str) -> str:
    """`all` is Towpath, `poll` its poll role, `alert-web` Towpath (alert, web);
    `poll+depot` is the poll role of the poller `depot`."""
    names, _, poller = name.partition("+")
    roles, at = names.split("-"), f" at {poller}" if poller else ""
    if names in ("all", ""):
        return f"Towpath{at}"
    if len(roles) == 1:
        return f"Towpath's {names} role{at}"
    return f"Towpath ({', '.join(roles)}){at}"


def owner_text(owner: Owner) -> str:
    """`Service desk`, as people write it."""
    return owner.replace("_", " ").capitalize()


def value_unit(rule: Rule) -> str:
    """The unit of the rule's value."""
    if rule.silence == "blind" and not rule.when:
        return "s"
    if rule.function:
        return FUNCTION_UNITS.get(rule.function, "1")
    if not rule.when or rule.across == "all":
        return "1"
    if rule.when[0].aggregate == "count":
        return "1"
    return CATALOGUE.measurement(rule.measurement).field(rule.when[0].field).unit


def format_value(value: float, unit: str) -> str:
    """`0.873, ratio` → `87 %`; `5400, s` → `1 h 30 min`; `2e8, bit/s` → `200 Mbit/s`"""
    if unit == "ratio":
        percent = value * 100
        return (
            f"{percent:.0f} %" if percent >= 1 or percent == 0 else f"{percent:.2g} %"
        )
    if unit in _SECONDS:
        return duration_text(value * _SECONDS[unit]) if value >= 0 else "no time"
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if unit in ("bit/s", "byte") and value >= size:
            return f"{value / size:.3g} {prefix}{'B' if unit == 'byte' else unit}"
    number = f"{value:.0f}" if value == round(value) else f"{value:.3g}"
    if unit == "1/s":
        return f"{number} a second"
    return number if unit in ("1", "flag", "packet") else f"{number} {unit}"


def count_affected(
    alert_state: AlertState,
    states: AlertStates,
    window: Window,
    estate_index: EstateIndex,
) -> dict[str, int]:
    """How much depends on it: devices behind it that do not answer, the laptops last
    counted at their sites, and all other alerts that it explains."""
    behind = consequences(alert_state.key, states)
    affected: dict[str, int] = {}
    devices = {
        state.subject["device"]
        for state in behind
        if state.rule in ("device_unreachable", "device_not_measured")
        and state.subject.get("device")
    }
    if devices:
        affected["devices"] = len(devices)
    whole_sites = {state.site for state in behind if state.rule == "site_unreachable"}
    unreachable = {
        state.subject["device"]
        for state in (*behind, alert_state)
        if "device" in state.subject
    }
    whole_sites |= {
        site
        for site, tops in estate_index.tops.items()
        if tops
        and alert_state.rule == "device_unreachable"
        and set(tops) <= unreachable
    }
    if alert_state.rule in ("line_down", "site_unreachable", "calls_poor_site"):
        whole_sites.add(alert_state.site)
    whole_sites.discard("")
    if len(whole_sites) > 1 or (whole_sites and alert_state.site not in whole_sites):
        affected["sites"] = len(whole_sites)
    agents = sum(_agents_at(site, alert_state.since_ms, window) for site in whole_sites)
    # Groups too small to be reported are not in the window.
    if agents:
        affected["agents"] = agents
    rooms = {state.subject["room"] for state in behind if state.subject.get("room")}
    if rooms:
        affected["rooms"] = len(rooms)
    others = sum(not state.subject.get("room") for state in behind) - len(devices)
    if others > 0:
        affected["alerts"] = others
    return affected


def describe_affected(affected: Mapping[str, int]) -> str:
    """`4 devices, about 20 laptops`. The number of laptops is a rounded one. Pages,
    messages and the command line all use these words."""
    names = {
        "sites": ("site", "sites"),
        "devices": ("device", "devices"),
        "rooms": ("room with an event", "rooms with events"),
        "agents": ("laptop", "laptops"),
        "alerts": ("further alert", "further alerts"),
    }
    parts = []
    for name, count in affected.items():
        plain = name.replace("_", " ")
        one, many = names.get(name, (plain.removesuffix("s"), plain))
        about = "about " if name == "agents" else ""
        parts.append(about + counted(count, one, many))
    return ", ".join(parts)


def _root_cause_summary(
    alert_state: AlertState,
    states: AlertStates,
    rules: Rules,
    estate_index: EstateIndex,
) -> str:
    """The summary of the alert that explains this one; empty if none does."""
    cause = states.get(alert_state.suppressed_by)
    if cause is None:
        return ""
    rule = rules.find(cause.rule, cause.site)
    return (
        rule.summary.format_map(placeholder_values(cause, rule, estate_index))
        if rule
        else cause.key
    )


def _agents_at(site: str, since_ms: int, window: Window) -> int:
    """How many laptops were last counted at `site`, within the hour before."""
    counted = 0
    for series in window.series("experience"):
        if (
            series.tags.get("by") == "site"
            and series.tags.get("group") == site
            and since_ms - series.last_ms <= _AGENTS_COUNTED_WITHIN_MS
        ):
            agents = series.latest("agents")
            counted = int(agents) if isinstance(agents, int | float) else 0
    return counted
