"""Where poor calls fail, in the report."""

from __future__ import annotations

import csv
import io

import pytest
from report_month import HOUR_MS, OCTOBER, month_content
from store_doubles import MemoryStore

from collectors.store.query import check_query as check_query
from dashboards import figure_text
from dashboards.report import (
    poor_call_causes,
)
from dashboards.report.report_csv import tables
from dashboards.report.report_data import (
    ReportContent,
)
from dashboards.report.report_html import render_html
from probes.wire.sample import Sample


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return month_content()


def test_poor_calls_are_told_by_where_they_break_home_beside_office(
    october: ReportContent,
) -> None:
    found = {
        (each.by, each.group): each
        for each in poor_call_causes.causes_by_group(october)
    }
    home, office = found["place", "home"], found["place", "office"]
    assert home.order[0] == "wifi"
    assert set(office.order[:2]) == {"wifi", "edge"}
    assert found["provider", "Moor Broadband"].order[0] == "provider"
    home_poor = (october.places[1].values or {})["call_poor_ratio_mean"]
    assert home.total == pytest.approx(home_poor)


def test_the_paragraph_names_first_causes_and_the_worst_provider(
    october: ReportContent,
) -> None:
    told = poor_call_causes.cause_sentences(
        poor_call_causes.causes_by_group(october), "September 2026"
    )
    assert [text.split(",")[0] for text in told[:2]] == ["At home", "In offices"]
    assert "mostly at the Wi-Fi" in told[0]
    assert "September 2026" in told[0]
    assert told[2].startswith("The worst provider was Moor Broadband:")
    assert "the provider's network" in told[2]


def _broken(now: float, before: float | None) -> poor_call_causes.GroupCauses:
    none = dict.fromkeys(figure_text.CAUSES, 0.0)
    past = None if before is None else {**none, "vpn": before}
    return poor_call_causes.GroupCauses(
        "place", "home", "At home", {**none, "vpn": now}, past
    )


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (0.05, 0.02, "The main cause is up 3.0 points on May 2026."),
        (0.02, 0.05, "The main cause is down 3.0 points on May 2026."),
        (0.02, 0.0202, "The main cause is as common as in May 2026."),
        (0.02, None, "mostly at the VPN (2.0%)."),
        (0.0, 0.3, "At home, hardly any test calls were poor."),
    ],
)
def test_the_paragraph_says_what_changed_since_last_month(
    now: float, before: float | None, told: str
) -> None:
    [text] = poor_call_causes.cause_sentences([_broken(now, before)], "May 2026")
    assert text.endswith(told)


def test_a_month_from_before_causes_were_told_has_no_such_section() -> None:
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
        (each.by, each.group) for each in poor_call_causes.causes_by_group(october)
    }
    rows = list(csv.DictReader(io.StringIO(tables(october)["causes"])))
    assert {(row["grouped by"], row["group"]) for row in rows} == shown
    assert ("site", "depot") not in shown


# ---- availability -------------------------------------------------------------------
