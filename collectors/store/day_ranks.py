"""Evenly spaced ranks of a day's five-minute means, so that percentiles of weeks read a
twelfth of the values. Pure.

A percentile cannot be calculated from percentiles of hours or days. But the means of a
day, in ascending order, are well described by every twelfth of them, which stands for
an hour's worth of means. A percentile of the ranks of many days is that of the means,
at a rank that is wrong by two hundredths at most, and by much less over many days.

The ranks of a day are stored at its hours, in an order in which any hours that follow
each other have low and high ranks alike: a range that starts or ends within a day gets
a fair part of them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

# Each rank stands for so many five-minute means: those of an hour.
MEANS_EACH = 12
MOST = 24


def day_ranks(means: Sequence[float]) -> list[float]:
    """Returns up to 24 of the means of a day, in the order in which they are stored."""
    ordered = sorted(means)
    count = min(MOST, max(1, round(len(ordered) / MEANS_EACH))) if ordered else 0
    each = len(ordered) / count if count else 0
    return [ordered[int((place + 0.5) * each)] for place in _mixed(count)]


@functools.cache
def _mixed(count: int) -> tuple[int, ...]:
    """Returns 0 … count - 1, so that neighbours are far apart (van der Corput)."""
    halves = [int(f"{n:05b}"[::-1], 2) for n in range(count)]
    places = {half: place for place, half in enumerate(sorted(halves))}
    return tuple(places[half] for half in halves)
