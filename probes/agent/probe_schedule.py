"""When what is due. Pure: the clocks' readings are passed in.

Every laptop has a phase of its own for every job, so that a council's laptops do not
all speak at once, and runs on a grid of that phase: after a sleep, whatever was missed
is skipped, never made up for.
"""

from __future__ import annotations

import hashlib


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
