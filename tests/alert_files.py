"""The alert engine's file with open alerts in it, for tests of what others do to it."""

from __future__ import annotations

from pathlib import Path

from alerts.alert import Alert
from alerts.alert_store import AlertStore, CycleChanges
from alerts.outbox_entry import OutboxEntry

NOW_MS = 1_777_888_800_000
ALERT = Alert(
    rule="device_unreachable",
    subject={"device": "core-1"},
    severity="critical",
    state="firing",
    since_ms=NOW_MS - 60_000,
    site="hall",
    firing_ms=NOW_MS,
    summary="core-1 does not answer",
    paged_ms=NOW_MS,
)
EPISODE = f"{ALERT.key}@{ALERT.since_ms}"


def file_with(folder: Path, *alerts: Alert, channels: tuple[str, ...] = ()) -> Path:
    """A file with these open alerts, each with a page to each of `channels`."""
    path = folder / "alerts.sqlite"
    store = AlertStore(path)
    shown = {f"{alert.key}@{alert.since_ms}": alert for alert in alerts}
    pages = [
        OutboxEntry(episode, "page", channel, alert, NOW_MS)
        for episode, alert in shown.items()
        for channel in channels
    ]
    store.write(CycleChanges({}, shown, pages, [], [], 0, [], {}, {}), NOW_MS)
    store.close()
    return path
