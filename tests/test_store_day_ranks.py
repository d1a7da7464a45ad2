"""Ranks of days stand for the five-minute means that they were taken from."""

from __future__ import annotations

import itertools
import math
import random

from hypothesis import given
from hypothesis import strategies as st

from collectors.store.day_ranks import MOST, day_ranks
from collectors.store.percentile_sql import rank

MEANS = st.floats(0, 1e9, allow_subnormal=False)
# How far a percentile of ranks may be from that of the means, in points.
POINTS = 2.5


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    place = min(max(math.ceil(len(ordered) * percent / 100), 1), len(ordered))
    return ordered[place - 1]


@given(st.lists(st.lists(MEANS, min_size=288, max_size=288), min_size=1, max_size=8))
def test_a_percentile_of_ranks_is_one_of_nearly_the_same_share(
    days: list[list[float]],
) -> None:
    means = list(itertools.chain(*days))
    ranks = sorted(itertools.chain(*map(day_ranks, days)))
    for percent in (50, 95, 99):
        estimate = ranks[rank(len(ranks), percent) - 1]
        low = percentile(means, percent - POINTS)
        high = percentile(means, min(100, percent + POINTS))
        assert low <= estimate <= high


@given(st.lists(MEANS, max_size=400))
def test_each_rank_is_a_mean_of_that_day(means: list[float]) -> None:
    ranks = day_ranks(means)
    assert set(ranks) <= set(means)
    assert (
        len(ranks) == min(MOST, max(1, round(len(means) / 12))) if means else not ranks
    )


@given(st.integers(1, 288), st.data())
def test_hours_that_follow_each_other_have_low_and_high_ranks(
    count: int, data: st.DataObject
) -> None:
    ranks = day_ranks([float(n) for n in range(count)])
    length = data.draw(st.integers(1, len(ranks)))
    start = data.draw(st.integers(0, len(ranks) - length))
    part = sum(ranks[start : start + length]) / length
    # The mean of all is count / 2. A part is a fair one, the fairer the longer.
    assert abs(part - count / 2) <= count * (0.1 + 0.5 / length)


def test_thirty_days_of_a_busy_line_are_within_a_hundredth_or_two() -> None:
    chance = random.Random(1)
    days = []
    for day in range(30):
        busy = 0.3 if day % 7 > 4 else 1.0
        days.append(
            [
                busy
                * (0.05 + max(0.0, math.sin((at / 12 - 6) / 14 * math.pi)) / 2)
                * (0.4 + chance.random())
                for at in range(288)
            ]
        )
    ranks = sorted(itertools.chain(*map(day_ranks, days)))
    exact = percentile(list(itertools.chain(*days)), 95)
    assert abs(ranks[rank(len(ranks), 95) - 1] / exact - 1) < 0.02
