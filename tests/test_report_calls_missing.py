"""Calls in the report that are not shown: failed, no laptops, not measured, too few."""

from __future__ import annotations

import csv
import io

import pytest
from report_group_rows import group_row, october_ms, report_content
from report_month import csv_tables
from store_doubles import MemoryStore

from collectors.experience.groups import LEAST
from dashboards import figure_text
from dashboards.report.report_data import ReportContent
from dashboards.report.report_html import render_html
from dashboards.report.report_summary import headlines
from probes.wire.sample import Sample, Value


def laptops_heard(**agents: tuple[int, int]) -> list[Sample]:
    """Rows of `self_agents`: (enrolled, reporting) laptops by home site, without counts
    if they are too few."""
    return [
        Sample(
            "self_agents",
            {"home_site": site.replace("_", "-")},
            {"enough": 1, "expected": expected, "heard": reporting}
            if expected >= LEAST
            else {"enough": 0},
            october_ms(6, 10),
        )
        for site, (expected, reporting) in agents.items()
    ]


def call_notes(report: ReportContent) -> dict[str, str]:
    return {
        row["group"]: row["note"]
        for row in csv.DictReader(io.StringIO(csv_tables(report)["calls"]))
    }


def test_without_rows_calls_are_not_measured_rather_than_hidden() -> None:
    report = report_content(MemoryStore())
    assert set(call_notes(report).values()) == {figure_text.NOT_MEASURED}
    assert figure_text.HIDDEN not in render_html(report)
    assert any(
        "cannot be compared" in text and "at home: not measured" in text
        for text in headlines(report)
    )


def test_a_site_without_laptops_is_not_noted_as_having_too_few() -> None:
    rows = [
        group_row("all", "all", 40, 0.1, october_ms(6, 10)),
        group_row("site", "town-hall", 40, 0.1, october_ms(6, 10)),
        *laptops_heard(town_hall=(30, 25), library=(7, 6)),
    ]
    report = report_content(MemoryStore(rows))
    known = call_notes(report)
    assert known["library"] == figure_text.HIDDEN
    assert known["depot"] == figure_text.NO_LAPTOPS
    page = render_html(report)
    assert f"{figure_text.HIDDEN}: Central Library" in page
    assert f"{figure_text.NO_LAPTOPS}: Highways Depot" in page


def test_laptops_without_group_rows_are_not_measured() -> None:
    report = report_content(MemoryStore(laptops_heard(town_hall=(48, 48))))
    assert call_notes(report)["home"] == figure_text.NOT_MEASURED
    few = report_content(MemoryStore(laptops_heard(town_hall=(8, 8))))
    assert call_notes(few)["home"] == figure_text.HIDDEN


def test_a_site_without_reports_from_its_laptops_is_not_measured() -> None:
    rows = [
        group_row("all", "all", 40, 0.1, october_ms(6, 10)),
        *laptops_heard(library=(20, 0)),
    ]
    assert (
        call_notes(report_content(MemoryStore(rows)))["library"]
        == figure_text.NOT_MEASURED
    )


def test_if_all_calls_failed_the_note_says_that_none_succeeded() -> None:
    rows = [
        group_row(
            "place", "home", 20, 1.0, october_ms(6, 10), web_ok_ratio=0.9, web_checks=50
        ),
        group_row("place", "office", 20, 0.5, october_ms(6, 10), mos_estimated_p50=4.0),
    ]
    report = report_content(MemoryStore(rows))
    known = call_notes(report)
    failed = "estimated MOS, round trip, loss, jitter: no call succeeded"
    assert known["home"] == f"{failed}; VPN up: too few laptops"
    assert "no call succeeded" not in known["office"]
    assert "VPN up: not counted in offices" in known["office"]
    assert ">no call succeeded<" in render_html(report)


@pytest.mark.parametrize(("least", "shown"), [(5, True), (10, False), (20, False)])
def test_the_report_hides_groups_smaller_than_the_setting(
    least: int, shown: bool
) -> None:
    row = group_row("site", "library", 9, 0.1, october_ms(6, 10))
    few = replace_field(row, "agents", 5)
    report = report_content(MemoryStore([few]), least=least)
    library = next(site for site in report.sites if site.site.id == "library")
    assert (library.experience.values is not None) is shown
    assert f"Groups of fewer than {least} laptops are not shown" in render_html(report)


def replace_field(row: Sample, name: str, value: Value) -> Sample:
    return Sample(row.measurement, row.tags, {**row.fields, name: value}, row.time_ms)


def test_a_day_with_a_group_that_is_too_small_is_left_out() -> None:
    rows = [
        group_row("place", "home", 40, 0.1, october_ms(5, 10)),
        replace_field(
            group_row("place", "home", 40, 0.9, october_ms(6, 10)), "agents", 5
        ),
    ]
    home = next(
        place
        for place in report_content(MemoryStore(rows)).places
        if place.group == "home"
    )
    assert home.values is not None
    assert home.values["call_poor_ratio_mean"] == pytest.approx(0.1)
    assert home.days == 1
