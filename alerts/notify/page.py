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

from alerts.alert import SEVERITY_ORDER, Alert, Evidence, Severity
from alerts.alert_text import describe_affected, owner_text
from alerts.outbox_entry import AlertPart, NotificationKind
from probes.wire.counted_text import counted
from probes.wire.display import displayable, isolated, shortened
from probes.wire.durations import duration_text

_HEADINGS = {"critical": "CRITICAL", "warning": "Warning", "info": "Information"}
_PROBLEM, _RESOLVED = "PROBLEM", "RESOLVED"
# Text on white: 7.6:1, 5.9:1, 6.4:1; resolved 5.9:1.
_COLOURS = {"critical": "#a1001a", "warning": "#8a4b00", "info": "#1d5a96"}
_RESOLVED_COLOUR = "#1a6b2d"
_ACTIONS = {"acknowledge": "Acknowledge", "silence": "Silence"}
_MAX_ALERTS = 25
_IN_DIGEST = ("Since", "Lasted", "Affected", "Live events")
_MAX_IN_DIGEST = 100
_MAX_SUBJECT = 180
_MAX_SHORT = 200
_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("alerts.notify"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


ActionUrls = Mapping[str, str]
"""An action, such as `acknowledge` → its address."""


class PageAlert(msgspec.Struct, frozen=True):
    """One alert of a page, for channels that keep something for each. `is_over`: it has
    ended. `is_new`: this channel has not reported it before."""

    alert: Alert
    episode: str
    is_over: bool
    is_new: bool
    site_name: str
    url: str
    text: str


class Page(msgspec.Struct, frozen=True):
    """One message. `id` is the same however often it is sent; `thread` is the same for
    a page and its resolution. `data` is the message as JSON values. `short_text`: what
    to do and where to look, for text messages, after the subject. `is_retry`: an
    earlier attempt may have arrived."""

    id: str
    thread: str
    kind: NotificationKind
    severity: Severity
    subject: str
    text: str
    html: str
    short_text: str
    sent_ms: int
    data: dict[str, Any]
    alerts: tuple[PageAlert, ...]
    is_retry: bool = False


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
    actions: list[tuple[str, str]]


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
    parts: Sequence[AlertPart] | None = None,
    digest: bool = False,
    is_retry: bool = False,
    links: Mapping[str, ActionUrls] | None = None,
    reminder: int = 0,
    again: bool = False,
    thread: Sequence[str] = (),
) -> Page:
    """Returns the page of these alerts: one, those of one grouping window, or a digest.

    `episodes` name what it is about, and make it the same page when it is sent again.
    `notes` are sentences about the message itself, such as that it is late. `parts`:
    what is reported of each alert; if not given, by `kind`. `links`: episode → what the
    reader can do. `reminder`: tells messages apart that report the same again.
    `again`: all of it had ended, and has begun again. `thread`: the episodes of the
    page that it follows, if they are not the same.
    """
    settings = settings or PageSettings()
    names = {site: isolated(name) for site, name in (site_names or {}).items()}
    usual: AlertPart = "end" if kind == "resolution" else "beginning"
    shown_alerts = sorted(
        (
            _page_alert(
                alert,
                episode,
                part,
                now_ms,
                settings,
                names,
                digest,
                (links or {}).get(episode, {}),
            )
            for alert, episode, part in zip(
                alerts, episodes, parts or [usual] * len(alerts), strict=True
            )
        ),
        key=lambda item: (
            item[0].is_over,
            SEVERITY_ORDER[item[0].alert.severity],
            item[0].alert.since_ms,
            item[0].episode,
        ),
    )
    items = tuple(item for item, _ in shown_alerts)
    most = _MAX_IN_DIGEST if digest else _MAX_ALERTS
    own = _hash_of(episodes)
    repeats = "reminder" if reminder else "again" if again else ""
    subject = _subject(items, digest, repeats or ("update" if kind == "update" else ""))
    id = f"{own}-{kind}-{reminder}" if reminder else f"{own}-{kind}"
    shown = _ShownPage(
        subject=subject,
        notes=notes,
        alerts=[view for _, view in shown_alerts[:most]],
        more=max(0, len(items) - most),
        council=isolated(settings.council),
    )
    severity = items[0].alert.severity
    return Page(
        id=id,
        thread=_hash_of(thread) if thread else own,
        kind=kind,
        severity=severity,
        subject=subject,
        text=_plain_text(shown),
        html=_templates.get_template("email.html").render(page=shown),
        short_text=_short_text(shown.alerts[0]),
        sent_ms=now_ms,
        data={
            "version": 1,
            "id": id,
            "kind": kind,
            "severity": severity,
            "sent_ms": now_ms,
            "subject": subject,
            "digest": digest,
            "reminder": bool(reminder),
            "again": again,
            "notes": list(notes),
            "alerts": [
                {
                    **_isolated_texts(msgspec.to_builtins(item.alert)),
                    "key": item.alert.key,
                    "episode": item.episode,
                    "over": item.is_over,
                    "site_name": item.site_name,
                    "url": item.url,
                    "actions": dict((links or {}).get(item.episode, {})),
                }
                for item in items
            ],
        },
        alerts=items,
        is_retry=is_retry,
    )


def _hash_of(episodes: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(episodes)).encode()).hexdigest()[:32]


def status_page_url(base_url: str, alert: Alert) -> str:
    """The alert's address on the status page; empty without a base."""
    if not base_url:
        return ""
    if alert.site:
        return f"{base_url.rstrip('/')}/sites/{quote(alert.site)}"
    return f"{base_url.rstrip('/')}/alerts"


def _page_alert(
    alert: Alert,
    episode: str,
    part: AlertPart,
    now_ms: int,
    settings: PageSettings,
    names: Mapping[str, str],
    digest: bool,
    links: ActionUrls,
) -> tuple[PageAlert, _AlertView]:
    is_over = part != "beginning"
    rows = _rows(alert, is_over, now_ms, ZoneInfo(settings.timezone), names)
    if digest:
        # Only what tells causes apart; the rest is on the status page.
        rows = [row for row in rows if row[0] in _IN_DIGEST]
    view = _AlertView(
        heading=_RESOLVED if is_over else _HEADINGS[alert.severity],
        colour=_RESOLVED_COLOUR if is_over else _COLOURS[alert.severity],
        summary=isolated(alert.summary),
        rows=[(label, isolated(text)) for label, text in rows],
        url=status_page_url(settings.base_url, alert),
        # A digest has too many; the status page is one link away.
        actions=[]
        if digest
        else [(_ACTIONS[name], url) for name, url in links.items()],
    )
    site_name = names.get(alert.site, alert.site)
    item = PageAlert(
        alert, episode, is_over, part != "end", site_name, view.url, _view_text(view)
    )
    return item, view


def _rows(
    alert: Alert, is_over: bool, now_ms: int, zone: ZoneInfo, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if alert.site:
        rows.append(("Where", names.get(alert.site, alert.site)))
    rows.append(("Owner", owner_text(alert.owner)))
    since = _clock(alert.since_ms, zone)
    handled = []
    if alert.acknowledged_by and alert.acknowledged_ms is not None:
        at = _clock(alert.acknowledged_ms, zone)
        why = f": {alert.acknowledged_why}" if alert.acknowledged_why else ""
        handled = [("Acknowledged", f"by {alert.acknowledged_by}, {at}{why}")]
    if is_over and alert.resolved_ms is not None:
        lasted = duration_text((alert.resolved_ms - alert.since_ms) / 1000)
        until = _clock(alert.resolved_ms, zone)
        if until.partition(",")[0] == since.partition(",")[0]:
            until = until.partition(", ")[2]
        rows.append(("Lasted", f"{lasted}, {since} to {until}"))
        if alert.why:
            rows.append(("Closed because", f"{alert.why}; no recovery was measured"))
        if alert.suppressed_by:
            # Found after the page was sent.
            rows.append(("Cause", alert.cause))
        return rows + handled
    age = duration_text((now_ms - alert.since_ms) / 1000)
    rows.append(("Since", f"{since} ({age} ago)"))
    rows += handled
    if alert.flapping:
        rows.append(("Flapping", "it comes and goes; this is the only page"))
    affected = describe_affected(alert.affected)
    if affected:
        rows.append(("Affected", affected))
    if alert.events:
        rows.append(("Live events", "; ".join(alert.events)))
    if alert.cause:
        rows.append(("Probable cause", alert.cause))
    if alert.evidence:
        rows.append(("Evidence", _evidence_text(alert.evidence, zone)))
    if alert.sure:
        rows.append(("How sure", alert.sure))
    if alert.runbook:
        rows.append(("Do first", alert.runbook))
    return rows


def _evidence_text(evidence: Sequence[Evidence], zone: ZoneInfo) -> str:
    """`Port Gi1 of core-1 was shut (Mon 4 May, 14:02); core-2, next to it, answers`."""
    texts = [
        observed.text
        + (f" ({_clock(observed.at_ms, zone)})" if observed.at_ms is not None else "")
        for observed in evidence
    ]
    text = "; ".join(texts)
    return text[:1].upper() + text[1:]


def _isolated_texts(value: Any) -> Any:
    """The same JSON value, with characters made visible that would hide something."""
    if isinstance(value, str):
        return isolated(value)
    if isinstance(value, dict):
        return {name: _isolated_texts(item) for name, item in value.items()}
    return (
        [_isolated_texts(item) for item in value] if isinstance(value, list) else value
    )


def _subject(items: Sequence[PageAlert], digest: bool, repeats: str) -> str:
    """`PROBLEM (critical): …`, with `update`, `again` or `reminder` in the brackets, or
    `RESOLVED: …`: mail rules and service desks match the first word."""
    first = items[0].alert
    repeated = f", {repeats}" if repeats else ""
    problem = f"{_PROBLEM} ({first.severity}{repeated})"
    heading = _RESOLVED if items[0].is_over else problem
    over = sum(item.is_over for item in items)
    problems = len(items) - over
    if digest:
        others = [counted(problems - 1, "more problem")] if problems > 1 else []
        over -= items[0].is_over
        others += [f"{over} over"] if over else []
        more = f" (digest: and {', '.join(others)})" if others else " (digest)"
    else:
        more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    affected = "" if items[0].is_over or more else describe_affected(first.affected)
    tail = f": {affected} affected" if affected else ""
    room = _MAX_SUBJECT - len(heading) - len(more) - 2
    summary = displayable(" ".join(first.summary.split()))
    summary = shortened(summary, room)
    # A phone shows some 40 letters; the subject must stay one line anyway.
    text = displayable(f"{heading}: {summary}{more}{tail}")
    return shortened(text, _MAX_SUBJECT)


def _plain_text(page: _ShownPage) -> str:
    parts = ["\n".join(page.notes)] if page.notes else []
    parts += [_view_text(alert) for alert in page.alerts]
    if page.more:
        parts.append(f"… and {page.more} more.")
    return "\n\n".join(parts) + f"\n\n-- \nSent by Towpath for {page.council}\n"


def _short_text(view: _AlertView) -> str:
    rows = dict(view.rows)
    text = rows.get("Lasted") or rows.get("Do first") or rows.get("Since") or ""
    text = shortened(text, _MAX_SHORT)
    return "\n".join(part for part in (text, view.url) if part)


def _view_text(view: _AlertView) -> str:
    lines = [f"{view.heading}: {view.summary}"]
    lines += [f"{label}: {text}" for label, text in view.rows]
    if view.url:
        lines.append(view.url)
    lines += [f"{label}: {url}" for label, url in view.actions]
    return "\n".join(lines)


def _clock(ms: int, zone: ZoneInfo) -> str:
    """`Mon 4 May, 14:05`, in the council's own time."""
    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b, %H:%M}"
