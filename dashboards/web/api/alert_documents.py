"""What the API shows of alerts, silences and maintenance, and what it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from alerts.alert import Alert
from alerts.maintenance_windows import MaintenanceWindow
from alerts.silence import SCOPES, Silence
from dashboards.web.action_pages import LONGEST_WHO, LONGEST_WHY
from dashboards.web.api.estate_documents import Severity, utc, utc_time

# One line: no controls, no line ends, nothing that turns the direction of text in a
# list or a page. Python's `$` would let a line end pass at the end.
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$(?!\n)"
Who = Annotated[
    str,
    msgspec.Meta(
        max_length=LONGEST_WHO,
        pattern=_LINE,
        description="the person for whom a program does it",
        examples=["Ada Lovelace"],
    ),
]
_WHY = ["new switch"]
Why = Annotated[str, msgspec.Meta(max_length=LONGEST_WHY, pattern=_LINE, examples=_WHY)]
Reason = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=LONGEST_WHY, pattern=_LINE, examples=_WHY),
]
Name = Annotated[
    str, msgspec.Meta(max_length=100, pattern=_LINE, examples=["town-hall"])
]
AlertState = Literal["pending", "firing", "resolved", "baseline"]


class EvidenceDocument(msgspec.Struct, frozen=True):
    """One observation; `at`: when, if it is an event."""

    text: str
    at: datetime | None


class AlertDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One rule's alert about one subject. `id` is of this one time; `key` is the same
    each time. `suppressed_by`: the key of the alert that explains it. `affected`: how
    many depend on it; groups that are too small are left out."""

    id: str
    key: str
    rule: str
    title: str
    subject: Mapping[str, str]
    site: str
    severity: Severity
    state: AlertState
    since_at: datetime
    firing_at: datetime | None
    resolved_at: datetime | None
    value: float | None
    summary: str
    cause: str
    runbook: str
    owner: str
    suppressed_by: str
    affected: Mapping[str, int]
    domain: str
    evidence: tuple[EvidenceDocument, ...]
    events: tuple[str, ...]
    silenced_until_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    acknowledged_why: str


class SilenceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """No pages from `from_at` to `until_at` for what it names; several names are an
    intersection. `is_planned`: maintenance, which reports show separately."""

    id: int
    site: str
    device: str
    line: str
    supplier: str
    rule: str
    from_at: datetime
    until_at: datetime
    why: str
    who: str
    is_planned: bool
    is_active: bool
    window: str


class WindowDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Maintenance that recurs. `start` is local time."""

    id: str
    start: str
    rrule: str
    lasts: str
    scope: Mapping[str, str]
    why: str
    who: str


class PlannedDocument(msgspec.Struct, frozen=True):
    """What was planned, in sentences."""

    planned: tuple[str, ...]


class AcknowledgeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who works on an alert, and what they do."""

    who: Who = ""
    why: Why = ""


class ScopeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a silence or maintenance is about: at least one name."""

    site: Name = ""
    device: Name = ""
    line: Name = ""
    supplier: Name = ""
    rule: Name = ""

    @property
    def named(self) -> dict[str, str]:
        return {kind: name for kind in SCOPES if (name := getattr(self, kind))}


class SilenceBody(ScopeBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No pages for `lasting_s` from now."""

    lasting_s: Annotated[int, msgspec.Meta(ge=60, le=31 * 86_400)]
    why: Reason
    who: Who = ""


class MaintenanceBody(ScopeBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Planned work. `start` (local time of the council, such as `2026-12-01 22:00`;
    else now), then either `lasts` (`2h`) or `end`. `rrule` repeats it."""

    why: Reason
    start: Annotated[str, msgspec.Meta(max_length=30)] = ""
    end: Annotated[str, msgspec.Meta(max_length=30)] = ""
    lasts: Annotated[str, msgspec.Meta(max_length=30)] = ""
    rrule: Annotated[str, msgspec.Meta(max_length=200)] = ""
    who: Who = ""


def alert_id(alert: Alert) -> str:
    """Names one time that an alert fires. It is short, and safe in any address."""
    named = f"{alert.since_ms} {alert.key}".encode(errors="surrogatepass")
    return hashlib.blake2b(named, digest_size=8).hexdigest()


def alert_document(alert: Alert) -> AlertDocument:
    return AlertDocument(
        id=alert_id(alert),
        key=alert.key,
        rule=alert.rule,
        title=alert.title,
        subject=alert.subject,
        site=alert.site,
        severity=alert.severity,
        state=alert.state,
        since_at=utc_time(alert.since_ms),
        firing_at=utc(alert.firing_ms),
        resolved_at=utc(alert.resolved_ms),
        value=alert.value,
        summary=alert.summary,
        cause=alert.cause,
        runbook=alert.runbook,
        owner=alert.owner,
        suppressed_by=alert.suppressed_by,
        affected=alert.affected,
        domain=alert.domain,
        evidence=tuple(
            EvidenceDocument(one.text, utc(one.at_ms)) for one in alert.evidence
        ),
        events=alert.events,
        silenced_until_at=utc(alert.silenced_until_ms or None),
        acknowledged_at=utc(alert.acknowledged_ms),
        acknowledged_by=alert.acknowledged_by,
        acknowledged_why=alert.acknowledged_why,
    )


def silence_document(silence: Silence, now_ms: int) -> SilenceDocument:
    return SilenceDocument(
        id=silence.id,
        site=silence.site,
        device=silence.device,
        line=silence.line,
        supplier=silence.supplier,
        rule=silence.rule,
        from_at=utc_time(silence.from_ms),
        until_at=utc_time(silence.until_ms),
        why=silence.why,
        who=silence.who,
        is_planned=bool(silence.planned),
        is_active=silence.is_active(now_ms),
        window=silence.uid,
    )


def window_document(id: str, window: MaintenanceWindow) -> WindowDocument:
    return WindowDocument(
        id=id,
        start=f"{window.start:%Y-%m-%d %H:%M}",
        rrule=window.rrule,
        lasts=window.lasts,
        scope=window.named,
        why=window.why,
        who=window.who,
    )
