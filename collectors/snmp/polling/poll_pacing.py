"""When within a period a device is polled. Pure; times in seconds."""

from __future__ import annotations

import math
import zlib

# All first polls are within this, spread by phase; in a large estate longer, so that no
# more than these a second have their tables read.
_FIRST_S = 10.0
_FIRST_A_S = 30.0
# Of a period: a poll sooner after another would give no rates (`device`).
_LEAST_GAP = 0.5


def phase_s(device: str, period_s: float) -> float:
    """Where in the period a device is polled; spread evenly, stable for ever."""
    return zlib.crc32(device.encode()) / 2**32 * period_s


def spread_s(fresh: int, period_s: float) -> float:
    """Over how long the first polls of `fresh` devices are spread."""
    return max(min(_FIRST_S, period_s), fresh / _FIRST_A_S)


def next_s(due_s: float, phase_s: float, period_s: float) -> float:
    """The next moment of a phase that is not just after `due_s`. `phase_s`: any moment
    of that phase, on the clock of `due_s`."""
    periods = (due_s - phase_s) / period_s
    return phase_s + math.ceil(periods + _LEAST_GAP) * period_s
