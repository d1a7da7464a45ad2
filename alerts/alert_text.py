"""Entries as people read them: summaries filled in, values with their units, counts of
who is affected."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.alert import Alert
from alerts.estate_index import Topology
from alerts.evaluate import Entry, Standing
from alerts.rule import Rule
from alerts.rule_files import Rules
from alerts.suppression import consequences
from alerts.window import Window
from collectors.server_measurements import CATALOGUE
from probes.wire.display import isolated
from probes.wire.durations import duration_text

_AGENTS_HEARD_WITHIN_MS = 3_600_000
_SECONDS = {"s": 1, "ms": 0.001, "min": 60, "h": 3_600, "d": 86_400}


# What a text of a rule reads for no alert in particular: in lists of rules.
IN_GENERAL = {
    "address": "ADDRESS",
    "channel": "CHANNEL",
    "circuit_ref": "REFERENCE",
    "class": "what it senses",
    "device_name": "the device",
    "event": "fan, temperature, stack …",
    "expected_why": "why",
    "folder": "state, journal or store",
    "gateway_name": "the gateway",
    "group": "that provider",
    "host": "the gateway's address",
    "line_device": "the device that the line ends on",
    "line_role": "primary or backup",
    "mostly": "one place (the page says which)",
    "outcome": "the reason",
    "parent_name": "the device above it",
    "pool": "the pool",
    "port": "the port",
    "process": "that process",
    "processor": "the processor",
    "reader": "the reader",
    "reading": "what it shows",
    "sensor": "the sensor",
    "site_name": "the site",
    "supplier": "the supplier",
    "supplier_phone": "its number",
    "support_hours": "its hours",
    "text": "what the device says",
    "threshold": "the limit",
    "value": "how much",
}
# What reads in a page if it is not known: not every row has every field.
_UNKNOWN = {
    "expected_why": "as the estate says",
    "mostly": "a place that is not known yet",
    "outcome": "the reason is not known",
    "reading": "by its own limits",
    "text": "it gives no details",
    "value": "an unknown amount",
}


class _Words(dict[str, str]):
    """A word that is not known reads as one that says so, rather than ending a page."""

    def __missing__(self, key: str) -> str:
        return _UNKNOWN.get(key) or IN_GENERAL.get(key) or "unknown"


def alert_of(
    entry: Entry,
    standing: Standing,
    rules: Rules,
    window: Window,
    topology: Topology,
) -> Alert:
    """`entry` as everybody is shown it."""
    rule = rules.of(entry.rule, entry.site)
    words = fill(entry, rule, topology)
    affected: dict[str, int] = {}
    if entry.is_open and not entry.suppressed_by:
        affected = count_affected(entry, standing, window, topology)
    return Alert(
        rule=entry.rule,
        subject=entry.subject,
        severity=rule.severity if rule else "info",
        state=entry.state,
        since_ms=entry.since_ms,
        site=entry.site,
        firing_ms=entry.firing_ms,
        resolved_ms=entry.resolved_ms,
        value=entry.value,
        summary=rule.summary.format_map(words) if rule else entry.key,
        cause=_cause(entry, standing, rules, topology)
        or (rule.cause.format_map(words) if rule else ""),
        runbook=rule.runbook.format_map(words) if rule else "",
        suppressed_by=entry.suppressed_by,
        explained_by=entry.explained_by,
        affected=affected,
        title=rule.title if rule else entry.rule,
        why=entry.why,
        flapping=entry.flapping,
        paged_ms=entry.paged_ms,
        silenced_until_ms=entry.silenced_until_ms,
    )


def fill(entry: Entry, rule: Rule | None, topology: Topology) -> Mapping[str, str]:
    """Every word a text of `rule` may use, for this entry."""
    site = topology.sites.get(entry.site)
    words = {
        **{name: str(value) for name, value in entry.shows.items()},
        **entry.subject,
        "site_name": site.name if site else entry.site or "an unknown site",
    }
    if rule is not None and entry.value is not None:
        words["value"] = say(entry.value, unit_of(rule))
    if rule is not None and rule.when:
        words["threshold"] = say(rule.when[0].threshold, unit_of(rule))
    device = topology.devices.get(entry.subject.get("device", ""))
    if device is not None:
        parent = topology.devices.get(device.parent or "")
        words["device_name"] = device.name or device.id
        words["address"] = str(device.address)
        if parent is not None:
            words["parent_name"] = parent.name or parent.id
    line = topology.lines.get(entry.subject.get("line", ""))
    if line is not None:
        words["supplier"] = line.supplier or "the supplier"
        words["supplier_phone"] = line.supplier_phone or "no number recorded"
        words["support_hours"] = line.support_hours or "hours not recorded"
        words["circuit_ref"] = line.circuit_ref or line.id
        words["line_role"] = line.role
        ends = topology.devices.get(line.device)
        words["line_device"] = (ends.name if ends else "") or line.device
    gateway = topology.gateways.get(entry.subject.get("gateway", ""))
    if gateway is not None:
        words["gateway_name"] = gateway.name or gateway.id
        words["host"] = gateway.host
    for name, subject in (("device_name", "device"), ("gateway_name", "gateway")):
        if subject in entry.subject:
            words.setdefault(name, entry.subject[subject])
    if rule is not None and "text" in rule.shows:
        words.setdefault("text", rule.title)
    if "process" in entry.subject:
        words["process"] = _process(entry.subject["process"])
    if "sensor" in entry.subject:
        # A state says more than that it is one.
        shown = words.get("state") or words.get("class", "")
        words["reading"] = _UNKNOWN["reading"] if shown == "state" else shown
    return _Words({name: isolated(word) for name, word in words.items() if word})


def _process(name: str) -> str:
    """`all` is Towpath, `poll` its poll role, `alert-web` Towpath (alert, web)."""
    roles = name.split("-")
    if name in ("all", ""):
        return "Towpath"
    if len(roles) == 1:
        return f"Towpath's {name} role"
    return f"Towpath ({', '.join(roles)})"


def unit_of(rule: Rule) -> str:
    """The unit of the rule's value."""
    if rule.silence == "blind" and not rule.when:
        return "s"
    if not rule.when or rule.across == "all":
        return "1"
    if rule.when[0].aggregate == "count":
        return "1"
    return CATALOGUE.measurement(rule.measurement).field(rule.when[0].field).unit


def say(value: float, unit: str) -> str:
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
    return number if unit in ("1", "flag", "packet") else f"{number} {unit}"


def count_affected(
    entry: Entry, standing: Standing, window: Window, topology: Topology
) -> dict[str, int]:
    """What hangs on it: devices that do not answer behind it, the laptops last heard
    at their sites, and every other alert it stands for."""
    behind = consequences(entry.key, standing)
    found: dict[str, int] = {}
    devices = {
        e.subject["device"]
        for e in behind
        if e.rule in ("device_unreachable", "device_not_measured")
        and e.subject.get("device")
    }
    if devices:
        found["devices"] = len(devices)
    whole_sites = {e.site for e in behind if e.rule == "site_unreachable"}
    cut = {e.subject["device"] for e in (*behind, entry) if "device" in e.subject}
    whole_sites |= {
        site
        for site, tops in topology.tops.items()
        if tops and entry.rule == "device_unreachable" and set(tops) <= cut
    }
    if entry.rule in ("line_down", "site_unreachable", "calls_poor_site"):
        whole_sites.add(entry.site)
    whole_sites.discard("")
    if len(whole_sites) > 1 or (whole_sites and entry.site not in whole_sites):
        found["sites"] = len(whole_sites)
    agents = sum(_agents_at(site, entry.since_ms, window) for site in whole_sites)
    # Groups too small to be shown are not in the window.
    if agents:
        found["agents"] = agents
    others = len(behind) - len(devices)
    if others > 0:
        found["alerts"] = others
    return found


def say_affected(affected: Mapping[str, int]) -> str:
    """`4 devices, about 20 laptops`: their number is rounded. The same words in pages,
    messages and the shell."""
    names = {
        "sites": ("site", "sites"),
        "devices": ("device", "devices"),
        "agents": ("laptop", "laptops"),
        "alerts": ("further alert", "further alerts"),
    }
    parts = []
    for name, count in affected.items():
        plain = name.replace("_", " ")
        one, many = names.get(name, (plain.removesuffix("s"), plain))
        about = "about " if name == "agents" else ""
        parts.append(f"{about}{count:,} {one if count == 1 else many}")
    return ", ".join(parts)


def _cause(entry: Entry, standing: Standing, rules: Rules, topology: Topology) -> str:
    """For what another alert explains: that alert's summary."""
    cause = standing.get(entry.suppressed_by)
    if cause is None:
        return ""
    rule = rules.of(cause.rule, cause.site)
    return rule.summary.format_map(fill(cause, rule, topology)) if rule else cause.key


def _agents_at(site: str, since_ms: int, window: Window) -> int:
    """Laptops at `site` when they were last counted, within the hour before."""
    counted = 0
    for series in window.series("experience"):
        if (
            series.tags.get("by") == "site"
            and series.tags.get("group") == site
            and since_ms - series.last_ms <= _AGENTS_HEARD_WITHIN_MS
        ):
            agents = series.latest("agents")
            counted = int(agents) if isinstance(agents, int | float) else 0
    return counted
