"""A time as people read it on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def clock_text(ms: int, zone: ZoneInfo) -> str:
    """`Mon 4 May 10:00`."""
    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"
