"""Percentiles by `quantile_disc`: for every number of values, at the nearest rank."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.store.percentile_sql import quantiles, rank

PERCENTS = (50, 95, 99)


@pytest.mark.parametrize("percent", PERCENTS)
def test_every_number_of_values_has_a_quantile_that_gives_its_rank(
    percent: int,
) -> None:
    most = 50_000
    starts = list(quantiles(percent, 1, most))
    ends = [*(start for start, _ in starts[1:]), most + 1]
    for (start, q), end in zip(starts, ends, strict=True):
        wrong = [n for n in range(start, end) if math.ceil(q * n) != rank(n, percent)]
        assert not wrong, (q, wrong)


@given(
    percent=st.sampled_from(PERCENTS),
    least=st.integers(1, 10**9),
    more=st.integers(0, 10**9),
    data=st.data(),
)
def test_only_numbers_that_occur_need_a_quantile(
    percent: int, least: int, more: int, data: st.DataObject
) -> None:
    ranges = list(quantiles(percent, least, least + more))
    assert ranges[0][0] == least
    count = data.draw(st.integers(least, least + more))
    q = [q for start, q in ranges if start <= count][-1]
    # Nowhere so close to a whole number that floating point could round it up.
    assert rank(count, percent) - 1 < q * count * (1 - 1e-12)
    assert q * count * (1 + 1e-12) <= rank(count, percent) or percent == 50


def test_groups_of_about_as_many_values_need_one_or_two_quantiles() -> None:
    assert len(list(quantiles(95, 44_640, 44_640))) == 1
    assert len(list(quantiles(95, 43_000, 44_640))) <= 2
    assert len(list(quantiles(95, 1, 60))) <= 5
