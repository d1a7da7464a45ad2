"""The clocks that the code reads, and the types by which a test injects its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

# Milliseconds since 1970 (UTC), as every `time_ms` is; may be set forward or back.
WallClock = Callable[[], int]
# Seconds since some moment, which nobody sets: `time.monotonic`, or `steady_s`.
MonotonicClock = Callable[[], float]


def wall_ms() -> int:
    """Returns the wall clock's milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000


def steady_s() -> float:
    """Returns seconds that nobody sets and that go on while the machine sleeps.

    `time.monotonic` stops in sleep on Linux and macOS.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    elif sys.platform == "darwin":  # noqa: RET505 - mypy looks at one platform a time
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    else:
        return time.monotonic()
