"""The laptop's clocks: what time it is, whether that can be believed, and what happened
to it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from probes.wire.clock import MonotonicClock, steady_s

WOKE_S = 30.0
SET_S = 5.0
# Late by less is nobody's business: a slow network looks the same.
WRONG_S = 120.0


class Clocks(msgspec.Struct, frozen=True):
    """Time, so that tests can put a laptop to sleep."""

    wall_s: Callable[[], float] = time.time
    monotonic_s: MonotonicClock = steady_s

    def now_ms(self) -> int:
        return int(self.wall_s() * 1000)


def clock_error_ms(ahead_s: float | None) -> int | None:
    """By how much a clock that is `ahead_s` ahead of a trusted one is wrong: 0 where it
    can be believed, None where it was not compared."""
    if ahead_s is None:
        return None
    return 0 if abs(ahead_s) <= WRONG_S else int(ahead_s * 1000)


def clock_change(
    wall_s: float, monotonic_s: float, meant_s: float
) -> Literal["none", "woke", "set"]:
    """What happened while the agent meant to wait `meant_s`, by how far the wall clock
    and `steady_s` went. Pure."""
    if monotonic_s > meant_s + WOKE_S:
        return "woke"
    if abs(wall_s - monotonic_s) > SET_S:
        return "set"
    return "none"
