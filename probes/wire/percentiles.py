"""Nearest-rank percentiles: on the laptop, in group figures and in the stores. Pure."""

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
