"""Nearest-rank percentiles in DuckDB's SQL. Pure.

The value at rank n * percent / 100, halves rounded up, of n values in ascending order.
A high percentile is one of the few highest values of a group. If it is known how many
that are, DuckDB keeps no others, in a third of the time and memory of all values.

For others, DuckDB's `quantile_disc` finds the value at rank ceil(q * n) in a sixth of
the time that sorting takes, but for one q whatever n is. Which q gives our rank depends
on n. So the query asks for the q of each range of n that occurs, and n selects one of
the answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

# Ranges are this much shorter than they could be, so that q * n is never close to a
# whole number, where floating point could round it the wrong way.
_MARGIN = Fraction(99, 100)
HIGH_PERCENT = 90
# DuckDB keeps no more.
_MOST_KEPT = 1_000_000


class ValueCounts(NamedTuple):
    """How many values the groups of a query have: the least and the most of a group,
    and all of `groups` groups."""

    least: int = 1
    most: int = 0
    total: int = 0
    groups: int = 0


NO_VALUES = ValueCounts()


def rank(count: int, percent: int) -> int:
    """Returns the rank of the percentile of `count` values; 0 is before the first."""
    return (count * percent + 50) // 100


def quantiles(percent: int, least: int, most: int) -> Iterator[tuple[int, float]]:
    """Yields (n, q) for groups of `least` to `most` values.

    From n values up to the next n, `quantile_disc` of q is the percentile.
    """
    share, count = Fraction(percent, 100), max(least, 1)
    while count <= most:
        # ceil(q * n) is rank r if (r - 1) / n < q <= r / n. Ranks repeat their pattern
        # every 100 values, so the least r / n of the next 100 is that of all others.
        upper = min(Fraction(rank(n, percent), n) for n in range(count, count + 100))
        if upper >= share:
            # (r - 1) / n is always less than the share.
            yield count, float(share)
            return
        last = int(_MARGIN / (2 * (share - upper)))
        yield count, float((upper + share - Fraction(1, 2 * last)) / 2)
        count = last + 1


def percentile(field: str, percent: int, counts: ValueCounts) -> str:
    """Returns the SQL of a column's percentile, for groups of so many values."""
    if percent >= HIGH_PERCENT:
        highest = kept(percent, counts.most)
        # Room for so many values is made for each group, even if it has few.
        if highest < _MOST_KEPT and highest * counts.groups <= counts.total:
            return high_percentile(field, percent, counts.most)
    ranges = list(quantiles(percent, counts.least, counts.most)) or [(1, percent / 100)]
    values = f"quantile_disc({field}, {[q for _, q in ranges]})"
    index = " + ".join(
        ["1", *(f"CAST(count({field}) >= {n} AS INT)" for n, _ in ranges[1:])]
    )
    return f"{values}[{index}]"


def high_percentile(field: str, percent: int, most: int) -> str:
    """Returns the same for groups of at most `most` values, by the highest if these are
    few."""
    if percent < HIGH_PERCENT:
        return percentile(field, percent, ValueCounts(1, most))
    count = f"count({field})"
    at = f"{count} - {rank_sql(count, percent)} + 1"
    return f"max({field}, {kept(percent, most)})[{at}]"


def rank_sql(count: str, percent: int) -> str:
    """Returns the SQL of `rank`."""
    return f"({count} * {percent} + 50) // 100"


def kept(percent: int, most: int) -> int:
    """Returns how many of the highest of up to `most` values have the percentile."""
    return most - rank(most, percent) + 1
