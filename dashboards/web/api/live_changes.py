"""What has changed between two states of the estate, as updates for pages. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from alerts.alert import Alert
from dashboards.web.api.alert_documents import alert_document
from dashboards.web.api.document_makers import site_document
from dashboards.web.page_views import Overview

UpdateKind = Literal["here", "site", "alert", "status", "figures", "reset"]


class LiveUpdate(msgspec.Struct, frozen=True):
    """One update. `data` is JSON: a site, an alert, or what is blind and unwell."""

    kind: UpdateKind
    data: bytes


class BlindDocument(msgspec.Struct, frozen=True):
    """What cannot be seen, and what keeps Towpath from working, a sentence each."""

    blind: tuple[str, ...]
    unwell: tuple[str, ...]


class EndedAlert(msgspec.Struct, frozen=True):
    """An alert that is over: its key, as the alert had it."""

    key: str
    state: Literal["resolved"] = "resolved"


def changes_between(before: Overview, after: Overview) -> Iterator[LiveUpdate]:
    """Figures that change all the time are one update without data: pages that show
    them read them again."""
    known = {site.site.id: (site.word, site.why) for site in before.sites}
    for site in after.sites:
        if known.get(site.site.id) != (site.word, site.why):
            yield _update("site", site_document(site))
    alerts, ended = _firing(after), _firing(before)
    for key, alert in alerts.items():
        if _shown(ended.pop(key, None)) != _shown(alert):
            yield _update("alert", alert_document(alert))
    for key in ended:
        yield _update("alert", EndedAlert(key))
    if (before.blind, before.unwell) != (after.blind, after.unwell):
        yield _update("status", BlindDocument(after.blind.sentences, after.unwell))
    if before.newest_ms != after.newest_ms:
        yield LiveUpdate("figures", b"{}")


def _firing(view: Overview) -> dict[str, Alert]:
    alerts = [one for cause in view.causes for one in (cause.alert, *cause.explains)]
    return {alert.key: alert for alert in alerts}


def _shown(alert: Alert | None) -> tuple[object, ...] | None:
    """What of an alert is news: its value changes at each poll."""
    if alert is None:
        return None
    return (
        *(alert.since_ms, alert.severity, alert.state, alert.suppressed_by),
        *(alert.acknowledged_by, alert.acknowledged_why, bool(alert.silenced_until_ms)),
    )


def _update(kind: UpdateKind, document: msgspec.Struct) -> LiveUpdate:
    return LiveUpdate(kind, msgspec.json.encode(document))
