"""`Page`: the text of one message, built once and sent as it is on every channel.

It is read on a phone, at night: first what and where, then since when, who is affected
and what to do first. No meaning is in colour alone (WCAG 2.2, 1.4.1), and contrast is
at least 4.5:1 (1.4.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import jinja2
import msgspec

from alerts.alert import Alert, Severity
from alerts.alert_text import describe_affected
from alerts.outbox import NotificationKind
from probes.wire.display import displayable, isolated
from probes.wire.durations import duration_text

_ORDER: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}
_HEADINGS = {"critical": "CRITICAL", "warning": "Warning", "info": "Information"}
_RESOLVED = "RESOLVED"
# Text on white: 7.6:1, 5.9:1, 6.4:1; resolved 5.9:1.
_COLOURS = {"critical": "#a1001a", "warning": "#8a4b00", "info": "#1d5a96"}
_RESOLVED_COLOUR = "#1a6b2d"
_MAX_ALERTS = 25
_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("alerts.notify"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


class Page(msgspec.Struct, frozen=True):
    """One message. `id` is the same however often it is sent; `thread` is the same for
    a page and its resolution. `data` is the message as JSON values."""

    id: str
    thread: str
    kind: NotificationKind
    severity: Severity
    subject: str
    text: str
    html: str
    data: dict[str, Any]


class PageSettings(msgspec.Struct, frozen=True):
    """What all pages share: the status page's address, the time zone and the name."""

    base_url: str = ""
    timezone: str = "Europe/London"
    council: str = "Towpath"


class _AlertView(msgspec.Struct, frozen=True):
    """One alert as text: heading and summary, then rows of (label, text)."""

    heading: str
    colour: str
    summary: str
    rows: list[tuple[str, str]]
    url: str


class _ShownPage(msgspec.Struct, frozen=True):
    """What both forms of a message show; `more` counts the alerts left out."""

    subject: str
    notes: Sequence[str]
    alerts: list[_AlertView]
    more: int
    council: str


def build_page(
    alerts: Sequence[Alert],
    kind: NotificationKind,
    episodes: Sequence[str],
    now_ms: int,
    settings: PageSettings | None = None,
    site_names: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Page:
    """Returns the page of these alerts: one, or those of one grouping window.

    `episodes` name what it is about, and make it the same page when it is sent again.
    `notes` are sentences about the message itself, such as that it is late.
    """
    settings = settings or PageSettings()
    pairs = sorted(
        zip(alerts, episodes, strict=True),
        key=lambda pair: (_ORDER[pair[0].severity], pair[0].since_ms, pair[1]),
    )
    ordered = [alert for alert, _ in pairs]
    names = {site: isolated(name) for site, name in (site_names or {}).items()}
    worst = ordered[0].severity
    thread = hashlib.sha256("\n".join(sorted(episodes)).encode()).hexdigest()[:32]
    subject = _subject(ordered, kind)
    shown = _ShownPage(
        subject=subject,
        notes=notes,
        alerts=[
            _alert_view(alert, kind, now_ms, settings, names)
            for alert in ordered[:_MAX_ALERTS]
        ],
        more=max(0, len(ordered) - _MAX_ALERTS),
        council=isolated(settings.council),
    )
    return Page(
        id=f"{thread}-{kind}",
        thread=thread,
        kind=kind,
        severity=worst,
        subject=subject,
        text=_plain_text(shown),
        html=_templates.get_template("email.html").render(page=shown),
        data={
            "version": 1,
            "id": f"{thread}-{kind}",
            "kind": kind,
            "severity": worst,
            "sent_ms": now_ms,
            "subject": subject,
            "notes": list(notes),
            "alerts": [
                {
                    **_isolated_texts(msgspec.to_builtins(alert)),
                    "key": alert.key,
                    "episode": episode,
                    "site_name": names.get(alert.site, alert.site),
                    "url": status_page_url(settings.base_url, alert),
                }
                for alert, episode in pairs
            ],
        },
    )


def status_page_url(base_url: str, alert: Alert) -> str:
    """The alert's address on the status page; empty without a base."""
    if not base_url:
        return ""
    if alert.site:
        return f"{base_url.rstrip('/')}/sites/{quote(alert.site)}"
    return f"{base_url.rstrip('/')}/alerts"


def _alert_view(
    alert: Alert,
    kind: NotificationKind,
    now_ms: int,
    settings: PageSettings,
    names: Mapping[str, str],
) -> _AlertView:
    zone = ZoneInfo(settings.timezone)
    rows: list[tuple[str, str]] = []
    if alert.site:
        rows.append(("Where", names.get(alert.site, alert.site)))
    since = _clock(alert.since_ms, zone)
    if kind == "resolution" and alert.resolved_ms is not None:
        lasted = duration_text((alert.resolved_ms - alert.since_ms) / 1000)
        until = _clock(alert.resolved_ms, zone)
        if until.partition(",")[0] == since.partition(",")[0]:
            until = until.partition(", ")[2]
        rows.append(("Lasted", f"{lasted}, {since} to {until}"))
        if alert.why:
            rows.append(("Closed because", f"{alert.why}; no recovery was measured"))
    else:
        age = duration_text((now_ms - alert.since_ms) / 1000)
        rows.append(("Since", f"{since} ({age} ago)"))
        if alert.flapping:
            rows.append(("Flapping", "it comes and goes; this is the only page"))
        affected = describe_affected(alert.affected)
        if affected:
            rows.append(("Affected", affected))
        if alert.cause:
            rows.append(("Probable cause", alert.cause))
        if alert.runbook:
            rows.append(("Do first", alert.runbook))
    return _AlertView(
        heading=_RESOLVED if kind == "resolution" else _HEADINGS[alert.severity],
        colour=_RESOLVED_COLOUR if kind == "resolution" else _COLOURS[alert.severity],
        summary=isolated(alert.summary),
        rows=[(label, isolated(text)) for label, text in rows],
        url=status_page_url(settings.base_url, alert),
    )


def _isolated_texts(value: Any) -> Any:
    """The same JSON value, with characters made visible that would hide something."""
    if isinstance(value, str):
        return isolated(value)
    if isinstance(value, dict):
        return {name: _isolated_texts(item) for name, item in value.items()}
    return (
        [_isolated_texts(item) for item in value] if isinstance(value, list) else value
    )


def _subject(alerts: Sequence[Alert], kind: NotificationKind) -> str:
    first = alerts[0]
    is_resolved = kind == "resolution"
    heading = _RESOLVED if is_resolved else _HEADINGS[first.severity]
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    affected = "" if is_resolved or more else describe_affected(first.affected)
    tail = f": {affected} affected" if affected else ""
    text = displayable(" ".join(f"{heading}: {first.summary}{more}{tail}".split()))
    # A phone shows some 40 letters; the subject must stay one line anyway.
    return text if len(text) <= 180 else text[:179] + "…"


def _plain_text(page: _ShownPage) -> str:
    parts = ["\n".join(page.notes)] if page.notes else []
    for alert in page.alerts:
        lines = [f"{alert.heading}: {alert.summary}"]
        lines += [f"{label}: {text}" for label, text in alert.rows]
        if alert.url:
            lines.append(alert.url)
        parts.append("\n".join(lines))
    if page.more:
        parts.append(f"… and {page.more} more.")
    return "\n\n".join(parts) + f"\n\n-- \nSent by Towpath for {page.council}\n"


def _clock(ms: int, zone: ZoneInfo) -> str:
    """`Mon 4 May, 14:05`, in the council's own time."""
    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b, %H:%M}"
