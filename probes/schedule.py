"""When what is due. Pure: the clocks' readings are passed in.

Every laptop has a phase of its own for every job, so that a council's laptops do not
all speak at once, and runs on a grid of that phase: after a sleep, whatever was missed
is skipped, never made up for.
"""

from __future__ import annotations

import hashlib
from typing import Literal

WOKE_S = 30.0
SET_S = 5.0
# Late by less is nobody's business: a slow network looks the same.
WRONG_S = 120.0


def phase_ms(who: str, job: str, period_ms: int) -> int:
    """A stable place within the period, spread evenly over laptops and jobs."""
    digest = hashlib.blake2b(f"{who}/{job}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % max(period_ms, 1)


def next_due_ms(now_ms: int, period_ms: int, phase_ms: int) -> int:
    """The first point of the grid after `now_ms`."""
    return now_ms - (now_ms - phase_ms) % period_ms + period_ms


def first_due_ms(now_ms: int, period_ms: int, phase_ms: int, within_ms: int) -> int:
    """Like `next_due_ms`, but within `within_ms`: after a start and after a sleep a
    laptop is measured soon, though not at once."""
    soon = now_ms + phase_ms % max(min(within_ms, period_ms), 1) + 1
    return min(soon, next_due_ms(now_ms, period_ms, phase_ms))


def rare_due_ms(
    now_ms: int, last_ms: int, period_ms: int, within_ms: int, chance: float
) -> int:
    """For a job rarer than a laptop's days are long, such as a speed test: a period
    after it was last done; where the laptop slept through that, at some moment of the
    next `within_ms` (`chance` of it, 0 to 1), so that a site's laptops that all wake
    at nine do not all test at nine."""
    due_ms = last_ms + period_ms
    if last_ms <= now_ms < due_ms:
        return due_ms
    return now_ms + 1 + int(chance * min(within_ms, period_ms))


def is_right(ahead_s: float | None) -> bool:
    """Whether a clock that is `ahead_s` ahead of a trusted one can be believed; not
    where it was not compared."""
    return ahead_s is not None and abs(ahead_s) <= WRONG_S


def clock_change(
    wall_s: float, monotonic_s: float, meant_s: float
) -> Literal["none", "woke", "set"]:
    """What happened while the agent meant to wait `meant_s`, by how far clocks went.

    Linux and macOS stop the monotonic clock in sleep, Windows does not: in both cases
    the wall clock went much further than was meant. A wall clock that went backwards,
    or a little further than the monotonic one, was set.
    """
    if wall_s > max(meant_s, monotonic_s) + WOKE_S or monotonic_s > meant_s + WOKE_S:
        return "woke"
    if abs(wall_s - monotonic_s) > SET_S:
        return "set"
    return "none"
