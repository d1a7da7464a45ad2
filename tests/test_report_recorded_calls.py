"""Real calls in the report, as Microsoft recorded them, and how often Towpath's test
calls saw the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import accessible
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_group_rows import (
    COUNCIL,
    OCTOBER,
    group_row,
    october_ms,
    report_content,
)
from report_month import csv_tables
from store_doubles import MemoryStore
from stores import embedded

from alerts.rule_files import load_rules
from collectors.batch import batch_samples
from collectors.calls.probe_agreement import (
    LIMITS,
    ProbeAgreement,
    agreement_of,
    with_kinds,
)
from collectors.server_measurements import CATALOGUE
from dashboards.report.plain_report import render_plain
from dashboards.report.report_data import ReportContent, gather_content
from dashboards.report.report_html import render_html, style_sheet
from dashboards.report.report_summary import headlines, tiles
from dashboards.report.report_tables import report_tables
from probes.wire.sample import Sample, Value

HOURS = range(9, 17)
DAYS = (5, 6, 7)
SHARES = st.floats(0, 1)
SIDE = st.dictionaries(
    st.integers(0, 40), st.tuples(SHARES, st.integers(0, 200)), max_size=30
)


def recorded(
    by: str, group: str, time_ms: int, poor: float, streams: int = 100, **more: Value
) -> Sample:
    """A row of audio in `teams_calls`."""
    fields: dict[str, Value] = {
        "people": 25,
        "streams": streams * 2,
        "unclassified_ratio": 0.5,
        "classified": streams,
        "poor_ratio": poor,
        **more,
    }
    tags = {"by": by, "group": group, "media": "audio"}
    return Sample("teams_calls", tags, fields, time_ms)


def reading(time_ms: int, reading: int = 1, records: int = 40) -> Sample:
    fields: dict[str, Value] = {"reading": reading, "records": records}
    return Sample("self_calls", {"process": "calls"}, fields, time_ms)


def month() -> Iterable[Sample]:
    """Three days: at nine a fault that both sides see, at ten one that only Microsoft
    records, at eleven one that only tests see."""
    for day in DAYS:
        for hour in HOURS:
            at = october_ms(day, hour)
            in_record = 0.2 if hour in (9, 10) else 0.01
            in_tests = 0.3 if hour in (9, 11) else 0.0
            yield recorded("site", "library", at, in_record)
            yield group_row("site", "library", 40, in_tests, at, calls_once=40.0)
            yield recorded("place", "inside", at, in_record)
            yield group_row("place", "office", 40, in_tests, at)
            yield recorded("provider", "BT", at, 0.01, streams=20)
            yield group_row("provider", "BT", 40, 0.0, at)
            yield recorded("connection", "wired", at, 0.0)
    yield recorded("place", "inside", october_ms(6, 22), 1.0, streams=10_000)
    yield recorded("place", "outside", october_ms(6, 12), 0.25, streams=20, people=10)
    phone: dict[str, Value] = {
        "people": 15,
        "calls": 60,
        "attempts": 50,
        "answered_ratio": 0.8,
        "fault_ratio": 0.02,
    }
    tags = {"by": "all", "group": "all"}
    yield Sample("phone_calls", tags, phone, october_ms(6, 12))
    yield reading(october_ms(6, 12))


@pytest.fixture(scope="module")
def october(tmp_path_factory: pytest.TempPathFactory) -> ReportContent:
    async def report_of_month() -> ReportContent:
        async with embedded(tmp_path_factory.mktemp("store"), CATALOGUE) as store:
            await store.write(batch_samples(list(month()), "test", 0))
            now_ms = OCTOBER.to_ms + 1
            return await gather_content(OCTOBER, COUNCIL.sites, store, COUNCIL, now_ms)

    return asyncio.run(report_of_month())


def of_kind(content: ReportContent, by: str, group: str = "") -> ProbeAgreement:
    return next(
        one for one in content.recorded.agreement if (one.by, one.group) == (by, group)
    )


def test_hours_of_a_group_are_counted_by_which_side_was_poor(
    october: ReportContent,
) -> None:
    library = of_kind(october, "site", "library")
    days = len(DAYS)
    assert (library.both, library.record_only, library.tests_only) == (days,) * 3
    assert library.neither == days * (len(HOURS) - 3)
    assert library.sensitivity == 0.5
    assert library.agreement == pytest.approx(1 - 2 / len(HOURS))
    assert library.streams == days * len(HOURS) * 100
    # 20 and 1 of the 46 poor streams a day were in the two hours that tests saw.
    assert library.streams_sensitivity == pytest.approx(21 / 46)
    assert of_kind(october, "site") == ProbeAgreement(**{**vars(library), "group": ""})


def test_offices_are_compared_with_inside(october: ReportContent) -> None:
    assert of_kind(october, "place", "inside").both == len(DAYS)


def test_the_four_states_of_agreement_are_told_apart(october: ReportContent) -> None:
    states = {one.by: one.state for one in october.recorded.agreement if not one.group}
    assert states == {
        "all": "no record",
        "place": "measured",
        "site": "measured",
        "provider": "too few",
        "connection": "not measured",
    }
    few = of_kind(october, "provider")
    assert (few.agreement, few.sensitivity, few.streams_sensitivity) == (None,) * 3


@given(SIDE, SIDE)
def test_every_compared_hour_is_in_one_cell_and_shares_are_of_these(
    record: dict[int, tuple[float, int]], tests: dict[int, tuple[float, int]]
) -> None:
    one = agreement_of(("site", "a"), record, tests)
    assert one.hours == sum(
        record[hour][1] >= LIMITS.least_streams and tests[hour][1] >= LIMITS.least_tests
        for hour in record.keys() & tests.keys()
    )
    assert one.poor_streams_seen <= one.poor_streams <= one.streams
    for share in (one.agreement, one.sensitivity, one.streams_sensitivity):
        assert share is None or 0 <= share <= 1
    if one.state == "measured":
        assert one.agreement is not None
    [total] = [t for t in with_kinds([one, one]) if (t.by, t.group) == ("site", "")]
    assert (total.hours, total.both) == (2 * one.hours, 2 * one.both)


def test_an_hour_is_poor_from_the_shares_on_that_rules_have() -> None:
    thresholds = {
        rule.id: rule.when[0].threshold
        for rule in load_rules(CATALOGUE)
        if rule.id in ("recorded_calls_poor_site", "calls_poor_site")
    }
    assert thresholds == {
        "recorded_calls_poor_site": LIMITS.record_poor,
        "calls_poor_site": LIMITS.tests_poor,
    }


def test_the_report_has_real_calls_of_working_hours_beside_test_calls(
    october: ReportContent,
) -> None:
    inside, outside = october.recorded.places
    # The ten thousand poor streams at night do not count.
    assert inside.streams == len(DAYS) * len(HOURS) * 100
    assert inside.poor == pytest.approx((2 * 0.2 + 6 * 0.01) / 8)
    assert (inside.people, inside.unclassified) == (25, 0.5)
    assert (outside.state, outside.poor, outside.people) == ("too few", 0.25, 10)
    html = render_html(october)
    assert "fewer than 30 streams with a verdict" in html
    assert (
        "of 50 attempts with an outcome in the log, 80.0% were answered and 2.0% failed"
    ) in html
    assert accessible.findings(html, style_sheet()) == []


def test_the_tables_have_real_calls_and_agreement_in_every_format(
    october: ReportContent,
) -> None:
    tables = csv_tables(october)
    [phone] = [row for row in tables["recorded-calls"].splitlines() if "phone" in row]
    assert phone.endswith("everywhere,,,,0.8,0.02,50,15,")
    assert "site,library,measured,3,3,3,15,24,24,24," in tables["agreement"]
    plain = render_plain(october, "Report", report_tables(october))
    assert "seen by tests (ratio of hours poor in the record)" in plain


def test_without_a_record_the_report_says_so_and_the_first_page_nothing() -> None:
    tests_only = [group_row("site", "library", 40, 0.0, october_ms(5, 9))]
    content = report_content(MemoryStore(tests_only))
    assert {one.state for one in content.recorded.agreement} == {"no record"}
    html = render_html(content)
    assert "No record of Microsoft&#8217;s is read" in html
    first_page = [*headlines(content), *(tile.note for tile in tiles(content))]
    assert not any("Microsoft" in text for text in first_page)
    assert csv_tables(content)["recorded-calls"].count("no record of Microsoft") == 3


@pytest.mark.parametrize(
    ("sample", "state"),
    [
        (reading(october_ms(5, 9), reading=0, records=0), "unread"),
        (reading(october_ms(5, 9), records=0), "not recorded"),
        (reading(october_ms(5, 9)), "not shown"),
    ],
)
def test_a_record_without_figures_says_why(sample: Sample, state: str) -> None:
    content = report_content(MemoryStore([sample]))
    places = content.recorded.places
    assert {place.state for place in places} == {state}
    assert content.recorded.phone.state == state
    assert f"no figure: {places[0].why}".replace("'", "&#39;") in render_html(content)
