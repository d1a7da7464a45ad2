"""`/api/status.json`: what the page says, for programs. Stable: keys are only added."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.alert import Alert
from dashboards.web.page_views import Overview
from dashboards.web.site_state import SiteNow

VERSION = 1

# Where the page's word differs from the value that the API has always had.
_STATES = {
    "Not monitored": "not watched",
    "Not polled": "not asked",
    "Problem": "trouble",
    "Standby": "standing by",
}


def document(view: Overview) -> dict[str, Any]:
    """Returns the document. Times are in ms since 1970 UTC. A site's `state` is
    working, degraded, trouble, down, no data or not watched. Absent figures are
    null."""
    return {
        "version": VERSION,
        "generated_ms": view.now_ms,
        "newest_poll_ms": view.newest_ms,
        "blind": list(view.blind.sentences),
        "unwell": list(view.unwell),
        "sites": [_site(site) for site in view.sites],
        "causes": [
            {
                **alert_fields(cause.alert),
                "explains": [alert_fields(a) for a in cause.explains],
            }
            for cause in view.causes
        ],
    }


def _state(word: str) -> str:
    """Returns the API's value for a state that the page shows as `word`."""
    return _STATES.get(word, word.lower())


def _site(site_now: SiteNow) -> dict[str, Any]:
    return {
        "id": site_now.site.id,
        "name": site_now.site.name,
        "state": _state(site_now.word),
        "why": site_now.why,
        "newest_poll_ms": site_now.newest_ms,
        "devices": [
            {
                "id": device.device.id,
                "state": _state(device.word),
                "polled_ms": device.polled_ms,
                "outcome": device.outcome,
            }
            for device in site_now.devices
        ],
        "lines": [
            {
                "id": line.line.id,
                "state": _state(line.word),
                "down_bps": line.down_bps,
                "up_bps": line.up_bps,
                "down_use_ratio": line.down_use,
                "up_use_ratio": line.up_use,
            }
            for line in site_now.lines
        ],
    }


def alert_fields(alert: Alert) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(alert)
    return {"key": alert.key, **fields}
