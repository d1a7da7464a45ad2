"""The report of a month: its lines, groups, incidents, sites and months."""

from __future__ import annotations

import asyncio
import csv
import io

import council
import pytest
from report_month import (
    HOUR_MS,
    OCTOBER,
    alert_of_month,
    csv_tables,
    month_content,
    october_content,
    site_figures,
)
from store_doubles import AnswerStore, MemoryStore

from alerts.alert import Alert
from collectors.server_measurements import CATALOGUE
from collectors.store.query import check_query
from dashboards import figure_text
from dashboards.report import Month, ReportError, report_figures, select_sites
from dashboards.report.gather_ports import gather_ports
from dashboards.report.report_data import ReportContent
from dashboards.report.report_html import render_html
from dashboards.state_levels import BUSY_RATIO
from probes.wire.sample import Sample


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return october_content()


def test_lines_are_compared_with_their_contract_and_the_month_before(
    october: ReportContent,
) -> None:
    line = site_figures(october, "library").lines[0]
    assert line.line.id == "lib-wan"
    assert line.down_p95 is not None
    assert line.down_p95 > BUSY_RATIO
    assert line.busy_hours > 20
    assert line.observed_hours == 745 - 7
    assert line.change is not None
    assert line.cost_per_mbps == pytest.approx(48)
    value = next(v for v in october.line_values if v.figures is line)
    assert value.advice == "go up"
    assert value.reason.startswith("Full in")


def test_busy_ports_are_listed_with_their_descriptions(october: ReportContent) -> None:
    ports = site_figures(october, "library").ports
    described = [port for port in ports if port.description]
    assert 0 < len(described) < len(ports)
    assert described[0].description == f"to {described[0].port} & back"
    assert f"to {described[0].port} &amp; back" in render_html(october)


def test_a_port_that_was_described_anew_has_its_latest_description() -> None:
    tags = {"device": "sw", "site": "s", "role": "switch", "port": "Gi1"}
    samples = [
        Sample(
            "interface",
            {**tags, "description": text},
            {"in_use_ratio": 0.5, "speed_bps": 1e9, "expected_up": 1},
            OCTOBER.to_ms - hours * HOUR_MS,
        )
        for text, hours in (("zoo", 9), ("annexe", 2))
    ]
    store = MemoryStore(samples)
    span = OCTOBER.from_ms, OCTOBER.to_ms
    [port] = asyncio.run(gather_ports(store.query, span, ["s"]))["s"]
    assert port.description == "annexe"


def test_home_and_office_are_shown_and_small_groups_are_noted_as_hidden(
    october: ReportContent,
) -> None:
    assert [place.group for place in october.places] == ["office", "home"]
    assert all(place.values for place in october.places)
    assert site_figures(october, "depot").experience.values is None
    html = render_html(october)
    assert f"Calls at these sites are {figure_text.HIDDEN}: Highways Depot" in html
    table = list(csv.DictReader(io.StringIO(csv_tables(october)["calls"])))
    depot = next(row for row in table if row["group"] == "depot")
    assert depot["note"] == figure_text.HIDDEN
    assert (
        depot["poor calls (ratio of calls)"] == depot["test calls (rounded to 5)"] == ""
    )


def test_no_query_of_the_report_is_about_one_laptop() -> None:
    store = AnswerStore(lambda query: [])
    month_content(store=store)
    assert len(store.asked) >= 10
    for query in store.asked:
        check_query(query, CATALOGUE)
        assert not CATALOGUE.measurement(query.measurement).personal


def test_incidents_are_cut_to_the_month_and_grouped_under_their_cause() -> None:
    start, end = OCTOBER.from_ms, OCTOBER.to_ms
    cause = alert_of_month(start + HOUR_MS, start + 3 * HOUR_MS, rule="line_down")
    effect = alert_of_month(
        start + HOUR_MS, start + 3 * HOUR_MS, suppressed_by=cause.key
    )
    before = alert_of_month(start - HOUR_MS, start + HOUR_MS)
    open_still = alert_of_month(end - 2 * HOUR_MS, None)
    # It ended a little after its cause, and nobody was notified of it.
    after = alert_of_month(
        start + HOUR_MS, start + 3 * HOUR_MS, rule="x", explained_by=cause.key
    )
    outside = alert_of_month(start - 2 * HOUR_MS, start - HOUR_MS)
    never_fired = Alert("p", {}, "critical", "resolved", start, resolved_ms=start + 5)
    incidents = report_figures.site_incidents(
        [cause, effect, after, before, open_still, outside, never_fired], start, end
    )
    lengths = {
        incident.alert.key: incident.to_ms - incident.from_ms for incident in incidents
    }
    assert lengths == {
        cause.key: 2 * HOUR_MS,
        before.key: HOUR_MS,
        open_still.key: 2 * HOUR_MS,
    }
    by_alert = {incident.alert.key: incident for incident in incidents}
    assert by_alert[cause.key].explains == 2
    assert by_alert[open_still.key].ongoing


def test_an_unknown_site_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ReportError, match="did you mean 'depot'"):
        select_sites(council.estate(), "depo")


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "October", "", "1999-01"])
def test_a_text_that_is_no_month_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected such as 2026-10"):
        Month.parse(text)


def test_months_follow_each_other_across_the_end_of_a_year() -> None:
    assert Month.parse("2026-12").to_ms == Month.parse("2027-01").from_ms
    assert str(Month.parse("2026-01").before()) == "2025-12"
    assert Month(2026, 9).to_ms == OCTOBER.from_ms
