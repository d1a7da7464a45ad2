"""Lines, incidents, months and charts of the report."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from typing import Any

import council
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_month import HOUR_MS, OCTOBER, alert_of_month, month_content, site_figures
from store_doubles import AnswerStore

from alerts.alert import Alert
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Row
from collectors.store.query import check_query as check_query
from dashboards import chart, figure_text
from dashboards.report import (
    Month,
    ReportError,
    report_figures,
    select_sites,
)
from dashboards.report.report_csv import tables
from dashboards.report.report_data import (
    ReportContent,
)
from dashboards.report.report_html import render_html


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return month_content()


def test_lines_are_held_against_their_contract_and_the_month_before(
    october: ReportContent,
) -> None:
    line = site_figures(october, "library").lines[0]
    assert line.line.id == "lib-wan"
    assert line.down_p95 is not None
    assert line.down_p95 > report_figures.BUSY_RATIO
    assert line.busy_hours > 20
    assert line.observed_hours == 745 - 7
    assert line.change is not None
    assert line.cost_per_mbps == pytest.approx(48)
    assert report_figures.value_for_money(line).startswith("Full in")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Not observed"),
        ({"down_p95": 0.05}, "consider a smaller one"),
        ({"down_p95": 0.05, "busy_hours": 3}, "Fits its use"),
        ({"down_p95": 0.5}, "Fits its use"),
        ({"down_p95": 0.9, "busy_hours": 60}, "Full in 60 hours"),
    ],
)
def test_what_a_lines_use_says_about_its_size(
    changes: dict[str, Any], said: str
) -> None:
    line = council.estate().line("th-wan")
    assert said in report_figures.value_for_money(
        report_figures.LineFigures(line, **changes)
    )


def test_an_hour_with_few_polls_weighs_few_polls_in_the_share_a_port_was_up() -> None:
    line = council.estate().line("th-wan")
    hours = [
        Row(0, {"line": line.id}, {"up_mean": 1.0, "up_count": 60}),
        Row(HOUR_MS, {"line": line.id}, {"up_mean": 0.0, "up_count": 2}),
        Row(2 * HOUR_MS, {"line": line.id}, {"down_use_ratio_p95": 0.1}),
    ]
    [found] = report_figures.line_figures([line], [], hours, [])
    assert found.up_ratio == pytest.approx(60 / 62)


def test_a_backup_line_is_judged_by_whether_it_was_needed() -> None:
    line = council.estate().line("dep-4g")
    idle = report_figures.LineFigures(line, down_p95=0.0)
    used = report_figures.LineFigures(line, down_p95=0.0, carried_hours=6)
    assert report_figures.value_for_money(idle) == "Backup: it was not needed."
    assert "6 hours" in report_figures.value_for_money(used)


@pytest.mark.parametrize(
    ("today", "level", "said"),
    [
        (date(2025, 1, 1), "ok", "Give notice by 31 December 2026"),
        (date(2026, 10, 1), "warn", "91 days left"),
        (date(2026, 12, 30), "bad", "1 day left"),
        (date(2027, 1, 1), "warn", "The last day for notice was 31 December 2026"),
        (date(2027, 4, 1), "warn", "Contract ended 1 day ago"),
    ],
)
def test_a_contract_reminds_of_its_notice_in_time(
    today: date, level: str, said: str
) -> None:
    found = report_figures.reminder(council.estate().line("th-wan"), today)
    assert found is not None
    assert found.level == level
    assert said in found.text


def test_a_line_without_dates_reminds_of_nothing() -> None:
    line = council.estate().line("dep-4g")
    assert report_figures.reminder(line, date(2026, 1, 1)) is None


# ---- people -------------------------------------------------------------------------


def test_home_and_office_are_both_there_and_small_groups_are_said_and_not_shown(
    october: ReportContent,
) -> None:
    assert [each.group for each in october.places] == ["office", "home"]
    assert all(each.values for each in october.places)
    assert site_figures(october, "depot").experience.values is None
    html = render_html(october)
    assert f"Calls at these sites are {figure_text.HIDDEN}: Highways Depot" in html
    table = list(csv.DictReader(io.StringIO(tables(october)["calls"])))
    depot = next(row for row in table if row["group"] == "depot")
    assert depot["note"] == figure_text.HIDDEN
    assert depot["poor calls (ratio of calls)"] == depot["test calls"] == ""


def test_no_question_of_the_report_is_about_one_laptop() -> None:
    store = AnswerStore(lambda query: [])
    month_content(store=store)
    assert len(store.asked) >= 10
    for query in store.asked:
        check_query(query, CATALOGUE)
        assert not CATALOGUE.measurement(query.measurement).personal


# ---- incidents ----------------------------------------------------------------------


def test_incidents_are_cut_to_the_month_and_folded_under_their_cause() -> None:
    start, end = OCTOBER.from_ms, OCTOBER.to_ms
    cause = alert_of_month(start + HOUR_MS, start + 3 * HOUR_MS, rule="line_down")
    effect = alert_of_month(
        start + HOUR_MS, start + 3 * HOUR_MS, suppressed_by=cause.key
    )
    before = alert_of_month(start - HOUR_MS, start + HOUR_MS)
    open_still = alert_of_month(end - 2 * HOUR_MS, None)
    # It outlived its cause by a little, and nobody was told of it.
    after = alert_of_month(
        start + HOUR_MS, start + 3 * HOUR_MS, rule="x", explained_by=cause.key
    )
    outside = alert_of_month(start - 2 * HOUR_MS, start - HOUR_MS)
    never_fired = Alert("p", {}, "critical", "resolved", start, resolved_ms=start + 5)
    found = report_figures.site_incidents(
        [cause, effect, after, before, open_still, outside, never_fired], start, end
    )
    lengths = {each.alert.key: each.to_ms - each.from_ms for each in found}
    assert lengths == {
        cause.key: 2 * HOUR_MS,
        before.key: HOUR_MS,
        open_still.key: 2 * HOUR_MS,
    }
    assert {each.alert.key: each.explains for each in found}[cause.key] == 2
    assert [each.ongoing for each in found if each.alert is open_still] == [True]


# ---- files --------------------------------------------------------------------------


def test_a_site_that_is_not_there_is_named_with_a_suggestion() -> None:
    with pytest.raises(ReportError, match="did you mean 'depot'"):
        select_sites(council.estate(), "depo")


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "October", "", "1999-01"])
def test_what_is_not_a_month_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected such as 2026-10"):
        Month.parse(text)


def test_months_follow_each_other_over_the_year() -> None:
    assert str(Month.parse("2026-12").after()) == "2027-01"
    assert str(Month.parse("2026-01").before()) == "2025-12"
    assert Month(2026, 9).to_ms == OCTOBER.from_ms


# ---- words and charts ---------------------------------------------------------------


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 3))
def test_less_than_all_is_never_said_to_be_all(ratio: float, digits: int) -> None:
    assert float(figure_text.percent(ratio, digits).rstrip("%")) < 100


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.floats(0, 1e12)),
        max_size=30,
        unique_by=lambda p: p[0],
    )
)
def test_a_chart_is_well_formed_and_stays_inside_itself(
    points: list[tuple[int, float]],
) -> None:
    drawn = chart.Chart(
        "x",
        "A <title>",
        (chart.ChartSeries("a & b", sorted(points)),),
        0,
        10**7,
        10**5,
        figure_text.rate,
        figure_text.hour,
    )
    svg = str(drawn.svg())
    assert "A &lt;title&gt;" in svg
    assert "nan" not in svg
    assert "inf" not in svg
    for path in re.findall(r' d="([^"]*)"', svg):
        for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path):
            assert 0 <= float(x) <= drawn.width
            assert 0 <= float(y) <= drawn.height


def test_a_gap_in_what_was_measured_is_a_gap_in_the_line() -> None:
    points = [(0, 1.0), (10, 1.0), (20, 1.0), (100, 1.0), (110, 1.0)]
    drawn = chart.Chart(
        "x",
        "T",
        (chart.ChartSeries("a", points),),
        0,
        120,
        10,
        figure_text.rate,
        figure_text.hour,
    )
    assert str(drawn.svg()).count('class="c1"') == 2
