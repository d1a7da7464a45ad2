"""Opening hours of the calls in the report: stretches, weights, wording."""

from __future__ import annotations

import itertools
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_group_rows import MINUTE_MS, NIGHT_SHIFT, OCTOBER, october_ms

from collectors.estate import Site
from collectors.estate.opening_hours import (
    OpeningHours,
    OpenRange,
    is_open,
    usual_hours,
)
from collectors.experience.groups import LEAST
from collectors.server_measurements import CATALOGUE
from collectors.store.answer_series import series_of_rows
from collectors.store.query import Query, Row
from dashboards import figure_text
from dashboards.report.group_calls import (
    MergedFigures,
    gather_calls,
    stretches,
)
from dashboards.report.report_queries import GROUP_FIELDS, experience
from probes.wire.sample import Value

_hours = st.builds(
    lambda opens, length, days: OpeningHours(
        opens=f"{opens // 2:02d}:{opens % 2 * 30:02d}",
        closes=f"{(opens + length) % 48 // 2:02d}:{(opens + length) % 2 * 30:02d}",
        days=tuple(sorted(days)),
    ),
    st.integers(0, 47),
    st.integers(1, 47),
    st.sets(st.integers(0, 6), min_size=1),
)


@settings(max_examples=60, deadline=None)
@given(hours=st.sets(_hours, min_size=1, max_size=4), step=st.integers(1, 97))
def test_stretches_cover_each_open_minute_once(
    hours: set[OpeningHours], step: int
) -> None:
    span = (october_ms(21, 0), october_ms(28, 0))
    midnights = [begin for begin, _ in OCTOBER.days()]
    open_stretches = stretches(hours, span, midnights)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(open_stretches))
    for time_ms in range(span[0], span[1], step * 10 * MINUTE_MS):
        opened = {opening for opening in hours if is_open(opening, time_ms)}
        inside = [
            openings
            for begin, end, openings in open_stretches
            if begin <= time_ms < end
        ]
        assert inside == ([opened] if opened else [])


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 500), st.floats(0, 1), st.integers(0, 3)),
        min_size=1,
        max_size=20,
    )
)
def test_figures_of_stretches_merge_to_the_figure_of_all_rows(
    rows: list[tuple[int, float, int]],
) -> None:
    whole = MergedFigures()
    for calls, poor, day in rows:
        values: dict[str, Value] = {"calls_count": 1, "calls_sum": calls}
        values |= {"call_poor_ratio_mean": poor, "call_poor_ratio_weight": float(calls)}
        row = Row(day, {}, values)
        [series] = series_of_rows([row], experience([(0, 1)]))
        whole.add(series, {day: date(2026, 10, 5 + day)})
    total = sum(calls for calls, _, _ in rows)
    expected = sum(calls * poor for calls, poor, _ in rows) / total
    assert whole.values == {"call_poor_ratio_mean": pytest.approx(expected)}
    assert (whole.calls, whole.windows) == (total, len(rows))
    assert len(whole.days) == len({day for _, _, day in rows})


def test_every_group_figure_of_the_report_has_a_weight() -> None:
    declared = CATALOGUE.measurement("experience")
    assert all(declared.field(name).weight for name in GROUP_FIELDS)


async def test_the_number_of_queries_does_not_grow_with_the_sites() -> None:
    asked = 0

    class CountingStore:
        async def query(self, query: Query) -> list[Row]:
            nonlocal asked
            asked += 1
            return []

    sites = [Site(id=f"s{n}", name=f"S{n}") for n in range(60)]
    await gather_calls(CountingStore(), OCTOBER, OCTOBER.to_ms, sites, LEAST)
    # One for the working hours of each month, and two for the laptops.
    assert asked == 1 + 1 + 2


def test_the_hours_of_most_sites_are_those_of_the_council() -> None:
    assert usual_hours([NIGHT_SHIFT, OpeningHours(), OpeningHours()]) == OpeningHours()
    assert usual_hours([]) == OpeningHours()


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (OpeningHours(), "Monday to Friday, 08:00 to 18:00"),
        (
            OpeningHours(days=(0, 2, 5, 6)),
            "Monday, Wednesday, Saturday and Sunday, 08:00 to 18:00",
        ),
        (OpeningHours(days=(3,)), "Thursday, 08:00 to 18:00"),
        (NIGHT_SHIFT, "every day, 22:00 to 06:00"),
        (
            OpeningHours(opens="00:00", closes="24:00", days=tuple(range(7))),
            "at all hours",
        ),
        (
            OpeningHours(
                ranges=(
                    OpenRange(opens="09:00", closes="12:30"),
                    OpenRange(opens="10:00", closes="14:00", days=(5,)),
                )
            ),
            "Monday to Friday, 09:00 to 12:30; Saturday, 10:00 to 14:00",
        ),
    ],
)
def test_opening_hours_are_written_as_a_person_writes_them(
    hours: OpeningHours, text: str
) -> None:
    assert figure_text.hours(hours) == text
