"""Rows of the made-up council about alerts, silences and the state of its sites."""

from __future__ import annotations

from collections.abc import Iterator

from collectors.estate import Estate
from probes.wire.sample import Sample, Value

MINUTE_MS = 60_000
# Where the sites are, and how they do.
PLACES = {"town-hall": (52.63, -1.13), "library": (52.64, -1.12)}
STATES = {"town-hall": (0, 0, "Working"), "library": (1, 3, "Degraded")}
LEVELS = {"info": 1, "warning": 3, "critical": 4}


def alert_rows(at: int) -> Iterator[Sample]:
    """A full line at the library, a depot behind a dead line, and a short fault at the
    town hall that ended; incidents each half hour; maintenance at the depot."""
    yield _alert("line_full", "library", "line=lib-wan", "warning", at, line="lib-wan")
    yield _alert("line_down", "depot", "line=dep-wan", "critical", at, line="dep-wan")
    yield _alert(
        "device_unreachable",
        "depot",
        "device=dep-sw1",
        "critical",
        at,
        device="dep-sw1",
        suppressed=1,
        explained_by="line_down/line=dep-wan",
    )
    yield _alert(
        "port_errors",
        "town-hall",
        "device=th-sw1,port=Gi1/0/1",
        "warning",
        at,
        device="th-sw1",
        port="Gi1/0/1",
        state="resolved",
        firing=0,
        until_ms=at,
    )
    if at % (30 * MINUTE_MS) < MINUTE_MS:
        for severity, rule, subject in (
            ("critical", "line_down", "line=dep-wan"),
            ("warning", "port_errors", "device=dep-sw1,port=Gi1/0/1"),
            ("info", "device_restarted", "device=dep-sw2"),
        ):
            yield _incident(severity, rule, subject, at)
    yield Sample(
        "silence",
        {
            "silence": "1",
            "site": "depot",
            "device": "dep-sw1",
            "rule": "",
            "line": "",
            "supplier": "",
        },
        {
            "planned": 1,
            "active": 1,
            "from_ms": at - 3_600_000,
            "until_ms": at + 3_600_000,
            "covers": 1,
            "why": "new power supply",
        },
        at,
    )


def _incident(severity: str, rule: str, subject: str, at: int) -> Sample:
    tags = {"rule": rule, "site": "depot", "subject": subject, "severity": severity}
    fields: dict[str, Value] = {
        "level": LEVELS[severity],
        "until_ms": at + 30_000,
        "lasted_s": 30.0,
        "title": rule.replace("_", " "),
        "summary": "Highways Depot is cut off: its line dep-wan is down",
        "cause": "The supplier's box has no power",
        "affected": "2 devices",
    }
    return Sample("incident", tags, fields, at)


def _alert(
    rule: str, site: str, subject: str, severity: str, at: int, **more: Value
) -> Sample:
    since_ms = at - at % 3_600_000
    fields: dict[str, Value] = {
        "state": "firing",
        "firing": 1,
        "suppressed": 0,
        "level": LEVELS[severity],
        "since_ms": since_ms,
        "title": rule.replace("_", " "),
        "summary": f"{subject} at {site}: {rule.replace('_', ' ')}",
        "cause": "backups by day",
        "affected": "2 devices",
        **more,
    }
    if at - since_ms < MINUTE_MS or not fields["firing"]:
        fields["changed"] = 1
    tags = {"rule": rule, "site": site, "subject": subject, "severity": severity}
    return Sample("alert", tags, fields, at)


def site_rows(council: Estate, at: int) -> Iterator[Sample]:
    for site in council.sites:
        state, urgency, text = STATES.get(site.id, (3, 5, "Down"))
        devices = sum(device.site == site.id for device in council.devices)
        fields: dict[str, Value] = {
            "state": state,
            "urgency": urgency,
            "state_text": text,
            "name": site.name,
            "devices": devices,
            "devices_up": 0 if text == "Down" else devices,
            "lines": 1,
            "lines_up": int(text != "Down"),
            "alerts_firing": int(urgency > 0),
            "busiest_line": f"{site.id}-wan",
            "busiest_line_use_ratio": 0.2 + urgency / 10,
            "call_poor_ratio": 0.02 * urgency,
        }
        if urgency:
            fields["why"] = f"{site.name} is {text.lower()} for a reason"
        if site.id in PLACES:
            fields["latitude"], fields["longitude"] = PLACES[site.id]
        yield Sample("site", {"site": site.id}, fields, at)
