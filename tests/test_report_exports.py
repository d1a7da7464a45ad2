"""Without a record of calls, the report has the sums that people imported from
Microsoft's Call Quality Dashboard, and says so."""

from __future__ import annotations

from datetime import UTC, datetime

import accessible
from report_group_rows import OCTOBER, october_ms, report_content
from report_month import csv_tables
from store_doubles import MemoryStore
from test_report_recorded_calls import reading

from collectors.store.query import Row
from dashboards.report.dashboard_exports import exported_sites
from dashboards.report.report_html import render_html, style_sheet
from probes.wire.sample import Sample, Value


def exported(day: int, poor: float, streams: int = 900, step: str = "day") -> Sample:
    fields: dict[str, Value] = {
        "streams": streams + 100,
        "unclassified_ratio": 0.1,
        "classified": streams,
        "poor_ratio": poor,
    }
    tags = {"site": "library", "media": "audio", "step": step}
    at = datetime(2026, 10, day, tzinfo=UTC)
    return Sample("cqd_streams", tags, fields, int(at.timestamp() * 1000))


def test_sums_of_the_dashboard_are_shown_where_there_is_no_record() -> None:
    rows = [exported(5, 0.05), exported(6, 0.02, streams=1800)]
    content = report_content(MemoryStore(rows))
    [library] = content.recorded.exports
    assert (round(library.poor, 3), library.streams) == (0.03, 2700)
    html = render_html(content)
    assert "people imported sums from Microsoft&#8217;s Call Quality Dashboard" in html
    assert "only sums that people exported" in html
    assert accessible.findings(html, style_sheet()) == []
    [line] = [
        line
        for line in csv_tables(content)["recorded-calls"].splitlines()
        if "Dashboard" in line
    ]
    assert ",library,0.03,2700,0.1" in line


def test_with_a_record_the_dashboard_is_not_shown_beside_it() -> None:
    content = report_content(
        MemoryStore([exported(5, 0.05), reading(october_ms(5, 9))])
    )
    assert content.recorded.exports == ()
    assert "Call Quality Dashboard" not in render_html(content)


def test_a_month_counts_only_in_a_report_on_all_of_it() -> None:
    values: dict[str, Value] = {"poor_ratio_mean": 0.05, "classified_sum": 900}
    at = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1000)
    row = Row(at, {"site": "library", "step": "month"}, values)
    span = (OCTOBER.from_ms, OCTOBER.to_ms)
    assert [one.streams for one in exported_sites([row], span)] == [900]
    for days in (15, 30):
        part = (OCTOBER.from_ms, OCTOBER.from_ms + days * 86_400_000)
        assert exported_sites([row], part) == ()
