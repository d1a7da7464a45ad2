"""Calls in the report: weighted by calls, and counted in working hours only."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pytest
import services
from report_group_rows import (
    COUNCIL,
    MINUTE_MS,
    OCTOBER,
    PERIOD_MS,
    group_row,
    october_ms,
    report_content,
)
from report_month import csv_tables
from store_doubles import MemoryStore
from stores import embedded, influx

from collectors.batch import batch_samples as batches
from collectors.estate.opening_hours import OpeningHours, is_open
from collectors.experience.groups import ExperienceWindow, GroupsConfig
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Store
from dashboards.report.report_data import ReportContent, gather_content
from dashboards.report.report_html import render_html
from dashboards.report.report_summary import headlines
from probes.wire.sample import Sample


def laptops(
    place: str, agents: int, poor: Iterable[bool], time_ms: int
) -> list[Sample]:
    """A test call of each laptop."""
    tags = {"place": place, "site": "town-hall", "home_site": "town-hall"}
    return [
        Sample(
            "call_path",
            {**tags, "provider": "bt", "connection": "wifi", "agent": f"{place}{n}"},
            {"outcome": "ok", "poor": int(is_poor), "loss_ratio": 0.01 * is_poor},
            time_ms,
        )
        for n, is_poor in zip(range(agents), poor, strict=False)
    ]


def evenly_true(share: float) -> Iterable[bool]:
    """Yields True for this share of the values, evenly spread."""
    total = 0.0
    while True:
        total += share
        yield total >= 1
        total -= total >= 1


# Monday and Tuesday.
DAYS = 2


def a_month_of_calls() -> list[Sample]:
    """Two working days: 3% of the calls of 40 laptops in offices are poor, and 7.1%
    of the calls of 30 laptops at home. At night 12 laptops of each make calls, and
    nearly all of these are good. The last of these are in the first rows of the
    working day, so 7.0% remain of 7.1%."""
    poor = {"office": evenly_true(0.03), "home": evenly_true(0.071)}
    night = {"office": evenly_true(0.001), "home": evenly_true(0.001)}
    window = ExperienceWindow(GroupsConfig())
    samples: list[Sample] = []
    first_ms, last_ms = october_ms(5, 0) + PERIOD_MS, october_ms(5 + DAYS, 0)
    for end_ms in range(first_ms, last_ms + 1, PERIOD_MS):
        time_ms = end_ms - PERIOD_MS + MINUTE_MS
        working = is_open(OpeningHours(), time_ms)
        rows = []
        if (end_ms // PERIOD_MS) % 2 == 0:
            for place, agents in (("office", 40), ("home", 30)):
                shares = poor[place] if working else night[place]
                rows += laptops(place, agents if working else 12, shares, time_ms)
        for batch in batches(rows, "laptops", time_ms):
            window.add(batch)
        samples += window.samples(end_ms)
        window.forget(window.needed_from_ms(end_ms))
    return samples


@pytest.fixture(scope="module")
def month_of_groups() -> list[Sample]:
    return a_month_of_calls()


SENTENCE = (
    "Of test calls in working hours (Monday to Friday, 08:00 to 18:00), 3.0% were poor "
    "in offices and 7.0% at home."
)


@pytest.mark.parametrize("kind", ["embedded", "rolled up", "influx"])
async def test_home_and_office_are_compared_by_calls_and_not_by_windows(
    tmp_path: Path, month_of_groups: list[Sample], kind: str
) -> None:
    async def report_of(store: Store) -> ReportContent:
        await store.write(batches(month_of_groups, "groups", 0))
        if kind == "rolled up":
            await store.tidy(october_ms(28, 0))  # type: ignore[attr-defined]
        now_ms = OCTOBER.to_ms + 1
        return await gather_content(OCTOBER, COUNCIL.sites, store, COUNCIL, now_ms)

    if kind == "influx":
        with services.running(services.influxd(tmp_path)) as server:
            async with influx(server, CATALOGUE) as database:
                report = await report_of(database)
    else:
        async with embedded(tmp_path, CATALOGUE) as files:
            report = await report_of(files)
    [sentence] = [text for text in headlines(report) if "at home" in text]
    assert sentence.startswith(SENTENCE)
    assert sentence in render_html(report).replace("&#39;", "'")
    office, home = report.places
    # Some calls of the last minutes of a day are in rows after working hours.
    assert office.calls == pytest.approx(DAYS * 60 * 40, rel=0.02)
    assert home.calls == pytest.approx(DAYS * 60 * 30, rel=0.02)
    assert (home.windows, home.days) == (DAYS * 120, DAYS)
    assert f"at home: {home.calls:,} calls on 2 days" in sentence
    unweighted = [
        float(row.fields["call_poor_ratio"])
        for row in month_of_groups
        if row.tags == {"by": "place", "group": "home"}
    ]
    assert sum(unweighted) / len(unweighted) < 0.04


def test_the_table_states_hours_and_the_calls_and_days_of_each_figure() -> None:
    rows = [
        group_row("place", "home", 40, 0.1, october_ms(5, 10)),
        group_row("place", "home", 10, 0.6, october_ms(6, 10)),
        # Outside working hours: on Saturday and at night.
        group_row("place", "home", 900, 0.9, october_ms(10, 10)),
        group_row("place", "home", 900, 0.9, october_ms(6, 18)),
        group_row("site", "depot", 30, 0.2, october_ms(6, 23)),
        group_row("site", "depot", 900, 0.9, october_ms(6, 12)),
    ]
    report = report_content(MemoryStore(rows))
    table = {
        row["group"]: row
        for row in csv.DictReader(io.StringIO(csv_tables(report)["calls"]))
    }
    home, depot = table["home"], table["depot"]
    assert home["hours"] == "Monday to Friday, 08:00 to 18:00"
    assert float(home["poor calls (ratio of calls)"]) == pytest.approx(10 / 50)
    assert (home["test calls (rounded to 5)"], home["windows"], home["days"]) == (
        "50",
        "2",
        "2",
    )
    assert depot["hours"] == "every day, 22:00 to 06:00"
    assert float(depot["poor calls (ratio of calls)"]) == pytest.approx(0.2)
    page = render_html(report)
    assert "every day, 22:00 to 06:00" in page
    assert "on 2 days" in page
