"""Advice of the report about a line: its size, its backup and its contract."""

from __future__ import annotations

import itertools
import math
from array import array
from datetime import date
from random import Random

import council
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_month import HOUR_MS
from store_doubles import AnswerStore

from collectors.local_days import add_months
from collectors.store.answer_series import AnswerSeries, series_of_rows
from collectors.store.query import Row
from dashboards.report import report_figures
from dashboards.report.gather_lines import gather_lines
from dashboards.report.line_hours import HourPoints, LineHours
from dashboards.report.month import Month, ReportPeriod
from dashboards.report.report_queries import line_hours


def test_hours_are_weighted_by_their_polls_in_the_ratio_a_port_was_up() -> None:
    line = council.estate().line("th-wan")
    hours = [
        Row(0, {"line": line.id}, {"up_mean": 1.0, "up_count": 60}),
        Row(HOUR_MS, {"line": line.id}, {"up_mean": 0.0, "up_count": 2}),
        Row(2 * HOUR_MS, {"line": line.id}, {"down_use_ratio_p95": 0.1}),
    ]
    [figures] = report_figures.line_figures([line], [], _hours_of(line.id, hours), [])
    assert figures.up_ratio == pytest.approx(60 / 62)


def test_an_hour_with_two_roles_counts_once_and_hours_are_in_order_of_time() -> None:
    line = council.estate().line("th-wan")
    first = HOUR_MS * 500_000
    rows = [
        Row(
            first + at * HOUR_MS,
            {"line": line.id},
            {"down_use_ratio_p95": use, "up_mean": 0.5, "up_count": 60}
            | ({"carrying_max": 1} if use > 0.5 else {}),
        )
        # Role by role, as the store sorts them.
        for at, use in ((3, 0.9), (4, 0.2), (1, 0.3), (3, 0.1), (6, 0.95))
    ]
    [figures] = report_figures.line_figures([line], [], _hours_of(line.id, rows), [])
    assert list(figures.hourly) == [
        (first + at * HOUR_MS, use)
        for at, use in ((1, 0.3), (3, 0.9), (4, 0.2), (6, 0.95))
    ]
    assert figures.observed_hours == 4
    assert figures.busy_hours == 2
    assert figures.carrying_at == {first + 3 * HOUR_MS, first + 6 * HOUR_MS}
    assert sorted(figures.down_at) == [time_ms for time_ms, _ in figures.hourly]


def _hours_of(line: str, rows: list[Row]) -> dict[str, LineHours]:
    hours = LineHours()
    for series in series_of_rows(rows, line_hours(0, 1, [line])):
        hours.add(series)
    return {line: hours}


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            *(st.sampled_from([math.nan, 0.0, 0.5, 0.9, 1.0]) for _ in range(5)),
        ),
        max_size=12,
    ),
    st.integers(0, 12),
)
def test_hours_are_the_same_however_many_are_added_at_once(
    drawn: list[tuple[float, ...]], split: int
) -> None:
    times_ms = [int(t) * HOUR_MS for t in itertools.accumulate(d[0] for d in drawn)]
    names = [pick.name for pick in line_hours(0, 1, ["l"]).picks]

    def added(*parts: slice) -> LineHours:
        hours = LineHours()
        for part in parts:
            columns = list(zip(*drawn[part], strict=True))[1:] or [()] * len(names)
            values = {
                name: array("d", column)
                for name, column in zip(names, columns, strict=True)
            }
            hours.add(AnswerSeries({}, array("q", times_ms[part]), values))
        return hours

    one_by_one = added(*(slice(n, n + 1) for n in range(len(drawn))))
    at_once = added(slice(0, split), slice(split, None))
    assert vars(at_once) == vars(one_by_one)


@given(st.dictionaries(st.integers(0, 40), st.floats(0, 1)), st.randoms())
def test_points_of_hours_are_in_order_of_time_whatever_order_they_are_added_in(
    values: dict[int, float], random: Random
) -> None:
    hours = list(values)
    random.shuffle(hours)
    points = HourPoints()
    for hour in hours:
        points.add(hour * HOUR_MS, values[hour])
    ordered = [(hour * HOUR_MS, values[hour]) for hour in sorted(values)]
    assert list(points) == ordered
    assert len(points) == len(ordered)
    assert bool(points) == bool(ordered)
    assert points[-1:] == ordered[-1:]


@pytest.mark.parametrize(("months", "queries"), [(1, 1), (12, 12)])
async def test_the_hours_of_a_year_are_read_a_month_at_a_time(
    months: int, queries: int
) -> None:
    year = ReportPeriod(add_months(date(2026, 11, 1), -months), date(2026, 11, 1))
    span = year.from_ms, year.to_ms
    store = AnswerStore(lambda query: [])
    await gather_lines(store, [council.estate().line("th-wan")], span, span)
    spans = [(query.from_ms, query.to_ms) for query in store.asked if query.every_ms]
    assert len(spans) == queries
    assert [spans[0][0], spans[-1][1]] == list(span)
    assert all(
        a[1] == b[0] and not a[1] % (24 * HOUR_MS) for a, b in itertools.pairwise(spans)
    )


@pytest.mark.parametrize(
    ("today", "level", "text"),
    [
        (date(2025, 1, 1), "ok", "Give notice by 31 December 2026"),
        (date(2026, 10, 1), "warn", "91 days left"),
        (date(2026, 12, 30), "bad", "1 day left"),
        (date(2027, 1, 1), "warn", "The last day for notice was 31 December 2026"),
        (date(2027, 4, 1), "warn", "The contract ended on 31 March 2027."),
    ],
)
def test_a_contract_gives_a_reminder_of_its_notice_in_time(
    today: date, level: str, text: str
) -> None:
    reminder = report_figures.reminder(council.estate().line("th-wan"), today)
    assert reminder is not None
    assert reminder.level == level
    assert text in reminder.text


def test_a_line_without_contract_dates_gives_no_reminder() -> None:
    line = council.estate().line("dep-4g")
    assert report_figures.reminder(line, date(2026, 1, 1)) is None


async def test_few_lines_are_asked_for_at_once_but_all_of_them() -> None:
    [line] = [line for line in council.estate().lines if line.id == "th-wan"]
    lines = [line.model_copy(update={"id": f"line-{n}"}) for n in range(300)]
    store = AnswerStore(lambda query: [])
    month = Month(2026, 10)
    span = month.from_ms, month.to_ms
    await gather_lines(store, lines, span, span)
    asked: dict[bool, list[str]] = {True: [], False: []}
    for query in store.asked:
        [where] = query.where
        assert len(where.values) <= 96
        asked[query.every_ms is not None] += where.values
    ids = [line.id for line in lines]
    assert asked[True] == ids
    # Of this month, the one before, and their sizes.
    assert sorted(asked[False]) == sorted(ids * 3)
