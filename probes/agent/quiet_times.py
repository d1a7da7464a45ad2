"""When nothing is measured: the user's pause, and the measuring hours."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from probes.diagnosis.local_time import local_time_text
from probes.wire.atomic_file import replace_file
from probes.wire.held_files import read_held
from probes.wire.policy import MeasuringHours

PAUSED = "paused"


def write_pause(folder: Path, until_ms: int) -> None:
    """Has the running agent measure nothing until `until_ms`; 0 ends the pause."""
    replace_file(folder / PAUSED, str(until_ms).encode(), durable=True)


def paused_until_ms(folder: Path, now_ms: int, longest_s: int) -> int:
    """Returns when the pause ends; 0 if there is none.

    It never lasts longer than `longest_s` from now: a clock that was set back must not
    turn a pause of an hour into one of a year. A file that cannot be understood is the
    longest pause.
    """
    path, longest_ms = folder / PAUSED, longest_s * 1000
    try:
        until_ms = int(read_held(path, 16))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        # A person asked for a pause; for how long is lost.
        try:
            until_ms = int(path.stat().st_mtime * 1000) + longest_ms
        except OSError:
            return 0
    return min(until_ms, now_ms + longest_ms) if until_ms > now_ms else 0


def quiet_reason(paused_ms: int, now_ms: int, hours: Iterable[MeasuringHours]) -> str:
    """Returns why nothing is measured now; empty if something is. Measuring hours are
    in the laptop's own time zone, as its user keeps them."""
    if paused_ms > now_ms:
        return f"nothing is measured: paused until {local_time_text(paused_ms)}"
    local = datetime.datetime.fromtimestamp(now_ms / 1000).astimezone()
    minute = local.hour * 60 + local.minute
    if not all(allowed.allow(local.weekday(), minute) for allowed in hours):
        return "nothing is measured outside the measuring hours"
    return ""
