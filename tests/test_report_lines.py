"""Advice of the report about a line: its size, its backup and its contract."""

from __future__ import annotations

from datetime import date

import council
import pytest
from report_month import HOUR_MS

from collectors.store.query import Row
from dashboards.report import report_figures


def test_hours_are_weighted_by_their_polls_in_the_ratio_a_port_was_up() -> None:
    line = council.estate().line("th-wan")
    hours = [
        Row(0, {"line": line.id}, {"up_mean": 1.0, "up_count": 60}),
        Row(HOUR_MS, {"line": line.id}, {"up_mean": 0.0, "up_count": 2}),
        Row(2 * HOUR_MS, {"line": line.id}, {"down_use_ratio_p95": 0.1}),
    ]
    [figures] = report_figures.line_figures([line], [], hours, [])
    assert figures.up_ratio == pytest.approx(60 / 62)


@pytest.mark.parametrize(
    ("today", "level", "text"),
    [
        (date(2025, 1, 1), "ok", "Give notice by 31 December 2026"),
        (date(2026, 10, 1), "warn", "91 days left"),
        (date(2026, 12, 30), "bad", "1 day left"),
        (date(2027, 1, 1), "warn", "The last day for notice was 31 December 2026"),
        (date(2027, 4, 1), "warn", "Contract ended 1 day ago"),
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
