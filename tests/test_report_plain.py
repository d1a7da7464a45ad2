"""The report without charts, for screen readers and e-mail."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import accessible
import pytest
from report_month import OCTOBER, alert_of_month, month_content

from dashboards.report.plain_report import cell_text, render_plain, summary_text
from dashboards.report.report_data import ReportContent
from dashboards.report.report_html import style_sheet
from dashboards.report.report_summary import headlines, tiles
from dashboards.report.report_tables import report_tables

EVIL = '=HYPERLINK("http://x","\u202e<script>")'


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return month_content([alert_of_month(OCTOBER.from_ms, None, summary=EVIL)])


def test_a_plain_report_has_every_table_and_no_drawing(october: ReportContent) -> None:
    html = render_plain(october, "Report", report_tables(october))
    assert "<svg" not in html
    assert "<script" not in html
    assert "\u202e" not in html
    assert html.count("<h2") >= 10
    assert html.count("<caption") >= 6
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    # It has no colours of its own, so those of other pages stand in.
    assert accessible.findings(html, style_sheet()) == []


def test_the_text_of_a_summary_has_its_sentences_and_figures_on_lines(
    october: ReportContent,
) -> None:
    text = summary_text(october, f"Report {EVIL}")
    for sentence in headlines(october):
        assert f"* {sentence}\n" in text
    for tile in tiles(october):
        assert f"{tile.title}: {tile.figure}" in text
    assert "\u202e" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_summary_of_a_month_that_is_not_over_says_that_first(
    october: ReportContent,
) -> None:
    running = replace(october, to_ms=october.to_ms - 1)
    assert "Provisional: the month is not over." in summary_text(running, "R")


def test_cells_are_written_as_people_read_them() -> None:
    zone = OCTOBER.zone
    assert cell_text(0.9912, "ratio", zone) == "99.12%"
    assert cell_text(4800.0, "pounds", zone) == "£4,800"
    assert cell_text(1.5, "number", zone) == "1.5"
    assert cell_text(1000, "count", zone) == "1,000"
    assert cell_text(None, "ratio", zone) == "not known"
    assert cell_text(date(2027, 3, 31), "date", zone) == "31 March 2027"
    summer = datetime(2026, 7, 1, 12, 5, tzinfo=UTC)
    assert cell_text(summer, "time", zone) == "1 July 2026, 13:05"
