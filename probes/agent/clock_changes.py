"""The laptop's clocks: what time it is, how far it can be trusted, and whether the
laptop slept or its clock was set in the meantime."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from probes.wire.clock import MonotonicClock, steady_s

WOKE_S = 30.0
SET_S = 5.0
# A smaller error may just be a slow network.
WRONG_S = 120.0


class Clocks(msgspec.Struct, frozen=True):
    """The clocks, so that a test can put a laptop to sleep."""

    wall_s: Callable[[], float] = time.time
    monotonic_s: MonotonicClock = steady_s

    def now_ms(self) -> int:
        return int(self.wall_s() * 1000)


def clock_error_ms(ahead_s: float | None) -> int | None:
    """Returns the error of a clock that is `ahead_s` ahead of a trusted one: 0 if it is
    small, None if the clocks have not been compared."""
    if ahead_s is None:
        return None
    return 0 if abs(ahead_s) <= WRONG_S else int(ahead_s * 1000)


def clock_change(
    wall_s: float, monotonic_s: float, expected_s: float
) -> Literal["none", "woke", "set"]:
    """Returns what happened while the agent meant to wait `expected_s`, by how far the
    wall clock and `steady_s` advanced. Pure."""
    if monotonic_s > expected_s + WOKE_S:
        return "woke"
    if abs(wall_s - monotonic_s) > SET_S:
        return "set"
    return "none"
