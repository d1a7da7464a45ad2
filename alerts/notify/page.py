"""`Page`: what one message says, built once and sent as it is on every channel.

It is read on a phone, at night: first what and where, then whom it touches, what to do
first, and since when. Meaning is never in colour alone (WCAG 2.2, 1.4.1); contrast is
at least 4.5:1 (1.4.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec

from alerts.alert import Alert, Severity
from alerts.alert_text import say_affected
from probes.wire.display import displayable, isolated
from probes.wire.durations import duration_text

Kind = Literal["page", "resolution"]
_ORDER: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}
_WORD = {"critical": "CRITICAL", "warning": "Warning", "info": "Information"}
# Text on white: 7.6:1, 5.9:1, 6.4:1; resolved 5.9:1.
_COLOUR = {"critical": "#a1001a", "warning": "#8a4b00", "info": "#1d5a96"}
_OVER_COLOUR = "#1a6b2d"
_MANY = 25


class Page(msgspec.Struct, frozen=True):
    """One message. `id` is the same however often it is sent; `thread` is the same for
    a page and its resolution. `data` is the message as JSON values."""

    id: str
    thread: str
    kind: Kind
    severity: Severity
    subject: str
    text: str
    html: str
    data: dict[str, Any]


def build(
    alerts: Sequence[Alert],
    kind: Kind,
    episodes: Sequence[str],
    now_ms: int,
    base_url: str = "",
    timezone: str = "Europe/London",
    site_names: Mapping[str, str] | None = None,
    council: str = "Towpath",
    notes: Sequence[str] = (),
) -> Page:
    """The page of these alerts (one, or those of one grouping window); `episodes`
    name what it is about and make it the same page when it is sent again. `notes` are
    sentences about the message itself, such as that it comes late."""
    pairs = sorted(
        zip(alerts, episodes, strict=True),
        key=lambda pair: (_ORDER[pair[0].severity], pair[0].since_ms, pair[1]),
    )
    ordered = [alert for alert, _ in pairs]
    names = {site: isolated(name) for site, name in (site_names or {}).items()}
    council = isolated(council)
    zone = ZoneInfo(timezone)
    worst = ordered[0].severity
    thread = hashlib.sha256("\n".join(sorted(episodes)).encode()).hexdigest()[:32]
    views = [_view(a, kind, now_ms, base_url, zone, names) for a in ordered]
    return Page(
        id=f"{thread}-{kind}",
        thread=thread,
        kind=kind,
        severity=worst,
        subject=_subject(ordered, kind),
        text=_text(views, kind, council, notes),
        html=_html(views, _subject(ordered, kind), kind, council, notes),
        data={
            "version": 1,
            "id": f"{thread}-{kind}",
            "kind": kind,
            "severity": worst,
            "sent_ms": now_ms,
            "subject": _subject(ordered, kind),
            "notes": list(notes),
            "alerts": [
                {
                    **_displayable(msgspec.to_builtins(alert)),
                    "key": alert.key,
                    "episode": episode,
                    "site_name": names.get(alert.site, alert.site),
                    "url": link(base_url, alert),
                }
                for alert, episode in pairs
            ],
        },
    )


def link(base_url: str, alert: Alert) -> str:
    """Where the status page shows it; empty without a base."""
    if not base_url:
        return ""
    if alert.site:
        return f"{base_url.rstrip('/')}/sites/{quote(alert.site)}"
    return f"{base_url.rstrip('/')}/alerts"


class _View(msgspec.Struct, frozen=True):
    """One alert in words: a headline, then rows of (label, words)."""

    severity: Severity
    headline: str
    rows: list[tuple[str, str]]
    url: str


def _view(
    alert: Alert,
    kind: Kind,
    now_ms: int,
    base_url: str,
    zone: ZoneInfo,
    names: Mapping[str, str],
) -> _View:
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
            rows.append(("Closed", f"{alert.why}; that it is well was not seen"))
    else:
        age = duration_text((now_ms - alert.since_ms) / 1000)
        rows.append(("Since", f"{since} ({age} ago)"))
        if alert.flapping:
            rows.append(("Flapping", "it comes and goes; you are told once"))
        affected = say_affected(alert.affected)
        if affected:
            rows.append(("Affected", affected))
        if alert.cause:
            rows.append(("Probable cause", alert.cause))
        if alert.runbook:
            rows.append(("Do first", alert.runbook))
    shown = [(label, isolated(words)) for label, words in rows]
    return _View(alert.severity, isolated(alert.summary), shown, link(base_url, alert))


def _displayable(value: Any) -> Any:
    """The same JSON value, whose texts hide nothing."""
    if isinstance(value, str):
        return isolated(value)
    if isinstance(value, dict):
        return {name: _displayable(each) for name, each in value.items()}
    return [_displayable(each) for each in value] if isinstance(value, list) else value


def _subject(alerts: Sequence[Alert], kind: Kind) -> str:
    first = alerts[0]
    over = kind == "resolution"
    head = "Over" if over else _WORD[first.severity]
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    affected = "" if over or more else say_affected(first.affected)
    tail = f": {affected} affected" if affected else ""
    text = displayable(" ".join(f"{head}: {first.summary}{more}{tail}".split()))
    # A phone shows some 40 letters; the mail must stay one line anyway.
    return text if len(text) <= 180 else text[:179] + "…"


def _text(
    views: Sequence[_View], kind: Kind, council: str, notes: Sequence[str]
) -> str:
    parts = ["\n".join(notes)] if notes else []
    for view in views[:_MANY]:
        word = "Over" if kind == "resolution" else _WORD[view.severity]
        lines = [f"{word}: {view.headline}"]
        lines += [f"{label}: {words}" for label, words in view.rows]
        if view.url:
            lines.append(view.url)
        parts.append("\n".join(lines))
    if len(views) > _MANY:
        parts.append(f"… and {len(views) - _MANY} more.")
    return "\n\n".join(parts) + f"\n\n-- \nSent by Towpath for {council}\n"


def _html(
    views: Sequence[_View], title: str, kind: Kind, council: str, notes: Sequence[str]
) -> str:
    """One column of plain blocks with inline styles, as mail programs want it."""
    blocks = [f"<p>{escape(note)}</p>" for note in notes]
    for view in views[:_MANY]:
        over = kind == "resolution"
        colour = _OVER_COLOUR if over else _COLOUR[view.severity]
        word = "Over" if over else _WORD[view.severity]
        rows = "".join(
            f'<dt style="margin:0.75em 0 0;font-weight:bold">{escape(label)}</dt>'
            f'<dd style="margin:0.1em 0 0">{escape(words)}</dd>'
            for label, words in view.rows
        )
        button = (
            f'<p style="margin:1.25em 0 0"><a href="{escape(view.url)}" '
            'style="display:inline-block;padding:0.75em 1em;background:#1d3557;'
            'color:#ffffff;text-decoration:underline;border-radius:4px">'
            "Open the status page</a></p>"
            if view.url
            else ""
        )
        blocks.append(
            f'<section style="margin:0 0 1.5em;padding:0.5em 0 0.75em 1em;'
            f'border-left:6px solid {colour}">'
            f'<p style="margin:0;font-weight:bold;color:{colour}">{word}</p>'
            f'<h1 style="margin:0.15em 0 0;font-size:1.25em;line-height:1.3">'
            f"{escape(view.headline)}</h1>"
            f'<dl style="margin:0">{rows}</dl>{button}</section>'
        )
    if len(views) > _MANY:
        blocks.append(f"<p>… and {len(views) - _MANY} more.</p>")
    return (
        '<!DOCTYPE html><html lang="en-GB"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title></head>"
        '<body style="margin:0;padding:1em;background:#ffffff;color:#1a1a1a;'
        "font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:1.45;"
        'overflow-wrap:break-word">'
        f'<main style="max-width:38em;margin:0 auto">{"".join(blocks)}'
        '<p style="margin:0;color:#555555;font-size:0.875em">'
        f"Sent by Towpath for {escape(council)}</p></main></body></html>"
    )


def _clock(ms: int, zone: ZoneInfo) -> str:
    """`Mon 4 May, 14:05`, in the council's own time."""
    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b, %H:%M}"
