"""What changed about an alert since somebody was told, in sentences. Pure."""

from __future__ import annotations

from alerts.alert import Alert
from alerts.alert_text import describe_affected


def alert_changes(told: Alert, now: Alert) -> list[str]:
    """A sentence for each change that matters to the person on call; often none."""
    changes = []
    if now.severity != told.severity:
        changes.append(f"Severity: {now.severity} (was {told.severity}).")
    if now.summary != told.summary:
        changes.append(f"Now: {now.summary}.")
    affected, before = (describe_affected(a.affected) for a in (now, told))
    if affected != before:
        changes.append(f"Affected: {affected or 'nothing else'} (was {before or '-'}).")
    if now.cause != told.cause and now.cause:
        changes.append(f"Probable cause: {now.cause}")
    if now.acknowledged_by and now.acknowledged_by != told.acknowledged_by:
        changes.append(f"Acknowledged by {now.acknowledged_by}.")
    if now.flapping and not told.flapping:
        changes.append("It comes and goes.")
    return changes
