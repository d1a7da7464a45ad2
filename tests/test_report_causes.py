"""The causes of poor calls, in the report."""

from __future__ import annotations

import csv
import io

import pytest
from report_month import HOUR_MS, OCTOBER, csv_tables, month_content, october_content
from store_doubles import MemoryStore

from dashboards import figure_text
from dashboards.report import poor_call_causes
from dashboards.report.report_data import ReportContent
from dashboards.report.report_html import render_html
from probes.wire.sample import Sample


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return october_content()


def test_poor_calls_are_listed_by_cause_for_home_and_office(
    october: ReportContent,
) -> None:
    by_group = {
        (causes.by, causes.group): causes
        for causes in poor_call_causes.causes_by_group(october)
    }
    home, office = by_group["place", "home"], by_group["place", "office"]
    assert home.order[0] == "wifi"
    assert set(office.order[:2]) == {"wifi", "edge"}
    assert by_group["provider", "Moor Broadband"].order[0] == "provider"
    home_poor = (october.places[1].values or {})["call_poor_ratio_mean"]
    assert home.total == pytest.approx(home_poor)


def test_the_paragraph_names_first_causes_and_the_worst_provider(
    october: ReportContent,
) -> None:
    sentences = poor_call_causes.cause_sentences(
        poor_call_causes.causes_by_group(october), "September 2026"
    )
    assert [text.split(",")[0] for text in sentences[:2]] == ["At home", "In offices"]
    assert "mostly at the Wi-Fi" in sentences[0]
    assert "September 2026" in sentences[0]
    assert sentences[2].startswith("The worst provider was Moor Broadband:")
    assert "the provider's network" in sentences[2]


def _group_causes(now: float, before: float | None) -> poor_call_causes.GroupCauses:
    none = dict.fromkeys(figure_text.CAUSES, 0.0)
    past = None if before is None else {**none, "vpn": before}
    return poor_call_causes.GroupCauses(
        "place", "home", "At home", {**none, "vpn": now}, past
    )


@pytest.mark.parametrize(
    ("now", "before", "ending"),
    [
        (0.05, 0.02, "The main cause is up 3.0 points on May 2026."),
        (0.02, 0.05, "The main cause is down 3.0 points on May 2026."),
        (0.02, 0.0202, "The main cause is as common as in May 2026."),
        (0.02, None, "mostly at the VPN (2.0%)."),
        (0.0, 0.3, "At home, hardly any test calls were poor."),
    ],
)
def test_the_paragraph_states_what_changed_since_last_month(
    now: float, before: float | None, ending: str
) -> None:
    [text] = poor_call_causes.cause_sentences([_group_causes(now, before)], "May 2026")
    assert text.endswith(ending)


def test_a_month_without_recorded_causes_has_no_section_of_causes() -> None:
    old = MemoryStore(
        [
            Sample(
                "experience",
                {"by": "place", "group": "home"},
                {"agents": 40, "calls": 80, "call_poor_ratio": 0.1},
                OCTOBER.from_ms + HOUR_MS,
            )
        ]
    )
    content = month_content(store=old)
    assert poor_call_causes.causes_by_group(content) == []
    assert "Where poor calls break" not in render_html(content)


def test_the_causes_of_a_hidden_group_are_in_no_table(october: ReportContent) -> None:
    shown = {
        (causes.by, causes.group)
        for causes in poor_call_causes.causes_by_group(october)
    }
    rows = list(csv.DictReader(io.StringIO(csv_tables(october)["causes"])))
    assert {(row["grouped by"], row["group"]) for row in rows} == shown
    assert ("site", "depot") not in shown
