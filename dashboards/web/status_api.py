"""`/api/status.json`: what the page says, for programs. Stable: keys are only added."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.alert import Alert
from dashboards.web.page_views import Overview
from dashboards.web.site_state import SiteNow

VERSION = 1


def document(view: Overview) -> dict[str, Any]:
    """Times in ms since 1970 UTC; `state` is working, degraded, trouble, down, no data
    or not watched; absent figures are null."""
    return {
        "version": VERSION,
        "generated_ms": view.now_ms,
        "newest_poll_ms": view.newest_ms,
        "blind": list(view.blind.sentences),
        "unwell": list(view.unwell),
        "sites": [_site(each) for each in view.sites],
        "causes": [
            {**_alert(cause.alert), "explains": [_alert(a) for a in cause.explains]}
            for cause in view.causes
        ],
    }


def _site(found: SiteNow) -> dict[str, Any]:
    return {
        "id": found.site.id,
        "name": found.site.name,
        "state": found.word.lower(),
        "why": found.why,
        "newest_poll_ms": found.newest_ms,
        "devices": [
            {
                "id": each.device.id,
                "state": each.word.lower(),
                "polled_ms": each.polled_ms,
                "outcome": each.outcome,
            }
            for each in found.devices
        ],
        "lines": [
            {
                "id": each.line.id,
                "state": each.word.lower(),
                "down_bps": each.down_bps,
                "up_bps": each.up_bps,
                "down_use_ratio": each.down_use,
                "up_use_ratio": each.up_use,
            }
            for each in found.lines
        ],
    }


def _alert(alert: Alert) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(alert)
    return {"key": alert.key, **said}
