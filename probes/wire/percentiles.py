"""Nearest-rank percentiles, on the laptop, in group figures and in the stores, and the
median of a few times on the laptop. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], percent: int) -> float:
    """Returns the value at the rank nearest to n·percent/100, halves rounded up: always
    a measured value, never one between two. The stores' `p50`, `p95` and `p99` are
    calculated in the same way."""
    if not values:
        raise ValueError("no percentile of an empty list")
    rank = (percent * len(values) + 50) // 100
    return sorted(values)[max(rank, 1) - 1]


def median(values: Sequence[float]) -> float:
    """Returns the middle value, or the mean of the two middle ones: as `statistics`
    does, whose fractions and decimals a laptop's agent never needs."""
    if not values:
        raise ValueError("no median of an empty list")
    ordered, middle = sorted(values), len(values) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
