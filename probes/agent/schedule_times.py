"""Calculates when a job is due next. Pure: the time is passed in.

Every laptop has its own phase for every job, so that a council's laptops do not all
connect at once. Jobs run on a grid of that phase: what was due during a sleep is
skipped, never made up for.
"""

from __future__ import annotations

import hashlib


def phase_ms(agent: str, job: str, period_ms: int) -> int:
    """Returns a stable offset within the period, spread evenly by laptop and job."""
    digest = hashlib.blake2b(f"{agent}/{job}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % max(period_ms, 1)


def next_due_ms(now_ms: int, period_ms: int, phase_ms: int) -> int:
    """Returns the first point of the grid after `now_ms`."""
    return now_ms - (now_ms - phase_ms) % period_ms + period_ms


def first_due_ms(now_ms: int, period_ms: int, phase_ms: int, within_ms: int) -> int:
    """As `next_due_ms`, but within `within_ms`: after a start or a sleep a laptop is
    measured soon, though not at once."""
    soon = now_ms + phase_ms % max(min(within_ms, period_ms), 1) + 1
    return min(soon, next_due_ms(now_ms, period_ms, phase_ms))


def rare_due_ms(
    now_ms: int, last_ms: int, period_ms: int, within_ms: int, chance: float
) -> int:
    """Returns when a job is due that runs less often than a laptop is on in a day, such
    as a speed test: one period after it last ran. If the laptop slept through that, at
    some moment within `within_ms`, by `chance` (0 to 1), so that a site's laptops that
    all wake at nine do not all test at nine."""
    due_ms = last_ms + period_ms
    if last_ms <= now_ms < due_ms:
        return due_ms
    return now_ms + 1 + int(chance * min(within_ms, period_ms))
