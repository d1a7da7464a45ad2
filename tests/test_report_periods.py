"""The time of a report: months, quarters, years, any days, and the months before."""

import asyncio
import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_month import month_content, utc_ms
from store_doubles import MemoryStore

from dashboards.report.month import Month, ReportPeriod, parse_period
from dashboards.report.report_html import render_html
from dashboards.report.report_tables import report_tables
from dashboards.report.trend import TrendMonth, gather_trend, trend_months
from dashboards.report_config import ReportTargets
from probes.wire.sample import Sample

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("given", "name", "file", "noun"),
    [
        ({"month": "2026-02"}, "February 2026", "2026-02", "month"),
        (
            {"quarter": "2026-Q4"},
            "October to December 2026",
            "2026-10-to-2026-12",
            "quarter",
        ),
        (
            {"quarter": "2026-27-q4"},
            "January to March 2027",
            "2027-01-to-2027-03",
            "quarter",
        ),
        (
            {"quarter": "2026/27-Q1"},
            "April to June 2026",
            "2026-04-to-2026-06",
            "quarter",
        ),
        ({"year": "2028"}, "2028", "2028-01-to-2028-12", "year"),
        (
            {"financial-year": "2026-27"},
            "April 2026 to March 2027",
            "2026-04-to-2027-03",
            "year",
        ),
        (
            {"from": "2028-02-29", "to": "2028-02-29"},
            "29 February 2028",
            "2028-02-29-to-2028-02-29",
            "period",
        ),
        (
            {"from": "2026-10-20", "to": "2026-10-26"},
            "20 October 2026 to 26 October 2026",
            "2026-10-20-to-2026-10-26",
            "period",
        ),
    ],
)
def test_a_time_is_named_for_people_and_for_files(
    given: dict[str, str | None], name: str, file: str, noun: str
) -> None:
    period = parse_period(given)
    assert (period.name, str(period), period.noun) == (name, file, noun)


@pytest.mark.parametrize(
    ("given", "during"),
    [
        ({"month": "2026-02"}, "in February 2026"),
        ({"year": "2028"}, "in 2028"),
        ({"quarter": "2026-Q4"}, "from October to December 2026"),
        ({"from": "2028-02-29", "to": "2028-02-29"}, "on 29 February 2028"),
        (
            {"from": "2026-10-01", "to": "2026-10-09"},
            "from 1 October 2026 to 9 October 2026",
        ),
    ],
    ids=str,
)
def test_the_time_of_a_report_is_part_of_a_sentence(
    given: dict[str, str | None], during: str
) -> None:
    period = parse_period(given)
    assert period.during == during
    content = month_content(month=period, store=MemoryStore([]), now_ms=period.to_ms)
    assert f"The network {during}</h1>" in render_html(content)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "expected one of --month"),
        ({"month": "2026-10", "year": "2026"}, "expected one of --month"),
        ({"from": "2026-10-01"}, "--from and --to together"),
        ({"from": "2026-10-09", "to": "2026-10-01"}, "is before"),
        ({"from": "2026-02-30", "to": "2026-03-01"}, "is not a day"),
        ({"from": "2027-02-29", "to": "2027-03-01"}, "is not a day"),
        ({"from": "0001-01-01", "to": "2026-03-01"}, "is not a day"),
        ({"from": "2001-01-01", "to": "2026-03-01"}, "three years at most"),
        ({"quarter": "2026-Q5"}, "is not a quarter"),
        ({"quarter": "2026-11"}, "is not a quarter"),
        ({"quarter": "2026-Q"}, "is not a quarter"),
        ({"year": "2026-27"}, "--financial-year"),
        ({"financial-year": "2026-28"}, "is not a financial year"),
        ({"year": "٢٠٢٦"}, "is not a year"),
    ],
)
def test_what_is_no_time_is_refused_with_one_sentence(
    given: dict[str, str | None], text: str
) -> None:
    with pytest.raises(ValueError, match=text) as error:
        parse_period(given)
    assert "\n" not in str(error.value)


days = st.dates(date(2001, 1, 1), date(2100, 1, 1))


@given(days, st.integers(1, 800))
def test_days_are_whole_and_join_and_the_time_before_ends_where_it_begins(
    first: date, count: int
) -> None:
    period = ReportPeriod(first, first + timedelta(days=count))
    spans = period.days()
    assert (spans[0][0], spans[-1][1]) == (period.from_ms, period.to_ms)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    assert {end - begin for begin, end in spans} <= {n * HOUR_MS for n in (23, 24, 25)}
    assert period.before().to_ms == period.from_ms
    for month in period.months():
        assert period.from_ms <= month.from_ms < month.to_ms <= period.to_ms


def test_a_quarter_is_compared_with_the_quarter_before_and_days_with_as_many() -> None:
    assert str(parse_period({"quarter": "2026-Q1"}).before()) == "2025-10-to-2025-12"
    week = parse_period({"from": "2026-03-02", "to": "2026-03-08"})
    assert str(week.before()) == "2026-02-23-to-2026-03-01"


def test_a_time_that_has_not_begun_is_refused() -> None:
    future = parse_period({"from": "2027-01-01", "to": "2027-01-05"})
    with pytest.raises(ValueError, match="has not begun yet"):
        month_content(month=future)


def test_a_running_quarter_is_provisional_and_says_so() -> None:
    content = month_content(month=parse_period({"quarter": "2026-Q4"}))
    assert content.running
    html = render_html(content)
    assert "Provisional:</strong> the quarter is not over" in html
    assert "October to December 2026" in html
    assert "What these figures assume" in html


def test_a_long_report_says_which_part_of_a_step_it_is_at() -> None:
    told: list[str] = []
    month_content(month=parse_period({"quarter": "2026-Q4"}), progress=told.append)
    calls = [step for step in told if step.startswith("calls: ")]
    assert calls[0].startswith("calls: part 1 of ")
    assert len(calls) > 4
    steps = {step.partition(":")[0] for step in told}
    assert steps >= {"availability, counting days", "hours of lines", "ports"}
    # The hours of all lines are kept: other queries come before them.
    before = told.index(next(step for step in told if step.startswith("hours of")))
    after = {step.partition(":")[0] for step in told[before:]}
    assert after == {"hours of lines"}


def test_a_quarter_is_called_one_in_headers_and_sentences() -> None:
    content = month_content(month=parse_period({"quarter": "2026-Q4"}))
    html = render_html(content)
    assert "hange from last quarter" in html
    assert "hange from last month" not in html
    headers = {
        table.name: [column.header for column in table.columns]
        for table in report_tables(content)
    }
    assert headers["sites"][0] == "quarter"
    assert any("last quarter" in header for header in headers["lines"])
    # The trend is of months, whatever the report is about.
    assert headers["trend"][0] == "month"
    changed = [
        text for name, texts in headers.items() if name != "trend" for text in texts
    ]
    assert not [text for text in changed if "month" in text.split()]


def test_a_report_says_that_it_leaves_out_what_was_removed() -> None:
    html = render_html(month_content(month=parse_period({"month": "2026-10"})))
    assert "One that was removed before then is not in these figures" in html


def test_a_time_without_any_data_has_a_report_without_figures() -> None:
    content = month_content(month=Month(2026, 2), store=MemoryStore())
    assert {site.availability.ratio for site in content.sites} == {None}
    assert {month.answered for month in content.trend} == {None}
    assert {value.advice for value in content.line_values} == {"cannot tell"}
    assert {parity.verdict for parity in content.parity} == {"cannot tell"}
    assert "not observed" in render_html(content)


def test_the_trend_has_thirteen_months_up_to_the_report() -> None:
    months = trend_months(parse_period({"from": "2026-10-20", "to": "2026-11-02"}))
    assert len(months) == 13
    assert (str(months[0]), str(months[-1])) == ("2025-11", "2026-11")


def test_months_of_the_trend_have_shares_and_coverage_and_the_last_is_provisional() -> (
    None
):
    tags = {"device": "sw", "site": "s", "role": "switch"}
    samples = [
        Sample("device", tags, {"answered": 1}, utc_ms(2026, 9, 3)),
        Sample("device", tags, {"answered": 0}, utc_ms(2026, 9, 4)),
        Sample("device", tags, {"answered": 1}, utc_ms(2026, 10, 1)),
        Sample(
            "experience",
            {"by": "place", "group": "home"},
            {"calls": 20, "call_poor_ratio": 0.1},
            utc_ms(2026, 10, 1),
        ),
    ]
    store = MemoryStore(samples)
    now_ms = utc_ms(2026, 10, 8)
    trend = asyncio.run(gather_trend(store.query, Month(2026, 10), now_ms, None))
    september, october = trend[-2:]
    assert (september.answered, september.polls, september.is_over) == (0.5, 2, True)
    assert (october.answered, october.poor_home, october.is_over) == (1, 0.1, False)
    assert october.poor_office is None


def test_targets_are_met_or_missed_only_if_there_is_a_figure_and_a_target() -> None:
    month = TrendMonth(Month(2026, 10), True, 0.99, 100, 0.06, None)
    assert month.met(ReportTargets()) == {}
    targets = ReportTargets(answered=0.99, poor_calls=0.05)
    assert month.met(targets) == {"answered": True, "poor_home": False}


def test_hostile_names_of_sites_and_suppliers_do_not_turn_the_text_round() -> None:
    content = month_content(month=Month(2026, 10))
    value = content.line_values[0]
    evil = "\u202eevil<script>"
    renamed = type(value)(**{**vars(value), "name": evil, "site_name": evil})
    changed = type(content)(**{**vars(content), "line_values": (renamed,)})
    html = render_html(
        type(content)(**{**vars(changed), "sites": (), "whole": True, "suppliers": ()})
    )
    assert "\u202e" not in html
    assert "<script>" not in html
