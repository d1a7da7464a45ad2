"""Percentiles by `quantile_disc` and by the highest values: for every number of values,
at the nearest rank."""

from __future__ import annotations

import math

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.store.percentile_sql import ValueCounts, percentile, quantiles, rank

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


@given(
    groups=st.lists(st.lists(st.integers(-5, 5), max_size=90), min_size=1, max_size=5),
    percent=st.sampled_from(PERCENTS),
)
def test_few_or_many_groups_have_the_value_at_the_nearest_rank(
    groups: list[list[int]], percent: int
) -> None:
    sizes = [len(group) for group in groups if group] or [0]
    counts = ValueCounts(min(sizes), max(sizes), sum(sizes), len(groups))
    listed = ", ".join(
        f"({at}, {value})"
        for at, group in enumerate(groups)
        for value in (*group, "NULL")
    )
    sql = percentile("v", percent, counts)
    answer = duckdb.sql(
        f"SELECT g, {sql} FROM (VALUES {listed}) AS t(g, v) GROUP BY g ORDER BY g"
    ).fetchall()
    assert answer == [
        (at, sorted(group)[rank(len(group), percent) - 1] if group else None)
        for at, group in enumerate(groups)
    ]


def test_the_highest_values_are_kept_only_if_that_is_less_memory() -> None:
    even = ValueCounts(44_640, 44_640, 200 * 44_640, 200)
    assert percentile("v", 95, even).startswith("max(v, 2233)")
    # One group of a month among thousands of a few values.
    uneven = ValueCounts(3, 44_640, 44_640 + 3 * 9_999, 10_000)
    assert percentile("v", 95, uneven).startswith("quantile_disc(")
    assert percentile("v", 50, even).startswith("quantile_disc(")
