"""When nothing is measured: the user's pause, and the measuring hours."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from probes.diagnosis.local_time import local_time_text
from probes.wire.atomic_file import replace_file
from probes.wire.policy import MeasuringHours

PAUSED = "paused"


def pause(folder: Path, until_ms: int) -> None:
    """Asks the running agent to measure nothing until then; 0 ends it."""
    replace_file(folder / PAUSED, str(until_ms).encode(), durable=True)


def paused_until_ms(folder: Path, now_ms: int, longest_s: int) -> int:
    """Until when nothing is to be measured; 0 where it is not paused.

    Never longer than `longest_s` from now, whatever was noted: a clock that was set
    back must not make a pause of an hour one of a year.
    """
    try:
        until_ms = int((folder / PAUSED).read_text("ascii")[:16])
    except (OSError, ValueError):
        return 0
    return min(until_ms, now_ms + longest_s * 1000) if until_ms > now_ms else 0


def why_quiet(paused_ms: int, now_ms: int, hours: Iterable[MeasuringHours]) -> str:
    """Why nothing is measured now; empty where it is.

    By the laptop's own clock on its wall: hours are what its user lives by.
    """
    if paused_ms > now_ms:
        return f"nothing is measured: paused until {local_time_text(paused_ms)}"
    local = datetime.datetime.fromtimestamp(now_ms / 1000).astimezone()
    minute = local.hour * 60 + local.minute
    if not all(each.allow(local.weekday(), minute) for each in hours):
        return "nothing is measured outside the measuring hours"
    return ""
